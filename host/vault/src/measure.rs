//! For `benches/seal.rs` alone: the sealing and the opening function without a store around them. Not part of the interface.

use crate::envelope::{self, Place, SealKey};
use crate::secret::{Key32, SecretBytes};

/// Seals for one place under one key.
pub struct Sealer {
    key: SealKey,
    store_key: String,
}

const OWNER: &str = "user-0123456789";

impl Sealer {
    /// Under this key.
    #[must_use]
    pub fn new(mut key: [u8; 32]) -> Self {
        Self {
            key: SealKey {
                id: 1,
                key: Key32::take(&mut key),
            },
            store_key: format!("r/connection/{OWNER}/con_0123456789abcdef"),
        }
    }

    fn place(&self) -> Place<'_> {
        Place {
            owner: OWNER,
            store_key: self.store_key.as_bytes(),
            record_type: "connection",
            generation: 7,
        }
    }

    /// `None`: it cannot be sealed.
    #[must_use]
    pub fn seal(&self, secret: &SecretBytes) -> Option<Vec<u8>> {
        envelope::seal(&self.key, self.place(), secret).ok()
    }

    /// `None`: it does not open.
    #[must_use]
    pub fn open(&self, envelope: &[u8]) -> Option<SecretBytes> {
        envelope::open(&self.key, self.place(), envelope).ok()
    }
}
