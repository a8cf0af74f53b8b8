//! What can go wrong in the vault. No text contains a secret or says which check of an envelope failed.

use crate::envelope::SealError;
use crate::ids::{NameError, RecordId, Rev};
use crate::store::StoreError;

/// Why the vault could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The sealed check value does not open. Nothing was written.
    #[error(
        "this root key does not belong to this data; start with the key that the data was made with (nothing was changed)"
    )]
    WrongRootKey,
    /// There is data, but not the keyring that opens it. New keys are never made over existing data.
    #[error(
        "the store holds data but no keyring, so nothing in it can be opened; restore the store from a backup (nothing was changed)"
    )]
    NoKeyring,
    /// The root key is right, but the keyring does not open.
    #[error("the keyring is damaged; restore the store from a backup (nothing was changed)")]
    KeyringDamaged,
    /// Another host has changed the keys, and what leads from the known ones to theirs is gone or altered.
    #[error(
        "another host has rotated the keys and this one cannot follow; restart it with the present root key"
    )]
    StaleKeyring,
    /// A restore was begun here and did not end.
    #[error(
        "a restore into this store was interrupted; run it again with the same backup, or begin with an empty store"
    )]
    RestoreUnfinished,
    /// Work that needs the root key, in a vault that was not told where to ask for it.
    #[error("this needs the root key, and it is not known where to get it from")]
    NoRootSource,
    /// The root key could not be had again.
    #[error("the root key is needed and could not be had: {0}")]
    RootKey(String),
    /// Two wraps of the keyring exist.
    #[error(
        "the root key is being changed; finish that first: put the new key into the configuration and run `keyport vault retire root`"
    )]
    RootChangeUnderWay,
    /// There is nothing to end, or the configuration still names the old key.
    #[error("the root key cannot be retired: {0}")]
    RootNotRetired(&'static str),
    /// Another process rotates, retires or verifies.
    #[error("another host is at work on the keys; wait until it is done (`keyport vault status`)")]
    WorkElsewhere,
    /// This process already does.
    #[error("{0} is under way; wait until it is done")]
    Working(&'static str),
    /// An earlier rotation has to end before another begins.
    #[error("a rotation of {0} has begun and not ended; it goes on first")]
    RotationUnfinished(&'static str),
    /// A key has sealed as often as it may.
    #[error(
        "the active term of the keyring has sealed as often as one key may; run `keyport vault rotate`"
    )]
    TermWornOut,
    /// Counting what needs an old key was not possible.
    #[error(
        "{0} rows of owners' keys cannot be read, so it is not known which keys they need; `keyport vault verify` lists them"
    )]
    CannotCount(u64),
    /// A backup that is not one, or was altered.
    #[error("the backup cannot be used: {0}")]
    Backup(String),
    /// Reading or writing a backup.
    #[error("the backup could not be read or written: {0}")]
    BackupFile(String),
    /// A restore goes into an empty store only.
    #[error("the store is not empty; restore into an empty one (nothing was changed)")]
    NotEmpty,
    /// The record is not as the caller expected; read it again and decide anew.
    #[error("the {id} was changed meanwhile; read it again and repeat", id = .id)]
    Conflict {
        /// Which record.
        id: RecordId,
        /// Its present revision, if it is there.
        actual: Option<Rev>,
    },
    /// The id belongs to another owner's record of this kind.
    #[error("the id is already in use; choose another")]
    IdTaken,
    /// The row was altered outside of Keyport, so what is sealed in it cannot be carried over.
    #[error("the {id} is damaged; give its secret anew or delete it", id = .id)]
    Damaged {
        /// Which record.
        id: RecordId,
    },
    /// An owner's keys cannot be read, so nothing can be sealed for them.
    #[error("the keys of an owner are damaged; restore the store from a backup")]
    OwnerKeysDamaged,
    /// A name that cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The cursor was not made by this listing.
    #[error("the cursor is not one of this list; begin again without it")]
    BadCursor,
    /// A record's clear part or secret is too long, or a commit writes a record twice.
    #[error("the commit is refused: {0}")]
    Refused(&'static str),
    /// Others kept changing the same rows.
    #[error("too many others are changing the same records; try again")]
    Busy,
    /// The reply was lost and could not be settled; the commit may have gone through.
    #[error("it is not known whether the change was stored; read again before repeating it")]
    Unknown,
    /// The operating system's random numbers.
    #[error("the operating system gave no random bytes")]
    Random,
    /// The cipher refused, which does not happen with sizes that were checked.
    #[error("sealing failed")]
    Sealing,
    /// The store behind the vault.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SealError> for VaultError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::TooLong => Self::Refused("a secret may be at most 128 KiB long"),
            SealError::Random => Self::Random,
            SealError::Cipher => Self::Sealing,
        }
    }
}

impl From<getrandom::Error> for VaultError {
    fn from(_: getrandom::Error) -> Self {
        Self::Random
    }
}
