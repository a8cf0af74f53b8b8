//! Copying a store into another, of whatever kind: to move from one machine to a shared database, or back.
//!
//! Rows are copied as they are, sealed; no key is needed. The source is read twice: once to count it and take its digest,
//! once to copy. Beside each batch stands, in the same commit, how far the copy is, so an interrupted copy goes on from
//! there; at the end the target is read back and compared. Until then the target carries the row `s/restoring`, at which no
//! host starts: half a store is never served.
//!
//! Revisions are not copied (they are the store's own), but the target's begin above the source's, so that a revision that
//! somebody still holds never means something else. Leases and the latest commits' ids are of the moment and stay behind.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

use super::{Commit, CommitId, Key, Op, Pre, Rec, Store, StoreError};
use crate::ids::Rev;

/// The most rows and bytes in one batch.
const BATCH_ROWS: u32 = 400;
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// How often a lost reply is asked after.
const SETTLE_TRIES: u32 = 10;

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copying {
    /// The source is being counted.
    Counting {
        /// Rows so far.
        rows: u64,
    },
    /// Rows are being written.
    Writing {
        /// Rows that are there.
        rows: u64,
        /// All rows.
        of: u64,
    },
    /// The target is being read back.
    Comparing {
        /// Rows so far.
        rows: u64,
        /// All rows.
        of: u64,
    },
}

/// A finished copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// How many rows both have.
    pub rows: u64,
    /// SHA-256 over all of them, hexadecimal.
    pub digest: String,
    /// Whether an earlier, interrupted copy was gone on with.
    pub resumed: bool,
}

/// What stands in the target while it is being filled.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Marker {
    copy: u8,
    rows: u64,
    digest: String,
    done: u64,
    /// The last key that was copied, base64.
    after: Option<String>,
}

/// Copies all rows of `from` into the empty `to`, or goes on with a copy of the same rows. `from` must not be in use.
///
/// # Errors
/// [`StoreError::Setup`] when the source holds nothing or changed meanwhile, or the target holds anything but the beginning
/// of this very copy; otherwise the stores'.
pub async fn copy(
    from: &dyn Store,
    to: &dyn Store,
    tell: &mut (dyn FnMut(Copying) + Send),
) -> Result<Copied, StoreError> {
    if from.get(&marker_key()).await?.is_some() {
        return Err(setup(
            "the source is itself the unfinished target of a copy or a restore; finish that first",
        ));
    }
    let last = from.last_rev().await?;
    let (rows, digest) = read(from, &mut |rows| tell(Copying::Counting { rows })).await?;
    if rows == 0 {
        return Err(setup("the source is empty; there is nothing to copy"));
    }
    let Some((mut marker, mut rev, resumed)) = begin(to, rows, &digest, tell).await? else {
        return Ok(Copied {
            rows,
            digest,
            resumed: true,
        });
    };
    to.raise_rev(last).await?;
    let mut after = match &marker.after {
        Some(after) => Some(read_after(after)?),
        None => None,
    };
    loop {
        tell(Copying::Writing {
            rows: marker.done,
            of: rows,
        });
        let batch = batch(from, after.as_ref()).await?;
        let Some((key, _)) = batch.last() else {
            break;
        };
        after = Some(key.clone());
        marker.after = after
            .as_ref()
            .map(|key| URL_SAFE_NO_PAD.encode(key.as_bytes()));
        marker.done += u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let mut ops: Vec<Op> = batch
            .into_iter()
            .map(|(key, rec)| Op::Put(key, rec.value))
            .collect();
        ops.push(marker.row()?);
        rev = write(to, Pre::At(marker_key(), rev), ops).await?;
    }
    let (there, same) = read(to, &mut |done| {
        tell(Copying::Comparing {
            rows: done,
            of: rows,
        });
    })
    .await?;
    if from.last_rev().await? != last {
        return Err(setup(
            "the source was changed while it was copied; stop all hosts that use it and run the same command again",
        ));
    }
    if (there, &same) != (rows, &digest) {
        return Err(StoreError::Corrupt(format!(
            "the copy differs from the source ({there} of {rows} rows); empty the target and run the same command again"
        )));
    }
    write(to, Pre::At(marker_key(), rev), vec![Op::Del(marker_key())]).await?;
    Ok(Copied {
        rows,
        digest,
        resumed,
    })
}

/// The marker of a new copy, or of one that is to go on. `None`: it is done, and was interrupted when it said so.
async fn begin(
    to: &dyn Store,
    rows: u64,
    digest: &str,
    tell: &mut (dyn FnMut(Copying) + Send),
) -> Result<Option<(Marker, Rev, bool)>, StoreError> {
    let fresh = Marker {
        copy: 1,
        rows,
        digest: digest.to_owned(),
        done: 0,
        after: None,
    };
    let Some(found) = to.get(&marker_key()).await? else {
        if to.scan(b"", None, 1).await?.is_empty() {
            let rev = write(to, Pre::Absent(marker_key()), vec![fresh.row()?]).await?;
            return Ok(Some((fresh, rev, false)));
        }
        let mut tell = |done| {
            tell(Copying::Comparing {
                rows: done,
                of: rows,
            });
        };
        if read(to, &mut tell).await? == (rows, digest.to_owned()) {
            return Ok(None);
        }
        return Err(setup(
            "the target is not empty; copy into a new folder or a new database",
        ));
    };
    let Some(marker) = serde_json::from_slice::<Marker>(&found.value)
        .ok()
        .filter(|marker| marker.copy == 1)
    else {
        return Err(setup(
            "the target holds an unfinished restore; finish it, or copy into a new folder or a new database",
        ));
    };
    if marker.rows == rows && marker.digest == digest {
        return Ok(Some((marker, found.rev, true)));
    }
    Err(setup(
        "the target holds the beginning of a copy of something else, or the source has changed since; empty the target \
         (a new folder, a new database) and run the same command again",
    ))
}

impl Marker {
    fn row(&self) -> Result<Op, StoreError> {
        let text = serde_json::to_vec(self)
            .map_err(|_| StoreError::Refused("the mark of a copy cannot be written"))?;
        Ok(Op::Put(marker_key(), text.into()))
    }
}

fn marker_key() -> Key {
    Key::from("s/restoring")
}

fn read_after(text: &str) -> Result<Key, StoreError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| {
        StoreError::Corrupt(
            "the target's mark of how far the copy was is damaged; empty the target".into(),
        )
    })?;
    Ok(Key::from(bytes.as_slice()))
}

async fn batch(from: &dyn Store, after: Option<&Key>) -> Result<Vec<(Key, Rec)>, StoreError> {
    let rows = from.scan(b"", after, BATCH_ROWS).await?;
    let mut bytes = 0;
    let fits = rows
        .iter()
        .take_while(|(key, rec)| {
            let before = bytes;
            bytes += key.as_bytes().len() + rec.value.len();
            before < BATCH_BYTES
        })
        .count();
    Ok(rows.into_iter().take(fits).collect())
}

/// Counts all rows but the marker and takes their digest: SHA-256 over `u32 length ‖ key ‖ u32 length ‖ value`, in order.
async fn read(
    store: &dyn Store,
    tell: &mut (dyn FnMut(u64) + Send),
) -> Result<(u64, String), StoreError> {
    let (mut rows, mut digest, mut after) = (0, Sha256::new(), None);
    loop {
        tell(rows);
        let batch = batch(store, after.as_ref()).await?;
        let Some((last, _)) = batch.last() else {
            let digest = digest.finalize();
            return Ok((
                rows,
                digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            ));
        };
        after = Some(last.clone());
        for (key, rec) in &batch {
            if *key == marker_key() {
                continue;
            }
            rows += 1;
            for part in [key.as_bytes(), &rec.value] {
                digest.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
                digest.update(part);
            }
        }
    }
}

/// Commits, and settles a lost reply.
async fn write(to: &dyn Store, pre: Pre, ops: Vec<Op>) -> Result<Rev, StoreError> {
    for _ in 0..SETTLE_TRIES {
        let commit = Commit {
            id: CommitId::random()?,
            pre: vec![pre.clone()],
            ops: ops.clone(),
        };
        let id = commit.id;
        match to.commit(commit).await {
            Ok(done) => return Ok(done.rev),
            Err(StoreError::Conflict { .. }) => {
                return Err(setup(
                    "another copy into the same target is under way; let it finish",
                ));
            }
            Err(StoreError::Unknown(_)) => {}
            Err(error) => return Err(error),
        }
        let mut pause = Duration::from_millis(20);
        for _ in 0..SETTLE_TRIES {
            match to.outcome(&id).await {
                Ok(Some(done)) => return Ok(done.rev),
                Ok(None) => break,
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
    Err(StoreError::Unavailable(
        "the target keeps losing replies; run the same command again".into(),
    ))
}

fn setup(text: &str) -> StoreError {
    StoreError::Setup(text.to_owned())
}
