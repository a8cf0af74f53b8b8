//! Whether a commit or a lease may go through. Pure, and the same for every store.

use std::collections::HashSet;
use std::time::Duration;

use super::{
    COMMIT_MAX, Commit, KEY_MAX, LEASE_MAX, LeaseName, NodeId, OPS_MAX, Op, Pre, StoreError,
    VALUE_MAX, millis,
};
use crate::ids::Rev;

/// What the judge may ask: the revision of a row as of the moment of the commit.
pub(super) trait Revs {
    fn rev(&self, key: &super::Key) -> Result<Option<Rev>, StoreError>;
}

/// Refuses a commit that breaks a limit or whose preconditions do not hold.
pub(super) fn commit(rows: &impl Revs, commit: &Commit) -> Result<(), StoreError> {
    limits(commit)?;
    for pre in &commit.pre {
        let (key, actual, holds) = match pre {
            Pre::Absent(key) => {
                let actual = rows.rev(key)?;
                (key, actual, actual.is_none())
            }
            Pre::At(key, rev) => {
                let actual = rows.rev(key)?;
                (key, actual, actual == Some(*rev))
            }
            Pre::Exists(key) => {
                let actual = rows.rev(key)?;
                (key, actual, actual.is_some())
            }
        };
        if !holds {
            return Err(StoreError::Conflict {
                key: key.clone(),
                actual,
            });
        }
    }
    Ok(())
}

/// Refuses a commit that breaks a limit.
pub(super) fn limits(commit: &Commit) -> Result<(), StoreError> {
    if commit.ops.is_empty() {
        return Err(StoreError::Refused("a commit without operations"));
    }
    if commit.ops.len() > OPS_MAX {
        return Err(StoreError::Refused("too many operations in one commit"));
    }
    let mut seen = HashSet::new();
    let mut bytes = 0;
    for op in &commit.ops {
        if !seen.insert(op.key()) {
            return Err(StoreError::Refused("two operations on one row"));
        }
        if op.key().as_bytes().is_empty() || op.key().as_bytes().len() > KEY_MAX {
            return Err(StoreError::Refused("a key that is empty or too long"));
        }
        if let Op::Put(_, value) = op {
            bytes += value.len();
            if value.len() > VALUE_MAX {
                return Err(StoreError::Refused("a value that is too long"));
            }
        }
    }
    if bytes > COMMIT_MAX {
        return Err(StoreError::Refused("a commit that is too long"));
    }
    Ok(())
}

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) who: String,
    pub(super) token: u64,
    pub(super) until_ms: u64,
}

/// Checks the name, the holder and the time of a lease; gives the time in milliseconds.
pub(super) fn lease_request(
    name: &LeaseName,
    who: &NodeId,
    ttl: Duration,
) -> Result<u64, StoreError> {
    if name.0.is_empty() || name.0.len() > KEY_MAX || who.0.len() > KEY_MAX {
        return Err(StoreError::Refused("a lease's name is empty or too long"));
    }
    if ttl.is_zero() || ttl > LEASE_MAX {
        return Err(StoreError::Refused(
            "a lease must last between a moment and an hour",
        ));
    }
    Ok(millis(ttl))
}

/// When the present holder, if any, stands in the way until.
pub(super) fn held(holder: Option<&Holder>, now_ms: u64) -> Option<u64> {
    holder
        .filter(|holder| now_ms < holder.until_ms)
        .map(|holder| holder.until_ms)
}

/// Whether the lease with `token` is still the holder's, and not yet over.
pub(super) fn still_ours(holder: Option<&Holder>, token: u64, now_ms: u64) -> bool {
    holder.is_some_and(|holder| holder.token == token && now_ms < holder.until_ms)
}
