//! What one can do with a connection: rename, test, pause, resume, disconnect, delete.

use std::time::Instant;

use keyport_manifest::{Means, Test};
use keyport_vault::Expect;

use super::check::{Checked, Subject};
use super::state::{Verdict, verdict_of};
use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::record::{Connection, Seal, Stored};
use crate::use_::scope;
use crate::view::{
    ConnectionState, ConnectionView, Disconnected, KeyScope, Reason, TestReport, TestStep,
};

/// The steps of a test as they happen.
pub(super) struct Steps(Vec<TestStep>);

impl Steps {
    pub(super) fn new() -> Self {
        Steps(Vec::new())
    }

    pub(super) fn done(&mut self, step: &str, since: Instant, say: impl Into<String>) {
        self.push(step, true, since, say.into());
    }

    pub(super) fn failed(&mut self, step: &str, since: Instant, say: impl Into<String>) {
        self.push(step, false, since, say.into());
    }

    fn push(&mut self, step: &str, ok: bool, since: Instant, say: String) {
        let ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.push(TestStep {
            step: step.to_owned(),
            ok,
            say,
            ms,
        });
    }

    pub(super) fn report(
        self,
        error: Option<&ConnectError>,
        connection: ConnectionView,
    ) -> TestReport {
        TestReport {
            ok: error.is_none(),
            steps: self.0,
            account: if error.is_none() {
                connection.account.clone()
            } else {
                None
            },
            error: error.map(|error| Reason {
                code: error.code().to_owned(),
                say: error.to_string(),
            }),
            connection,
        }
    }
}

impl Engine {
    /// Gives a connection another title.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Stale`] when `if_match` is not its etag.
    pub async fn rename(
        &self,
        actor: &Actor,
        id: &str,
        title: &str,
        if_match: Option<&str>,
    ) -> Result<ConnectionView, ConnectError> {
        actor.require_or_session(KeyScope::Manage)?;
        let mut stored = self.connection_at(actor, id, if_match).await?;
        stored.clear.title = self.check_name("title", title)?;
        self.put_clear(actor, stored, "connection.renamed").await
    }

    /// Stops a connection from being used; the sign-in stays.
    ///
    /// # Errors
    ///
    /// When it is not one that is in use.
    pub async fn pause(&self, actor: &Actor, id: &str) -> Result<ConnectionView, ConnectError> {
        actor.require_or_session(KeyScope::Manage)?;
        let mut stored = self.connection_of(actor, id).await?;
        signed_in(&stored)?;
        stored.clear.enabled = false;
        self.put_clear(actor, stored, "connection.paused").await
    }

    /// Lets a paused connection be used again, and tests it.
    ///
    /// # Errors
    ///
    /// When it is not one that is in use.
    pub async fn resume(&self, actor: &Actor, id: &str) -> Result<TestReport, ConnectError> {
        actor.require_or_session(KeyScope::Manage)?;
        let mut stored = self.connection_of(actor, id).await?;
        signed_in(&stored)?;
        if !stored.clear.enabled {
            stored.clear.enabled = true;
            self.put_clear(actor, stored, "connection.resumed").await?;
        }
        self.test(actor, id).await
    }

    /// Tests a connection, step by step: its fields, its token, the app's test request, whose account it is.
    ///
    /// # Errors
    ///
    /// When it cannot be tested at all. A test that ran and failed is a report, not an error.
    pub async fn test(&self, actor: &Actor, id: &str) -> Result<TestReport, ConnectError> {
        actor.require_or_session(KeyScope::Manage)?;
        let stored = self.connection_of(actor, id).await?;
        if stored.clear.state == ConnectionState::Pending {
            return Err(ConnectError::state(
                "pending",
                "this connection does not count yet: complete the session that made it",
            ));
        }
        signed_in(&stored)?;
        let mut steps = Steps::new();
        let result = self.test_steps(stored, &mut steps).await;
        let error = match result {
            Ok(checked) => {
                self.judge(id, &Verdict::Works(checked.account), true)
                    .await?;
                None
            }
            Err(error @ (ConnectError::Unavailable { .. } | ConnectError::Stale)) => {
                return Err(error);
            }
            Err(error) => {
                self.judge(id, &verdict_of(&error), true).await?;
                Some(error)
            }
        };
        let connection = self.view(&self.load(id).await?);
        Ok(steps.report(error.as_ref(), connection))
    }

    async fn test_steps(
        &self,
        stored: Stored<Connection>,
        steps: &mut Steps,
    ) -> Result<Checked, ConnectError> {
        let entry = self.inner.catalogue.get(&stored.clear.app)?;
        let mut since = Instant::now();
        let values = scope::of_connection(stored.sealed()?, None);
        if let Err(error) = scope::api(&entry, &stored.clear.method, &values) {
            steps.failed("fields", since, error.to_string());
            return Err(error);
        }
        steps.done("fields", since, "the account details are complete");

        let mut stored = self.test_token(stored, None, steps).await?;
        let mut retried = false;
        loop {
            since = Instant::now();
            let config = self.config_of(&stored).await?;
            let seen = stored.sealed()?.generation();
            let subject = Subject {
                entry: &entry,
                owner: stored.owner(),
                method: &stored.clear.method,
                sealed: stored.sealed()?,
                account: stored.clear.account.as_ref(),
                config: config.as_ref(),
            };
            match self.check(&subject).await {
                Ok(checked) => {
                    if let Test::None { reason } = entry.manifest.test_for(&stored.clear.method) {
                        steps.done(
                            "request",
                            since,
                            format!("{} cannot be tested: {reason}", entry.manifest.name),
                        );
                    } else {
                        steps.done(
                            "request",
                            since,
                            format!("{} accepted the sign-in", entry.manifest.name),
                        );
                    }
                    if let Some(account) = &checked.account {
                        steps.done("account", since, format!("connected as {}", account.label));
                    }
                    return Ok(checked);
                }
                Err(
                    error @ ConnectError::App {
                        means: Means::NeedsReconnect,
                        ..
                    },
                ) if !retried && seen.is_some() => {
                    // The access token may only be too old: one refresh, then the test again.
                    retried = true;
                    let fresh = self.test_token(stored, seen, steps).await?;
                    if fresh.sealed()?.generation() == seen {
                        steps.failed("request", since, error.to_string());
                        return Err(error);
                    }
                    stored = fresh;
                }
                Err(error) => {
                    steps.failed("request", since, error.to_string());
                    return Err(error);
                }
            }
        }
    }

    /// The step of a test that sees to a fresh token; only told where there is one.
    async fn test_token(
        &self,
        stored: Stored<Connection>,
        stale: Option<u64>,
        steps: &mut Steps,
    ) -> Result<Stored<Connection>, ConnectError> {
        let since = Instant::now();
        let Some(before) = stored.sealed()?.generation() else {
            return Ok(stored);
        };
        match self.fresh(stored, stale).await {
            Ok(fresh) => {
                let renewed = fresh.sealed()?.generation() != Some(before);
                if renewed {
                    steps.done("token", since, "the token was renewed");
                } else if stale.is_none() {
                    steps.done("token", since, "the token is good");
                }
                Ok(fresh)
            }
            Err(error) => {
                steps.failed("token", since, error.to_string());
                Err(error)
            }
        }
    }

    /// Signs an account out: ends the grant at the app, destroys the credentials here, keeps the row.
    ///
    /// # Errors
    ///
    /// When there is nothing to sign out, or it cannot be written down.
    pub async fn disconnect(&self, actor: &Actor, id: &str) -> Result<Disconnected, ConnectError> {
        actor.require_or_session(KeyScope::Manage)?;
        // A refresh under way would bring a token that nobody knows of: it ends first.
        let turn = self.turn(id);
        let _mine = turn.lock().await;
        let stored = self.connection_of(actor, id).await?;
        if stored.clear.state == ConnectionState::Pending {
            return Err(ConnectError::state(
                "pending",
                "this connection does not count yet; it ends by itself",
            ));
        }
        if stored.clear.state == ConnectionState::Disconnected {
            return Err(ConnectError::state(
                "disconnected",
                "this account is disconnected already",
            ));
        }
        self.quiet_subscriptions(&stored).await;
        Box::pin(self.disconnecting(&stored)).await;
        let (revoked, say) = self.revoke(&stored).await;
        let now = self.now();
        let mut stored = stored;
        for _ in 0..8 {
            let clear = &mut stored.clear;
            clear.state = ConnectionState::Disconnected;
            clear.reason = None;
            clear.enabled = true;
            clear.refresh = None;
            clear.refresh_not_before = None;
            clear.refresh_failures = 0;
            clear.failures = 0;
            clear.failing_since = None;
            clear.updated_at = now;
            let note = Note::by(actor, "connection.disconnected")
                .owner(&stored.id.owner)
                .app(&clear.app)
                .connection(id)
                .say(&say);
            let note = self.note(note)?;
            let mut writes =
                self.put_connection(&stored.id, Expect::At(stored.rev), clear, Seal::Destroy)?;
            writes.push(note);
            match self.commit(writes).await {
                Ok(rev) => {
                    stored.rev = rev;
                    stored.sealed = None;
                    self.tell("connection", stored.owner(), id);
                    return Ok(Disconnected {
                        revoked,
                        say,
                        connection: self.view(&stored),
                    });
                }
                // A time of use was written meanwhile; the sign-out still holds.
                Err(ConnectError::Stale) => stored = self.load(id).await?,
                Err(other) => return Err(other),
            }
        }
        Err(ConnectError::Stale)
    }

    /// Removes a connection. What is signed in is signed out first.
    ///
    /// # Errors
    ///
    /// When there is none with this id that this actor may see.
    pub async fn delete(&self, actor: &Actor, id: &str) -> Result<(), ConnectError> {
        actor.require_or_session(KeyScope::Manage)?;
        let stored = self.connection_of(actor, id).await?;
        match stored.clear.state {
            ConnectionState::Disconnected => {}
            ConnectionState::Pending => return self.abandon(stored, "cancelled").await,
            _ => {
                self.disconnect(actor, id).await?;
            }
        }
        self.drop_subscriptions(&stored).await?;
        let mut writes = Self::drop_connection(&stored.id, Expect::Exists, &stored.clear);
        writes.push(
            self.note(
                Note::by(actor, "connection.deleted")
                    .owner(stored.owner())
                    .app(&stored.clear.app)
                    .connection(id),
            )?,
        );
        self.commit(writes).await?;
        self.tell("connection", stored.owner(), id);
        Ok(())
    }

    /// Writes a changed clear part, with its event.
    pub(super) async fn put_clear(
        &self,
        actor: &Actor,
        mut stored: Stored<Connection>,
        kind: &'static str,
    ) -> Result<ConnectionView, ConnectError> {
        stored.clear.updated_at = self.now();
        let note = Note::by(actor, kind)
            .owner(stored.owner())
            .app(&stored.clear.app)
            .connection(stored.id());
        let note = self.note(note)?;
        let mut writes = self.put_connection(
            &stored.id,
            Expect::At(stored.rev),
            &mut stored.clear,
            Seal::Keep,
        )?;
        writes.push(note);
        stored.rev = self.commit(writes).await?;
        self.tell("connection", stored.owner(), stored.id());
        Ok(self.view(&stored))
    }
}

/// Refuses a connection that holds no sign-in.
pub(super) fn signed_in(stored: &Stored<Connection>) -> Result<(), ConnectError> {
    match stored.clear.state {
        ConnectionState::Disconnected => Err(ConnectError::state(
            "disconnected",
            "this account was disconnected; connect it again",
        )),
        ConnectionState::Pending => Err(ConnectError::state(
            "pending",
            "this connection does not count yet",
        )),
        ConnectionState::Connected | ConnectionState::Failing | ConnectionState::NeedsReconnect => {
            Ok(())
        }
    }
}
