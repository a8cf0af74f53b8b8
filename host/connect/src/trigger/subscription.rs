//! Subscribe, list, pause, resume, end.
//!
//! The first look at the app happens while the caller waits: it sets the mark that events are counted from, so nothing that happens
//! after the answer is missed, and what is wrong (a scope, an input) is told at once instead of in a log.

use keyport_manifest::{Trigger, TriggerKind};
use keyport_vault::{Expect, Write};
use serde_json::json;

use super::{DUE, route};
use crate::actor::Actor;
use crate::alive::spread;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::record::{
    self, Connection, Entity as _, Hook, Seal, Stored, Subscription, SubscriptionClear,
    SubscriptionSealed,
};
use crate::session::parse_owner;
use crate::use_::held;
use crate::view::{
    KeyScope, ManualView, NewSubscription, Page, SubscriptionKind, SubscriptionQuery,
    SubscriptionState, SubscriptionView,
};
use crate::{clock, ids};

/// How often an app is asked, in seconds: fewer than its limits allow, and soon enough for people.
const EVERY: u32 = 300;
const EVERY_LEAST: u32 = 60;
const EVERY_MOST: u32 = 86_400;
/// Subscriptions of one connection: a platform that makes one for each automation stays below, a loop does not.
const OF_ONE: usize = 200;

impl Engine {
    /// Subscribes a trigger for a connection. Events that happen from now on are handed on.
    ///
    /// # Errors
    ///
    /// When there is no such trigger, the input does not fit, the connection cannot be used, or the app refuses.
    pub async fn subscribe(
        &self,
        actor: &Actor,
        connection: &str,
        new: NewSubscription,
    ) -> Result<SubscriptionView, ConnectError> {
        actor.require(KeyScope::Actions)?;
        let stored = self.ready(actor, connection, None).await?;
        let entry = self.inner.catalogue.get(&stored.clear.app)?.clone();
        let declared = entry
            .manifest
            .triggers
            .get(&new.trigger)
            .ok_or(ConnectError::not_found("trigger"))?;
        let input = new.input.unwrap_or_else(|| json!({}));
        held::input(&declared.input, &input)?;
        let every = new.every_seconds.unwrap_or(EVERY);
        if !(EVERY_LEAST..=EVERY_MOST).contains(&every) {
            return Err(ConnectError::invalid(
                "every_seconds",
                format!("an app is asked every {EVERY_LEAST} to {EVERY_MOST} seconds"),
            ));
        }
        if self.subscriptions_of(&stored).await?.len() >= OF_ONE {
            return Err(ConnectError::state(
                "too_many_subscriptions",
                format!("this connection has {OF_ONE} subscriptions; end those that nobody needs"),
            ));
        }
        let now = self.now();
        let entropy = self.inner.entropy.as_ref();
        let id = ids::random_id(entropy, Subscription::PREFIX)?;
        let mut clear = SubscriptionClear {
            connection_id: stored.id().to_owned(),
            app: stored.clear.app.clone(),
            trigger: new.trigger.clone(),
            kind: kind(declared.kind),
            state: SubscriptionState::Active,
            reason: None,
            created_at: now,
            updated_at: now,
            every_ms: i64::from(every) * 1000,
            due: None,
            marked: declared.kind.is_webhook(),
            failures: 0,
            last_polled_at: None,
            last_event_at: None,
            events: 0,
            route: None,
        };
        let mut sealed = SubscriptionSealed {
            input,
            cursor: None,
            seen: Vec::new(),
            hook: None,
        };
        let owner = stored.owner().clone();
        if declared.kind.has_own_address() {
            sealed.hook = Some(self.new_hook()?);
        } else if declared.kind == TriggerKind::WebhookApp {
            clear.route = Some(self.route_of(&stored, &entry, declared).await?);
        } else {
            self.mark(stored.clone(), &entry, declared, &mut clear, &mut sealed)
                .await?;
            clear.due = Some(now + clear.every_ms + spread(&id, 0, clear.every_ms / 10));
        }
        let at = record::record_id::<Subscription>(&owner, &id);
        let note = Note::by(actor, "subscription.created")
            .owner(&owner)
            .app(&clear.app)
            .connection(connection)
            .code(&new.trigger);
        let mut writes = DUE.shift(None, clear.due, &id);
        writes.extend(clear.route.iter().map(|to| route::enter(to, &id)));
        writes.push(record::put::<Subscription>(
            &at,
            Expect::Absent,
            &clear,
            Seal::Put(&sealed),
        )?);
        writes.push(self.note(note)?);
        self.commit(writes).await?;
        if declared.kind == TriggerKind::Webhook {
            // The record is there first: the app may call before it has answered.
            if let Err(error) = self.subscribe_there(&id).await {
                self.drop_subscription(actor, &self.load(&id).await?, "subscription.refused")
                    .await?;
                return Err(error);
            }
        }
        self.subscription_view(&self.load(&id).await?)
    }

    /// One subscription.
    ///
    /// # Errors
    ///
    /// When there is none with this id that this actor may see.
    pub async fn subscription(
        &self,
        actor: &Actor,
        id: &str,
    ) -> Result<SubscriptionView, ConnectError> {
        self.subscription_view(&self.subscription_of(actor, id).await?)
    }

    /// Subscriptions, of all owners, of one, or of one connection.
    ///
    /// # Errors
    ///
    /// When the query is not acceptable or the store cannot be read.
    pub async fn subscriptions(
        &self,
        actor: &Actor,
        query: &SubscriptionQuery,
    ) -> Result<Page<SubscriptionView>, ConnectError> {
        actor.require_any(&[KeyScope::Actions, KeyScope::Manage])?;
        let mut owner = query.owner.as_deref().map(parse_owner).transpose()?;
        if let (None, Some(connection)) = (&owner, &query.connection_id) {
            owner = Some(self.connection_of(actor, connection).await?.owner().clone());
        }
        let limit = query.limit.unwrap_or(50).clamp(1, 200);
        let mut items = Vec::new();
        let mut after = query.cursor.clone();
        loop {
            let page = self
                .inner
                .vault
                .list(
                    Subscription::KIND,
                    owner.as_ref(),
                    after.as_deref(),
                    limit - items.len(),
                )
                .await?;
            for head in page.heads {
                let Some(head) = record::read_listed::<Subscription>(head) else {
                    continue;
                };
                let wanted = query.connection_id.as_ref();
                if wanted.is_none_or(|wanted| *wanted == head.clear.connection_id) {
                    // The input is sealed, so each that is shown is opened.
                    items.push(self.subscription_view(&self.load(head.id()).await?)?);
                }
            }
            after = page.next;
            if after.is_none() || items.len() >= limit {
                return Ok(Page {
                    items,
                    next_cursor: after,
                });
            }
        }
    }

    /// Stops a subscription for a while. What happens meanwhile is not handed on.
    ///
    /// # Errors
    ///
    /// When there is none with this id.
    pub async fn pause_subscription(
        &self,
        actor: &Actor,
        id: &str,
    ) -> Result<SubscriptionView, ConnectError> {
        let stored = self.subscription_of(actor, id).await?;
        self.change_subscription(actor, stored, "subscription.paused", |clear, _| {
            clear.state = SubscriptionState::Paused;
            clear.reason = None;
            // What the app has to be told of is told meanwhile; it stays paused.
            if clear.kind == SubscriptionKind::Polling {
                clear.due = None;
            }
        })
        .await
    }

    /// Lets a paused subscription go on, with a new mark: it begins from now.
    ///
    /// # Errors
    ///
    /// When there is none with this id.
    pub async fn resume_subscription(
        &self,
        actor: &Actor,
        id: &str,
    ) -> Result<SubscriptionView, ConnectError> {
        let stored = self.subscription_of(actor, id).await?;
        if stored.clear.state != SubscriptionState::Paused {
            return self.subscription_view(&stored);
        }
        let now = self.now();
        self.change_subscription(actor, stored, "subscription.resumed", |clear, sealed| {
            clear.state = SubscriptionState::Active;
            clear.failures = 0;
            if clear.kind == SubscriptionKind::Polling {
                clear.marked = false;
                sealed.cursor = None;
                clear.due = Some(now);
            }
        })
        .await
    }

    /// Ends a subscription, at the app too where that was told of it.
    ///
    /// # Errors
    ///
    /// When there is none with this id. An app that does not confirm is no error: its calls are refused from now on.
    pub async fn unsubscribe(&self, actor: &Actor, id: &str) -> Result<(), ConnectError> {
        let stored = self.subscription_of(actor, id).await?;
        self.unsubscribe_there(&stored).await;
        self.drop_subscription(actor, &stored, "subscription.ended")
            .await
    }

    /// Before a connection's credentials are destroyed: the app is told to send no more.
    pub(crate) async fn quiet_subscriptions(&self, connection: &Stored<Connection>) {
        let all = match self.subscriptions_of(connection).await {
            Ok(all) => all,
            Err(error) => {
                tracing::warn!(
                    connection = connection.id(),
                    code = error.code(),
                    "an app was not told to send no more events"
                );
                return;
            }
        };
        for head in all {
            let told = matches!(
                head.clear.kind,
                SubscriptionKind::Webhook | SubscriptionKind::WebhookApp
            );
            if !told {
                continue;
            }
            if let Ok(stored) = self.load::<Subscription>(head.id()).await {
                self.unsubscribe_there(&stored).await;
                // Whoever signs in again has it subscribed anew.
                let now = self.now();
                let quiet = self
                    .change_subscription(&Actor::Host, stored, "subscription.waits", |clear, _| {
                        if clear.state != SubscriptionState::Paused {
                            clear.state = SubscriptionState::Failing;
                            clear.reason = Some(super::poll::unusable());
                        }
                        clear.due = Some(now + super::poll::WAIT_MS);
                    })
                    .await;
                if let Err(error) = quiet {
                    tracing::debug!(code = error.code(), "a subscription was not marked");
                }
            }
        }
    }

    /// The writes that remove what a connection has subscribed.
    pub(crate) async fn drop_subscriptions(
        &self,
        connection: &Stored<Connection>,
    ) -> Result<(), ConnectError> {
        for head in self.subscriptions_of(connection).await? {
            self.drop_subscription(&Actor::Host, &head, "subscription.ended")
                .await?;
        }
        Ok(())
    }

    /// What a connection has subscribed, without sealed parts.
    pub(crate) async fn subscriptions_of(
        &self,
        connection: &Stored<Connection>,
    ) -> Result<Vec<Stored<Subscription>>, ConnectError> {
        let mut all = self.heads::<Subscription>(Some(connection.owner())).await?;
        all.retain(|head| head.clear.connection_id == connection.id());
        Ok(all)
    }

    /// The record behind an id, if this actor may see it.
    async fn subscription_of(
        &self,
        actor: &Actor,
        id: &str,
    ) -> Result<Stored<Subscription>, ConnectError> {
        actor.require_any(&[KeyScope::Actions, KeyScope::Manage])?;
        let stored: Stored<Subscription> = self.load(id).await?;
        if !actor.sees(stored.owner()) {
            return Err(ConnectError::not_found(Subscription::WHAT));
        }
        Ok(stored)
    }

    pub(super) async fn drop_subscription(
        &self,
        actor: &Actor,
        stored: &Stored<Subscription>,
        kind: &'static str,
    ) -> Result<(), ConnectError> {
        let mut writes: Vec<Write> = DUE.shift(stored.clear.due, None, stored.id());
        writes.extend(
            stored
                .clear
                .route
                .iter()
                .map(|to| route::strike(to, stored.id())),
        );
        writes.push(record::delete(&stored.id, Expect::Any));
        writes.push(
            self.note(
                Note::by(actor, kind)
                    .owner(stored.owner())
                    .app(&stored.clear.app)
                    .connection(&stored.clear.connection_id)
                    .code(&stored.clear.trigger),
            )?,
        );
        self.commit(writes).await.map(drop)
    }

    /// Changes a subscription, reading again when somebody else was faster.
    pub(super) async fn change_subscription<F>(
        &self,
        actor: &Actor,
        mut stored: Stored<Subscription>,
        kind: &'static str,
        mut change: F,
    ) -> Result<SubscriptionView, ConnectError>
    where
        F: FnMut(&mut SubscriptionClear, &mut SubscriptionSealed) + Send,
    {
        for _ in 0..8 {
            let mut clear = stored.clear.clone();
            let mut sealed = stored.sealed()?.clone();
            change(&mut clear, &mut sealed);
            clear.updated_at = self.now();
            let mut writes = DUE.shift(stored.clear.due, clear.due, stored.id());
            writes.push(record::put::<Subscription>(
                &stored.id,
                Expect::At(stored.rev),
                &clear,
                Seal::Put(&sealed),
            )?);
            writes.push(
                self.note(
                    Note::by(actor, kind)
                        .owner(stored.owner())
                        .app(&clear.app)
                        .connection(&clear.connection_id)
                        .code(&clear.trigger),
                )?,
            );
            match self.commit(writes).await {
                Ok(_) => return self.subscription_view(&self.load(stored.id()).await?),
                Err(ConnectError::Stale) => stored = self.load(stored.id()).await?,
                Err(other) => return Err(other),
            }
        }
        Err(ConnectError::Stale)
    }

    fn subscription_view(
        &self,
        stored: &Stored<Subscription>,
    ) -> Result<SubscriptionView, ConnectError> {
        let clear = &stored.clear;
        let sealed = stored.sealed()?;
        let polled = clear.kind == SubscriptionKind::Polling;
        let manual = match (&sealed.hook, clear.kind) {
            (Some(hook), SubscriptionKind::WebhookManual) => Some(ManualView {
                url: self.hook_url(stored.id(), hook),
                secret: hook.secret.expose().to_owned(),
                say: self
                    .declared(&clear.app, &clear.trigger)
                    .and_then(|trigger| trigger.manual)
                    .unwrap_or_default(),
            }),
            _ => None,
        };
        Ok(SubscriptionView {
            id: stored.id().to_owned(),
            connection_id: clear.connection_id.clone(),
            owner: stored.owner().to_string(),
            app: clear.app.clone(),
            trigger: clear.trigger.clone(),
            kind: clear.kind,
            state: clear.state,
            reason: clear.reason.clone(),
            input: sealed.input.clone(),
            every_seconds: polled.then(|| u32::try_from(clear.every_ms / 1000).unwrap_or(u32::MAX)),
            manual,
            events: clear.events,
            last_polled_at: clear.last_polled_at.map(clock::rfc3339),
            last_event_at: clear.last_event_at.map(clock::rfc3339),
            next_poll_at: clear.due.filter(|_| polled).map(clock::rfc3339),
            created_at: clock::rfc3339(clear.created_at),
        })
    }

    /// The trigger as its manifest has it now.
    pub(super) fn declared(&self, app: &str, trigger: &str) -> Option<Trigger> {
        let entry = self.inner.catalogue.get(app).ok()?;
        entry.manifest.triggers.get(trigger).cloned()
    }

    fn new_hook(&self) -> Result<Hook, ConnectError> {
        let entropy = self.inner.entropy.as_ref();
        Ok(Hook {
            token: crate::hidden::Hidden::new(ids::random_secret(entropy)?.as_str()),
            secret: crate::hidden::Hidden::new(ids::random_secret(entropy)?.as_str()),
            captures: indexmap::IndexMap::new(),
        })
    }

    /// Where the app sends events of this subscription: for it alone.
    pub(super) fn hook_url(&self, id: &str, hook: &Hook) -> String {
        let number = id.strip_prefix(Subscription::PREFIX).unwrap_or_default();
        self.here(&format!("/hooks/{number}.{}", hook.token.expose()))
    }
}

fn kind(kind: TriggerKind) -> SubscriptionKind {
    match kind {
        TriggerKind::Polling => SubscriptionKind::Polling,
        TriggerKind::Webhook => SubscriptionKind::Webhook,
        TriggerKind::WebhookManual => SubscriptionKind::WebhookManual,
        TriggerKind::WebhookApp => SubscriptionKind::WebhookApp,
    }
}
