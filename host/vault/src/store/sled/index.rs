//! The index: sled 0.34.7, read by everybody, written by the writer thread alone.
//!
//! sled is never the sole owner of anything: the journal has what came since the last checkpoint. What its faults are and
//! what is done about them:
//!
//! | fault of sled | here |
//! |---|---|
//! | a kill while a recovery snapshot is written leaves `snap.*.generating`, and it never opens again | removed before opening |
//! | opening can panic or hang on a damaged file | opened on a thread of its own, the panic caught, with a time limit |
//! | flush does not reach the disk | `fdatasync` of its files at each checkpoint, before the journal is let go |
//! | concurrent batches stall | no batches, one writer |
//! | a lost file is replaced by an empty store | the store's id is in it; a foreign or empty one is refused |
//! | writes silently reverted | the number of the last applied commit is compared with the journal |

use std::fs::File;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::folder::{StoreId, restrict_all, sync_folder, unavailable};
use super::frame::{Frame, Tree};
use crate::ids::Rev;
use crate::store::{Key, Rec, StoreError};

/// Opening a store of a million records takes seconds; this long, it hangs.
const OPEN_LIMIT: Duration = Duration::from_secs(60);
/// How long the files of a store that was just closed may still be locked by sled's own threads.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// A key and its value.
pub(super) type Entry = (Vec<u8>, Vec<u8>);

/// The opened index.
pub(super) struct Index {
    path: PathBuf,
    db: sled::Db,
    rows: sled::Tree,
    done: sled::Tree,
    leases: sled::Tree,
    meta: sled::Tree,
}

impl Index {
    /// Opens or makes the index in `path`.
    pub(super) fn open(path: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        remove_leftovers(path)?;
        let db = open_guarded(path, cache_bytes)?;
        let tree = |name: &str| db.open_tree(name).map_err(failed);
        let index = Self {
            path: path.to_owned(),
            rows: tree("rows")?,
            done: tree("done")?,
            leases: tree("leases")?,
            meta: tree("meta")?,
            db,
        };
        restrict_all(path)?;
        Ok(index)
    }

    /// The id of the store that this is the index of.
    pub(super) fn id(&self) -> Result<Option<StoreId>, StoreError> {
        let id = self.meta.get("id").map_err(failed)?;
        Ok(id
            .and_then(|id| id.first_chunk::<16>().copied())
            .map(StoreId))
    }

    pub(super) fn set_id(&self, id: StoreId) -> Result<(), StoreError> {
        self.meta.insert("id", &id.0).map_err(failed)?;
        self.checkpoint()
    }

    pub(super) fn has_rows(&self) -> Result<bool, StoreError> {
        match self.rows.iter().next() {
            None => Ok(false),
            Some(row) => row.map(|_| true).map_err(failed),
        }
    }

    /// The sequence of the last commit in here; 0 in a new index.
    pub(super) fn applied(&self) -> Result<u64, StoreError> {
        let applied = self.meta.get("applied").map_err(failed)?;
        match applied.as_deref().map(<[u8]>::first_chunk::<8>) {
            None => Ok(0),
            Some(Some(applied)) => Ok(u64::from_be_bytes(*applied)),
            Some(None) => Err(damaged("the number of its last commit")),
        }
    }

    pub(super) fn set_applied(&self, last: u64) -> Result<(), StoreError> {
        self.meta
            .insert("applied", &last.to_be_bytes())
            .map(|_| ())
            .map_err(failed)
    }

    /// Applies a frame. Doing it again changes nothing.
    pub(super) fn apply(&self, frame: &Frame) -> Result<(), StoreError> {
        for change in &frame.changes {
            let tree = match change.tree {
                Tree::Rows => &self.rows,
                Tree::Done => &self.done,
                Tree::Leases => &self.leases,
            };
            match &change.value {
                Some(value) => tree.insert(&change.key, value.as_slice()),
                None => tree.remove(&change.key),
            }
            .map_err(failed)?;
        }
        self.set_applied(frame.last)
    }

    /// Brings everything applied so far onto the disk.
    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(failed)?;
        sync_data(&self.path.join("db"))?;
        let blobs = self.path.join("blobs");
        if blobs.is_dir() {
            for entry in std::fs::read_dir(&blobs).map_err(unavailable(&blobs))? {
                sync_data(&entry.map_err(unavailable(&blobs))?.path())?;
            }
            sync_folder(&blobs)?;
        }
        sync_folder(&self.path)?;
        restrict_all(&self.path)
    }

    pub(super) fn rec(&self, key: &Key) -> Result<Option<Rec>, StoreError> {
        let row = self.rows.get(key.as_bytes()).map_err(failed)?;
        row.as_deref().map(read_rec).transpose()
    }

    pub(super) fn rev(&self, key: &Key) -> Result<Option<Rev>, StoreError> {
        Ok(self.rec(key)?.map(|rec| rec.rev))
    }

    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&Key>,
        limit: u32,
    ) -> Result<Vec<(Key, Rec)>, StoreError> {
        let from = match after {
            Some(after) if after.as_bytes() >= prefix => Bound::Excluded(after.as_bytes()),
            _ => Bound::Included(prefix),
        };
        let mut found = Vec::new();
        for row in self
            .rows
            .range::<&[u8], _>((from, Bound::Unbounded))
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
        {
            let (key, value) = row.map_err(failed)?;
            if !key.starts_with(prefix) {
                break;
            }
            found.push((Key::from(key.as_ref()), read_rec(&value)?));
        }
        Ok(found)
    }

    /// All entries of a small tree.
    pub(super) fn all(&self, tree: Tree) -> Result<Vec<Entry>, StoreError> {
        let tree = match tree {
            Tree::Rows => &self.rows,
            Tree::Done => &self.done,
            Tree::Leases => &self.leases,
        };
        tree.iter()
            .map(|entry| {
                let (key, value) = entry.map_err(failed)?;
                Ok((key.to_vec(), value.to_vec()))
            })
            .collect()
    }
}

fn read_rec(row: &[u8]) -> Result<Rec, StoreError> {
    let (rev, value) = row
        .split_first_chunk::<8>()
        .ok_or_else(|| damaged("a row without a revision"))?;
    Ok(Rec {
        rev: Rev(u64::from_be_bytes(*rev)),
        value: Bytes::copy_from_slice(value),
    })
}

fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt(format!("the index contains {what} that cannot be read"))
}

/// sled's own texts name files and offsets, never contents.
fn failed(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) => StoreError::Unavailable(format!("the index: {error}")),
        other => StoreError::Corrupt(format!("the index: {other}")),
    }
}

fn sync_data(path: &Path) -> Result<(), StoreError> {
    match File::open(path).and_then(|file| file.sync_data()) {
        // sled removes blobs that nothing refers to any more.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(unavailable(path)),
    }
}

fn remove_leftovers(path: &Path) -> Result<(), StoreError> {
    for entry in std::fs::read_dir(path).map_err(unavailable(path))? {
        let entry = entry.map_err(unavailable(path))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(file = %name, "removing a snapshot that was left unfinished");
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
        // Sealed bytes do not compress.
        .use_compression(false)
        // Only checkpoints flush: one writer, and the journal has what is not flushed.
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
    let damaged = |what: &str| {
        StoreError::Corrupt(format!(
            "the index {} {what}; restore the store from a backup",
            path.display()
        ))
    };
    match told.recv_timeout(OPEN_LIMIT) {
        Ok(Ok(opened)) => opened.map_err(failed),
        Ok(Err(_)) => Err(damaged("cannot be opened")),
        Err(_) => Err(damaged("did not open within 60 seconds")),
    }
}
