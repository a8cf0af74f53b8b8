//! The redo journal: where a commit becomes durable, before the index hears of it.
//!
//! Segments `journal/<first sequence, 16 hex digits>.wal`, each with a header and then frames (`frame.rs`). A frame is
//! appended, `fdatasync` returns, and only then is the commit true. A segment goes when a newer one is there and the
//! index has everything of the older on the disk.
//!
//! **Why, when sled has a log of its own:** on Linux its flush does not reach the disk (`sync_file_range`), its batches stall,
//! and a flipped bit can revert writes silently. With the journal, each of these is repaired by applying the frames again.
//!
//! **At the start:** a bad frame with no good one after it is a torn tail: cut off, and said so. A bad frame *followed* by
//! a good one is damage: refused, because going on would lose what had been acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::folder::{StoreId, new_file, sync_folder, unavailable};
use super::frame::{Frame, MAGIC};
use crate::store::StoreError;

const SEGMENT_MAGIC: [u8; 4] = *b"KPJS";
/// Magic, store id, first sequence, SHA-256 of those.
const HEADER: usize = 4 + 16 + 8 + 32;

/// The open journal; appends go to the newest segment.
pub(super) struct Journal {
    folder: PathBuf,
    store: StoreId,
    file: File,
    /// Where the next frame goes.
    end: u64,
}

/// What the journal holds at the start.
pub(super) struct Recovered {
    /// The sequence that the oldest segment begins with: the index must already have all before it.
    pub(super) begins: u64,
    /// All frames, oldest first.
    pub(super) frames: Vec<Frame>,
    /// Bytes of a torn tail that were left out.
    pub(super) torn: u64,
    segments: Vec<PathBuf>,
}

/// Why an append failed.
pub(super) enum AppendError {
    /// Nothing of it remains in the journal; the store can go on.
    Clean(String),
    /// It is not known what the disk holds; only a restart can tell.
    Unsure(String),
}

/// Reads what there is. `None`: no segments at all.
pub(super) fn recover(folder: &Path, store: StoreId) -> Result<Option<Recovered>, StoreError> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unavailable(folder))? {
        let path = entry.map_err(unavailable(folder))?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("wal") => segments.push(path),
            // A segment that was being made when the process ended; nothing was in it yet.
            Some("new") => std::fs::remove_file(&path).map_err(unavailable(&path))?,
            _ => {}
        }
    }
    // Fixed-width names: the order of names is the order of sequences.
    segments.sort();
    let mut recovered: Option<Recovered> = None;
    let newest = segments.len();
    for (number, path) in segments.iter().enumerate() {
        let segment = read_segment(path, store, number + 1 == newest)?;
        match &mut recovered {
            None => {
                recovered = Some(Recovered {
                    begins: segment.first,
                    frames: segment.frames,
                    torn: segment.torn,
                    segments: segments.clone(),
                });
            }
            Some(all) => {
                let last = all.frames.last().map_or(all.begins - 1, |frame| frame.last);
                if segment.first != last + 1 {
                    return Err(corrupt(path, "a part of the journal before it is missing"));
                }
                all.frames.extend(segment.frames);
                all.torn = segment.torn;
            }
        }
    }
    Ok(recovered)
}

struct Segment {
    first: u64,
    frames: Vec<Frame>,
    torn: u64,
}

fn read_segment(path: &Path, store: StoreId, newest: bool) -> Result<Segment, StoreError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(unavailable(path))?;
    let (first, mut rest) = read_header(&bytes, store)
        .ok_or_else(|| corrupt(path, "its header is not this store's"))?;
    let mut frames: Vec<Frame> = Vec::new();
    let mut expected = first;
    while let Some((frame, after)) = Frame::read(rest) {
        if frame.first != expected || frame.last < frame.first {
            return Err(corrupt(path, "its commits are not in sequence"));
        }
        expected = frame.last + 1;
        frames.push(frame);
        rest = after;
    }
    if !rest.is_empty() && (!newest || holds_a_frame(rest)) {
        return Err(corrupt(path, "a damaged part stands before good ones"));
    }
    Ok(Segment {
        first,
        frames,
        torn: u64::try_from(rest.len()).unwrap_or(u64::MAX),
    })
}

fn read_header(bytes: &[u8], store: StoreId) -> Option<(u64, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    let (_, first) = header.split_at_checked(20)?;
    let first = u64::from_be_bytes(*first.first_chunk::<8>()?);
    (*header == make_header(store, first) && first > 0).then_some((first, rest))
}

fn make_header(store: StoreId, first: u64) -> [u8; HEADER] {
    let fields = SEGMENT_MAGIC
        .into_iter()
        .chain(store.0)
        .chain(first.to_be_bytes())
        .collect::<Vec<u8>>();
    let digest = Sha256::digest(&fields);
    let mut header = [0; HEADER];
    for (slot, byte) in header.iter_mut().zip(fields.into_iter().chain(digest)) {
        *slot = byte;
    }
    header
}

/// Whether a genuine frame begins anywhere in here.
fn holds_a_frame(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|from| {
        bytes
            .get(from..)
            .is_some_and(|tail| tail.starts_with(&MAGIC) && Frame::read(tail).is_some())
    })
}

fn corrupt(path: &Path, what: &str) -> StoreError {
    StoreError::Corrupt(format!(
        "the journal file {} is damaged: {what}; restore the store from a backup",
        path.display()
    ))
}

impl Journal {
    /// Begins a new segment at `first` and removes the older ones: the caller has made sure that the index holds all
    /// before it, on the disk.
    pub(super) fn begin(folder: &Path, store: StoreId, first: u64) -> Result<Self, StoreError> {
        let path = segment_path(folder, first);
        let unfinished = path.with_extension("wal.new");
        let failed = unavailable(&unfinished);
        let mut file = new_file(&unfinished).map_err(&failed)?;
        file.write_all(&make_header(store, first))
            .map_err(&failed)?;
        file.sync_all().map_err(&failed)?;
        std::fs::rename(&unfinished, &path).map_err(&failed)?;
        sync_folder(folder)?;
        let journal = Self {
            folder: folder.to_owned(),
            store,
            file,
            end: u64::try_from(HEADER).unwrap_or(u64::MAX),
        };
        for entry in std::fs::read_dir(folder).map_err(unavailable(folder))? {
            let other = entry.map_err(unavailable(folder))?.path();
            if other != path
                && other
                    .extension()
                    .is_some_and(|extension| extension == "wal")
            {
                std::fs::remove_file(&other).map_err(unavailable(&other))?;
            }
        }
        Ok(journal)
    }

    /// Goes on with a segment that has no frames yet.
    pub(super) fn resume(
        folder: &Path,
        store: StoreId,
        recovered: &Recovered,
    ) -> Result<Option<Self>, StoreError> {
        let [path] = recovered.segments.as_slice() else {
            return Ok(None);
        };
        if !recovered.frames.is_empty() || recovered.torn != 0 {
            return Ok(None);
        }
        let mut file = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(unavailable(path))?;
        let end = file.seek(SeekFrom::End(0)).map_err(unavailable(path))?;
        Ok(Some(Self {
            folder: folder.to_owned(),
            store,
            file,
            end,
        }))
    }

    /// The next segment, from `first` on.
    pub(super) fn rotate(&mut self, first: u64) -> Result<(), StoreError> {
        *self = Self::begin(&self.folder, self.store, first)?;
        Ok(())
    }

    /// How long the present segment is, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.end
    }

    /// Whether the present segment has no frames.
    pub(super) fn is_empty(&self) -> bool {
        usize::try_from(self.end).is_ok_and(|end| end <= HEADER)
    }

    /// Writes a frame. When this returns, it survives a power cut.
    pub(super) fn append(&mut self, frame: &[u8]) -> Result<(), AppendError> {
        if let Err(error) = self.file.write_all(frame) {
            // A full disk, most likely. Take back what was written; if that fails too, nothing is sure.
            return Err(match self.take_back() {
                Ok(()) => AppendError::Clean(error.to_string()),
                Err(_) => AppendError::Unsure(error.to_string()),
            });
        }
        // After a failed fsync the kernel may have dropped the pages: trying again would lie.
        self.file
            .sync_data()
            .map_err(|error| AppendError::Unsure(error.to_string()))?;
        self.end = self
            .end
            .saturating_add(u64::try_from(frame.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    fn take_back(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.sync_data()
    }
}

fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:016x}.wal"))
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
