//! Sealed storage: the keyring, the record envelope and the store behind them.
//!
//! What it is: records with a clear part that can be listed and a secret part that is sealed, written in atomic commits
//! with preconditions. [`Vault`] is what the rest of Keyport uses; [`Store`] is what lies below and sees only sealed
//! bytes. The README beside this crate has the threat model, the formats to the byte and what is not covered yet.
//!
//! | module | what |
//! |---|---|
//! | `ids`, `keys` | owners, kinds, ids, and how rows are named |
//! | `secret`, `root_key` | types that cannot leak by accident; where the root key comes from |
//! | `envelope` | the one sealing and the one opening function |
//! | `keyring`, `owner_keys` | the keys between root key and records |
//! | `row` | a record as it lies in the store |
//! | `vault` | reading, listing, writing |
//! | `harden` | no core dumps |
//! | `backup` | taking backups, reading and restoring them |
//! | `store` | the trait, and the stores: in memory, on sled, on PostgreSQL |

pub mod backup;
mod envelope;
mod error;
mod harden;
mod ids;
mod keyring;
mod keys;
#[doc(hidden)]
pub mod measure;
#[cfg(test)]
mod memory_tests;
mod owner_keys;
mod root_key;
mod row;
mod secret;
pub mod store;
mod vault;

pub use envelope::SECRET_MAX;
pub use error::VaultError;
pub use harden::harden;
pub use ids::{ID_MAX, Kind, NameError, OWNER_MAX, Owner, RecordId, Rev};
pub use root_key::{RootKey, RootKeyError};
pub use row::CLEAR_MAX;
pub use secret::SecretBytes;
pub use store::{
    Clock, Health, Lease, LeaseTry, MemoryStore, PostgresOptions, PostgresStore, ScrubReport,
    SledOptions, SledStore, Store, StoreError,
};
pub use vault::{
    Activity, Changed, Damage, Expect, Finding, Head, Inventory, KEY_USES_MAX, KeyFacts, Level,
    PAGE_MAX, Page, Record, Remembered, Retired, RootSource, Secret, SecretWrite, Vault,
    VaultOptions, VerifyReport, WRITES_MAX, Watch, Write,
};
