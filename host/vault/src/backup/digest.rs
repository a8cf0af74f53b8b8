//! What rows hash to, whatever their order: the sum of the rows' SHA-256, in four lanes of 64 bits.
//!
//! For comparing what was backed up with what was restored. It is no proof against somebody who makes up rows: that is what the
//! backup's own hash and MAC are for.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::envelope::lp;

/// The hash of a set of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest([u64; 4]);

impl Digest {
    /// Adds a row. The vault's own (keyring, marks) do not count: a restore changes them.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        if key.starts_with(b"s/") {
            return;
        }
        let mut text = Vec::with_capacity(8 + key.len() + value.len());
        lp(&mut text, key);
        lp(&mut text, value);
        let hash: [u8; 32] = Sha256::digest(&text).into();
        let (lanes, _) = hash.as_chunks::<8>();
        for (sum, lane) in self.0.iter_mut().zip(lanes) {
            *sum = sum.wrapping_add(u64::from_be_bytes(*lane));
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|lane| write!(f, "{lane:016x}"))
    }
}
