//! What is written to the journal: one frame per group of commits.
//!
//! ```text
//! "KPJ1" 4 │ body length u32 │ body │ SHA-256 over all before, 32
//! body: first sequence u64 │ last sequence u64 │ count u32 │ count × change
//! change: tree u8 │ 1 put, 0 delete │ u32 length │ key │ (put only) u32 length │ value
//! ```
//! A group is *one* frame, and the next frame is written only after this one is on the disk. So a torn write can only ever be
//! the last frame, and a bad frame *before* a good one is damage, not a power cut.
//! Changes are whole values, so applying a frame twice is applying it once.

use sha2::{Digest, Sha256};

use crate::store::StoreError;

pub(super) const MAGIC: [u8; 4] = *b"KPJ1";
const DIGEST: usize = 32;
/// Above this, a length is damage and not a frame.
const BODY_MAX: usize = 64 * 1024 * 1024;

/// The trees of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tree {
    /// Rows: key → revision u64 ‖ value.
    Rows,
    /// The latest commits: slot u16 → revision u64 ‖ commit id.
    Done,
    /// Leases: name → token u64 ‖ until u64 ‖ holder.
    Leases,
}

/// One change to the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) tree: Tree,
    pub(super) key: Vec<u8>,
    /// Absent: the key is deleted.
    pub(super) value: Option<Vec<u8>>,
}

/// A group of commits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Frame {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) changes: Vec<Raw>,
}

impl Frame {
    pub(super) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let too_long = |_| StoreError::Refused("a commit that is too long");
        let mut body = Vec::with_capacity(1024);
        body.extend_from_slice(&self.first.to_be_bytes());
        body.extend_from_slice(&self.last.to_be_bytes());
        let count = u32::try_from(self.changes.len()).map_err(too_long)?;
        body.extend_from_slice(&count.to_be_bytes());
        let part = |body: &mut Vec<u8>, part: &[u8]| -> Result<(), StoreError> {
            body.extend_from_slice(&u32::try_from(part.len()).map_err(too_long)?.to_be_bytes());
            body.extend_from_slice(part);
            Ok(())
        };
        for change in &self.changes {
            body.push(match change.tree {
                Tree::Rows => 1,
                Tree::Done => 2,
                Tree::Leases => 3,
            });
            body.push(u8::from(change.value.is_some()));
            part(&mut body, &change.key)?;
            if let Some(value) = &change.value {
                part(&mut body, value)?;
            }
        }
        if body.len() > BODY_MAX {
            return Err(StoreError::Refused("a commit that is too long"));
        }
        let mut frame = Vec::with_capacity(8 + body.len() + DIGEST);
        frame.extend_from_slice(&MAGIC);
        frame.extend_from_slice(&u32::try_from(body.len()).map_err(too_long)?.to_be_bytes());
        frame.extend_from_slice(&body);
        let digest = Sha256::digest(&frame);
        frame.extend_from_slice(&digest);
        Ok(frame)
    }

    /// Reads the frame at the beginning of `bytes`; gives it and what comes after. `None`: there is no whole, genuine one.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
        if *magic != MAGIC || len > BODY_MAX {
            return None;
        }
        let (body, rest) = rest.split_at_checked(len)?;
        let (digest, rest) = rest.split_first_chunk::<DIGEST>()?;
        let genuine = Sha256::digest(bytes.get(..8 + len)?);
        if digest != genuine.as_slice() {
            return None;
        }
        Some((Self::body(body)?, rest))
    }

    fn body(body: &[u8]) -> Option<Self> {
        let (first, rest) = body.split_first_chunk::<8>()?;
        let (last, rest) = rest.split_first_chunk::<8>()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let mut changes = Vec::new();
        for _ in 0..u32::from_be_bytes(*count) {
            let ([tree, put], after) = rest.split_first_chunk::<2>()?;
            let (key, after) = part(after)?;
            let (value, after) = match put {
                0 => (None, after),
                1 => part(after).map(|(value, after)| (Some(value.to_vec()), after))?,
                _ => return None,
            };
            let tree = match tree {
                1 => Tree::Rows,
                2 => Tree::Done,
                3 => Tree::Leases,
                _ => return None,
            };
            changes.push(Raw {
                tree,
                key: key.to_vec(),
                value,
            });
            rest = after;
        }
        rest.is_empty().then_some(Self {
            first: u64::from_be_bytes(*first),
            last: u64::from_be_bytes(*last),
            changes,
        })
    }
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_and_no_damaged_one_does() {
        let frame = Frame {
            first: 3,
            last: 4,
            changes: vec![
                Raw {
                    tree: Tree::Rows,
                    key: b"k".to_vec(),
                    value: Some(b"v".to_vec()),
                },
                Raw {
                    tree: Tree::Leases,
                    key: b"l".to_vec(),
                    value: None,
                },
            ],
        };
        let bytes = frame.encode().unwrap();
        let (back, rest) = Frame::read(&bytes).unwrap();
        assert_eq!(back, frame);
        assert!(rest.is_empty());
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::read(&changed).is_none(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Frame::read(&bytes[..len]).is_none(), "cut to {len}");
        }
    }
}
