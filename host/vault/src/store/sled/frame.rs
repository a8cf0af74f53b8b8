//! What is written to the journal: one frame per group of commits, and two kinds of marks.
//!
//! ```text
//! frame: "KPJ1" │ body length u32 │ body │ SHA-256 over all before, 32
//!        body: first sequence u64 │ last sequence u64 │ count u32 │ count × change
//!        change: tree u8 │ 1 put, 0 delete │ u32 length │ key │ (put only) u32 length │ value
//! mark:  "KPJA" or "KPJN" │ last sequence u64 │ SHA-256 over all before, 32
//! ```
//! A group is *one* frame, and the next is written only after this one is on the disk. A mark `KPJA` follows the newest frame
//! once that is on the disk; the next frame overwrites it. So a bad frame before *any* good piece had been acknowledged and
//! was damaged since; only a bad piece with nothing good behind it is a write that a crash cut short. `KPJN` says that a
//! younger segment exists, so that a lost one is noticed.
//! Changes are whole values, so applying a frame twice is applying it once.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::store::StoreError;

const FRAME: [u8; 4] = *b"KPJ1";
const ACKNOWLEDGED: [u8; 4] = *b"KPJA";
const CONTINUED: [u8; 4] = *b"KPJN";
const DIGEST: usize = 32;
/// How long a mark is.
pub(super) const MARK: usize = 4 + 8 + DIGEST;
/// Above this, a length is damage and not a frame.
const BODY_MAX: usize = 64 * 1024 * 1024;

/// What a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tree {
    /// Rows: key → revision u64 ‖ value.
    Rows,
    /// The latest commits: slot u64 → revision u64 ‖ commit id.
    Done,
    /// Leases: name → token u64 ‖ until u64 ‖ holder.
    Leases,
}

impl Tree {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Rows => 1,
            Self::Done => 2,
            Self::Leases => 3,
        }
    }

    pub(super) fn numbered(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Rows,
            2 => Self::Done,
            3 => Self::Leases,
            _ => return None,
        })
    }
}

/// One change, to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) tree: Tree,
    pub(super) key: Vec<u8>,
    /// Absent: the key is deleted.
    pub(super) value: Option<Vec<u8>>,
}

/// A group of commits, to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Frame {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) changes: Vec<Raw>,
}

/// A frame as it is written, and where in it the value of each change stands.
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    pub(super) values: Vec<Option<Range<usize>>>,
}

/// One change, as read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChangeRef<'a> {
    pub(super) tree: Tree,
    pub(super) key: &'a [u8],
    pub(super) value: Option<&'a [u8]>,
    /// Where the value begins, from the beginning of the frame.
    pub(super) at: usize,
}

/// A group of commits, as read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FrameRef<'a> {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) changes: Vec<ChangeRef<'a>>,
}

/// A genuine piece of the journal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Frame(FrameRef<'a>),
    /// All up to this sequence was on the disk.
    Acknowledged(u64),
    /// All up to this sequence was on the disk, and a younger segment goes on.
    Continued(u64),
}

impl Frame {
    pub(super) fn encode(&self) -> Result<Encoded, StoreError> {
        let too_long = |_| StoreError::Refused("a commit that is too long");
        let mut bytes = Vec::with_capacity(1024);
        let mut values = Vec::with_capacity(self.changes.len());
        bytes.extend_from_slice(&FRAME);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.first.to_be_bytes());
        bytes.extend_from_slice(&self.last.to_be_bytes());
        let count = u32::try_from(self.changes.len()).map_err(too_long)?;
        bytes.extend_from_slice(&count.to_be_bytes());
        let part = |bytes: &mut Vec<u8>, part: &[u8]| -> Result<Range<usize>, StoreError> {
            bytes.extend_from_slice(&u32::try_from(part.len()).map_err(too_long)?.to_be_bytes());
            let begins = bytes.len();
            bytes.extend_from_slice(part);
            Ok(begins..bytes.len())
        };
        for change in &self.changes {
            bytes.push(change.tree.number());
            bytes.push(u8::from(change.value.is_some()));
            part(&mut bytes, &change.key)?;
            values.push(match &change.value {
                Some(value) => Some(part(&mut bytes, value)?),
                None => None,
            });
        }
        let body = bytes.len() - 8;
        if body > BODY_MAX {
            return Err(StoreError::Refused("a commit that is too long"));
        }
        let len = u32::try_from(body).map_err(too_long)?.to_be_bytes();
        if let Some(slot) = bytes.get_mut(4..8) {
            slot.copy_from_slice(&len);
        }
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        Ok(Encoded { bytes, values })
    }
}

/// The mark behind the newest frame.
pub(super) fn acknowledged(last: u64) -> Vec<u8> {
    mark(ACKNOWLEDGED, last)
}

/// The mark at the end of a segment that another one follows.
pub(super) fn continued(last: u64) -> Vec<u8> {
    mark(CONTINUED, last)
}

fn mark(magic: [u8; 4], last: u64) -> Vec<u8> {
    let mut mark = magic.to_vec();
    mark.extend_from_slice(&last.to_be_bytes());
    let digest = Sha256::digest(&mark);
    mark.extend_from_slice(&digest);
    mark
}

/// Whether a piece may begin here: a cheap test before [`read`].
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    [FRAME, ACKNOWLEDGED, CONTINUED]
        .iter()
        .any(|magic| bytes.starts_with(magic))
}

/// Whether it is a frame, and not a mark or nothing, that begins here.
pub(super) fn is_frame(bytes: &[u8]) -> bool {
    bytes.starts_with(&FRAME)
}

/// Reads the piece at the beginning of `bytes`; gives it and what comes after. `None`: there is no whole, genuine one.
pub(super) fn read(bytes: &[u8]) -> Option<(Piece<'_>, &[u8])> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    if *magic != FRAME {
        let (last, rest) = rest.split_first_chunk::<8>()?;
        let (digest, rest) = rest.split_first_chunk::<DIGEST>()?;
        let last = u64::from_be_bytes(*last);
        let piece = match *magic {
            ACKNOWLEDGED => Piece::Acknowledged(last),
            CONTINUED => Piece::Continued(last),
            _ => return None,
        };
        let genuine = Sha256::digest(bytes.get(..12)?);
        return (digest == genuine.as_slice()).then_some((piece, rest));
    }
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    if len > BODY_MAX {
        return None;
    }
    let (body, rest) = rest.split_at_checked(len)?;
    let (digest, rest) = rest.split_first_chunk::<DIGEST>()?;
    let genuine = Sha256::digest(bytes.get(..8 + len)?);
    if digest != genuine.as_slice() {
        return None;
    }
    Some((Piece::Frame(read_body(body)?), rest))
}

fn read_body(body: &[u8]) -> Option<FrameRef<'_>> {
    let (first, rest) = body.split_first_chunk::<8>()?;
    let (last, rest) = rest.split_first_chunk::<8>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let mut changes = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let ([tree, put], after) = rest.split_first_chunk::<2>()?;
        let (key, after) = part(after)?;
        let (value, after) = match put {
            0 => (None, after),
            1 => part(after).map(|(value, after)| (Some(value), after))?,
            _ => return None,
        };
        changes.push(ChangeRef {
            tree: Tree::numbered(*tree)?,
            key,
            value,
            at: 8 + body.len() - after.len() - value.map_or(0, <[u8]>::len),
        });
        rest = after;
    }
    rest.is_empty().then_some(FrameRef {
        first: u64::from_be_bytes(*first),
        last: u64::from_be_bytes(*last),
        changes,
    })
}

/// Reads `u32 length ‖ bytes`.
pub(super) fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_and_no_damaged_one_does() {
        let raw = |tree, key: &[u8], value: Option<&[u8]>| Raw {
            tree,
            key: key.to_vec(),
            value: value.map(<[u8]>::to_vec),
        };
        let frame = Frame {
            first: 3,
            last: 4,
            changes: vec![
                raw(Tree::Rows, b"k", Some(b"value")),
                raw(Tree::Leases, b"l", None),
                raw(Tree::Done, b"d", Some(b"")),
            ],
        };
        let Encoded { bytes, values } = frame.encode().unwrap();
        let (Piece::Frame(back), rest) = read(&bytes).unwrap() else {
            panic!("not a frame");
        };
        assert!(rest.is_empty());
        assert_eq!((back.first, back.last), (3, 4));
        for ((read, written), at) in back.changes.iter().zip(&frame.changes).zip(&values) {
            assert_eq!(
                (read.tree, read.key, read.value),
                (written.tree, &*written.key, written.value.as_deref())
            );
            if let (Some(at), Some(value)) = (at, read.value) {
                assert_eq!(at.start, read.at);
                assert_eq!(&bytes[at.clone()], value);
            }
        }
        for whole in [bytes, acknowledged(7), continued(7)] {
            assert!(may_begin(&whole));
            for bit in 0..whole.len() * 8 {
                let mut changed = whole.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(read(&changed).is_none(), "bit {bit}");
            }
            for len in 0..whole.len() {
                assert!(read(&whole[..len]).is_none(), "cut to {len}");
            }
        }
    }
}
