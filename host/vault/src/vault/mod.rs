//! [`Vault`]: records whose clear part can be listed and whose secret part is sealed.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | types, reading, listing |
//! | `open.rs` | opening: which root key, which keyring, what a restore left |
//! | `commit.rs` | writing: preconditions, generations, sealing, all in one commit |
//! | `owners.rs` | owners' keys: loading, caching, destroying |
//! | `live.rs` | keys that other hosts changed |
//! | `work.rs` | long work over all rows: pace, progress, one at a time |
//! | `rotate/` | new keys for each level, and the end of old ones |
//! | `verify.rs` | every row opened and told |
//! | `inventory.rs` | which keys there are, how old, how often used |
//! | `watch.rs` | what changed |
//!
//! Listings read heads and never decrypt. A record that does not open is a state of that record
//! ([`Secret::Damaged`]), never an error of the list that it stands in.

mod commit;
mod inventory;
mod live;
mod open;
mod owners;
mod rotate;
mod verify;
mod watch;
pub(crate) mod work;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::Value;
use zeroize::Zeroizing;

pub use self::commit::{Expect, SecretWrite, WRITES_MAX, Write};
pub use self::inventory::{Inventory, KeyFacts};
pub use self::open::{KEY_USES_MAX, RootSource, VaultOptions};
pub(crate) use self::open::{floor_row, row_mac};
pub use self::rotate::{Level, Retired};
pub use self::verify::{Finding, Remembered, VerifyReport};
pub use self::watch::{Changed, Watch};
pub use self::work::Activity;
use crate::envelope::{self, Place};
use crate::error::VaultError;
use crate::ids::{Kind, Owner, RecordId, Rev, check_id};
use crate::keyring::Keyring;
use crate::keys;
use crate::owner_keys::Found;
use crate::row::{self, Row};
use crate::secret::{Key32, SecretBytes};
use crate::store::{Health, Key, Lease, LeaseName, LeaseTry, NodeId, Rec, Store, StoreError};

/// The most records on one page of a list.
pub const PAGE_MAX: usize = 500;

/// Sealed records over a [`Store`]. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    keyring: RwLock<Arc<Keyring>>,
    row_mac: Key32,
    owners: RwLock<HashMap<Owner, owners::Cached>>,
    node: NodeId,
    options: VaultOptions,
    /// Added to the store's revisions: what they had counted before a restore.
    floor: u64,
    /// When this data came out of a backup, if it did.
    restored_at_ms: Option<u64>,
    /// Held while a commit is on its way; taken whole for the short end of a backup.
    pub(crate) gate: tokio::sync::RwLock<()>,
    activity: std::sync::Mutex<Option<Activity>>,
}

/// What a listing needs of a record. Nothing in it was sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Which record.
    pub id: RecordId,
    /// For [`Expect::At`].
    pub rev: Rev,
    /// Goes up with every new secret, also over deletion and re-creation.
    pub generation: u64,
    /// What stands in the clear.
    pub clear: Value,
    /// Whether there is a secret.
    pub has_secret: bool,
    /// The row was altered outside of Keyport: `clear` is shown as found (or null) and must not be acted upon.
    pub damaged: bool,
}

/// A record with its secret.
pub struct Record {
    /// Which record.
    pub id: RecordId,
    /// For [`Expect::At`].
    pub rev: Rev,
    /// Goes up with every new secret, also over deletion and re-creation.
    pub generation: u64,
    /// What stands in the clear. With [`Secret::Damaged`] it must not be acted upon.
    pub clear: Value,
    /// The secret, opened.
    pub secret: Secret,
}

/// The secret part of a record.
pub enum Secret {
    /// It has none.
    None,
    /// Here it is.
    Open(SecretBytes),
    /// It cannot be opened. A state of this record alone.
    Damaged(Damage),
}

/// Why a secret cannot be opened, as far as it may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The row or the sealed value was altered, moved or cut, or belongs to another generation or key.
    DoesNotOpen,
    /// The owner's keys were destroyed on request.
    KeysDestroyed,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DoesNotOpen => "the stored secret is damaged; connect again or restore a backup",
            Self::KeysDestroyed => "the owner's keys were destroyed; connect again",
        })
    }
}

/// One page of a list, in the order of encoded ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The records on it.
    pub heads: Vec<Head>,
    /// Where the next page begins, if there is one. Opaque.
    pub next: Option<String>,
}

impl Vault {
    /// A record with its secret. `None`: there is no such record.
    ///
    /// # Errors
    /// The store's. A secret that does not open is not an error.
    pub async fn get(&self, id: &RecordId) -> Result<Option<Record>, VaultError> {
        check_id(&id.id)?;
        let key = keys::record(id);
        let Some(rec) = self.inner.rec(&key).await? else {
            return Ok(None);
        };
        let row = self.inner.row(&key, &rec);
        let secret = self.open_secret(id, &key, &row).await?;
        Ok(Some(Record {
            id: id.clone(),
            rev: rec.rev,
            generation: row.generation,
            clear: row.clear,
            secret,
        }))
    }

    /// A record's clear part. `None`: there is no such record.
    ///
    /// # Errors
    /// The store's.
    pub async fn head(&self, id: &RecordId) -> Result<Option<Head>, VaultError> {
        check_id(&id.id)?;
        let key = keys::record(id);
        let rec = self.inner.rec(&key).await?;
        Ok(rec.map(|rec| self.inner.head(id.clone(), &key, &rec)))
    }

    /// Whose record has this id.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, kind: Kind, id: &str) -> Result<Option<RecordId>, VaultError> {
        check_id(id)?;
        let at = keys::index(kind, id);
        let Some(rec) = self.inner.rec(&at).await? else {
            return Ok(None);
        };
        if let Some(owner) = index_owner(&rec.value) {
            let id = RecordId::new(kind, owner, id);
            // One of one moment: a record that goes takes its index row with it.
            let both = [at, keys::record(&id)];
            let both = self.inner.store.get_many(&both).await?;
            let [index, record] = both.as_slice() else {
                return Ok(None);
            };
            if record.is_some() || index.is_none() {
                return Ok(record.is_some().then_some(id));
            }
        }
        tracing::error!(
            kind = kind.as_str(),
            id,
            "the index row of a record is damaged; the record is looked for among all, which takes longer, until it is written again"
        );
        self.find_in_list(kind, id).await
    }

    /// The record with this id among all of its kind: what a damaged index row leaves.
    async fn find_in_list(&self, kind: Kind, id: &str) -> Result<Option<RecordId>, VaultError> {
        let mut after = None;
        loop {
            let page = self.list(kind, None, after.as_deref(), PAGE_MAX).await?;
            if let Some(head) = page.heads.into_iter().find(|head| head.id.id == id) {
                return Ok(Some(head.id));
            }
            after = page.next;
            if after.is_none() {
                return Ok(None);
            }
        }
    }

    /// A page of the records of a kind, of one owner or of all. `after` is the `next` of the page before; `limit` is
    /// held between 1 and [`PAGE_MAX`].
    ///
    /// # Errors
    /// [`VaultError::BadCursor`] for a cursor of another list, and the store's.
    pub async fn list(
        &self,
        kind: Kind,
        owner: Option<&Owner>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, VaultError> {
        let prefix = keys::kind_owner_prefix(kind, owner);
        let after = after
            .map(|cursor| read_cursor(cursor, &prefix))
            .transpose()?;
        let limit = limit.clamp(1, PAGE_MAX);
        let ask = u32::try_from(limit + 1).unwrap_or(u32::MAX);
        let mut rows = self
            .inner
            .store
            .scan(prefix.as_bytes(), after.as_ref(), ask)
            .await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|(key, _)| URL_SAFE_NO_PAD.encode(key.as_bytes()));
        let heads = rows
            .iter()
            .filter_map(|(key, rec)| {
                let (_, owner, id) = keys::parse_record(key)?;
                Some(self.inner.head(RecordId::new(kind, owner, id), key, rec))
            })
            .collect();
        Ok(Page { heads, next })
    }

    /// A cursor for [`Vault::list`]: what comes after this id, whether or not there is a record with it.
    #[must_use]
    pub fn cursor(&self, id: &RecordId) -> String {
        URL_SAFE_NO_PAD.encode(keys::record(id).as_bytes())
    }

    /// Whether other hosts may use the same store at the same time. When not, what was under way before this one began is
    /// over.
    #[must_use]
    pub fn shared(&self) -> bool {
        self.inner.store.shared()
    }

    /// Takes a lease that all hosts on this store respect. It keeps two from doing the same work at once; it never
    /// decides whether a result may be written: the revision does.
    ///
    /// # Errors
    /// The store's; also for a time of zero or above an hour.
    pub async fn lease(&self, name: &str, ttl: Duration) -> Result<LeaseTry, VaultError> {
        let name = LeaseName(name.to_owned());
        Ok(self
            .inner
            .store
            .lease_try(&name, &self.inner.node, ttl)
            .await?)
    }

    /// Prolongs a lease by `ttl` from now. `false`: it is over, or another's.
    ///
    /// # Errors
    /// The store's.
    pub async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, VaultError> {
        Ok(self.inner.store.lease_renew(lease, ttl).await?)
    }

    /// Gives a lease back.
    ///
    /// # Errors
    /// The store's.
    pub async fn release(&self, lease: Lease) -> Result<(), VaultError> {
        Ok(self.inner.store.lease_release(lease).await?)
    }

    /// A key for MACs (cookies, states, hashes of platform keys), one per purpose. Stays the same for the life of the
    /// data; says nothing about the keys that seal.
    #[must_use]
    pub fn mac_key(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let key = self.inner.keyring().mac_key("keyport/mac/v1", purpose);
        Zeroizing::new(*key.expose())
    }

    /// What is committed from now on.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::new(self.inner.store.watch())
    }

    /// Whether the store takes writes.
    pub async fn health(&self) -> Health {
        self.inner.store.health().await
    }

    /// When this data came out of a backup (milliseconds of Unix time), if it did. What providers rotate may have been
    /// renewed between the backup and then.
    #[must_use]
    pub fn restored_at_ms(&self) -> Option<u64> {
        self.inner.restored_at_ms
    }

    /// The revision of the latest commit, counted on over restores.
    ///
    /// # Errors
    /// The store's.
    pub async fn revision(&self) -> Result<Rev, VaultError> {
        Ok(self.inner.over_floor(self.inner.store.last_rev().await?))
    }

    async fn open_secret(&self, id: &RecordId, key: &Key, row: &Row) -> Result<Secret, VaultError> {
        let Some(sealed) = &row.sealed else {
            return Ok(if row.damaged {
                Secret::Damaged(Damage::DoesNotOpen)
            } else {
                Secret::None
            });
        };
        let Ok((version, _)) = envelope::peek(sealed) else {
            return Ok(Secret::Damaged(Damage::DoesNotOpen));
        };
        if row.damaged {
            return Ok(Secret::Damaged(Damage::DoesNotOpen));
        }
        let mut owner_keys = match self.owner_keys(&id.owner, false).await {
            // The owner's key row is unreadable: a state of their records, like any other damage.
            Err(VaultError::OwnerKeysDamaged) => return Ok(Secret::Damaged(Damage::DoesNotOpen)),
            other => other?,
        };
        if matches!(owner_keys.find(version), Found::None) {
            // Another host may have added a key since this was read: once more, then it is damage.
            owner_keys = self.owner_keys(&id.owner, true).await?;
        }
        Ok(match owner_keys.find(version) {
            Found::Key(seal_key) => {
                match envelope::open(seal_key, record_place(id, key, row.generation), sealed) {
                    Ok(secret) => Secret::Open(secret),
                    Err(_) => Secret::Damaged(Damage::DoesNotOpen),
                }
            }
            Found::Destroyed => Secret::Damaged(Damage::KeysDestroyed),
            Found::None => Secret::Damaged(Damage::DoesNotOpen),
        })
    }
}

impl Inner {
    /// A record's row. One that the disk has lost comes empty, which shows as damaged: it can be written anew or deleted.
    async fn rec(&self, key: &Key) -> Result<Option<Rec>, StoreError> {
        match self.store.get(key).await {
            Err(StoreError::Corrupt(_)) => {
                let rows = self.store.get_many(std::slice::from_ref(key)).await?;
                Ok(rows.into_iter().next().flatten())
            }
            other => other,
        }
    }

    /// The keyring as it is known now.
    pub(crate) fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn over_floor(&self, rev: Rev) -> Rev {
        Rev(self.floor.saturating_add(rev.0))
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.options.clock.now_ms()
    }

    fn row(&self, key: &Key, rec: &Rec) -> Row {
        row::decode(&self.row_mac, key, &rec.value)
    }

    fn head(&self, id: RecordId, key: &Key, rec: &Rec) -> Head {
        let row = self.row(key, rec);
        Head {
            id,
            rev: rec.rev,
            generation: row.generation,
            clear: row.clear,
            has_secret: row.sealed.is_some(),
            damaged: row.damaged,
        }
    }
}

fn record_place<'a>(id: &'a RecordId, key: &'a Key, generation: u64) -> Place<'a> {
    Place {
        owner: id.owner.as_str(),
        store_key: key.as_bytes(),
        record_type: id.kind.as_str(),
        generation,
    }
}

fn index_owner(value: &Bytes) -> Option<Owner> {
    Owner::stored(std::str::from_utf8(value).ok()?).ok()
}

fn read_cursor(cursor: &str, prefix: &str) -> Result<Key, VaultError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(cursor)
        .map_err(|_| VaultError::BadCursor)?;
    if !bytes.starts_with(prefix.as_bytes()) {
        return Err(VaultError::BadCursor);
    }
    Ok(Key::from(bytes.as_slice()))
}
