//! A session that has ended is begun again, by one caller at a time over all hosts.
//!
//! Unlike a refresh token, a password can be used twice, so nothing has to be durable before the log-in. But an app may end
//! the older session when a newer one begins, and may lock an account that logs in too often: so one logs in, the others
//! wait for what it got, and a refusal ends it until the person has mended it.

use std::time::Duration;

use keyport_manifest::{AuthMethod, Means};
use keyport_vault::Expect;

use crate::actor::Actor;
use crate::connection::verdict_of;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::flow::fields;
use crate::record::{Connection, ConnectionSealed, Seal, Stored};
use crate::view::ConnectionState;

/// How much longer than its requests a log-in may hold its turn: time to write the answer down.
const MARGIN: Duration = Duration::from_secs(15);
/// How long an app is left alone after its log-in could not be reached.
const BACK_OFF_MS: i64 = 30_000;
/// How long before its end a session is begun again: a minute, or a quarter of its life where that is less.
const AHEAD_MS: i64 = 60_000;

impl Engine {
    /// The connection with a session that is good for use, for ways to sign in that have sessions; any other as it is.
    /// `stale` is the generation that the app has just refused.
    pub(crate) async fn fresh_session(
        &self,
        stored: Stored<Connection>,
        stale: Option<u64>,
    ) -> Result<Stored<Connection>, ConnectError> {
        if !self.session_is_due(&stored, stale)? {
            return Ok(stored);
        }
        let (engine, id) = (self.clone(), stored.id().to_owned());
        // In a task of its own: a caller that goes away does not take the answer with it.
        match tokio::spawn(async move { engine.begin_again(&id, stale).await }).await {
            Ok(Ok(fresh)) => Ok(fresh),
            Ok(Err(error)) => {
                let alive = stored.sealed()?.session.as_ref().is_some_and(|life| {
                    stale != Some(life.generation)
                        && life.expires_at.is_none_or(|at| self.now() < at)
                });
                // A session that still lives is used while the app's log-in is away.
                if alive && may_wait(&error) {
                    return Ok(stored);
                }
                Err(error)
            }
            Err(_) => Err(ConnectError::internal(
                "log_in_failed",
                "signing in failed on this host; try again",
            )),
        }
    }

    fn session_is_due(
        &self,
        stored: &Stored<Connection>,
        stale: Option<u64>,
    ) -> Result<bool, ConnectError> {
        let entry = self.inner.catalogue.get(&stored.clear.app)?;
        if !matches!(entry.method(&stored.clear.method)?, AuthMethod::Session(_)) {
            return Ok(false);
        }
        Ok(match &stored.sealed()?.session {
            None => true,
            Some(life) if stale == Some(life.generation) => true,
            Some(life) => life.expires_at.is_some_and(|at| {
                let ahead = (at.saturating_sub(life.obtained_at).max(0) / 4).min(AHEAD_MS);
                at.saturating_sub(self.now()) <= ahead
            }),
        })
    }

    async fn begin_again(
        &self,
        id: &str,
        stale: Option<u64>,
    ) -> Result<Stored<Connection>, ConnectError> {
        let patience = self.inner.options.token_request + MARGIN;
        let settled = |stored: Stored<Connection>| {
            // Somebody else may have logged in while this one waited.
            if stored.clear.state == ConnectionState::Disconnected
                || !self.session_is_due(&stored, stale)?
            {
                return Ok(Some(stored));
            }
            match stored
                .clear
                .refresh_not_before
                .filter(|at| self.now() < *at)
            {
                Some(at) => Err(away(u64::try_from(at.saturating_sub(self.now())).ok())),
                None => Ok(None),
            }
        };
        self.in_turn(id, patience, settled, || self.log_in_leased(id, stale))
            .await?
            .ok_or_else(|| away(None))
    }

    async fn log_in_leased(
        &self,
        id: &str,
        stale: Option<u64>,
    ) -> Result<Stored<Connection>, ConnectError> {
        let stored: Stored<Connection> = self.load(id).await?;
        if !self.session_is_due(&stored, stale)? {
            return Ok(stored);
        }
        let entry = self.inner.catalogue.get(&stored.clear.app)?;
        let AuthMethod::Session(session) = entry.method(&stored.clear.method)? else {
            return Ok(stored);
        };
        let mut sealed = stored.sealed()?.clone();
        match self
            .log_in(
                &entry,
                stored.owner(),
                &stored.clear.method,
                session,
                &mut sealed,
            )
            .await
        {
            Ok(()) => self.keep_session(stored, sealed).await,
            Err(error) => {
                let wait = match &error {
                    ConnectError::App { retry_after_ms, .. } => *retry_after_ms,
                    _ => None,
                };
                let wait = wait
                    .and_then(|ms| i64::try_from(ms).ok())
                    .unwrap_or(0)
                    .clamp(BACK_OFF_MS, 3_600_000);
                let not_before = self.now().saturating_add(wait);
                if may_wait(&error) {
                    self.settle(id, move |clear| {
                        clear.refresh_not_before = Some(not_before);
                        Some(None)
                    })
                    .await?;
                }
                self.judge(id, &verdict_of(&error), false).await?;
                Err(error)
            }
        }
    }

    /// Writes a new session down. The connection may have been changed meanwhile, but its details may not: a session that was
    /// begun with another password is not kept.
    async fn keep_session(
        &self,
        mut stored: Stored<Connection>,
        got: ConnectionSealed,
    ) -> Result<Stored<Connection>, ConnectError> {
        let used = stored.sealed()?.clone();
        for _ in 0..8 {
            let mut sealed = stored.sealed()?.clone();
            if !same_details(&sealed, &used) {
                return Ok(stored);
            }
            sealed.capture.clone_from(&got.capture);
            sealed.session.clone_from(&got.session);
            stored.clear.refresh_not_before = None;
            let mut writes = self.put_connection(
                &stored.id,
                Expect::At(stored.rev),
                &mut stored.clear,
                Seal::Put(&sealed),
            )?;
            writes.push(
                self.note(
                    Note::by(&Actor::Host, "session.begun")
                        .owner(stored.owner())
                        .app(&stored.clear.app)
                        .connection(stored.id()),
                )?,
            );
            match self.commit(writes).await {
                Ok(rev) => {
                    stored.rev = rev;
                    stored.sealed = Some(sealed);
                    return Ok(stored);
                }
                Err(ConnectError::Stale) => stored = self.load(stored.id()).await?,
                Err(other) => return Err(other),
            }
        }
        Err(ConnectError::Stale)
    }
}

fn same_details(a: &ConnectionSealed, b: &ConnectionSealed) -> bool {
    fields::same(&a.fields, &b.fields) && fields::same(&a.credentials, &b.credentials)
}

fn may_wait(error: &ConnectError) -> bool {
    matches!(
        error,
        ConnectError::App {
            means: Means::ProviderDown | Means::RateLimited,
            ..
        }
    )
}

fn away(retry_after_ms: Option<u64>) -> ConnectError {
    ConnectError::App {
        means: Means::ProviderDown,
        code: "provider_down".into(),
        say: "the app's log-in cannot be reached at the moment; try again later".into(),
        retry_after_ms,
    }
}
