//! Bytes that must not leak by accident.
//!
//! [`SecretBytes`] is wiped when dropped and has no `Debug`, `Display`, `Serialize`, `Clone` or `PartialEq`: printing,
//! logging, copying or comparing it carelessly is a compile error. A check in this file keeps it so.
//! Not covered: what the allocator or the kernel (swap, core dumps) did with the memory before.

use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// A secret: shown only by [`SecretBytes::expose`], wiped on drop.
pub struct SecretBytes {
    bytes: Vec<u8>,
    /// Where it begins; what stands before it is wiped with it.
    from: usize,
}

impl SecretBytes {
    /// Takes the bytes over without copying them.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            from: 0,
        }
    }

    /// The bytes. The name is there to be found in a review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.bytes.get(self.from..).unwrap_or_default()
    }

    pub(crate) fn from_zeroizing(mut bytes: Zeroizing<Vec<u8>>) -> Self {
        Self::new(std::mem::take(&mut *bytes))
    }

    /// What stands from `from` on, without moving it.
    pub(crate) fn behind(mut bytes: Zeroizing<Vec<u8>>, from: usize) -> Self {
        Self {
            bytes: std::mem::take(&mut *bytes),
            from,
        }
    }
}

impl Drop for SecretBytes {
    /// All that was allocated, at the speed of `memset`: `zeroize` writes byte by byte, which for 16 KiB took a quarter of the time of
    /// opening them (`benches/seal.rs`). That the compiler cannot leave it out is what `black_box` is for; that it did not,
    /// `memory_tests.rs` sees.
    fn drop(&mut self) {
        self.bytes.clear();
        self.bytes.resize(self.bytes.capacity(), 0);
        std::hint::black_box(self.bytes.as_mut_slice());
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
    }
}

/// 32 key bytes in one place in memory (boxed, so that moving the owner leaves no copies behind).
pub(crate) struct Key32(Box<Zeroizing<[u8; 32]>>);

impl Key32 {
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut key = Self::zero();
        getrandom::fill(&mut **key.0)?;
        Ok(key)
    }

    /// Copies and wipes what it was given.
    pub(crate) fn take(bytes: &mut [u8; 32]) -> Self {
        let mut key = Self::zero();
        key.0.copy_from_slice(bytes);
        bytes.zeroize();
        key
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != 32 {
            return None;
        }
        let mut key = Self::zero();
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// HMAC-SHA256 under this key. A key shorter than a block is padded with zeros (RFC 2104), done here so that there is no
    /// length to be wrong about.
    pub(crate) fn hmac(&self) -> Hmac<Sha256> {
        let mut block = Zeroizing::new([0; 64]);
        for (slot, byte) in block.iter_mut().zip(self.0.iter()) {
            *slot = *byte;
        }
        Hmac::new((&*block).into())
    }

    fn zero() -> Self {
        Self(Box::new(Zeroizing::new([0; 32])))
    }
}

/// Fails to compile when `$type` implements `$trait`: the inherent choice of `here` becomes ambiguous.
macro_rules! assert_lacks {
    ($type:ty: $($trait:path),+ $(,)?) => {
        $(const _: fn() = || {
            trait Ambiguous<A> {
                fn here() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Implemented;
            impl<T: ?Sized + $trait> Ambiguous<Implemented> for T {}
            let _ = <$type as Ambiguous<_>>::here;
        };)+
    };
}
pub(crate) use assert_lacks;

assert_lacks!(SecretBytes: std::fmt::Debug, std::fmt::Display, serde::Serialize, Clone, PartialEq, AsRef<[u8]>);
assert_lacks!(Key32: std::fmt::Debug, std::fmt::Display, serde::Serialize, Clone, PartialEq, AsRef<[u8]>);
