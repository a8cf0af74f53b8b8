//! A snapshot: all rows as of one commit, sorted, checksummed, never changed. The base that the journal goes on from.
//!
//! ```text
//! snapshots/<sequence, 16 hex digits>.snap
//! header: "KPS1" │ store id 16 │ sequence u64
//! blocks: entries in order of keys, about 4 KiB each
//!         entry: flag u8 (0 row, 1 lost) │ revision u64 │ u32 length │ key │ u32 length │ value
//! tail:   count u32 │ count × (tree u8 │ u32 length │ key │ u32 length │ value)      latest commits, leases
//!         count u32 │ count × (offset u64 │ length u32 │ CRC-32 u32 │ u32 length │ first key)      the blocks
//! footer: rows u64 │ live bytes u64 │ tail offset u64 │ tail length u64 │ SHA-256 of the blocks 32 │
//!         SHA-256 of header, tail and footer before 32
//! ```
//! Opening reads header, tail and footer and checks their digest; a block is checked by its CRC each time it is read, and all of
//! them by the digest when the snapshot is made and in each scrub. No key is at hand here, so there is no MAC: against
//! whoever *writes* to the disk stand the MAC of each record and its envelope.
//!
//! A row whose value was lost to damage of the disk stays as *lost*: it is an error when it is read, and the others go on.

use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::files::{Patience, read_at};
use super::folder::{StoreId, unavailable};
use super::frame::{Tree, part};
use crate::ids::Rev;
use crate::store::{Rec, StoreError};

pub(super) const MAGIC: [u8; 4] = *b"KPS1";
pub(super) const HEADER: u64 = 4 + 16 + 8;
pub(super) const FOOTER: usize = 4 * 8 + 32 + 32;

/// An opened snapshot.
pub(super) struct Snapshot {
    path: PathBuf,
    file: File,
    /// The last commit that it contains.
    pub(super) sequence: u64,
    rows: u64,
    /// Bytes of keys and values.
    pub(super) live: u64,
    blocks: Vec<Block>,
    /// The first keys of all blocks, one after the other.
    keys: Vec<u8>,
    digest: [u8; 32],
    blocks_end: u64,
    small: Vec<Small>,
}

/// An entry that is not a row: a latest commit or a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Small {
    pub(super) tree: Tree,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

struct Block {
    offset: u64,
    len: u32,
    crc: u32,
    /// Where its first key begins and ends in `keys`.
    key: std::ops::Range<usize>,
}

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReadError {
    /// It is not in memory, and the caller did not want to wait.
    WouldWait,
    /// The snapshot is damaged.
    Damaged(String),
    /// This one row, of this revision, was lost to damage of the disk.
    Row(Rev),
    /// It stood in a part of the journal that a new snapshot has made needless: look it up again.
    Moved,
    /// The store cannot be read.
    Store(StoreError),
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::WouldWait => Self::Unavailable("the disk has to be waited for".into()),
            ReadError::Damaged(what) => Self::Corrupt(what),
            ReadError::Row(_) | ReadError::Moved => lost(),
            ReadError::Store(error) => error,
        }
    }
}

/// A row in a block.
pub(super) struct BlockRow<'a> {
    pub(super) key: &'a [u8],
    pub(super) rev: u64,
    /// Its place in the block; `None`: it was lost.
    value: Option<std::ops::Range<usize>>,
}

impl BlockRow<'_> {
    pub(super) fn rec(&self, block: &Bytes) -> Result<Rec, ReadError> {
        match &self.value {
            Some(value) => Ok(Rec {
                rev: Rev(self.rev),
                value: block.slice(value.clone()),
            }),
            None => Err(ReadError::Row(Rev(self.rev))),
        }
    }
}

/// What is said of a row that cannot be read any more.
fn lost() -> StoreError {
    StoreError::Corrupt(
        "this row was lost to damage of the disk; write it anew or restore a backup".into(),
    )
}

impl Snapshot {
    /// Opens a snapshot of this store. The text of an error says what is wrong with it.
    pub(super) fn open(path: &Path, store: StoreId) -> Result<Self, String> {
        let wrong = |what: &str| format!("the snapshot {} {what}", path.display());
        let failed = |error: std::io::Error| wrong(&format!("cannot be read: {error}"));
        let file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let short = || wrong("is too short");
        let footer_at = len
            .checked_sub(u64::try_from(FOOTER).unwrap_or(u64::MAX))
            .filter(|at| *at >= HEADER)
            .ok_or_else(short)?;
        let mut header = vec![0; usize::try_from(HEADER).unwrap_or(0)];
        read_at(&file, &mut header, 0, Patience::Wait).map_err(failed)?;
        let mut footer = vec![0; FOOTER];
        read_at(&file, &mut footer, footer_at, Patience::Wait).map_err(failed)?;
        let (fields, digest) = footer.split_last_chunk::<32>().ok_or_else(short)?;
        let number = |at: usize| {
            fields
                .get(at * 8..)
                .and_then(|bytes| bytes.first_chunk::<8>())
                .map_or(0, |bytes| u64::from_be_bytes(*bytes))
        };
        let (tail_at, tail_len) = (number(2), number(3));
        if tail_at < HEADER || tail_at.checked_add(tail_len) != Some(footer_at) {
            return Err(wrong("has a damaged end"));
        }
        let mut tail = vec![0; usize::try_from(tail_len).map_err(|_| short())?];
        read_at(&file, &mut tail, tail_at, Patience::Wait).map_err(failed)?;
        let mut hash = Sha256::new();
        hash.update(&header);
        hash.update(&tail);
        hash.update(fields);
        if hash.finalize().as_slice() != digest {
            return Err(wrong("has a damaged index"));
        }
        if !header.starts_with(&MAGIC) || header.get(4..20) != Some(&store.0) {
            return Err(wrong("is another store's"));
        }
        let sequence = header
            .get(20..)
            .and_then(|bytes| bytes.first_chunk::<8>())
            .map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let (small, blocks, keys) = read_tail(&tail).ok_or_else(|| wrong("has a damaged index"))?;
        let blocks_digest = fields.last_chunk::<32>().copied().ok_or_else(short)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            sequence,
            rows: number(0),
            live: number(1),
            blocks,
            keys,
            digest: blocks_digest,
            blocks_end: tail_at,
            small,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Latest commits and leases.
    pub(super) fn small(&self) -> &[Small] {
        &self.small
    }

    /// How many blocks there are.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// The block in which `key` is, if it is anywhere.
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        let after = self.blocks.partition_point(|block| {
            self.keys
                .get(block.key.clone())
                .is_some_and(|first| first <= key)
        });
        after.checked_sub(1)
    }

    /// A row, if it is in here.
    pub(super) fn get(&self, key: &[u8], patience: Patience) -> Result<Option<Rec>, ReadError> {
        self.look(key, patience, |row, block| row.rec(block))
    }

    /// A row's revision; also of a lost one.
    pub(super) fn rev(&self, key: &[u8]) -> Result<Option<Rev>, ReadError> {
        self.look(key, Patience::Wait, |row, _| Ok(Rev(row.rev)))
    }

    fn look<T>(
        &self,
        key: &[u8],
        patience: Patience,
        found: impl FnOnce(BlockRow<'_>, &Bytes) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        let Some(number) = self.find(key) else {
            return Ok(None);
        };
        let block = self.block(number, patience)?;
        let mut at = 0;
        while let Some((row, next)) = self.row(&block, at)? {
            match row.key.cmp(key) {
                std::cmp::Ordering::Less => at = next,
                std::cmp::Ordering::Equal => return found(row, &block).map(Some),
                std::cmp::Ordering::Greater => break,
            }
        }
        Ok(None)
    }

    /// The row at a place in a block, and where the next one is. `None`: the block ends here.
    pub(super) fn row<'a>(
        &self,
        block: &'a Bytes,
        at: usize,
    ) -> Result<Option<(BlockRow<'a>, usize)>, ReadError> {
        let rest = block.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let read = || {
            let (flag, rest) = rest.split_first()?;
            let (rev, rest) = rest.split_first_chunk::<8>()?;
            let (key, rest) = part(rest)?;
            let (value, rest) = part(rest)?;
            let end = block.len() - rest.len();
            let row = BlockRow {
                key,
                rev: u64::from_be_bytes(*rev),
                value: (*flag == 0).then(|| end - value.len()..end),
            };
            Some((row, end))
        };
        // The checksum was right, so this does not happen.
        read()
            .map(Some)
            .ok_or_else(|| self.damaged("has a block that cannot be read"))
    }

    /// A block, checked.
    pub(super) fn block(&self, number: usize, patience: Patience) -> Result<Bytes, ReadError> {
        let Some(block) = self.blocks.get(number) else {
            return Ok(Bytes::new());
        };
        let mut bytes = vec![0; usize::try_from(block.len).unwrap_or(0)];
        match read_at(&self.file, &mut bytes, block.offset, patience) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                return Err(ReadError::WouldWait);
            }
            Err(error) => return Err(self.damaged(&format!("cannot be read: {error}"))),
        }
        if crc32fast::hash(&bytes) != block.crc {
            return Err(self.damaged("has a damaged block"));
        }
        Ok(Bytes::from(bytes))
    }

    /// Reads all of it again and compares it with its digest. `pace` is called after each block with its length and
    /// may stop it ([`ReadError::WouldWait`]).
    pub(super) fn check(&self, mut pace: impl FnMut(u64) -> bool) -> Result<(), ReadError> {
        let reopened = File::open(&self.path)
            .and_then(|file| file.metadata())
            .map_err(|error| self.damaged(&format!("cannot be read: {error}")))?;
        let expected = self.file.metadata().map_or(0, |meta| meta.len());
        if reopened.len() != expected {
            return Err(self.damaged("has another length than when it was opened"));
        }
        let mut hash = Sha256::new();
        let mut rows = 0;
        for number in 0..self.blocks.len() {
            let block = self.block(number, Patience::Wait)?;
            hash.update(&block);
            let mut at = 0;
            while let Some((_, next)) = self.row(&block, at)? {
                rows += 1;
                at = next;
            }
            if !pace(u64::try_from(block.len()).unwrap_or(u64::MAX)) {
                return Err(ReadError::WouldWait);
            }
        }
        let covered = self
            .blocks
            .iter()
            .map(|block| u64::from(block.len))
            .sum::<u64>();
        let whole = rows == self.rows && HEADER + covered == self.blocks_end;
        if hash.finalize().as_slice() != self.digest || !whole {
            return Err(self.damaged("does not match its digest"));
        }
        Ok(())
    }

    fn damaged(&self, what: &str) -> ReadError {
        ReadError::Damaged(format!("the snapshot {} {what}", self.path.display()))
    }
}

fn read_tail(tail: &[u8]) -> Option<(Vec<Small>, Vec<Block>, Vec<u8>)> {
    let (count, mut rest) = tail.split_first_chunk::<4>()?;
    let mut small = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (tree, after) = rest.split_first()?;
        let (key, after) = part(after)?;
        let (value, after) = part(after)?;
        small.push(Small {
            tree: Tree::numbered(*tree)?,
            key: key.to_vec(),
            value: value.to_vec(),
        });
        rest = after;
    }
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let (mut blocks, mut keys) = (Vec::new(), Vec::new());
    for _ in 0..u32::from_be_bytes(*count) {
        let (offset, after) = rest.split_first_chunk::<8>()?;
        let (len, after) = after.split_first_chunk::<4>()?;
        let (crc, after) = after.split_first_chunk::<4>()?;
        let (key, after) = part(after)?;
        let begins = keys.len();
        keys.extend_from_slice(key);
        blocks.push(Block {
            offset: u64::from_be_bytes(*offset),
            len: u32::from_be_bytes(*len),
            crc: u32::from_be_bytes(*crc),
            key: begins..keys.len(),
        });
        rest = after;
    }
    rest.is_empty().then_some((small, blocks, keys))
}

/// The snapshots in a folder, newest first; unfinished ones are removed.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unavailable(folder))? {
        let path = entry.map_err(unavailable(folder))?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("snap") => found.push(path),
            // If it cannot be removed now, it is written over or removed later.
            Some("new") => {
                let _ = std::fs::remove_file(&path);
            }
            _ => {}
        }
    }
    // Fixed-width names: the order of names is the order of sequences.
    found.sort();
    found.reverse();
    Ok(found)
}
