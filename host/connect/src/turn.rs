//! One caller at a time gets something new for a connection: over all hosts by a lease in the store, in this process by a lock
//! before it, so that a thousand callers do not ask the store for a lease each.
//!
//! Those who waited look at the record as it is now before they do anything: mostly the one before them has done it.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use keyport_vault::LeaseTry;

use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{Connection, Stored};

/// The first pause before a lease that another host holds is asked for again; each next one is twice as long, up to
/// [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(500);

impl Engine {
    /// Does `work` for the connection while nobody else does. `settled` is asked before, and again after each wait, whether the
    /// record as it is now is the answer already. The lease lasts for `patience`, and that is how long another's is waited
    /// for. `None`: another host still holds it then.
    pub(crate) async fn in_turn<W>(
        &self,
        id: &str,
        patience: Duration,
        settled: impl Fn(Stored<Connection>) -> Result<Option<Stored<Connection>>, ConnectError>,
        work: impl FnOnce() -> W,
    ) -> Result<Option<Stored<Connection>>, ConnectError>
    where
        W: Future<Output = Result<Stored<Connection>, ConnectError>>,
    {
        let turn = self.turn(id);
        let _mine = turn.lock().await;
        let (mut pause, mut waited) = (PAUSE, Duration::ZERO);
        loop {
            if let Some(answer) = settled(self.load(id).await?)? {
                return Ok(Some(answer));
            }
            // The name is that of the first use; all that get something new for a connection exclude each other.
            let lease = format!("refresh/{id}");
            match self.inner.vault.lease(&lease, patience).await? {
                LeaseTry::Got(lease) => {
                    let result = work().await;
                    if let Err(error) = self.inner.vault.release(lease).await {
                        tracing::warn!(connection = id, %error, "a connection's lease was not given back and will run out");
                    }
                    return result.map(Some);
                }
                LeaseTry::Held { .. } if waited < patience => {
                    tokio::time::sleep(pause).await;
                    waited += pause;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                LeaseTry::Held { .. } => return Ok(None),
            }
        }
    }

    /// The lock that lets one caller at a time work for this connection.
    pub(crate) fn turn(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        // A map entry is whole at any time, so a panic elsewhere cannot have left it half-written.
        let mut turns = self
            .inner
            .turns
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(id).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        turns.insert(id.to_owned(), Arc::downgrade(&turn));
        turn
    }
}
