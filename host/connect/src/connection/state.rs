//! Who moves a connection from one state to another, and how that is written down.
//!
//! `pending` → `connected` ⇄ `failing`; `needs_reconnect` when only the person can mend it; `disconnected`. Only the token
//! endpoint's or the test call's verdict yields `needs_reconnect`: a 401 of some request does not, because one resource
//! may refuse what the sign-in as a whole allows. `failing` takes three failures over at least two minutes, so that a
//! hiccup is not shown to anybody; one success ends it.

use keyport_manifest::Means;
use keyport_vault::Expect;

use super::migrate::asks_again;
use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::record::{Connection, ConnectionClear, Seal, Stored};
use crate::view::{AccountView, ConnectionState, Reason};

/// How exact `last_used_at` is: a write per request would wear out the store for nothing.
const USED_STEP_MS: i64 = 60_000;
/// How often a bookkeeping change is tried again when somebody else was faster.
const TRIES: usize = 8;

/// What a call has shown about a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The test call passed.
    Works(Option<AccountView>),
    /// The token endpoint or the test call refused the credentials: only the person can mend it.
    Refused(Reason),
    /// The app cannot be reached or limits calls.
    Down(Reason),
}

/// What an error of the test call means for the connection.
pub(crate) fn verdict_of(error: &ConnectError) -> Verdict {
    let reason = Reason {
        code: error.code().to_owned(),
        say: error.to_string(),
    };
    match error {
        ConnectError::App {
            means: Means::NeedsReconnect | Means::MissingScope,
            ..
        } => Verdict::Refused(reason),
        _ => Verdict::Down(reason),
    }
}

impl Engine {
    /// Changes a connection's clear part, reading again when somebody else was faster. `change` says whether there is
    /// anything to write, and what to note.
    pub(crate) async fn settle<F>(
        &self,
        id: &str,
        mut change: F,
    ) -> Result<Stored<Connection>, ConnectError>
    where
        F: FnMut(&mut ConnectionClear) -> Option<Option<&'static str>> + Send,
    {
        for _ in 0..TRIES {
            let mut stored: Stored<Connection> = self.load(id).await?;
            let mut clear = stored.clear.clone();
            let Some(noted) = change(&mut clear) else {
                return Ok(stored);
            };
            let mut writes =
                self.put_connection(&stored.id, Expect::At(stored.rev), &mut clear, Seal::Keep)?;
            if let Some(kind) = noted {
                let mut note = Note::by(&Actor::Host, kind)
                    .owner(stored.owner())
                    .app(&clear.app)
                    .connection(id);
                if let Some(reason) = &clear.reason {
                    note = note.code(&reason.code).say(&reason.say);
                }
                writes.push(self.note(note)?);
            }
            match self.commit(writes).await {
                Ok(rev) => {
                    stored.rev = rev;
                    stored.clear = clear;
                    if noted.is_some() {
                        self.tell("connection", stored.owner(), id);
                    }
                    return Ok(stored);
                }
                Err(ConnectError::Stale) => {}
                Err(other) => return Err(other),
            }
        }
        Err(ConnectError::Stale)
    }

    /// Writes down what a test call or the token endpoint has shown.
    pub(crate) async fn judge(
        &self,
        id: &str,
        verdict: &Verdict,
        tested: bool,
    ) -> Result<Stored<Connection>, ConnectError> {
        let now = self.now();
        let (after, over) = (
            self.inner.options.failing_after,
            self.inner.options.failing_over,
        );
        let over = i64::try_from(over.as_millis()).unwrap_or(i64::MAX);
        let verdict = verdict.clone();
        self.settle(id, move |clear| {
            if matches!(
                clear.state,
                ConnectionState::Disconnected | ConnectionState::Pending
            ) {
                return None;
            }
            let before = (
                clear.state,
                clear.reason.as_ref().map(|reason| reason.code.clone()),
            );
            if tested {
                clear.last_tested_at = Some(now);
            }
            match &verdict {
                // What a new version of the app asks for is not proven by what the old sign-in can still do.
                Verdict::Works(_)
                    if clear.state == ConnectionState::NeedsReconnect
                        && clear.reason.as_ref().is_some_and(|it| asks_again(&it.code)) => {}
                Verdict::Works(account) => {
                    works(clear);
                    if let Some(account) = account {
                        clear.account = Some(account.clone());
                    }
                }
                Verdict::Refused(reason) => {
                    clear.state = ConnectionState::NeedsReconnect;
                    clear.reason = Some(reason.clone());
                    clear.failures = 0;
                    clear.failing_since = None;
                }
                Verdict::Down(reason) => {
                    clear.failures = clear.failures.saturating_add(1);
                    let since = *clear.failing_since.get_or_insert(now);
                    if clear.state == ConnectionState::Connected
                        && clear.failures >= after
                        && now.saturating_sub(since) >= over
                    {
                        clear.state = ConnectionState::Failing;
                    }
                    if clear.state == ConnectionState::Failing {
                        clear.reason = Some(reason.clone());
                    }
                }
            }
            let after = (
                clear.state,
                clear.reason.as_ref().map(|reason| reason.code.clone()),
            );
            if before == after {
                return Some(None);
            }
            clear.updated_at = now;
            Some(Some(match clear.state {
                ConnectionState::Connected => "connection.recovered",
                ConnectionState::NeedsReconnect => "connection.needs_reconnect",
                _ => "connection.failing",
            }))
        })
        .await
    }

    /// A request in use went well: ends `failing`, and remembers the time to the minute.
    pub(crate) async fn used(&self, stored: &Stored<Connection>) {
        let now = self.now();
        let recent = stored
            .clear
            .last_used_at
            .is_some_and(|last| now.saturating_sub(last) < USED_STEP_MS);
        if recent && stored.clear.failures == 0 && stored.clear.state == ConnectionState::Connected
        {
            return;
        }
        let written = self
            .settle(stored.id(), move |clear| {
                clear.last_used_at = Some(now);
                let failing = clear.state == ConnectionState::Failing;
                if failing {
                    works(clear);
                    clear.updated_at = now;
                }
                clear.failures = 0;
                clear.failing_since = None;
                Some(failing.then_some("connection.recovered"))
            })
            .await;
        if let Err(error) = written {
            tracing::warn!(
                connection = stored.id(),
                code = error.code(),
                "the time of use was not written down"
            );
        }
    }
}

/// Marks a connection as one that works.
pub(crate) fn works(clear: &mut ConnectionClear) {
    clear.state = ConnectionState::Connected;
    clear.reason = None;
    clear.failures = 0;
    clear.failing_since = None;
}
