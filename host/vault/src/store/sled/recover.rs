//! What happens when a store is opened, or when its index turns out to be damaged: the newest good snapshot, the journal
//! since it, and an index that agrees with them.
//!
//! Nothing that contradicts itself is opened, and nothing is made where something was: an operator who restores a
//! backup loses an hour, one whose store came up empty loses every connection.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::delta::Delta;
use super::entry::Entry;
use super::folder::{Folder, StoreId, unavailable};
use super::frame::{FrameRef, Tree};
use super::journal::Journal;
use super::journal_read::{self, Recovered};
use super::snapshot::{self, Small, Snapshot};
use crate::store::StoreError;

/// The entries that are not rows, by tree and key.
pub(super) type Smalls = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// The layers as they follow from the disk.
pub(super) struct Built {
    /// Good snapshots, newest first.
    pub(super) kept: Vec<Arc<Snapshot>>,
    pub(super) base: Option<Arc<Snapshot>>,
    pub(super) delta: Delta,
    pub(super) smalls: Smalls,
    pub(super) recovered: Recovered,
    /// What was found wrong and mended.
    pub(super) mended: Vec<String>,
}

/// How to build.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) cache_bytes: u64,
    /// Snapshots are read through and compared with their digest before they are relied on.
    pub(super) careful: bool,
    /// The index that is there is not to be used: `true` makes it anew.
    pub(super) afresh: bool,
    /// Not even a new sled: the index is made in memory.
    pub(super) in_memory: bool,
}

/// An opened store: its id, its layers, and the journal that goes on.
pub(super) fn open(
    folder: &Folder,
    cache_bytes: u64,
    segment_bytes: u64,
) -> Result<(StoreId, Built, Journal), StoreError> {
    let id = match folder.id()? {
        Some(id) => id,
        None => make(folder, segment_bytes)?,
    };
    let how = How {
        cache_bytes,
        careful: false,
        afresh: false,
        in_memory: false,
    };
    let built = build(folder, id, how)?;
    if built.recovered.torn > 0 {
        tracing::warn!(
            bytes = built.recovered.torn,
            "the journal ended in the middle of a write that was never acknowledged; left out"
        );
    }
    for what in &built.mended {
        tracing::warn!(what, "the store was damaged and is mended");
    }
    let journal = Journal::resume(&folder.journal(), id, &built.recovered, segment_bytes)?;
    Ok((id, built, journal))
}

/// Brings snapshots, journal and index together.
pub(super) fn build(folder: &Folder, id: StoreId, how: How) -> Result<Built, StoreError> {
    let mut mended = Vec::new();
    let (mut kept, mut bad) = (Vec::new(), Vec::new());
    for path in snapshot::list(&folder.snapshots())? {
        let opened = Snapshot::open(&path, id).and_then(|snapshot| {
            if how.careful {
                snapshot
                    .check(|_| true)
                    .map_err(|error| StoreError::from(error).to_string())?;
            }
            Ok(snapshot)
        });
        match opened {
            Ok(snapshot) => kept.push(Arc::new(snapshot)),
            Err(what) => bad.push((path, what)),
        }
    }
    let mut refused = None;
    let mut found = None;
    let bases = kept.iter().cloned().map(Some).chain([None]);
    for base in bases {
        match replay(folder, id, base.as_deref()) {
            Ok(replayed) => {
                found = Some((base, replayed));
                break;
            }
            // The first says most: it is about the newest snapshot.
            Err(error) => {
                refused.get_or_insert(error);
            }
        }
    }
    let Some((base, replayed)) = found else {
        let missing = || {
            let what = bad
                .first()
                .map_or("the snapshots are missing", |(_, what)| what);
            StoreError::Corrupt(format!("{what}; restore the store from a backup"))
        };
        return Err(match refused {
            Some(refused) if bad.is_empty() => refused,
            _ => missing(),
        });
    };
    // Only now, as the store does open without them.
    for (path, what) in bad {
        mended.push(format!(
            "{what}; what it held was read from an older one and the journal"
        ));
        put_aside(folder, &path);
    }
    let sequence = base.as_ref().map_or(0, |base| base.sequence);
    kept.retain(|snapshot| snapshot.sequence <= sequence);
    let delta = index(folder, id, sequence, &replayed, how, &mut mended)?;
    Ok(Built {
        kept,
        base,
        delta,
        smalls: replayed.smalls,
        recovered: replayed.recovered,
        mended,
    })
}

/// What the journal says about all that came after a snapshot.
struct Replayed {
    entries: HashMap<Vec<u8>, Entry>,
    smalls: Smalls,
    recovered: Recovered,
}

fn replay(folder: &Folder, id: StoreId, base: Option<&Snapshot>) -> Result<Replayed, StoreError> {
    let mut entries = HashMap::new();
    let mut smalls: Smalls = base
        .map_or(&[][..], Snapshot::small)
        .iter()
        .map(|Small { tree, key, value }| ((tree.number(), key.clone()), value.clone()))
        .collect();
    let after = base.map_or(0, |base| base.sequence);
    let recovered = journal_read::recover(&folder.journal(), id, after, |frame, segment, at| {
        take(frame, segment, at, &mut entries, &mut smalls);
    })?
    .ok_or_else(|| {
        StoreError::Corrupt("the journal is missing; restore the store from a backup".into())
    })?;
    Ok(Replayed {
        entries,
        smalls,
        recovered,
    })
}

/// Adds what a frame changed.
pub(super) fn take(
    frame: &FrameRef<'_>,
    segment: u64,
    at: u64,
    entries: &mut HashMap<Vec<u8>, Entry>,
    smalls: &mut Smalls,
) {
    for change in &frame.changes {
        match (change.tree, change.value) {
            (Tree::Rows, _) => {
                if let Some(entry) = Entry::of(change, frame.last, segment, at) {
                    entries.insert(change.key.to_vec(), entry);
                }
            }
            (tree, Some(value)) => {
                smalls.insert((tree.number(), change.key.to_vec()), value.to_vec());
            }
            (tree, None) => {
                smalls.remove(&(tree.number(), change.key.to_vec()));
            }
        }
    }
}

/// An index that says what the journal says.
fn index(
    folder: &Folder,
    id: StoreId,
    sequence: u64,
    replayed: &Replayed,
    how: How,
    mended: &mut Vec<String>,
) -> Result<Delta, StoreError> {
    let (mine, others) = index_folders(&folder.index(), sequence)?;
    let last = replayed.recovered.last;
    let mut number = 0;
    for (count, (existing, path)) in mine.iter().enumerate() {
        number = number.max(existing + 1);
        if how.afresh || how.in_memory || count > 0 {
            put_aside(folder, path);
            continue;
        }
        let agrees = Delta::sled(path, id, how.cache_bytes)
            .and_then(|delta| reconcile(&delta, &replayed.entries, last).map(|how| (delta, how)));
        match agrees {
            Ok((delta, Agreement::Yes)) => {
                remove_all(&others);
                return Ok(delta);
            }
            Ok((_, Agreement::Ahead)) => {
                return Err(StoreError::Corrupt(
                    "the index knows of writes that the journal has lost; restore the store from a backup".into(),
                ));
            }
            Ok((_, Agreement::No)) => {
                mended.push("the index contradicted the journal and was made anew from it".into());
            }
            Err(error) => {
                mended.push(format!("{error}; the index was made anew from the journal"));
            }
        }
        put_aside(folder, path);
    }
    if mine.is_empty() && !replayed.entries.is_empty() && !how.in_memory {
        mended.push("the index was missing and was made anew from the journal".into());
    }
    remove_all(&others);
    let fill = |delta: Delta| -> Result<Delta, StoreError> {
        for (key, entry) in &replayed.entries {
            delta.put(key, entry)?;
        }
        Ok(delta)
    };
    if !how.in_memory {
        let path = index_folder(&folder.index(), sequence, number);
        match Delta::sled(&path, id, how.cache_bytes).and_then(fill) {
            Ok(delta) => return Ok(delta),
            Err(error) => {
                // A full disk, say: the store can be read, and written as far as the journal can.
                tracing::error!(%error, "no index can be made on the disk; it is kept in memory until the next snapshot");
                let _ = std::fs::remove_dir_all(&path);
            }
        }
    }
    fill(Delta::memory())
}

enum Agreement {
    Yes,
    /// It has what the journal never had.
    No,
    /// It has what came after the journal's end.
    Ahead,
}

/// Adds what the index lacks (a crash loses what sled had not yet written), and tells whether it has more than it should.
///
/// One pass over the index finds what is missing; looking each entry up would take some 20 µs for each of what may be hundreds of
/// thousands, and a store that opens for half a minute because a few are missing is one that is down.
fn reconcile(
    delta: &Delta,
    entries: &HashMap<Vec<u8>, Entry>,
    last: u64,
) -> Result<Agreement, StoreError> {
    let mut agreement = Agreement::Yes;
    let mut missing: HashMap<&[u8], &Entry> = entries
        .iter()
        .map(|(key, entry)| (key.as_slice(), entry))
        .collect();
    delta.each(|key, entry| {
        match entries.get(key) {
            Some(expected) if expected == entry => {
                missing.remove(key);
            }
            _ if entry.rev() > last => agreement = Agreement::Ahead,
            // An older place of the row, which is brought up to date below.
            Some(_) => {}
            None => agreement = Agreement::No,
        }
        matches!(agreement, Agreement::Yes)
    })?;
    if matches!(agreement, Agreement::Yes) {
        for (key, entry) in missing {
            delta.put(key, entry)?;
        }
    }
    Ok(agreement)
}

/// Where the index after a snapshot is.
pub(super) fn index_folder(folder: &Path, sequence: u64, number: u64) -> PathBuf {
    folder.join(format!("{sequence:016x}.{number}"))
}

/// Numbered folders of an index.
type Numbered = Vec<(u64, PathBuf)>;

/// The folders of the index after this snapshot, youngest first, and whatever else is there.
fn index_folders(folder: &Path, sequence: u64) -> Result<(Numbered, Vec<PathBuf>), StoreError> {
    let (mut mine, mut others) = (Vec::new(), Vec::new());
    let prefix = format!("{sequence:016x}.");
    for entry in std::fs::read_dir(folder).map_err(unavailable(folder))? {
        let path = entry.map_err(unavailable(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match name.strip_prefix(&prefix).map(str::parse) {
            Some(Ok(number)) => mine.push((number, path)),
            _ => others.push(path),
        }
    }
    mine.sort();
    mine.reverse();
    Ok((mine, others))
}

/// Puts a damaged part aside. On a disk that is full or fails it stays where it is, and is not used.
fn put_aside(folder: &Folder, path: &Path) {
    if let Err(error) = folder.quarantine(path) {
        tracing::warn!(%error, "a damaged part of the store could not be put aside");
    }
}

/// Removes what belongs to no snapshot that is in use; what cannot be removed now is at the next start.
fn remove_all(others: &[PathBuf]) {
    for path in others {
        let removed = match path.is_dir() {
            true => std::fs::remove_dir_all(path),
            false => std::fs::remove_file(path),
        };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "an old part of the index could not be removed");
        }
    }
}

/// Makes a store where there is none.
fn make(folder: &Folder, segment_bytes: u64) -> Result<StoreId, StoreError> {
    let held = || {
        StoreError::Corrupt(
            "the folder holds data but its STORE file is missing; restore the store from a backup"
                .into(),
        )
    };
    if !snapshot::list(&folder.snapshots())?.is_empty()
        || std::fs::read_dir(folder.index())
            .map_err(unavailable(&folder.index()))?
            .next()
            .is_some()
    {
        return Err(held());
    }
    // Of a making that did not get to its end: a segment without frames.
    for (first, path) in journal_read::list(&folder.journal())? {
        let bytes = std::fs::read(&path).map_err(unavailable(&path))?;
        if first != 1 || !journal_read::is_unused(&bytes) {
            return Err(held());
        }
        std::fs::remove_file(&path).map_err(unavailable(&path))?;
    }
    let mut id = [0; 16];
    getrandom::fill(&mut id)
        .map_err(|_| StoreError::Unavailable("the operating system gave no random bytes".into()))?;
    let id = StoreId(id);
    Journal::begin(&folder.journal(), id, 1, segment_bytes, 0)?;
    folder.set_id(id)?;
    Ok(id)
}
