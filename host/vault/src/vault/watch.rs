//! What changed in the store, told as records.

use std::collections::VecDeque;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::ids::{Owner, Rev};
use crate::keys;
use crate::store::Change;

/// A record was written or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its kind, as text.
    pub kind: String,
    /// Whose it is.
    pub owner: Owner,
    /// Its id.
    pub id: String,
    /// The commit.
    pub rev: Rev,
    /// Whether this process made it.
    pub own: bool,
}

/// Changes as they are committed; those of other hosts not always in the order of revisions.
pub struct Watch {
    changes: broadcast::Receiver<Change>,
    pending: VecDeque<Changed>,
}

impl Watch {
    pub(super) fn new(changes: broadcast::Receiver<Change>) -> Self {
        Self {
            changes,
            pending: VecDeque::new(),
        }
    }

    /// The next change; waits for it. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`RecvError::Lagged`]: too slow, or away for too long: read again what matters, then go on.
    /// [`RecvError::Closed`]: the store is gone.
    pub async fn recv(&mut self) -> Result<Changed, RecvError> {
        loop {
            if let Some(changed) = self.pending.pop_front() {
                return Ok(changed);
            }
            let change = self.changes.recv().await?;
            if change.is_gap() {
                return Err(RecvError::Lagged(1));
            }
            self.pending.extend(change.keys.iter().filter_map(|key| {
                let (kind, owner, id) = keys::parse_record(key)?;
                Some(Changed {
                    kind: kind.to_owned(),
                    owner,
                    id,
                    rev: change.rev,
                    own: change.own,
                })
            }));
        }
    }
}
