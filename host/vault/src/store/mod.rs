//! The store behind the vault: rows of sealed bytes, commits with preconditions, leases.
//!
//! [`Store`] is small on purpose: what is here is used, and each implementation passes one conformance suite
//! (`tests/store_conformance.rs`). It never sees a key or a plaintext. Three implementations:
//! [`MemoryStore`] for tests, [`SledStore`] for one machine, [`PostgresStore`] for several.
//!
//! | file | what |
//! |---|---|
//! | `judge.rs` | whether a commit or a lease may go through: the same code for every store |
//! | `copy.rs` | one store into another |
//! | `memory.rs` | a map behind a lock |
//! | `sled/` | redo journal, index, writer thread |
//! | `postgres/` | rows, log and leases in a database that several hosts share |

mod copy;
mod judge;
mod memory;
mod postgres;
mod sled;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::copy::{Copied, Copying, copy};
pub use self::memory::MemoryStore;
pub use self::postgres::{PostgresOptions, PostgresStore};
pub use self::sled::{SledOptions, SledStore};
use crate::ids::Rev;

/// The largest key, in bytes.
pub const KEY_MAX: usize = 2048;
/// The largest value, in bytes.
pub const VALUE_MAX: usize = 512 * 1024;
/// The most operations in one commit.
pub const OPS_MAX: usize = 512;
/// The largest commit, in bytes of values.
pub const COMMIT_MAX: usize = 16 * 1024 * 1024;
/// The longest time that a lease may be taken for.
pub const LEASE_MAX: Duration = Duration::from_secs(3600);

/// Sealed rows, with atomic commits. All methods may be called from any task.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// One row. [`StoreError::Corrupt`] when the disk has lost it.
    async fn get(&self, key: &Key) -> Result<Option<Rec>, StoreError>;

    /// Several rows as of one moment, in the order asked for. One that the disk has lost comes with an empty value, so that it
    /// does not fail the others, here as in [`Store::scan`].
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Rec>>, StoreError>;

    /// At most `limit` rows whose key begins with `prefix`, in order of their bytes, beginning after `after`.
    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&Key>,
        limit: u32,
    ) -> Result<Vec<(Key, Rec)>, StoreError>;

    /// All of `commit` or nothing of it. When it returns, it is durable. On [`StoreError::Unknown`] ask
    /// [`Store::outcome`]; never commit the same again blindly.
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError>;

    /// Whether a recent commit (the last several thousand) went through, and as what.
    async fn outcome(&self, id: &CommitId) -> Result<Option<Committed>, StoreError>;

    /// The revision of the latest commit, or a higher one that no commit will have; 0 in a new store.
    async fn last_rev(&self) -> Result<Rev, StoreError>;

    /// Makes all later revisions larger than this one. For a store that is filled from another: a revision that was seen
    /// there must not mean something else here.
    async fn raise_rev(&self, above: Rev) -> Result<(), StoreError>;

    /// Takes the lease `name` for `ttl` (at most [`LEASE_MAX`]) unless somebody holds it. Time is the store's own.
    async fn lease_try(
        &self,
        name: &LeaseName,
        who: &NodeId,
        ttl: Duration,
    ) -> Result<LeaseTry, StoreError>;

    /// Prolongs a lease by `ttl` from now. `false`: it is no longer ours.
    async fn lease_renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError>;

    /// Gives a lease back; not an error when it has expired meanwhile.
    async fn lease_release(&self, lease: Lease) -> Result<(), StoreError>;

    /// What is committed from now on, here or by another host; between hosts not always in the order of revisions. A
    /// slow reader sees `Lagged`, one of a store that missed something a [`Change::gap`]: read again what matters.
    fn watch(&self) -> tokio::sync::broadcast::Receiver<Change>;

    /// Whether [`Store::watch`] has told all up to a few seconds ago. When not, what was remembered of the store's rows
    /// must be read again before it is acted upon.
    fn watch_is_current(&self) -> bool {
        true
    }

    /// Whether the store takes writes.
    async fn health(&self) -> Health;

    /// Whether other processes may use the same rows at the same time. Then keys become active only after every host has
    /// had the time to learn of them.
    fn shared(&self) -> bool {
        false
    }

    /// Reads everything that is stored, compares what can be compared, and mends what can be mended. May take minutes;
    /// the store serves meanwhile. What is *sealed* in a row is not opened here: that takes keys.
    ///
    /// # Errors
    /// When the store cannot be read at all. Damage that was found is in the report.
    async fn verify(&self) -> Result<ScrubReport, StoreError> {
        let mut report = ScrubReport::default();
        let mut after: Option<Key> = None;
        loop {
            let rows = self.scan(b"", after.as_ref(), 500).await?;
            let Some((last, _)) = rows.last() else {
                return Ok(report);
            };
            after = Some(last.clone());
            for (key, rec) in &rows {
                report.rows += 1;
                let bytes = key.as_bytes().len() + rec.value.len();
                report.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
            }
        }
    }

    /// A reading of all rows as of one moment, where the store has such a thing. Without it a backup follows what changes
    /// while it reads, which needs all changes to be made by this process.
    async fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError> {
        Ok(None)
    }
}

/// What [`Store::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Rows that are stored.
    pub rows: u64,
    /// Bytes that were read and checked.
    pub bytes: u64,
    /// What was found wrong and mended: a sentence each.
    pub mended: Vec<String>,
    /// What was found wrong and could not be mended: a sentence each, which says what to do.
    pub damaged: Vec<String>,
}

/// All rows as of one moment.
#[async_trait]
pub trait Snapshot: Send {
    /// The revision of the latest commit that it shows.
    fn rev(&self) -> Rev;

    /// At most `limit` rows in order of their bytes, beginning after `after`.
    async fn page(
        &mut self,
        after: Option<&Key>,
        limit: u32,
    ) -> Result<Vec<(Key, Rec)>, StoreError>;
}

/// The name of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<[u8]>);

impl Key {
    /// The bytes of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(Arc::from(text.as_bytes()))
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(Arc::from(text.into_bytes()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.escape_ascii(), f)
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rec {
    /// The commit that wrote it.
    pub rev: Rev,
    /// Its bytes.
    pub value: Bytes,
}

/// Names a commit, chosen at random by who makes it, so that a lost reply can be asked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommitId(pub [u8; 16]);

impl CommitId {
    /// A new random id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the operating system has no random bytes.
    pub fn random() -> Result<Self, StoreError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| {
            StoreError::Unavailable("the operating system gave no random bytes".into())
        })?;
        Ok(Self(id))
    }
}

/// What is to be written, and under which conditions.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its name.
    pub id: CommitId,
    /// All must hold, or nothing is written.
    pub pre: Vec<Pre>,
    /// What to write; at most one operation per key.
    pub ops: Vec<Op>,
}

/// A precondition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pre {
    /// There is no such row.
    Absent(Key),
    /// The row is there and has this revision.
    At(Key, Rev),
    /// The row is there.
    Exists(Key),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Writes the row; its revision becomes that of the commit.
    Put(Key, Bytes),
    /// Removes the row; nothing happens when it is not there.
    Del(Key),
}

impl Op {
    /// The row that it changes.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(key, _) | Self::Del(key) => key,
        }
    }
}

/// A commit that went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The revision of every row that it wrote.
    pub rev: Rev,
}

/// What a commit changed, told to those who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The revision of the commit.
    pub rev: Rev,
    /// The rows it wrote or removed.
    pub keys: Arc<[Key]>,
    /// Whether this process made it.
    pub own: bool,
}

impl Change {
    /// Tells that some changes were missed, up to this revision.
    #[must_use]
    pub fn gap(rev: Rev) -> Self {
        Self {
            rev,
            keys: Arc::default(),
            own: false,
        }
    }

    /// Whether this is such a gap: no commit is without keys.
    #[must_use]
    pub fn is_gap(&self) -> bool {
        self.keys.is_empty()
    }
}

/// The name of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseName(pub String);

/// Who takes a lease: one process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeId(pub String);

/// A lease that was got.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub name: LeaseName,
    /// Grows with every holder: tells a late one from the present one.
    pub token: u64,
    /// When it ends by the store's clock, in milliseconds of Unix time.
    pub until_ms: u64,
}

/// The answer to [`Store::lease_try`].
#[derive(Debug, PartialEq, Eq)]
pub enum LeaseTry {
    /// It is ours.
    Got(Lease),
    /// Somebody else has it until then (store's clock, milliseconds of Unix time).
    Held {
        /// When it ends unless it is prolonged or given back.
        until_ms: u64,
    },
}

/// Whether a store takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Ok,
    /// It does not; the text says why and what to do.
    Failed(String),
}

/// Why a store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A precondition does not hold.
    #[error("the row {key} is not as expected")]
    Conflict {
        /// Which row.
        key: Key,
        /// Its present revision, if it is there.
        actual: Option<Rev>,
    },
    /// The reply was lost: the commit may have gone through. Ask [`Store::outcome`].
    #[error("it is not known whether the commit went through")]
    Unknown(CommitId),
    /// It cannot work now.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What was asked breaks a limit of the store.
    #[error("the store refuses this: {0}")]
    Refused(&'static str),
    /// What is stored contradicts itself.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The operator has to set something right.
    #[error("{0}")]
    Setup(String),
    /// Another process uses the folder.
    #[error("{0}")]
    Locked(String),
}

/// The store's clock: milliseconds of Unix time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// Wall time at the start, carried on by the monotonic clock, so that setting the machine's clock neither frees
    /// nor prolongs a lease.
    #[must_use]
    pub fn system() -> Self {
        let start = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let since = std::time::Instant::now();
        Self(Arc::new(move || millis(start + since.elapsed())))
    }

    /// A clock made by a test.
    pub fn from_fn(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now_ms(&self) -> u64 {
        (self.0)()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
