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
//! | found at the start | meaning |
//! |---|---|
//! | a bad piece, nothing good behind it | a write that a crash cut short, never acknowledged: overwritten with zeros, and said |
//! | a bad piece, a good one behind it | damage: refused |
//! | a file shorter than its size | if its last mark is whole, only zeros are missing: mended; else refused |
//! | a gap between segments, or none after one that says it is continued | refused |

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::files::Segments;
use super::folder::{StoreId, new_file, sync_folder, unavailable};
use super::frame::{self, FrameRef, MARK, Piece};
use crate::store::StoreError;

const SEGMENT_MAGIC: [u8; 4] = *b"KPJS";
const HEADER: usize = 4 + 16 + 8 + 8 + 32;

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

/// A segment that is on the disk.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) path: PathBuf,
    size: u64,
}

/// What the journal holds at the start.
pub(super) struct Recovered {
    pub(super) segments: Vec<Segment>,
    /// The last sequence in it.
    pub(super) last: u64,
    /// Bytes of frames that it has.
    pub(super) bytes: u64,
    /// Bytes of a torn tail that are left out.
    pub(super) torn: u64,
    /// Where the next frame goes in the newest segment, and up to where what is there now must go.
    end: u64,
    dirty: u64,
    length: u64,
}

/// Why an append failed.
#[derive(Debug)]
pub(super) enum AppendError {
    /// Nothing of it remains in the journal; the store can go on.
    Clean(String),
    /// It is not known what the disk holds; only a restart can tell.
    Unsure(String),
}

/// The segments by name, oldest first; what was being made when the process ended is removed.
pub(super) fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unavailable(folder))? {
        let path = entry.map_err(unavailable(folder))?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("wal") => {
                let first = path
                    .file_stem()
                    .and_then(|stem| u64::from_str_radix(&stem.to_string_lossy(), 16).ok())
                    .ok_or_else(|| corrupt(&path, "its name is not a number"))?;
                segments.push((first, path));
            }
            // If it cannot be removed now, it is written over or removed later.
            Some("new") => {
                let _ = std::fs::remove_file(&path);
            }
            _ => {}
        }
    }
    segments.sort();
    Ok(segments)
}

/// Reads what came after sequence `after`, telling `each` every frame with its segment and place. `None`: there are no
/// segments at all.
pub(super) fn recover(
    folder: &Path,
    store: StoreId,
    after: u64,
    mut each: impl FnMut(&FrameRef<'_>, u64, u64),
) -> Result<Option<Recovered>, StoreError> {
    let names = list(folder)?;
    let Some(((_, newest), _)) = names.split_last() else {
        return Ok(None);
    };
    if names.first().is_some_and(|(first, _)| *first > after + 1) {
        return Err(corrupt(newest, "what came before it is missing"));
    }
    let mut recovered = Recovered {
        segments: Vec::new(),
        last: after,
        bytes: 0,
        torn: 0,
        end: 0,
        dirty: 0,
        length: 0,
    };
    let mut expected = None;
    let mut continued = false;
    for (number, (first, path)) in names.iter().enumerate() {
        let next = names.get(number + 1).map(|(first, _)| *first);
        if next.is_some_and(|next| next <= after + 1) {
            // Wholly below the snapshot.
            continue;
        }
        let bytes = std::fs::read(path).map_err(unavailable(path))?;
        let read = read_segment(path, &bytes, store, next.is_none(), |frame, at| {
            if frame.last > after {
                each(frame, *first, at);
            }
        })?;
        if read.first != *first || expected.is_some_and(|expected| expected != *first) {
            return Err(corrupt(path, "a part of the journal before it is missing"));
        }
        if next.is_some_and(|next| next != read.next) {
            return Err(corrupt(path, "a part of the journal after it is missing"));
        }
        expected = Some(read.next);
        continued = read.continued;
        recovered.segments.push(Segment {
            first: *first,
            path: path.clone(),
            size: read.size,
        });
        recovered.last = recovered.last.max(read.next - 1);
        recovered.bytes += read.end;
        recovered.torn = read.torn;
        recovered.end = read.end;
        recovered.dirty = read.dirty;
        recovered.length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    }
    if continued {
        return Err(corrupt(newest, "the newest part of the journal is missing"));
    }
    Ok(Some(recovered))
}

/// What a segment holds.
struct Read {
    first: u64,
    /// The sequence after its last.
    next: u64,
    size: u64,
    end: u64,
    /// Up to where there is anything but zeros.
    dirty: u64,
    torn: u64,
    continued: bool,
}

fn read_segment(
    path: &Path,
    bytes: &[u8],
    store: StoreId,
    newest: bool,
    mut each: impl FnMut(&FrameRef<'_>, u64),
) -> Result<Read, StoreError> {
    let (first, size, mut rest) =
        read_header(bytes, store).ok_or_else(|| corrupt(path, "its header is not this store's"))?;
    let position = |rest: &[u8]| u64::try_from(bytes.len() - rest.len()).unwrap_or(u64::MAX);
    let mut next = first;
    let (mut marked, mut continued) = (false, false);
    let mut end = position(rest);
    while !marked && let Some((piece, after)) = frame::read(rest) {
        match piece {
            Piece::Frame(frame) => {
                if frame.first != next || frame.last < frame.first {
                    return Err(corrupt(path, "its commits are not in sequence"));
                }
                next = frame.last + 1;
                each(&frame, position(rest));
                end = position(after);
            }
            Piece::Acknowledged(last) | Piece::Continued(last) => {
                if last + 1 != next {
                    return Err(corrupt(path, "its commits are not in sequence"));
                }
                marked = true;
                continued = matches!(piece, Piece::Continued(_));
            }
        }
        rest = after;
    }
    let filled = rest
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    let holds_more = (0..filled).any(|from| {
        rest.get(from..)
            .is_some_and(|tail| frame::may_begin(tail) && frame::read(tail).is_some())
    });
    if holds_more {
        return Err(corrupt(path, "a damaged part stands before good ones"));
    }
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    // That an older segment is whole is told by where the next one begins.
    if newest && (length > size || (length < size && !marked)) {
        return Err(corrupt(path, "its end was cut off"));
    }
    let filled = u64::try_from(filled).unwrap_or(u64::MAX);
    Ok(Read {
        first,
        next,
        size,
        end,
        dirty: if filled > 0 {
            position(rest) + filled
        } else {
            end
        },
        torn: if marked { 0 } else { filled },
        continued,
    })
}

/// Reads a segment that is in use, up to sequence `until`, and checks each frame of it. Gives the bytes read.
pub(super) fn check_segment(
    bytes: &[u8],
    store: StoreId,
    until: u64,
    mut each: impl FnMut(&FrameRef<'_>, u64),
) -> Result<u64, &'static str> {
    let (mut next, _, mut rest) =
        read_header(bytes, store).ok_or("its header is not this store's")?;
    while next <= until {
        match frame::read(rest) {
            Some((Piece::Frame(frame), after)) => {
                if frame.first != next {
                    return Err("its commits are not in sequence");
                }
                each(
                    &frame,
                    u64::try_from(bytes.len() - rest.len()).unwrap_or(u64::MAX),
                );
                next = frame.last + 1;
                rest = after;
            }
            // The next segment has the rest.
            Some((Piece::Continued(_), _)) => break,
            Some((Piece::Acknowledged(_), _)) | None => return Err("a part of it is damaged"),
        }
    }
    Ok(u64::try_from(bytes.len() - rest.len()).unwrap_or(u64::MAX))
}

/// Whether this is a segment that never got a frame.
pub(super) fn is_unused(bytes: &[u8]) -> bool {
    bytes
        .get(..20)
        .is_some_and(|start| start.starts_with(&SEGMENT_MAGIC))
        && bytes
            .get(HEADER + MARK..)
            .is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

fn read_header(bytes: &[u8], store: StoreId) -> Option<(u64, u64, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    let (_, numbers) = header.split_at_checked(20)?;
    let (first, numbers) = numbers.split_first_chunk::<8>()?;
    let (size, _) = numbers.split_first_chunk::<8>()?;
    let (first, size) = (u64::from_be_bytes(*first), u64::from_be_bytes(*size));
    (*header == *make_header(store, first, size) && first > 0).then_some((first, size, rest))
}

fn make_header(store: StoreId, first: u64, size: u64) -> Vec<u8> {
    let mut header = SEGMENT_MAGIC.to_vec();
    header.extend_from_slice(&store.0);
    header.extend_from_slice(&first.to_be_bytes());
    header.extend_from_slice(&size.to_be_bytes());
    let digest = Sha256::digest(&header);
    header.extend_from_slice(&digest);
    header
}

fn corrupt(path: &Path, what: &str) -> StoreError {
    StoreError::Corrupt(format!(
        "the journal file {} is damaged: {what}; restore the store from a backup",
        path.display()
    ))
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

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
