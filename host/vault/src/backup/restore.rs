//! Into an empty store, resumable: what was written stands under a mark until the last commit takes the mark away and puts the
//! keyring in. A host does not open a store with the mark, so nobody ever serves half a restore.
//!
//! Revisions of the new store begin above the backup's ([`Store::raise_rev`]), so that generations of records go on where they were.
//! `s/floor` says when the restore was: tokens that are older may have been renewed by whoever ran on after the backup.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::read::Backup;
use super::write::rekeyed;
use crate::error::VaultError;
use crate::ids::Rev;
use crate::keys;
use crate::root_key::RootKey;
use crate::store::{Commit, CommitId, Key, Op, Pre, Store, StoreError};
use crate::vault::floor_row;

/// Rows and bytes in one commit.
const ROWS: usize = 256;
const BYTES: usize = 4 * 1024 * 1024;

/// A restore that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Rows that were written.
    pub written: u64,
    /// Rows that an earlier attempt had written already.
    pub found: u64,
}

/// The row `s/restoring`.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Mark {
    backup: String,
}

/// Writes a backup into an empty store, or goes on with one that was interrupted. With `root`, the keyring is sealed
/// under that key instead of the backup's own: an import.
///
/// # Errors
/// [`VaultError::NotEmpty`], and the store's. Nothing is written to a store that holds anything else.
pub async fn restore(
    backup: &Backup,
    store: &dyn Store,
    root: Option<&RootKey>,
    now_ms: u64,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Restored, VaultError> {
    let mark = Mark {
        backup: backup
            .hash
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    };
    begin(store, &mark).await?;
    // Revisions in the backup count on over earlier restores already.
    store.raise_rev(Rev(backup.trailer().revision)).await?;
    let total = backup.trailer().rows;
    let mut restored = Restored {
        written: 0,
        found: 0,
    };
    let mut rows = backup.iter()?;
    let (mut batch, mut bytes) = (Vec::new(), 0);
    loop {
        let next = rows.next()?;
        let last = next.is_none();
        if let Some((key, _, value)) = next
            && !key.starts_with(b"s/")
        {
            bytes += value.len();
            batch.push((Key::from(key.as_slice()), value));
        }
        if last || batch.len() >= ROWS || bytes >= BYTES {
            let count = batch.len() as u64;
            let written = put(store, std::mem::take(&mut batch)).await?;
            bytes = 0;
            restored.written += written;
            restored.found += count - written;
            progress(restored.written + restored.found, total);
        }
        if last {
            break;
        }
    }
    end(backup, store, root, now_ms).await?;
    Ok(restored)
}

async fn begin(store: &dyn Store, mark: &Mark) -> Result<(), VaultError> {
    let at = keys::restoring();
    if let Some(rec) = store.get(&at).await? {
        let there: Option<Mark> = serde_json::from_slice(&rec.value).ok();
        return match there.as_ref() == Some(mark) {
            true => Ok(()),
            false => Err(VaultError::RestoreUnfinished),
        };
    }
    if !store.scan(b"", None, 1).await?.is_empty() {
        return Err(VaultError::NotEmpty);
    }
    let row = serde_json::to_vec(mark).map_err(|_| VaultError::Sealing)?;
    let commit = Commit {
        id: CommitId::random()?,
        pre: vec![Pre::Absent(at.clone()), Pre::Absent(keys::keyring())],
        ops: vec![Op::Put(at, Bytes::from(row))],
    };
    match store.commit(commit).await {
        Ok(_) => Ok(()),
        Err(StoreError::Conflict { .. }) => Err(VaultError::NotEmpty),
        Err(error) => Err(error.into()),
    }
}

/// Writes what is not there already; gives how many rows that was.
async fn put(store: &dyn Store, batch: Vec<(Key, Bytes)>) -> Result<u64, VaultError> {
    let names: Vec<Key> = batch.iter().map(|(key, _)| key.clone()).collect();
    let there = store.get_many(&names).await?;
    let ops: Vec<Op> = batch
        .into_iter()
        .zip(there)
        .filter(|((_, value), there)| there.as_ref().is_none_or(|there| there.value != *value))
        .map(|((key, value), _)| Op::Put(key, value))
        .collect();
    let count = ops.len() as u64;
    if count > 0 {
        let commit = Commit {
            id: CommitId::random()?,
            pre: vec![Pre::Exists(keys::restoring())],
            ops,
        };
        store.commit(commit).await?;
    }
    Ok(count)
}

async fn end(
    backup: &Backup,
    store: &dyn Store,
    root: Option<&RootKey>,
    now_ms: u64,
) -> Result<(), VaultError> {
    let mut own = backup.own.clone();
    if let Some(root) = root {
        for (key, value) in rekeyed(&backup.keyring, root)? {
            own.insert(key.as_bytes().to_vec(), value);
        }
        own.remove(keys::next_keyring().as_bytes());
        own.remove(keys::next_check().as_bytes());
    }
    let row = floor_row(&backup.row_mac, 0, now_ms.max(1));
    own.insert(keys::floor().as_bytes().to_vec(), row);
    let mut ops: Vec<Op> = own
        .into_iter()
        .map(|(key, value)| Op::Put(Key::from(key.as_slice()), value))
        .collect();
    ops.push(Op::Del(keys::restoring()));
    let commit = Commit {
        id: CommitId::random()?,
        pre: vec![Pre::Exists(keys::restoring())],
        ops,
    };
    store.commit(commit).await?;
    Ok(())
}
