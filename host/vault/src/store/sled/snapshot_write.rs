//! Writing a snapshot (`snapshot.rs` has the format): sorted rows in, a file that is on the disk, whole and read back, out.
//!
//! It is written beside the others under a name that is never opened, synced, renamed, and then read again and compared with
//! its digest before anything relies on it. Written data is synced every few MiB, so that the writer of commits never waits
//! for one long flush of the same disk.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::folder::{StoreId, new_file, sync_folder, unavailable};
use super::snapshot::{HEADER, MAGIC, Small, Snapshot};
use crate::store::StoreError;

/// A block ends once it has this many bytes.
const BLOCK: usize = 4096;
/// How much may be written and not yet synced.
const SYNC_EVERY: u64 = 4 * 1024 * 1024;

/// A snapshot that is being written.
pub(super) struct SnapshotWriter {
    folder: PathBuf,
    unfinished: PathBuf,
    store: StoreId,
    sequence: u64,
    file: BufWriter<File>,
    header: Vec<u8>,
    at: u64,
    unsynced: u64,
    block: Vec<u8>,
    first: Vec<u8>,
    blocks: Vec<u8>,
    count: u32,
    rows: u64,
    live: u64,
    hash: Sha256,
}

impl SnapshotWriter {
    pub(super) fn new(folder: &Path, store: StoreId, sequence: u64) -> Result<Self, StoreError> {
        let unfinished = folder.join(format!("{sequence:016x}.snap.new"));
        let failed = unavailable(&unfinished);
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&store.0);
        header.extend_from_slice(&sequence.to_be_bytes());
        let mut file =
            BufWriter::with_capacity(256 * 1024, new_file(&unfinished).map_err(&failed)?);
        file.write_all(&header).map_err(&failed)?;
        Ok(Self {
            folder: folder.to_owned(),
            unfinished,
            store,
            sequence,
            file,
            header,
            at: HEADER,
            unsynced: 0,
            block: Vec::with_capacity(2 * BLOCK),
            first: Vec::new(),
            blocks: Vec::new(),
            count: 0,
            rows: 0,
            live: 0,
            hash: Sha256::new(),
        })
    }

    /// The next row, in order of keys. `None`: its value was lost.
    pub(super) fn row(
        &mut self,
        key: &[u8],
        rev: u64,
        value: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        if self.block.is_empty() {
            self.first = key.to_vec();
        }
        self.block.push(u8::from(value.is_none()));
        self.block.extend_from_slice(&rev.to_be_bytes());
        put_part(&mut self.block, key)?;
        put_part(&mut self.block, value.unwrap_or_default())?;
        self.rows += 1;
        let bytes = key.len() + value.map_or(0, <[u8]>::len);
        self.live += u64::try_from(bytes).unwrap_or(0);
        if self.block.len() >= BLOCK {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), StoreError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let failed = unavailable(&self.unfinished);
        let len = u64::try_from(self.block.len()).unwrap_or(u64::MAX);
        self.blocks.extend_from_slice(&self.at.to_be_bytes());
        self.blocks.extend_from_slice(&length(&self.block)?);
        let crc = crc32fast::hash(&self.block);
        self.blocks.extend_from_slice(&crc.to_be_bytes());
        put_part(&mut self.blocks, &self.first)?;
        self.count = self.count.saturating_add(1);
        self.hash.update(&self.block);
        self.file.write_all(&self.block).map_err(&failed)?;
        self.block.clear();
        self.at += len;
        self.unsynced += len;
        if self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            self.file.flush().map_err(&failed)?;
            self.file.get_ref().sync_data().map_err(&failed)?;
        }
        Ok(())
    }

    /// Bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.at
    }

    /// Writes the rest, brings it onto the disk, and opens and checks what is there then.
    pub(super) fn finish(
        mut self,
        small: &[Small],
        pace: impl FnMut(u64) -> bool,
    ) -> Result<Snapshot, StoreError> {
        self.end_block()?;
        let failed = unavailable(&self.unfinished);
        let mut tail = length(small)?.to_vec();
        for entry in small {
            tail.push(entry.tree.number());
            put_part(&mut tail, &entry.key)?;
            put_part(&mut tail, &entry.value)?;
        }
        tail.extend_from_slice(&self.count.to_be_bytes());
        tail.append(&mut self.blocks);
        let mut footer = Vec::new();
        let tail_len = u64::try_from(tail.len()).unwrap_or(u64::MAX);
        for number in [self.rows, self.live, self.at, tail_len] {
            footer.extend_from_slice(&number.to_be_bytes());
        }
        footer.extend_from_slice(&self.hash.finalize_reset());
        let mut hash = Sha256::new();
        hash.update(&self.header);
        hash.update(&tail);
        hash.update(&footer);
        footer.extend_from_slice(&hash.finalize());
        self.file
            .write_all(&tail)
            .and_then(|()| self.file.write_all(&footer))
            .and_then(|()| self.file.flush())
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(&failed)?;
        // Checked under the name that is never opened: what cannot be read back does not become a snapshot.
        let read_back = Snapshot::open(&self.unfinished, self.store).and_then(|made| {
            made.check(pace)
                .map_err(|error| StoreError::from(error).to_string())
        });
        if let Err(what) = read_back {
            return Err(StoreError::Unavailable(format!(
                "{what} just after it was written"
            )));
        }
        let path = self.folder.join(format!("{:016x}.snap", self.sequence));
        std::fs::rename(&self.unfinished, &path).map_err(&failed)?;
        sync_folder(&self.folder)?;
        Snapshot::open(&path, self.store).map_err(StoreError::Unavailable)
    }

    /// Removes what was written.
    pub(super) fn discard(self) {
        let _ = std::fs::remove_file(&self.unfinished);
    }
}

fn length<T>(of: &[T]) -> Result<[u8; 4], StoreError> {
    u32::try_from(of.len())
        .map(u32::to_be_bytes)
        .map_err(|_| StoreError::Refused("a part that is too long for a snapshot"))
}

fn put_part(into: &mut Vec<u8>, part: &[u8]) -> Result<(), StoreError> {
    into.extend_from_slice(&length(part)?);
    into.extend_from_slice(part);
    Ok(())
}
