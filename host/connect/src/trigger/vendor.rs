//! Telling an app where to send events, and that it should stop.
//!
//! The host makes these requests itself, by the manifest, with the connection's credentials, through the same pass as a
//! component's: `webhook.secret` goes into a body or a header at the app and nowhere else, so no component renders it.

use keyport_egress::{Body, Purpose};
use keyport_manifest::{RequestSpec, Scope, TriggerKind};
use serde_json::json;

use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::record::{Connection, Hook, Stored, Subscription, SubscriptionSealed};
use crate::signing::unsent;
use crate::use_::call::rule_failed;
use crate::use_::pass::PassParts;
use crate::use_::scope;
use crate::view::SubscriptionState;

/// More than any app answers to a subscription.
const MAX_ANSWER: u64 = 1 << 20;

impl Engine {
    /// Tells the app of a subscription that is written down, and keeps what its answer says.
    pub(super) async fn subscribe_there(&self, id: &str) -> Result<(), ConnectError> {
        let stored: Stored<Subscription> = self.load(id).await?;
        let Some(declared) = self.declared(&stored.clear.app, &stored.clear.trigger) else {
            return Err(ConnectError::not_found("trigger"));
        };
        if declared.kind == TriggerKind::WebhookApp {
            return self.reroute(stored).await;
        }
        let Some(spec) = &declared.subscribe else {
            return self.subscribed_there(stored, |_| {}).await;
        };
        let ready = self
            .ready(&Actor::Host, &stored.clear.connection_id, None)
            .await?;
        let sealed = stored.sealed()?;
        let agreed = self.agreed(&ready, stored.id(), sealed)?;
        let answer = self.send_for(&ready, spec, &agreed).await?;
        let captures = keyport_manifest::subscribed(&declared, &answer).map_err(rule_failed)?;
        let kept = move |hook: &mut Hook| {
            for (name, value) in &captures.public {
                hook.captures
                    .insert(name.clone(), Hidden::new(value.as_str()));
            }
            for (name, value) in &captures.secret {
                hook.captures
                    .insert(name.clone(), Hidden::new(value.expose()));
            }
        };
        self.subscribed_there(stored, kept).await
    }

    async fn subscribed_there(
        &self,
        stored: Stored<Subscription>,
        keep: impl Fn(&mut Hook) + Send + Sync,
    ) -> Result<(), ConnectError> {
        self.change_subscription(
            &Actor::Host,
            stored,
            "subscription.active",
            |clear, sealed| {
                if clear.state != SubscriptionState::Paused {
                    clear.state = SubscriptionState::Active;
                }
                clear.reason = None;
                clear.failures = 0;
                clear.due = None;
                if let Some(hook) = &mut sealed.hook {
                    keep(hook);
                }
            },
        )
        .await
        .map(drop)
    }

    /// Tells the app to send no more. It may fail: the address refuses what comes afterwards all the same.
    pub(super) async fn unsubscribe_there(&self, stored: &Stored<Subscription>) {
        let told: Result<(), ConnectError> = async {
            let declared = self.declared(&stored.clear.app, &stored.clear.trigger);
            let Some(spec) = declared.as_ref().and_then(|it| it.unsubscribe.as_ref()) else {
                return Ok(());
            };
            let ready = self
                .ready(&Actor::Host, &stored.clear.connection_id, None)
                .await?;
            let agreed = self.agreed(&ready, stored.id(), stored.sealed()?)?;
            let answer = self.send_for(&ready, spec, &agreed).await?;
            match answer.status {
                // Gone already is gone.
                200..=299 | 404 | 410 => Ok(()),
                _ => Err(rule_failed(keyport_manifest::failure_for(&[], &answer))),
            }
        }
        .await;
        if let Err(error) = told {
            tracing::warn!(
                subscription = stored.id(),
                code = error.code(),
                "an app did not confirm that it sends no more events; what it sends is refused"
            );
        }
    }

    /// What templates of a webhook see: the connection, the address, the secret, what was kept of the subscription.
    pub(super) fn agreed(
        &self,
        connection: &Stored<Connection>,
        id: &str,
        sealed: &SubscriptionSealed,
    ) -> Result<Scope, ConnectError> {
        let mut agreed =
            scope::of_connection(connection.sealed()?, connection.clear.account.as_ref());
        agreed.set("input", sealed.input.clone());
        agreed.set("now", json!(self.now().div_euclid(1000)));
        if let Some(hook) = &sealed.hook {
            agreed.set(
                "webhook",
                json!({ "url": self.hook_url(id, hook), "secret": hook.secret.expose() }),
            );
            agreed.set("subscription", scope::object(&hook.captures));
        }
        Ok(agreed)
    }

    /// Sends a request of the manifest's with the connection's credentials.
    async fn send_for(
        &self,
        ready: &Stored<Connection>,
        spec: &RequestSpec,
        agreed: &Scope,
    ) -> Result<keyport_manifest::PlainResponse, ConnectError> {
        let entry = self.inner.catalogue.get(&ready.clear.app)?.clone();
        let config = self.config_of(ready).await?;
        let parts = PassParts {
            entry: &entry,
            owner: ready.owner(),
            method: &ready.clear.method,
            sealed: ready.sealed()?,
            account: ready.clear.account.as_ref(),
            config: config.as_ref(),
        };
        let (mut pass, _) = self.pass(&parts, Purpose::Guest).await?;
        pass.limits.total = self.inner.options.call;
        let plain = spec.build(agreed).map_err(|error| {
            ConnectError::invalid(
                "input",
                format!("the request that subscribes cannot be made: {error}"),
            )
        })?;
        let mut builder = http::Request::builder()
            .method(plain.method.as_str())
            .uri(plain.url.as_str());
        for (name, value) in &plain.headers {
            builder = builder.header(name, value);
        }
        let request = builder
            .body(plain.body.map_or_else(Body::empty, Body::from_bytes))
            .map_err(|_| {
                ConnectError::invalid("input", "the request that subscribes cannot be made")
            })?;
        self.send_plain(&pass, request, MAX_ANSWER)
            .await
            .map_err(|error| unsent(&error))
    }
}
