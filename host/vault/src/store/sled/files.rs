//! Reading at a place in a file, and the journal's segments that rows still stand in.
//!
//! A read may ask not to wait for the disk ([`Patience::Now`], `preadv2` with `RWF_NOWAIT`): what is in the page cache comes at
//! once, on the caller's own thread; anything else is done again on a thread that may block. Measured (`benches/store.rs`):
//! a blocking thread for each read costs several times what the read does.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

/// Whether a read may wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Fails with `WouldBlock` when the bytes are not in memory.
    Now,
    /// Waits.
    Wait,
}

/// Fills `buffer` from `offset` on.
pub(super) fn read_at(
    file: &File,
    buffer: &mut [u8],
    offset: u64,
    patience: Patience,
) -> io::Result<()> {
    match patience {
        Patience::Now => read_now(file, buffer, offset),
        Patience::Wait => read_waiting(file, buffer, offset),
    }
}

#[cfg(target_os = "linux")]
fn read_now(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    use rustix::io::{ReadWriteFlags, preadv2};
    let wanted = buffer.len();
    let mut into = [io::IoSliceMut::new(buffer)];
    match preadv2(file, &mut into, offset, ReadWriteFlags::NOWAIT) {
        Ok(read) if read == wanted => Ok(()),
        // A part, a file system without the flag, an error: the patient way tells.
        _ => Err(io::ErrorKind::WouldBlock.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn read_now(_: &File, _: &mut [u8], _: u64) -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

#[cfg(unix)]
fn read_waiting(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_waiting(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = buffer.get_mut(read..).unwrap_or_default();
                offset += u64::try_from(read).unwrap_or(0);
            }
        }
    }
    Ok(())
}

/// The journal's segments by their first sequence, open for reading.
#[derive(Default)]
pub(super) struct Segments(RwLock<BTreeMap<u64, Arc<File>>>);

impl Segments {
    pub(super) fn add(&self, first: u64, file: Arc<File>) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(first, file);
    }

    pub(super) fn get(&self, first: u64) -> Option<Arc<File>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&first)
            .cloned()
    }

    pub(super) fn oldest(&self) -> Option<u64> {
        let open = self.0.read().unwrap_or_else(PoisonError::into_inner);
        open.keys().next().copied()
    }

    /// All of them, oldest first.
    pub(super) fn all(&self) -> Vec<(u64, Arc<File>)> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(first, file)| (*first, Arc::clone(file)))
            .collect()
    }

    pub(super) fn remove(&self, first: u64) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&first);
    }
}
