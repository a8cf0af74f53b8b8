//! What an app sends to one address for all connections (Slack's events): is it the app's, and whom is it about?
//!
//! The address belongs to an app configuration, as the callback's does, and nobody has to guess it. So a call counts only if the app
//! signed it with the secret that the operator entered in that configuration (A31), handshakes included, and it reaches the
//! connections that were made with this configuration, whose own account the app names (A32):
//!
//! | who | is not told, because |
//! |---|---|
//! | an owner of another team | what tells teams apart is kept from the app's own answers, and compared anew at each call |
//! | a connection of another configuration or app | the secret is another, and routes belong to a configuration |
//! | who pasted a token of an app of their own in the same team | only a sign-in with this configuration's client counts |
//! | who was not granted the scopes that the trigger names | they could not read it at the app either |
//! | who was signed out, paused or refused | the connection's state is read at each call |
//!
//! Which subscriptions a call could be about, [`super::route`] finds. What a row says there is never believed: the subscription and its
//! connection are looked at again.
//!
//! An app waits for seconds only (Slack: three). Events are written for several subscriptions at once; what takes longer goes on while
//! the app is told to send again, and an event that was handed on is known by its key then.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use keyport_manifest::{
    AppWebhook, Scope, TriggerKind, challenged, hook_is_wanted, hook_tenant, verify_hook,
};
use serde_json::json;

use super::incoming::{HookAnswer, HookCall};
use super::route;
use crate::catalogue::AppEntry;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{Configuration, Connection, Entity as _, Stored, Subscription};
use crate::use_::scope;
use crate::view::{ConnectionState, SubscriptionKind, SubscriptionState};

/// How many are looked at at once.
const AT_ONCE: usize = 8;

impl Engine {
    /// Takes a call at the address of an app configuration.
    pub async fn app_hook(&self, configuration: &str, call: HookCall) -> HookAnswer {
        let engine = self.clone();
        let id = configuration.to_owned();
        let work = async move { engine.take_for_app(&id, &call).await };
        in_time(self.inner.options.hook_answer, work).await
    }

    async fn take_for_app(&self, id: &str, call: &HookCall) -> Result<HookAnswer, ConnectError> {
        let config: Stored<Configuration> = self.load(id).await?;
        let entry = self.inner.catalogue.get(&config.clear.app)?.clone();
        let Some(webhook) = &entry.manifest.webhook else {
            return Err(ConnectError::not_found(Configuration::WHAT));
        };
        let agreed = self.agreed_with_app(&config)?;
        let now = self.now().div_euclid(1000);
        if let Err(refusal) = verify_hook(&webhook.verify, &agreed, call, now) {
            tracing::info!(
                configuration = id,
                app = config.clear.app,
                code = refusal.code(),
                "a call was refused"
            );
            return Ok(HookAnswer::plain(401, &refusal.to_string()));
        }
        if let Some(challenge) = &webhook.challenge
            && let Some(answer) = challenged(challenge, &agreed, call)
        {
            return Ok(HookAnswer::handshake(challenge, answer));
        }
        // What is about nobody in particular (Slack's `app_rate_limited`) is heard and not handed on.
        let Some(tenant) = hook_tenant(&webhook.tenant, call) else {
            return Ok(HookAnswer::plain(200, "ok"));
        };
        let route = route::digest(id, &tenant);
        let (mut after, mut failed) = (None, None);
        // As many as there are, some at a time: none is left out because others come before it.
        loop {
            let (some, next) = self.routed(&route, after).await?;
            let mut done = stream::iter(some)
                .map(|subscription| {
                    let (entry, tenant) = (&entry, tenant.as_str());
                    async move {
                        self.hand_to(&subscription, id, entry, webhook, tenant, call)
                            .await
                    }
                })
                .buffer_unordered(AT_ONCE);
            while let Some(one) = done.next().await {
                failed = failed.or(one.err());
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        // One that failed is sent again, with all others: they know the event by then.
        match failed {
            Some(error) => Err(error),
            None => Ok(HookAnswer::plain(200, "ok")),
        }
    }

    /// Hands the events of a call to one subscription, if they are for it.
    async fn hand_to(
        &self,
        subscription: &str,
        configuration: &str,
        entry: &AppEntry,
        webhook: &AppWebhook,
        tenant: &str,
        call: &HookCall,
    ) -> Result<(), ConnectError> {
        let gone = |error| match error {
            ConnectError::NotFound { .. } => Ok(()),
            other => Err(other),
        };
        let stored: Stored<Subscription> = match self.load(subscription).await {
            Ok(stored) => stored,
            Err(error) => return gone(error),
        };
        let connection: Stored<Connection> = match self.load(&stored.clear.connection_id).await {
            Ok(connection) => connection,
            Err(error) => return gone(error),
        };
        let Some(declared) = entry
            .manifest
            .triggers
            .get(&stored.clear.trigger)
            .filter(|trigger| trigger.kind == TriggerKind::WebhookApp)
        else {
            return Ok(());
        };
        let running = matches!(
            connection.clear.state,
            ConnectionState::Connected | ConnectionState::Failing
        );
        if stored.clear.kind != SubscriptionKind::WebhookApp
            || stored.clear.state == SubscriptionState::Paused
            || connection.owner() != stored.owner()
            || !running
            || !connection.clear.enabled
            || connection.clear.config.as_deref() != Some(configuration)
        {
            return Ok(());
        }
        // Whose the connection is, is asked anew: it may be another's since the route was written.
        match self.tenant_of(&connection, entry, webhook, declared) {
            Ok(own) if own == tenant => {}
            Ok(_) => return Ok(()),
            Err(error) => {
                tracing::debug!(
                    subscription,
                    code = error.code(),
                    "an event was not told to one who may not have it"
                );
                return Ok(());
            }
        }
        // One that cannot be read must not keep the others from their events.
        let Ok(sealed) = stored.sealed() else {
            return Ok(());
        };
        let input = Scope::new().with("input", sealed.input.clone());
        if !hook_is_wanted(declared, &input, call) {
            return Ok(());
        }
        let seen = scope::of_connection(connection.sealed()?, connection.clear.account.as_ref())
            .with("input", sealed.input.clone());
        let answer = self.hand_on_call(&stored, declared, &seen, call).await?;
        if answer.status != 200 {
            // The app is not told: for the others its call was good.
            tracing::warn!(
                subscription,
                app = stored.clear.app,
                status = answer.status,
                "events of a call were not handed on"
            );
        }
        Ok(())
    }

    /// What is known when a call to a configuration's address comes in.
    fn agreed_with_app(&self, config: &Stored<Configuration>) -> Result<Scope, ConnectError> {
        let sealed = config.sealed()?;
        let mut agreed = Scope::new();
        agreed.set("now", json!(self.now().div_euclid(1000)));
        agreed.set_value("webhook", "url", json!(self.app_hook_url(config.id())));
        if let Some(secret) = &sealed.webhook_secret {
            agreed.set_value("webhook", "secret", json!(secret.expose()));
        }
        if let Some(client) = sealed.client_for_hooks() {
            agreed.set("app", client);
        }
        Ok(agreed)
    }

    /// Where an app sends the events of all connections of a configuration.
    pub(crate) fn app_hook_url(&self, configuration: &str) -> String {
        self.here(&format!("/hooks/app/{configuration}"))
    }
}

/// Answers within `limit`. What takes longer goes on, also when the app has hung up.
async fn in_time(
    limit: Duration,
    work: impl Future<Output = Result<HookAnswer, ConnectError>> + Send + 'static,
) -> HookAnswer {
    match tokio::time::timeout(limit, tokio::spawn(work)).await {
        Ok(Ok(Ok(answer))) => answer,
        Ok(Ok(Err(ConnectError::NotFound { .. }))) => {
            HookAnswer::plain(404, "there is no such address")
        }
        Ok(Ok(Err(error))) => {
            tracing::warn!(code = error.code(), "an app's call was not taken");
            HookAnswer::plain(503, "this cannot be taken now; send it again")
        }
        Ok(Err(_)) => HookAnswer::plain(503, "this cannot be taken now; send it again"),
        Err(_) => HookAnswer::plain(503, "this takes longer than usual; send it again"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn an_app_is_not_kept_waiting_and_what_was_begun_goes_on() {
        let (go, wait) = oneshot::channel::<()>();
        let (ended, end) = oneshot::channel();
        let work = async move {
            wait.await.unwrap();
            ended.send(()).unwrap();
            Ok(HookAnswer::plain(200, "ok"))
        };
        assert_eq!(in_time(Duration::ZERO, work).await.status, 503);
        go.send(()).unwrap();
        end.await.unwrap();
        let quick = async { Ok(HookAnswer::plain(200, "ok")) };
        assert_eq!(in_time(Duration::from_secs(600), quick).await.status, 200);
    }
}
