//! From a fresh sign-in to a connection that counts: tested, handed over, or let go.
//!
//! New credentials are sealed as `pending` before anything else is done with them, so that a crash never leaves a grant
//! that nobody knows of. The test call then decides: a pass goes on; a refusal ends the grant and removes the row; an app
//! that is down keeps it, and the sweep tries again for a while. Signing in again makes a pending row of its own, which
//! takes the old one's place only once it has passed and is the same account.

use keyport_manifest::Means;
use keyport_vault::{Expect, Owner, Write};

use super::check::{Checked, Subject};
use super::first;
use super::scopes::missing_scopes;
use super::state::works;
use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::flow::problem;
use crate::ids;
use crate::login::waits_for_choice;
use crate::record::{
    self, Awaiting, Connection, ConnectionClear, ConnectionSealed, Entity as _, Flow, Seal, Stored,
};
use crate::session::needs_completion;
use crate::view::{ConnectionState, FlowStatus, Problem, Reason};

/// New credentials, not yet tested.
pub(crate) struct Fresh {
    pub(crate) owner: Owner,
    pub(crate) app: String,
    pub(crate) method: String,
    pub(crate) config: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) sealed: ConnectionSealed,
    pub(crate) replaces: Option<String>,
    pub(crate) imported: bool,
}

impl Engine {
    /// Seals new credentials as `pending`, in one commit with their flow. When that cannot be done (the person has
    /// cancelled, the store is away), the grant is ended at once: nobody would know of it.
    pub(crate) async fn keep_pending(
        &self,
        fresh: Fresh,
        flow: Option<&Stored<Flow>>,
    ) -> Result<Stored<Connection>, ConnectError> {
        let entry = self.inner.catalogue.get(&fresh.app)?;
        let id = ids::random_id(self.inner.entropy.as_ref(), Connection::PREFIX)?;
        let now = self.now();
        let clear = ConnectionClear {
            kind: entry.method(&fresh.method)?.kind().to_owned(),
            version: Some(entry.manifest.version.to_string()),
            // Empty until the test call says who it is.
            title: fresh.title.unwrap_or_default(),
            app: fresh.app,
            method: fresh.method,
            state: ConnectionState::Pending,
            enabled: true,
            config: fresh.config,
            imported: fresh.imported,
            created_at: now,
            updated_at: now,
            replaces: fresh.replaces,
            flow: flow.map(|flow| flow.id().to_owned()),
            retry_until: Some(self.after(self.inner.options.pending_retry)),
            missing_scopes: missing_scopes(&fresh.sealed),
            ..ConnectionClear::default()
        };
        let mut stored = Stored::<Connection> {
            id: record::record_id::<Connection>(&fresh.owner, &id),
            rev: keyport_vault::Rev::default(),
            clear,
            sealed: Some(fresh.sealed),
            damaged: false,
        };
        let sealed = stored.sealed()?.clone();
        let mut writes = self.put_connection(
            &stored.id,
            Expect::Absent,
            &mut stored.clear,
            Seal::Put(&sealed),
        )?;
        if let Some(flow) = flow {
            let mut clear = flow.clear.clone();
            clear.status = FlowStatus::Testing;
            clear.connection_id = Some(stored.clear.replaces.clone().unwrap_or(id));
            writes.push(record::put::<Flow>(
                &flow.id,
                Expect::At(flow.rev),
                &clear,
                Seal::Destroy,
            )?);
        }
        match self.commit(writes).await {
            Ok(rev) => {
                stored.rev = rev;
                if let Some(flow) = flow {
                    self.tell("flow", stored.owner(), flow.id());
                }
                Ok(stored)
            }
            Err(error) => {
                if !stored.clear.imported {
                    self.revoke(&stored).await;
                }
                Err(error)
            }
        }
    }

    /// Runs a pending connection's test call and does what follows from it. The error is what the person is told.
    pub(crate) async fn try_pending(&self, id: &str) -> Result<(), ConnectError> {
        let stored: Stored<Connection> = self.load(id).await?;
        if stored.clear.state != ConnectionState::Pending || stored.clear.awaiting.is_some() {
            return Ok(());
        }
        match self.check_pending(stored).await {
            Ok(checked) => self.passed(id, checked).await,
            // The question is in the flow; the answer goes on from there.
            Err(error) if waits_for_choice(&error) => Ok(()),
            Err(error) if may_pass_later(&error) => {
                let now = self.now();
                let reason = Reason {
                    code: error.code().to_owned(),
                    say: error.to_string(),
                };
                let shown = reason.clone();
                let stored = self
                    .settle(id, move |clear| {
                        clear.last_tested_at = Some(now);
                        clear.reason = Some(shown.clone());
                        Some(None)
                    })
                    .await?;
                self.flow_waits(&stored, &reason).await?;
                Err(error)
            }
            Err(error) => {
                let stored: Stored<Connection> = self.load(id).await?;
                // The app may have been withdrawn meanwhile; the grant is let go all the same.
                let error = match self.inner.catalogue.get(&stored.clear.app) {
                    Ok(entry) => first::at_first(error, &entry, &stored.clear.method),
                    Err(_) => error,
                };
                let flow = stored.clear.flow.clone().unwrap_or_default();
                self.let_go(stored, &problem(error.code(), &error.to_string(), &flow))
                    .await?;
                Err(error)
            }
        }
    }

    async fn check_pending(&self, stored: Stored<Connection>) -> Result<Checked, ConnectError> {
        let stored = self.fresh(stored, None).await?;
        let stored = self.discover(stored).await?;
        let entry = self.inner.catalogue.get(&stored.clear.app)?;
        let config = self.config_of(&stored).await?;
        let subject = Subject {
            entry: &entry,
            owner: stored.owner(),
            method: &stored.clear.method,
            sealed: stored.sealed()?,
            account: None,
            config: config.as_ref(),
        };
        let mut checked = self.check(&subject).await?;
        checked.captures = Box::pin(self.connected(&subject, checked.account.as_ref())).await?;
        Ok(checked)
    }

    /// The test call passed: on to what counts.
    async fn passed(&self, id: &str, checked: Checked) -> Result<(), ConnectError> {
        let mut pending: Stored<Connection> = self.load(id).await?;
        let entry = self.inner.catalogue.get(&pending.clear.app)?;
        if let Some(old) = &pending.clear.replaces {
            let old: Stored<Connection> = self.load(old).await?;
            if let (Some(before), Some(now)) = (&old.clear.account, &checked.account)
                && before.id != now.id
            {
                let error = wrong_account(&before.label, &now.label);
                let flow = pending.clear.flow.clone().unwrap_or_default();
                self.let_go(pending, &problem(error.code(), &error.to_string(), &flow))
                    .await?;
                return Err(error);
            }
        }
        let mut sealed = pending.sealed()?.clone();
        sealed.account_extra = checked.extra;
        sealed.capture.extend(checked.captures);
        sealed.hosts = self.agreed_hosts(&entry, &pending.clear.method, &sealed)?;
        pending.clear.last_tested_at = Some(self.now());
        pending.clear.reason = None;
        pending.clear.retry_until = None;
        if pending.clear.title.is_empty() {
            pending.clear.title = checked.account.as_ref().map_or_else(
                || entry.manifest.name.clone(),
                |account| account.label.clone(),
            );
        }
        pending.clear.account = checked.account;

        let flow = match &pending.clear.flow {
            Some(flow) => Some(self.load::<Flow>(flow).await?),
            None => None,
        };
        if flow.as_ref().is_some_and(|flow| flow.clear.status.ended()) {
            // Cancelled while the test ran.
            return self.abandon(pending, "cancelled").await;
        }
        let owner = pending.owner().clone();
        let shown = match &flow {
            Some(flow) if needs_completion(flow.clear.session_kind) => {
                let until = self.after(self.inner.options.completion);
                pending.clear.awaiting = Some(Awaiting {
                    session: flow.clear.session.clone(),
                    until,
                });
                let mut clear = flow.clear.clone();
                clear.status = FlowStatus::AwaitingCompletion;
                clear.connection_id = Some(id.to_owned());
                clear.error = None;
                let mut writes = self.put_connection(
                    &pending.id,
                    Expect::At(pending.rev),
                    &mut pending.clear,
                    Seal::Put(&sealed),
                )?;
                writes.push(record::put::<Flow>(
                    &flow.id,
                    Expect::At(flow.rev),
                    &clear,
                    Seal::Keep,
                )?);
                let offer = self.offer_completion(&flow.clear.session, id, until).await;
                match offer {
                    Ok(offer) => writes.push(offer),
                    // The session was closed while the sign-in ran: nobody is left to take it over.
                    Err(error @ ConnectError::Expired { .. }) => {
                        self.abandon(pending, "cancelled").await?;
                        return Err(error);
                    }
                    Err(other) => return Err(other),
                }
                self.commit(writes).await?;
                id.to_owned()
            }
            _ => {
                pending.sealed = Some(sealed);
                let (final_id, writes) = self.promotion(&Actor::Host, &pending).await?;
                self.commit(writes).await?;
                final_id
            }
        };
        if let Some(flow) = &flow {
            self.tell("flow", &owner, flow.id());
        }
        self.tell("connection", &owner, &shown);
        Ok(())
    }

    /// The writes that make a tested, pending connection count, and the id that it counts under. Nothing for one that
    /// counts already.
    pub(crate) async fn promotion(
        &self,
        actor: &Actor,
        pending: &Stored<Connection>,
    ) -> Result<(String, Vec<Write>), ConnectError> {
        if pending.clear.state != ConnectionState::Pending {
            return Ok((pending.id().to_owned(), Vec::new()));
        }
        let now = self.now();
        let mut clear = pending.clear.clone();
        works(&mut clear);
        clear.updated_at = now;
        clear.awaiting = None;
        clear.flow = None;
        clear.retry_until = None;
        let mut writes = Vec::new();
        let (id, kind) = match clear.replaces.take() {
            None => {
                writes.extend(self.put_connection(
                    &pending.id,
                    Expect::At(pending.rev),
                    &mut clear,
                    Seal::Put(pending.sealed()?),
                )?);
                (
                    pending.id().to_owned(),
                    if clear.imported {
                        "connection.imported"
                    } else {
                        "connection.connected"
                    },
                )
            }
            Some(old) => {
                let old: Stored<Connection> = self.load(&old).await?;
                // What the app says of whose it is may be another thing now.
                self.reroute_soon(&old).await;
                clear.title = if old.clear.title.is_empty() {
                    clear.title
                } else {
                    old.clear.title.clone()
                };
                clear.account = clear.account.or_else(|| old.clear.account.clone());
                clear.created_at = old.clear.created_at;
                clear.last_used_at = old.clear.last_used_at;
                clear.due = old.clear.due;
                writes.extend(self.put_connection(
                    &old.id,
                    Expect::At(old.rev),
                    &mut clear,
                    Seal::Put(pending.sealed()?),
                )?);
                writes.extend(Self::drop_connection(
                    &pending.id,
                    Expect::At(pending.rev),
                    &pending.clear,
                ));
                (old.id().to_owned(), "connection.reconnected")
            }
        };
        if let Some(flow) = &pending.clear.flow
            && let Ok(flow) = self.load::<Flow>(flow).await
            && !flow.clear.status.ended()
        {
            let mut done = flow.clear.clone();
            done.status = FlowStatus::Connected;
            done.connection_id = Some(id.clone());
            done.error = None;
            writes.push(record::put::<Flow>(
                &flow.id,
                Expect::At(flow.rev),
                &done,
                Seal::Destroy,
            )?);
        }
        writes.push(
            self.note(
                Note::by(actor, kind)
                    .owner(pending.owner())
                    .app(&clear.app)
                    .connection(&id),
            )?,
        );
        Ok((id, writes))
    }

    /// Lets a pending connection go: the grant is ended at the app, the row removed, the flow told. Does nothing to one
    /// that counts.
    pub(crate) async fn abandon(
        &self,
        pending: Stored<Connection>,
        code: &str,
    ) -> Result<(), ConnectError> {
        let say = match code {
            "cancelled" => "you stopped this sign-in",
            "wrong_owner" => {
                "this account was connected for somebody else than who is signed in; it was let go again"
            }
            "not_taken_over" => {
                "the page that asked for this account did not take it over in time; connect it again"
            }
            "not_chosen" => "nobody chose what this connection is for; connect it again",
            _ => "the app could not be reached for its test; connect it again later",
        };
        let flow = pending.clear.flow.clone().unwrap_or_default();
        self.let_go(pending, &problem(code, say, &flow)).await
    }

    async fn let_go(&self, pending: Stored<Connection>, why: &Problem) -> Result<(), ConnectError> {
        if pending.clear.state != ConnectionState::Pending {
            return Ok(());
        }
        // An imported grant is the customer's own and goes on elsewhere.
        if !pending.clear.imported {
            // One that has passed its test has been told to its component.
            if pending.clear.account.is_some() {
                Box::pin(self.disconnecting(&pending)).await;
            }
            self.revoke(&pending).await;
        }
        let mut writes = Self::drop_connection(&pending.id, Expect::Exists, &pending.clear);
        writes.push(
            self.note(
                Note::by(&Actor::Host, "connection.abandoned")
                    .owner(pending.owner())
                    .app(&pending.clear.app)
                    .connection(pending.id())
                    .code(&why.code)
                    .say(&why.say),
            )?,
        );
        if let Some(flow) = &pending.clear.flow
            && let Ok(flow) = self.load::<Flow>(flow).await
            && !flow.clear.status.ended()
        {
            let mut failed = flow.clear.clone();
            failed.connection_id = None;
            let flow = Stored {
                clear: failed,
                ..flow
            };
            writes.push(self.fail_flow(&flow, why)?);
        }
        self.commit(writes).await?;
        if let Some(flow) = &pending.clear.flow {
            self.tell("flow", pending.owner(), flow);
        }
        self.tell("connection", pending.owner(), pending.id());
        Ok(())
    }

    /// Tells the flow of a pending connection what it waits for.
    async fn flow_waits(
        &self,
        pending: &Stored<Connection>,
        reason: &Reason,
    ) -> Result<(), ConnectError> {
        let Some(flow) = &pending.clear.flow else {
            return Ok(());
        };
        let flow: Stored<Flow> = self.load(flow).await?;
        let waits = Some(problem(&reason.code, &reason.say, flow.id()));
        if flow.clear.status != FlowStatus::Testing || flow.clear.error == waits {
            return Ok(());
        }
        let mut clear = flow.clear.clone();
        clear.error = waits;
        self.commit(vec![record::put::<Flow>(
            &flow.id,
            Expect::At(flow.rev),
            &clear,
            Seal::Keep,
        )?])
        .await?;
        self.tell("flow", pending.owner(), flow.id());
        Ok(())
    }
}

/// Whether the same test may pass later without anybody doing anything.
pub(crate) fn may_pass_later(error: &ConnectError) -> bool {
    match error {
        ConnectError::App { means, .. } => {
            matches!(means, Means::ProviderDown | Means::RateLimited)
        }
        ConnectError::Unavailable { .. } | ConnectError::Stale => true,
        _ => false,
    }
}

pub(crate) fn wrong_account(before: &str, now: &str) -> ConnectError {
    ConnectError::state(
        "wrong_account",
        format!(
            "this connection is for {before}, but you signed in as {now}; sign in as {before}, or add another connection"
        ),
    )
}
