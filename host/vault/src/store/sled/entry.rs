//! What the index knows of a row that changed since the last snapshot: where in the journal its value stands, or that it is gone.
//!
//! ```text
//! 0 │ revision u64 │ CRC                                                          the row was removed
//! 1 │ revision u64 │ segment u64 │ offset u64 │ length u32 │ CRC of the value u32 │ CRC      it stands there
//! ```
//! The last CRC-32 covers the key and all before it: an entry that sled gives back damaged, or under another key, is noticed.

use super::frame::{ChangeRef, Tree};

/// Where a row's value stands in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) rev: u64,
    /// The first sequence of the segment.
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) crc: u32,
}

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Gone { rev: u64 },
    At(Pointer),
}

impl Entry {
    /// The entry that a change makes. `frame_at`: where its frame begins. `None`: not a row, or not a whole one.
    pub(super) fn of(
        change: &ChangeRef<'_>,
        last: u64,
        segment: u64,
        frame_at: u64,
    ) -> Option<Self> {
        if change.tree != Tree::Rows {
            return None;
        }
        let Some(value) = change.value else {
            return Some(Self::Gone { rev: last });
        };
        let (rev, value) = value.split_first_chunk::<8>()?;
        Some(Self::At(Pointer {
            rev: u64::from_be_bytes(*rev),
            segment,
            offset: frame_at + u64::try_from(change.at).ok()? + 8,
            len: u32::try_from(value.len()).ok()?,
            crc: crc32fast::hash(value),
        }))
    }

    pub(super) fn rev(&self) -> u64 {
        match self {
            Self::Gone { rev } => *rev,
            Self::At(pointer) => pointer.rev,
        }
    }

    pub(super) fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40);
        match self {
            Self::Gone { rev } => {
                bytes.push(0);
                bytes.extend_from_slice(&rev.to_be_bytes());
            }
            Self::At(pointer) => {
                bytes.push(1);
                bytes.extend_from_slice(&pointer.rev.to_be_bytes());
                bytes.extend_from_slice(&pointer.segment.to_be_bytes());
                bytes.extend_from_slice(&pointer.offset.to_be_bytes());
                bytes.extend_from_slice(&pointer.len.to_be_bytes());
                bytes.extend_from_slice(&pointer.crc.to_be_bytes());
            }
        }
        let crc = check(key, &bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// `None`: it is damaged or another key's.
    pub(super) fn decode(key: &[u8], bytes: &[u8]) -> Option<Self> {
        let (bytes, crc) = bytes.split_last_chunk::<4>()?;
        if check(key, bytes) != u32::from_be_bytes(*crc) {
            return None;
        }
        let (kind, rest) = bytes.split_first()?;
        let (rev, rest) = rest.split_first_chunk::<8>()?;
        let rev = u64::from_be_bytes(*rev);
        if *kind == 0 {
            return rest.is_empty().then_some(Self::Gone { rev });
        }
        let (segment, rest) = rest.split_first_chunk::<8>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        (*kind == 1 && rest.is_empty()).then_some(Self::At(Pointer {
            rev,
            segment: u64::from_be_bytes(*segment),
            offset: u64::from_be_bytes(*offset),
            len: u32::from_be_bytes(*len),
            crc: u32::from_be_bytes(*crc),
        }))
    }
}

fn check(key: &[u8], bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(bytes);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_and_no_damaged_or_foreign_one_does() {
        let pointer = Pointer {
            rev: 1,
            segment: 2,
            offset: 3,
            len: 4,
            crc: 5,
        };
        for entry in [Entry::Gone { rev: 9 }, Entry::At(pointer)] {
            let bytes = entry.encode(b"key");
            assert_eq!(Entry::decode(b"key", &bytes), Some(entry));
            assert_eq!(Entry::decode(b"kez", &bytes), None);
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Entry::decode(b"key", &changed), None, "bit {bit}");
            }
        }
    }
}
