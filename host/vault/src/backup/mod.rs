//! Backups: every row as of one moment, sealed as it lies in the store, with the wrapped keyring; no plaintext.
//!
//! | file | what |
//! |---|---|
//! | `format.rs` | the bytes |
//! | `write.rs` | taking one, while serving |
//! | `digest.rs` | what rows hash to, so that two stores can be compared |
//! | `read.rs` | reading one back, and proving that it is whole |
//! | `restore.rs` | into an empty store, resumable |
//!
//! A backup opens with the root key of its time and nothing else, so it may lie anywhere; the root key must lie elsewhere.
//! Its end is a SHA-256 over all of it and an HMAC under a key of the keyring: damage is told without the key, forgery with
//! it.
//!
//! An *export* is the same with the keyring sealed under another root key, for moving to another installation.

mod digest;
mod format;
mod read;
mod restore;
mod write;

pub use self::digest::Digest;
pub use self::read::{Backup, Contents};
pub use self::restore::{Restored, restore};
pub use self::write::BackupMade;
