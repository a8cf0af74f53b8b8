//! What is due is done: at most so much at once and for so long, the rest with the next tick.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::login::CHOOSE;
use crate::record::{Connection, Stored};
use crate::token::Need;
use crate::view::{ConnectionState, SweepReport};

/// How many connections are looked at at once. Token requests to one host are fewer (`token::gate`).
const AT_ONCE: usize = 16;
/// How many rows are read at a time.
const PAGE: usize = 128;
/// After this long no more is begun in this tick; what is running ends.
const BUDGET: Duration = Duration::from_secs(60);
/// What could not be done is looked at again after this long, in milliseconds.
const AGAIN_MS: i64 = 60_000;

/// What was done for one connection.
enum Done {
    /// The row was left behind, or somebody has moved it since it was read.
    Stale,
    Nothing,
    Renewed,
    Tested,
    Retried,
    Abandoned,
}

impl Engine {
    /// Does what is due for connections. One trouble does not stop the rest.
    pub(crate) async fn tick(&self, report: &mut SweepReport) -> Result<(), ConnectError> {
        self.fill_due_index().await?;
        self.fill_event_index().await?;
        let begun = Instant::now();
        while begun.elapsed() < BUDGET {
            let rows = self.due_rows(self.now(), PAGE).await?;
            let last = rows.len() < PAGE;
            let mut running = stream::iter(rows)
                .map(|(at, id)| {
                    let engine = self.clone();
                    async move { engine.look_after(at, &id).await }
                })
                .buffer_unordered(AT_ONCE);
            while let Some(done) = running.next().await {
                match done {
                    Done::Stale | Done::Nothing => {}
                    Done::Renewed => report.renewed += 1,
                    Done::Tested => report.tested += 1,
                    Done::Retried => report.retried += 1,
                    Done::Abandoned => report.abandoned += 1,
                }
            }
            if last {
                break;
            }
        }
        Ok(())
    }

    /// Does what is due for one connection and moves its row on.
    async fn look_after(&self, at: i64, id: &str) -> Done {
        let done = match self.do_due(at, id).await {
            Ok(Done::Stale) => return Done::Stale,
            Ok(done) => done,
            Err(error) => {
                tracing::info!(
                    connection = id,
                    code = error.code(),
                    "what was due for a connection was not done; it is tried again"
                );
                Done::Nothing
            }
        };
        if let Err(error) = self.put_off(id, AGAIN_MS).await {
            tracing::warn!(
                connection = id,
                code = error.code(),
                "a row of the due-index was not moved; it is found again"
            );
        }
        done
    }

    async fn do_due(&self, at: i64, id: &str) -> Result<Done, ConnectError> {
        let stored = match self.load::<Connection>(id).await {
            Ok(stored) if stored.clear.due == Some(at) => stored,
            Ok(other) => {
                self.drop_due(at, id, other.clear.due).await?;
                return Ok(Done::Stale);
            }
            Err(ConnectError::NotFound { .. }) => {
                self.drop_due(at, id, None).await?;
                return Ok(Done::Stale);
            }
            Err(other) => return Err(other),
        };
        let now = self.now();
        let timing = self.timing(&stored.clear);
        let past = |due: Option<i64>| due.is_some_and(|at| at <= now);
        match stored.clear.state {
            ConnectionState::Pending if past(timing.due(id, &stored.clear)) => {
                self.pending_due(stored).await
            }
            ConnectionState::Connected | ConnectionState::Failing => {
                // A test renews the token on its way.
                if past(timing.test_due(id, &stored.clear)) {
                    self.test(&Actor::Host, id).await?;
                    return Ok(Done::Tested);
                }
                if past(timing.token_due(id, &stored.clear)) {
                    let before = stored.clear.token_at;
                    let fresh = self.fresh_for(stored, Need::Ahead).await?;
                    if fresh.clear.token_at != before {
                        return Ok(Done::Renewed);
                    }
                }
                Ok(Done::Nothing)
            }
            _ => Ok(Done::Nothing),
        }
    }

    /// A grant that nobody took over ends; a test that could not run is tried again.
    async fn pending_due(&self, stored: Stored<Connection>) -> Result<Done, ConnectError> {
        let now = self.now();
        let clear = &stored.clear;
        if clear.awaiting.is_some() {
            self.abandon(stored, "not_taken_over").await?;
            return Ok(Done::Abandoned);
        }
        if clear.retry_until.is_none_or(|until| now >= until) {
            let asks = clear.reason.as_ref().is_some_and(|it| it.code == CHOOSE);
            let why = if asks { "not_chosen" } else { "provider_down" };
            self.abandon(stored, why).await?;
            return Ok(Done::Abandoned);
        }
        match self.try_pending(stored.id()).await {
            Ok(()) | Err(ConnectError::App { .. }) => Ok(Done::Retried),
            Err(other) => Err(other),
        }
    }
}
