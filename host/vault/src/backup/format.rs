//! The bytes of a backup. Integers are big-endian; `lp(x)` is `u32 length ‖ x`.
//!
//! ```text
//! "KPBK" │ version u16 = 1 │ lp(header, JSON)
//! 1 │ lp(key) │ revision u64 │ lp(value)    rows, sorted by key
//! 2 │ lp(key) │ revision u64 │ lp(value)    rows that were written while the first were read, sorted by key: these count
//! 3 │ lp(key)                               rows that went away meanwhile, sorted among the 2s
//! 0 │ lp(trailer, JSON)
//! SHA-256 of all before 32 │ HMAC-SHA256(backup key, "KPBK" ‖ that SHA-256) 32
//! ```

use serde::{Deserialize, Serialize};

pub(super) const MAGIC: &[u8; 4] = b"KPBK";
pub(super) const VERSION: u16 = 1;
pub(super) const END: u8 = 0;
pub(super) const ROW: u8 = 1;
pub(super) const CHANGED: u8 = 2;
pub(super) const GONE: u8 = 3;
/// SHA-256 and HMAC.
pub(super) const FOOTER: u64 = 64;
/// What the MAC's key is derived for.
pub(super) const MAC_LABEL: &str = "keyport/backup/v1";

/// What stands at the begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// When it was begun, in milliseconds of Unix time.
    pub begun_ms: u64,
    /// About how many rows there are; for progress.
    pub rows: u64,
    /// Whether the keyring is sealed under another root key than the store's (an export).
    pub exported: bool,
}

/// What stands at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// How many rows stand there, changes apart.
    pub rows: u64,
    /// How many changes.
    pub changes: u64,
    /// The vault's revision at the moment that it shows.
    pub revision: u64,
    /// When that was, in milliseconds of Unix time.
    pub at_ms: u64,
}
