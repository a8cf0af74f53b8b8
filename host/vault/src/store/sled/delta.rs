//! The index of what changed since the last snapshot: key → [`Entry`]. sled 0.34.7, written by the writer thread alone.
//!
//! sled is never the owner of anything: each of its folders goes with one snapshot, and all in it follows from the journal since
//! that. What its faults are and what is done about them:
//!
//! | fault of sled | here |
//! |---|---|
//! | a kill while a recovery snapshot is written leaves `snap.*.generating`, and it never opens again | removed before opening |
//! | opening can panic or hang on a damaged file | opened on a thread of its own, the panic caught, with a time limit; then made anew |
//! | flush does not reach the disk | nothing relies on it: what is not there at the start is added from the journal |
//! | concurrent batches stall | no batches, one writer |
//! | a lost file is replaced by an empty store, writes silently reverted | all of it is compared with the journal at the start and by each scrub |
//! | it grows to several times what it holds | its folder goes with the next snapshot |
//! | it fails, panics or hangs while in use | the same index is made anew, in memory if it must be ([`Delta::Memory`]), until the next snapshot |

use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, mpsc};
use std::time::{Duration, Instant};

use super::entry::Entry;
use super::folder::{StoreId, make_private, restrict_all, unavailable};
use crate::store::StoreError;

/// sled's index is small; this long, it hangs.
const OPEN_LIMIT: Duration = Duration::from_secs(60);
/// How long the files of a store that was just closed may still be locked by sled's own threads.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// How many entries are read at once where all are.
const CHUNK: usize = 1024;

/// Keys with what happened to their rows.
pub(super) type Entries = Vec<(Vec<u8>, Entry)>;

/// The index of what changed since a snapshot.
pub(super) enum Delta {
    Sled(SledDelta),
    /// Where sled cannot be had: the same, until the next snapshot.
    Memory(RwLock<BTreeMap<Vec<u8>, Entry>>),
}

/// An opened sled.
pub(super) struct SledDelta {
    path: PathBuf,
    db: Option<sled::Db>,
    /// Its folder goes when nobody reads it any more.
    retired: AtomicBool,
}

impl Delta {
    pub(super) fn memory() -> Self {
        Self::Memory(RwLock::default())
    }

    /// Opens or makes the sled in `path`.
    pub(super) fn sled(path: &Path, store: StoreId, cache_bytes: u64) -> Result<Self, StoreError> {
        make_private(path)?;
        remove_leftovers(path)?;
        let db = open_guarded(path, cache_bytes)?;
        guard(|| {
            let meta = db.open_tree("meta")?;
            match meta.get("id")? {
                Some(id) => Ok(id.as_ref() == store.0),
                None if db.is_empty() => meta.insert("id", &store.0).map(|_| true),
                None => Ok(false),
            }
        })?
        .then_some(())
        .ok_or_else(|| StoreError::Corrupt("the index is another store's".into()))?;
        restrict_all(path)?;
        Ok(Self::Sled(SledDelta {
            path: path.to_owned(),
            db: Some(db),
            retired: AtomicBool::new(false),
        }))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        match self {
            Self::Memory(map) => Ok(map
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(key)
                .copied()),
            Self::Sled(sled) => guard(|| sled.db()?.get(key))?
                .map(|bytes| Entry::decode(key, &bytes).ok_or_else(damaged))
                .transpose(),
        }
    }

    pub(super) fn put(&self, key: &[u8], entry: &Entry) -> Result<(), StoreError> {
        match self {
            Self::Memory(map) => {
                map.write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(key.to_vec(), *entry);
                Ok(())
            }
            Self::Sled(sled) => guard(|| sled.db()?.insert(key, entry.encode(key))).map(|_| ()),
        }
    }

    /// At most `limit` entries from there on, in order.
    pub(super) fn chunk(&self, from: Bound<&[u8]>, limit: usize) -> Result<Entries, StoreError> {
        match self {
            Self::Memory(map) => Ok(map
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .range::<[u8], _>((from, Bound::Unbounded))
                .take(limit)
                .map(|(key, entry)| (key.clone(), *entry))
                .collect()),
            Self::Sled(sled) => {
                let read = guard(|| {
                    sled.db()?
                        .range::<&[u8], _>((from, Bound::Unbounded))
                        .take(limit)
                        .collect::<Result<Vec<_>, _>>()
                })?;
                read.into_iter()
                    .map(|(key, bytes)| {
                        let entry = Entry::decode(&key, &bytes).ok_or_else(damaged)?;
                        Ok((key.to_vec(), entry))
                    })
                    .collect()
            }
        }
    }

    /// Shows every entry, in order, until `each` says `false`.
    pub(super) fn each(
        &self,
        mut each: impl FnMut(&[u8], &Entry) -> bool,
    ) -> Result<(), StoreError> {
        let mut from: Bound<Vec<u8>> = Bound::Unbounded;
        loop {
            let bound = match &from {
                Bound::Excluded(key) => Bound::Excluded(key.as_slice()),
                _ => Bound::Unbounded,
            };
            let chunk = self.chunk(bound, CHUNK)?;
            let Some((end, _)) = chunk.last() else {
                return Ok(());
            };
            if !chunk.iter().all(|(key, entry)| each(key, entry)) {
                return Ok(());
            }
            from = Bound::Excluded(end.clone());
        }
    }

    /// Lets sled write what it holds back. Not needed for durability: it makes the next start short.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Sled(sled) => {
                guard(|| sled.db()?.flush())?;
                restrict_all(&sled.path)
            }
        }
    }

    /// Nothing new will read this: its folder may go with the last reader.
    pub(super) fn retire(&self) {
        if let Self::Sled(sled) = self {
            sled.retired.store(true, Ordering::Relaxed);
        }
    }
}

impl SledDelta {
    fn db(&self) -> Result<&sled::Db, sled::Error> {
        self.db
            .as_ref()
            .ok_or_else(|| sled::Error::Unsupported("the index is closed".into()))
    }
}

impl Drop for SledDelta {
    fn drop(&mut self) {
        let db = self.db.take();
        // sled flushes when it is closed, and may panic in it.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(db)));
        if self.retired.load(Ordering::Relaxed) {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn damaged() -> StoreError {
    StoreError::Corrupt("the index has an entry that cannot be read".into())
}

/// Calls sled, which panics on some damage. Its own texts name files and offsets, never contents.
fn guard<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) => {
            Err(StoreError::Unavailable(format!("the index: {error}")))
        }
        Ok(Err(other)) => Err(StoreError::Corrupt(format!("the index: {other}"))),
        Err(_) => Err(StoreError::Corrupt("the index panicked".into())),
    }
}

fn remove_leftovers(path: &Path) -> Result<(), StoreError> {
    for entry in std::fs::read_dir(path).map_err(unavailable(path))? {
        let entry = entry.map_err(unavailable(path))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(file = %name, "removing a snapshot of the index that was left unfinished");
            let left = entry.path();
            std::fs::remove_file(&left).map_err(unavailable(&left))?;
        }
    }
    Ok(())
}

fn open_guarded(path: &Path, cache_bytes: u64) -> Result<sled::Db, StoreError> {
    let (tell, told) = mpsc::channel();
    let config = sled::Config::new()
        .path(path)
        .cache_capacity(cache_bytes)
        .use_compression(false)
        .flush_every_ms(None);
    std::thread::Builder::new()
        .name("keyport-open".into())
        .spawn(move || {
            let until = Instant::now() + LOCK_PATIENCE;
            loop {
                // A Db that was made in a panicking call is dropped with it; nothing is shared.
                let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
                let locked = matches!(&opened, Ok(Err(sled::Error::Io(error)))
                    if error.to_string().contains("lock"));
                if locked && Instant::now() < until {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                let _ = tell.send(opened);
                return;
            }
        })
        .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
    match told.recv_timeout(OPEN_LIMIT) {
        Ok(Ok(opened)) => guard(|| opened),
        Ok(Err(_)) => Err(StoreError::Corrupt("the index panicked".into())),
        Err(_) => Err(StoreError::Corrupt(
            "the index did not open within 60 seconds".into(),
        )),
    }
}
