//! Where calls to an app's one address find the subscriptions that they are about ([`super::app_hook`]).
//!
//! A route is a row for each subscription under a digest of configuration and team, written with the subscription and gone with it, so a
//! call reads as many rows as it is about. Whose a connection is to the app is asked here too, when a row is written and again at each
//! call: a row that is one too many is harmless.

use keyport_manifest::{AppWebhook, AuthMethod, Trigger, connection_tenant};
use keyport_vault::{Expect, Kind, Owner, RecordId, SecretWrite, Write};
use serde_json::json;

use crate::actor::Actor;
use crate::catalogue::AppEntry;
use crate::connection::lacking_scopes;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::flow::client;
use crate::ids;
use crate::record::{Connection, Entity as _, Stored, Subscription, SubscriptionClear};
use crate::use_::scope;
use crate::view::{SubscriptionKind, SubscriptionState};

/// The routes: `<digest>.<number of the subscription>`.
const ROUTE: Kind = Kind::new("hook_route");
/// How many routes are read at a time.
const PAGE: usize = 100;

/// Where a call goes that is about this tenant of a configuration's app.
pub(super) fn digest(configuration: &str, tenant: &str) -> String {
    ids::hash(
        "route of an app's webhook",
        &format!("{configuration}\n{tenant}"),
    )
}

fn row(route: &str, subscription: &str) -> RecordId {
    let number = subscription
        .strip_prefix(Subscription::PREFIX)
        .unwrap_or(subscription);
    RecordId::new(ROUTE, Owner::keyport(), format!("{route}.{number}"))
}

/// The write that enters a subscription's route.
pub(super) fn enter(route: &str, subscription: &str) -> Write {
    Write::Put {
        id: row(route, subscription),
        expect: Expect::Any,
        clear: json!({}),
        secret: SecretWrite::Keep,
    }
}

/// The write that takes it out.
pub(super) fn strike(route: &str, subscription: &str) -> Write {
    Write::Delete {
        id: row(route, subscription),
        expect: Expect::Any,
    }
}

impl Engine {
    /// Some of the subscriptions with this route, and where the next ones begin, if there are more.
    pub(super) async fn routed(
        &self,
        route: &str,
        after: Option<String>,
    ) -> Result<(Vec<String>, Option<String>), ConnectError> {
        let vault = &self.inner.vault;
        let after = after.unwrap_or_else(|| vault.cursor(&row(route, "")));
        let page = vault
            .list(ROUTE, Some(&Owner::keyport()), Some(&after), PAGE)
            .await?;
        let mut found = Vec::new();
        for head in page.heads {
            match head
                .id
                .id
                .strip_prefix(route)
                .and_then(|it| it.strip_prefix('.'))
            {
                Some(number) => found.push(format!("{}{number}", Subscription::PREFIX)),
                None => return Ok((found, None)),
            }
        }
        Ok((found, page.next))
    }

    /// Whose a connection is to the app, for events that come to the app's one address.
    ///
    /// # Errors
    ///
    /// Why it can be told of none, for whoever subscribes.
    pub(super) fn tenant_of(
        &self,
        connection: &Stored<Connection>,
        entry: &AppEntry,
        webhook: &AppWebhook,
        declared: &Trigger,
    ) -> Result<String, ConnectError> {
        let sealed = connection.sealed()?;
        let seen = scope::of_connection(sealed, connection.clear.account.as_ref());
        let by_client = match entry.manifest.auth.get(&connection.clear.method) {
            Some(AuthMethod::Oauth2(oauth)) => {
                // A client that was registered at a server that was found out is that server's, whatever it says.
                oauth.client.operator && !oauth.register && client::owners(oauth, &seen)?.is_none()
            }
            _ => false,
        };
        // What was imported says of itself whose it is, and may be of another client.
        if !by_client || connection.clear.imported {
            return Err(ConnectError::state(
                "not_of_this_client",
                "the app tells of accounts alone that signed in with the operator's own client; connect this account by signing in at the app",
            ));
        }
        let lacking = lacking_scopes(sealed, &declared.scopes);
        if !lacking.is_empty() {
            return Err(ConnectError::state(
                "missing_scope",
                format!(
                    "this sign-in was not granted {}; sign in again and allow it",
                    lacking.join(", ")
                ),
            ));
        }
        connection_tenant(&webhook.tenant, &seen).ok_or_else(|| {
            ConnectError::state(
                "tenant_unknown",
                "it is not known whose account this is at the app; sign in again",
            )
        })
    }

    /// The route of a subscription that is being made, or whose connection signed in anew.
    pub(super) async fn route_of(
        &self,
        connection: &Stored<Connection>,
        entry: &AppEntry,
        declared: &Trigger,
    ) -> Result<String, ConnectError> {
        let Some(webhook) = &entry.manifest.webhook else {
            return Err(ConnectError::not_found("trigger"));
        };
        let tenant = self.tenant_of(connection, entry, webhook, declared)?;
        let config = self.config_of(connection).await?;
        let (Some(id), Some(sealed)) = (connection.clear.config.as_deref(), config) else {
            return Err(ConnectError::state(
                "not_of_this_client",
                "this account signed in before the operator had a client at the app; connect it again",
            ));
        };
        if webhook.by_own_secret() && sealed.webhook_secret.is_none() {
            return Err(ConnectError::misconfigured(
                "webhook_not_configured",
                "the app's configuration has no `webhook_secret` yet; the operator enters its `webhook.url` at the app and the app's secret here",
            ));
        }
        Ok(digest(id, &tenant))
    }

    /// Gives a subscription the route of its connection as it is now.
    pub(super) async fn reroute(&self, stored: Stored<Subscription>) -> Result<(), ConnectError> {
        let entry = self.inner.catalogue.get(&stored.clear.app)?.clone();
        let Some(declared) = entry.manifest.triggers.get(&stored.clear.trigger) else {
            return Err(ConnectError::not_found("trigger"));
        };
        let connection = self
            .ready(&Actor::Host, &stored.clear.connection_id, None)
            .await?;
        let route = self.route_of(&connection, &entry, declared).await?;
        let before = stored.clear.route.clone();
        let id = stored.id().to_owned();
        // The new row first: one too many is harmless, for nobody believes it.
        self.commit(vec![enter(&route, &id)]).await?;
        self.change_subscription(&Actor::Host, stored, "subscription.active", |clear, _| {
            if clear.state != SubscriptionState::Paused {
                clear.state = SubscriptionState::Active;
            }
            clear.reason = None;
            clear.failures = 0;
            clear.due = None;
            clear.route = Some(route.clone());
            // An older version of the app may have said otherwise.
            clear.kind = SubscriptionKind::WebhookApp;
        })
        .await?;
        if let Some(before) = before.filter(|before| *before != route) {
            self.commit(vec![strike(&before, &id)]).await?;
        }
        Ok(())
    }

    /// Has the routes of a connection looked at soon, for it is about to be another sign-in.
    ///
    /// It hurries what is looked at anew at each call anyway, so nothing waits for it to succeed.
    pub(crate) async fn reroute_soon(&self, connection: &Stored<Connection>) {
        /// By then the new sign-in is written down.
        const SOON_MS: i64 = 5000;
        let all = match self.subscriptions_of(connection).await {
            Ok(all) => all,
            Err(error) => {
                tracing::warn!(
                    connection = connection.id(),
                    code = error.code(),
                    "events go by the sign-in before until its subscriptions are changed"
                );
                return;
            }
        };
        for head in all {
            if head.clear.kind != SubscriptionKind::WebhookApp {
                continue;
            }
            let due = self.now() + SOON_MS;
            let wake = |clear: &mut SubscriptionClear, _: &mut _| clear.due = Some(due);
            let woken = match self.load(head.id()).await {
                Ok(stored) => self
                    .change_subscription(&Actor::Host, stored, "subscription.waits", wake)
                    .await
                    .map(drop),
                Err(error) => Err(error),
            };
            if let Err(error) = woken {
                tracing::warn!(
                    subscription = head.id(),
                    code = error.code(),
                    "events go by the sign-in before until the subscription is changed"
                );
            }
        }
    }
}
