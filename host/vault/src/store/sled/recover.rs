//! What happens when a store is opened: make it, or bring index and journal together, or refuse.
//!
//! Nothing that contradicts itself is opened, and nothing is made where something was: an operator who restores a
//! backup loses an hour, one whose store came up empty loses every connection.

use super::folder::{Folder, StoreId};
use super::index::Index;
use super::journal::{self, Journal};
use crate::store::StoreError;

/// Opens the index, applies what the journal has, and leaves a journal that goes on.
pub(super) fn recover(
    folder: &Folder,
    cache_bytes: u64,
) -> Result<(Index, Journal, u64), StoreError> {
    let Some(id) = folder.id()? else {
        return make(folder, cache_bytes);
    };
    if !folder.index().join("db").is_file() {
        return Err(missing_index());
    }
    let index = Index::open(&folder.index(), cache_bytes)?;
    if index.id()? != Some(id) {
        return Err(missing_index());
    }
    let recovered = journal::recover(&folder.journal(), id)?.ok_or_else(|| {
        StoreError::Corrupt("the journal is missing; restore the store from a backup".into())
    })?;
    if recovered.torn > 0 {
        tracing::warn!(
            bytes = recovered.torn,
            "the journal ended in the middle of a write that was never acknowledged; left out"
        );
    }
    let mut applied = index.applied()?;
    if applied + 1 < recovered.begins {
        return Err(StoreError::Corrupt(
            "the index has lost writes that are no longer in the journal; restore the store from a backup".into(),
        ));
    }
    // All of it, not only what is above `applied`: whatever sled may have dropped since the last checkpoint is in here.
    for frame in &recovered.frames {
        index.apply(frame)?;
    }
    if let Some(frame) = recovered.frames.last()
        && frame.last > applied
    {
        applied = frame.last;
    }
    if let Some(journal) = Journal::resume(&folder.journal(), id, &recovered)?
        && applied + 1 == recovered.begins
    {
        return Ok((index, journal, applied));
    }
    index.set_applied(applied)?;
    index.checkpoint()?;
    let journal = Journal::begin(&folder.journal(), id, applied + 1)?;
    Ok((index, journal, applied))
}

fn make(folder: &Folder, cache_bytes: u64) -> Result<(Index, Journal, u64), StoreError> {
    let index = Index::open(&folder.index(), cache_bytes)?;
    if index.has_rows()? {
        return Err(StoreError::Corrupt(
            "the folder holds data but its STORE file is missing; restore the store from a backup"
                .into(),
        ));
    }
    let mut id = [0; 16];
    getrandom::fill(&mut id)
        .map_err(|_| StoreError::Unavailable("the operating system gave no random bytes".into()))?;
    let id = StoreId(id);
    index.set_id(id)?;
    let journal = Journal::begin(&folder.journal(), id, 1)?;
    folder.set_id(id)?;
    Ok((index, journal, 0))
}

fn missing_index() -> StoreError {
    StoreError::Corrupt(
        "the index is missing or belongs to another store; restore the store from a backup".into(),
    )
}
