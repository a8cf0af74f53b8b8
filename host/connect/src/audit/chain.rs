//! Numbers and MACs.
//!
//! ```text
//! d(event)  = SHA-256(lp(id) ‖ lp(clear part as JSON))
//! mac(n)    = HMAC-SHA256(audit key, "keyport audit 1" ‖ mac(n−1) ‖ u64 n ‖ d(event n))      mac(0) = 32 zeros
//! ```
//! A block holds up to [`BLOCK_MAX`] events' ids and digests and the MAC after its last. The head holds where the chain begins (it is cut
//! from the front with time) and where it ends. Both are rows of the vault, authenticated as such.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Events in one block: their ids and digests stay well below what a row may hold.
pub(super) const BLOCK_MAX: usize = 500;
/// A block with fewer is added to: on a quiet host each look finds an event or two.
pub(super) const BLOCK_MIN: usize = 100;

/// The key of the chain.
pub(super) struct AuditKey(pub(super) Zeroizing<[u8; 32]>);

/// One event in a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) id: String,
    /// Hex.
    pub(super) digest: String,
}

/// Some events, in the order in which they were chained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Block {
    /// The number of the first.
    pub(super) first: u64,
    /// The number of the first in the block before; 0: there is none.
    pub(super) previous: u64,
    pub(super) links: Vec<Link>,
    /// The MAC before the first; hex.
    pub(super) before: String,
    /// The MAC after the last; hex.
    pub(super) mac: String,
}

/// Where the chain begins and ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChainHead {
    /// The number of the first event that is kept.
    pub(super) first: u64,
    /// The MAC before it; hex.
    pub(super) before: String,
    /// The number of the first event in the last block; 0: there is none.
    pub(super) last: u64,
    /// The number that the next event gets.
    pub(super) next: u64,
    /// The MAC after the last; hex.
    pub(super) mac: String,
    /// The latest time of an event that is chained, in milliseconds: whatever is much older has been seen.
    pub(super) seen_ms: i64,
    /// The latest time of an event that was removed for its age.
    pub(super) removed_ms: i64,
}

impl Default for ChainHead {
    fn default() -> Self {
        ChainHead {
            first: 1,
            before: "0".repeat(64),
            last: 0,
            next: 1,
            mac: "0".repeat(64),
            seen_ms: 0,
            removed_ms: 0,
        }
    }
}

impl Block {
    /// The number of the event after its last.
    pub(super) fn next(&self) -> u64 {
        self.first.saturating_add(self.links.len() as u64)
    }

    /// The MACs after each of its events, or `None` when something in it was changed.
    pub(super) fn macs(&self, key: &AuditKey) -> Option<Vec<String>> {
        let mut macs = Vec::with_capacity(self.links.len());
        let mut before = self.before.clone();
        for (number, link) in (self.first..).zip(&self.links) {
            before = key.mac(&before, number, &link.digest);
            macs.push(before.clone());
        }
        (macs.last() == Some(&self.mac)).then_some(macs)
    }
}

impl AuditKey {
    /// The MAC after an event.
    pub(super) fn mac(&self, before: &str, number: u64, digest: &str) -> String {
        let mut block = Zeroizing::new([0; 64]);
        for (slot, byte) in block.iter_mut().zip(self.0.iter()) {
            *slot = *byte;
        }
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        mac.update(b"keyport audit 1");
        mac.update(before.as_bytes());
        mac.update(&number.to_be_bytes());
        mac.update(digest.as_bytes());
        hex(&mac.finalize().into_bytes())
    }
}

/// What an event is.
pub(super) fn digest(id: &str, clear: &serde_json::Value) -> String {
    let text = clear.to_string();
    let mut sha = Sha256::new();
    for part in [id.as_bytes(), text.as_bytes()] {
        sha.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        sha.update(part);
    }
    hex(&sha.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        for nibble in [byte >> 4, byte & 15] {
            out.extend(char::from_digit(u32::from(nibble), 16));
        }
        out
    })
}
