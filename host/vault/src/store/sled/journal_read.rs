//! Reading the journal back: at the start, and when everything is looked through. `journal.rs` writes it.
//!
//! | found at the start | meaning |
//! |---|---|
//! | a bad piece, nothing good behind it | a write that a crash cut short, never acknowledged: overwritten with zeros, and said |
//! | a bad piece, a good one behind it | damage: refused |
//! | a file shorter than its size | if its last mark is whole, only zeros are missing: mended; else refused |
//! | a gap between segments, or none after one that says it is continued | refused |
//! | an empty segment that the one before it goes on past | made while the disk failed, and not used: passed over |

use std::fs::File;
use std::path::{Path, PathBuf};

use super::files::{self, Patience};
use super::folder::{StoreId, unavailable};
use super::frame::{self, FrameRef, MARK, Piece};
use super::journal::{HEADER, SEGMENT_MAGIC, make_header};
use crate::store::StoreError;

/// A segment that is on the disk.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) path: PathBuf,
    pub(super) size: u64,
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
    pub(super) end: u64,
    pub(super) dirty: u64,
    pub(super) length: u64,
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
    let mut names = list(folder)?;
    let Some((_, newest)) = names.last().cloned() else {
        return Ok(None);
    };
    let empty = set_aside_empty(&mut names)?;
    let oldest = names.first().or(empty.last()).map(|(first, _)| *first);
    if oldest.is_some_and(|first| first > after + 1) {
        return Err(corrupt(&newest, "what came before it is missing"));
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
    // An empty one that nothing goes on to was made while the disk failed, and was not used: only the newest can be next.
    let count = names.len();
    for (number, (first, path)) in names.iter().chain(&empty).enumerate() {
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
        if number >= count {
            if read.next != read.first || read.first != *first {
                return Err(corrupt(path, "its first part is damaged"));
            }
            let last = number + 1 == count + empty.len();
            if !last || expected.is_some_and(|expected| expected != *first) {
                continue;
            }
        }
        if read.first != *first || expected.is_some_and(|expected| expected != *first) {
            return Err(corrupt(path, "a part of the journal before it is missing"));
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
        return Err(corrupt(
            &newest,
            "the newest part of the journal is missing",
        ));
    }
    Ok(Some(recovered))
}

/// Takes those out that have no frame; gives them, oldest first.
fn set_aside_empty(names: &mut Vec<(u64, PathBuf)>) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut empty = Vec::new();
    let mut error = None;
    names.retain(|(first, path)| {
        let mut start = [0; HEADER + 4];
        let read =
            File::open(path).and_then(|file| files::read_at(&file, &mut start, 0, Patience::Wait));
        match read {
            Ok(()) if frame::is_frame(start.get(HEADER..).unwrap_or_default()) => true,
            Ok(()) => {
                empty.push((*first, path.clone()));
                false
            }
            // Too short: reading all of it tells.
            Err(short) if short.kind() == std::io::ErrorKind::UnexpectedEof => true,
            Err(other) => {
                error = Some(unavailable(path)(other));
                true
            }
        }
    });
    error.map_or(Ok(empty), Err)
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

fn corrupt(path: &Path, what: &str) -> StoreError {
    StoreError::Corrupt(format!(
        "the journal file {} is damaged: {what}; restore the store from a backup",
        path.display()
    ))
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
