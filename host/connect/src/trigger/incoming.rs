//! What an app sends to a subscription's own address: whose it is, whether it is the app's, its handshake, its events.
//!
//! Each subscription has an address of its own that nobody can guess, so a call reaches one connection or none, whatever it says about
//! itself (A32): nothing in a call chooses where it goes. Where an app sends the events of several accounts to one address, the
//! manifest says how they are told apart (`tenant`), and those of another account are dropped.
//!
//! A call is believed by the manifest's recipe over its bytes as they came, or not at all (A31); [`keyport_manifest::verify_hook`]. An
//! event whose key was seen before is not handed on again. That is answered as a success: an app that did not hear our answer sends
//! again, and would go on for days if it were told no.
//!
//! Calls to one address for a whole app, shared by all connections, are [`super::app_hook`]'s.

use keyport_manifest::{
    Challenge, Failure, HookCall as Call, Scope, Trigger, challenged, hook_events, hook_is_ours,
    hook_is_wanted, verify_hook,
};
use keyport_vault::Expect;
use serde_json::json;
use subtle::ConstantTimeEq;

use super::found;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::ids;
use crate::record::{self, Connection, Entity as _, Seal, Stored, Subscription};
use crate::view::{ConnectionState, SubscriptionKind, SubscriptionState};

/// Most events of one call: with their deliveries they go into one commit, or are handed on in several.
const EVENTS_MOST: usize = 500;
/// How many are handed on in one commit.
const AT_ONCE: usize = 5;

/// A call as it came in.
pub type HookCall = Call;

/// What is answered to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookAnswer {
    /// The status.
    pub status: u16,
    /// The body's media type.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl HookAnswer {
    pub(super) fn plain(status: u16, body: &str) -> Self {
        HookAnswer {
            status,
            content_type: "text/plain".into(),
            body: body.into(),
        }
    }

    /// What a handshake is answered. What it repeats came from whoever called: never anything that a browser would run.
    pub(super) fn handshake(challenge: &Challenge, answer: Result<String, Failure>) -> Self {
        match answer {
            Ok(body) => HookAnswer {
                status: 200,
                content_type: if challenge.content_type.starts_with("application/json") {
                    "application/json".into()
                } else {
                    "text/plain".into()
                },
                body,
            },
            Err(failure) => HookAnswer::plain(400, &failure.say),
        }
    }
}

impl Engine {
    /// Takes a call at `address`, the last part of a subscription's URL.
    pub async fn hook(&self, address: &str, call: HookCall) -> HookAnswer {
        match self.take(address, &call).await {
            Ok(answer) => answer,
            Err(ConnectError::NotFound { .. }) => {
                HookAnswer::plain(404, "there is no such address")
            }
            Err(error) => {
                tracing::warn!(code = error.code(), "a call of an app was not taken");
                HookAnswer::plain(503, "this cannot be taken now; send it again")
            }
        }
    }

    async fn take(&self, address: &str, call: &HookCall) -> Result<HookAnswer, ConnectError> {
        let unknown = || ConnectError::not_found(Subscription::WHAT);
        let (number, token) = ids::split_bearer("", address).ok_or_else(unknown)?;
        let stored: Stored<Subscription> = self
            .load(&format!("{}{number}", Subscription::PREFIX))
            .await?;
        let sealed = stored.sealed()?;
        let hook = sealed.hook.as_ref().ok_or_else(unknown)?;
        if !bool::from(hook.token.expose().as_bytes().ct_eq(token.as_bytes())) {
            return Err(unknown());
        }
        let declared = self
            .declared(&stored.clear.app, &stored.clear.trigger)
            .filter(|trigger| trigger.kind.has_own_address())
            .ok_or_else(unknown)?;
        let connection: Stored<Connection> = self.load(&stored.clear.connection_id).await?;
        if connection.owner() != stored.owner()
            || connection.clear.state == ConnectionState::Disconnected
        {
            return Ok(HookAnswer::plain(410, "nobody is connected here any more"));
        }
        let mut agreed = self.agreed(&connection, stored.id(), sealed)?;
        if let Some(config) = self.config_of(&connection).await?
            && let Some(client) = config.client_for_hooks()
        {
            agreed.set("app", client);
        }
        let Some(verify) = &declared.verify else {
            return Err(unknown());
        };
        let now = self.now().div_euclid(1000);
        let verdict = verify_hook(verify, &agreed, call, now);
        if let Some(challenge) = &declared.challenge
            && let Some(answer) = challenged(challenge, &agreed, call)
        {
            // Handshakes are not signed everywhere; what they may be answered with is in the manifest's hands and holds no secret.
            return Ok(HookAnswer::handshake(challenge, answer));
        }
        if let Err(refusal) = verdict {
            tracing::info!(
                subscription = stored.id(),
                app = stored.clear.app,
                code = refusal.code(),
                "a call was refused"
            );
            return Ok(HookAnswer::plain(401, &refusal.to_string()));
        }
        let quiet = stored.clear.state == SubscriptionState::Paused || !connection.clear.enabled;
        if quiet
            || !hook_is_ours(declared.tenant.as_ref(), &agreed, call)
            || !hook_is_wanted(&declared, &agreed, call)
        {
            return Ok(HookAnswer::plain(200, "ok"));
        }
        self.hand_on_call(&stored, &declared, &agreed, call).await
    }

    /// Hands on what is new of the events of a call that is believed. `agreed`: what is known of the connection, with `input`.
    pub(super) async fn hand_on_call(
        &self,
        stored: &Stored<Subscription>,
        declared: &Trigger,
        agreed: &Scope,
        call: &HookCall,
    ) -> Result<HookAnswer, ConnectError> {
        let events = hook_events(declared, call);
        if events.len() > EVENTS_MOST {
            return Ok(HookAnswer::plain(413, "too many events in one call"));
        }
        let agreed = call.scope(agreed);
        let Ok(keys) = found::keys(declared, &agreed, &events) else {
            tracing::warn!(
                app = stored.clear.app,
                trigger = stored.clear.trigger,
                "a call holds an event without the id that tells it from others"
            );
            return Ok(HookAnswer::plain(422, "an event of this call has no id"));
        };
        let all: Vec<_> = keys.into_iter().zip(events).collect();
        for some in all.chunks(AT_ONCE) {
            self.hand_on_some(stored.id(), declared, some).await?;
        }
        Ok(HookAnswer::plain(200, "ok"))
    }

    /// Hands on what is new of these, reading again when another call was faster.
    async fn hand_on_some(
        &self,
        id: &str,
        declared: &keyport_manifest::Trigger,
        some: &[(String, serde_json::Value)],
    ) -> Result<(), ConnectError> {
        for _ in 0..32 {
            let stored: Stored<Subscription> = self.load(id).await?;
            // Paused while this was under way.
            if stored.clear.state == SubscriptionState::Paused {
                return Ok(());
            }
            let mut sealed = stored.sealed()?.clone();
            let mut clear = stored.clear.clone();
            let fresh: Vec<_> = some
                .iter()
                .enumerate()
                .filter(|(at, (key, _))| {
                    !sealed.seen.contains(key)
                        && !some.iter().take(*at).any(|(earlier, _)| earlier == key)
                })
                .map(|(_, one)| one.clone())
                .collect();
            if fresh.is_empty() {
                return Ok(());
            }
            let endpoints = self.endpoints_for("trigger.event", i64::MAX).await?;
            let mut writes = Vec::new();
            for (key, event) in fresh {
                writes.extend(self.event_writes(
                    &stored.id,
                    &clear,
                    declared,
                    event,
                    &endpoints,
                    clear.events,
                )?);
                found::remember(&mut sealed.seen, vec![key]);
                clear.events = clear.events.saturating_add(1);
            }
            clear.last_event_at = Some(self.now());
            if clear.kind != SubscriptionKind::Webhook {
                clear.state = SubscriptionState::Active;
            }
            writes.push(record::put::<Subscription>(
                &stored.id,
                Expect::At(stored.rev),
                &clear,
                Seal::Put(&sealed),
            )?);
            match self.commit(writes).await {
                Ok(_) => return Ok(()),
                Err(ConnectError::Stale) => {}
                Err(other) => return Err(other),
            }
        }
        Err(ConnectError::Stale)
    }
}

impl crate::record::ConfigurationSealed {
    /// `app.client_id` and `app.client_secret`, for apps that sign their calls with the client's secret.
    pub(super) fn client_for_hooks(&self) -> Option<serde_json::Value> {
        let id = self.client_id.as_ref()?;
        let secret = self.client_secret.as_ref().map(|secret| secret.expose());
        Some(json!({ "client_id": id, "client_secret": secret }))
    }
}
