//! The redo journal: where a commit becomes durable, before the index hears of it.
//!
//! ```text
//! journal/<first sequence, 16 hex digits>.wal, filled with zeros to its size when it is made:
//!   "KPJS" │ store id 16 │ first sequence u64 │ size u64 │ SHA-256 of those, 32 │ pieces (frame.rs) │ zeros
//! ```
//! A frame is written, `fdatasync` returns, and only then is the commit true. As the file has its size from the
//! beginning, `fdatasync` writes data only (measured: half the time), a full disk is met when a segment is made and not in the
//! middle of a frame, and a file that was cut is shorter than its header says.
//!
//! Reading it back is `journal_read.rs`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::files::Segments;
use super::folder::{StoreId, new_file, sync_folder, unavailable};
use super::frame::{self, MARK};
use super::journal_read::Recovered;
use crate::store::StoreError;

pub(super) const SEGMENT_MAGIC: [u8; 4] = *b"KPJS";
pub(super) const HEADER: usize = 4 + 16 + 8 + 8 + 32;

/// The open journal; appends go to the newest segment.
pub(super) struct Journal {
    folder: PathBuf,
    store: StoreId,
    file: Arc<File>,
    first: u64,
    /// Where the next frame goes.
    end: u64,
    size: u64,
    segment_bytes: u64,
    /// The last sequence that is in here.
    last: u64,
}

/// Why an append failed.
#[derive(Debug)]
pub(super) enum AppendError {
    /// Nothing of it remains in the journal; the store can go on.
    Clean(String),
    /// It is not known what the disk holds; only a restart can tell.
    Unsure(String),
}

impl Journal {
    /// Begins a new segment at `first`, with room for a frame of `need` bytes. [`StoreError::Corrupt`]: it is not known whether
    /// it is there, so nothing more may be written to an older one.
    pub(super) fn begin(
        folder: &Path,
        store: StoreId,
        first: u64,
        segment_bytes: u64,
        need: u64,
    ) -> Result<Self, StoreError> {
        let path = folder.join(format!("{first:016x}.wal"));
        let unfinished = path.with_extension("wal.new");
        let failed = unavailable(&unfinished);
        let overhead = u64::try_from(HEADER + MARK).unwrap_or(u64::MAX);
        let size = segment_bytes.max(need.saturating_add(overhead));
        // The mark says that all before is on the disk.
        let mut begins = make_header(store, first, size);
        begins.extend_from_slice(&frame::acknowledged(first - 1));
        let made = make_segment(&unfinished, &begins, size)
            .and_then(|()| std::fs::rename(&unfinished, &path));
        if let Err(error) = made {
            // Give the room back at once: the disk may be full.
            let _ = std::fs::remove_file(&unfinished);
            return Err(failed(error));
        }
        let file = match sync_folder(folder).and_then(|()| open_segment(&path)) {
            Ok(file) => file,
            // Its name may or may not be on the disk. It must not stay beside a segment that goes on past its beginning.
            Err(error) if std::fs::remove_file(&path).is_ok() => return Err(error),
            Err(error) => return Err(StoreError::Corrupt(error.to_string())),
        };
        Ok(Self {
            folder: folder.to_owned(),
            store,
            file: Arc::new(file),
            first,
            end: u64::try_from(HEADER).unwrap_or(u64::MAX),
            size,
            segment_bytes,
            last: first - 1,
        })
    }

    /// Goes on with the newest segment.
    pub(super) fn resume(
        folder: &Path,
        store: StoreId,
        recovered: &Recovered,
        segment_bytes: u64,
    ) -> Result<Self, StoreError> {
        let newest = recovered.segments.last().ok_or_else(|| {
            StoreError::Corrupt("the journal is missing; restore the store from a backup".into())
        })?;
        let failed = unavailable(&newest.path);
        let file = open_segment(&newest.path)?;
        let dirty = recovered.dirty.saturating_sub(recovered.end);
        if dirty > 0 || recovered.length < newest.size {
            zero(&file, recovered.end, dirty).map_err(&failed)?;
            zero(
                &file,
                recovered.length,
                newest.size.saturating_sub(recovered.length),
            )
            .map_err(&failed)?;
            file.sync_data().map_err(&failed)?;
        }
        let journal = Self {
            folder: folder.to_owned(),
            store,
            file: Arc::new(file),
            first: newest.first,
            end: recovered.end,
            size: newest.size,
            segment_bytes,
            last: recovered.last,
        };
        journal.mark();
        Ok(journal)
    }

    /// Opens what is on the disk for reading rows out of it.
    pub(super) fn segments(&self, recovered: &Recovered) -> Result<Segments, StoreError> {
        let segments = Segments::default();
        for segment in &recovered.segments {
            let file = File::open(&segment.path).map_err(unavailable(&segment.path))?;
            segments.add(segment.first, Arc::new(file));
        }
        Ok(segments)
    }

    /// The present segment: its first sequence and its file.
    pub(super) fn segment(&self) -> (u64, Arc<File>) {
        (self.first, Arc::clone(&self.file))
    }

    /// Whether a frame of this length goes into the present segment.
    pub(super) fn fits(&self, frame: usize) -> bool {
        let need = u64::try_from(frame + MARK).unwrap_or(u64::MAX);
        self.end.saturating_add(need) <= self.size
    }

    /// The bytes of frames in the present segment.
    pub(super) fn filled(&self) -> u64 {
        self.end.saturating_sub(u64::try_from(HEADER).unwrap_or(0))
    }

    /// The next segment. Nothing has changed when this fails, but see [`Journal::begin`].
    pub(super) fn rotate(&mut self, need: u64) -> Result<(), StoreError> {
        let next = Self::begin(
            &self.folder,
            self.store,
            self.last + 1,
            self.segment_bytes,
            need,
        )?;
        // Only so that a lost newest segment is noticed; without it the journal is as true, so it is not waited for.
        if let Err(error) = write_at(&self.file, &frame::continued(self.last), self.end) {
            tracing::warn!(%error, "the end of a journal segment could not be marked");
        }
        *self = next;
        Ok(())
    }

    /// Writes a frame that [fits](Self::fits); gives where it begins. When this returns, it survives a power cut.
    pub(super) fn append(&mut self, frame: &[u8], last: u64) -> Result<u64, AppendError> {
        let len = u64::try_from(frame.len()).unwrap_or(u64::MAX);
        if let Err(error) = write_at(&self.file, frame, self.end) {
            // Take back what was written; if that fails too, nothing is sure.
            let back = zero(&self.file, self.end, len).and_then(|()| self.file.sync_data());
            self.mark();
            return Err(match back {
                Ok(()) => AppendError::Clean(error.to_string()),
                Err(_) => AppendError::Unsure(error.to_string()),
            });
        }
        // After a failed fsync the kernel may have dropped the pages: trying again would lie.
        self.file
            .sync_data()
            .map_err(|error| AppendError::Unsure(error.to_string()))?;
        let at = self.end;
        self.end = self.end.saturating_add(len);
        self.last = last;
        self.mark();
        Ok(at)
    }

    /// Not waited for: it tells damage from a crash where it did reach the disk, and says nothing where it did not.
    fn mark(&self) {
        let _ = write_at(&self.file, &frame::acknowledged(self.last), self.end);
    }
}

/// What a segment begins with.
pub(super) fn make_header(store: StoreId, first: u64, size: u64) -> Vec<u8> {
    let mut header = SEGMENT_MAGIC.to_vec();
    header.extend_from_slice(&store.0);
    header.extend_from_slice(&first.to_be_bytes());
    header.extend_from_slice(&size.to_be_bytes());
    let digest = Sha256::digest(&header);
    header.extend_from_slice(&digest);
    header
}

fn make_segment(path: &Path, header: &[u8], size: u64) -> std::io::Result<()> {
    let mut file = new_file(path)?;
    file.write_all(header)?;
    let header = u64::try_from(header.len()).unwrap_or(u64::MAX);
    zero(&file, header, size.saturating_sub(header))?;
    file.sync_all()
}

fn open_segment(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(unavailable(path))
}

fn zero(file: &File, from: u64, len: u64) -> std::io::Result<()> {
    let zeros = vec![0; 256 * 1024];
    let (mut at, end) = (from, from.saturating_add(len));
    while at < end {
        let part = usize::try_from(end - at)
            .unwrap_or(usize::MAX)
            .min(zeros.len());
        write_at(file, zeros.get(..part).unwrap_or_default(), at)?;
        at += u64::try_from(part).unwrap_or(u64::MAX);
    }
    Ok(())
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        bytes = bytes.get(written..).unwrap_or_default();
        offset += u64::try_from(written).unwrap_or(0);
    }
    Ok(())
}
