//! What can start an automation: events that are found by asking, or that the app sends.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Capture, Challenge, ChoicesFrom, Condition, FailureRule, OkRule, Only, Pagination, RequestSpec,
    Tenant, WebhookVerify, is_default,
};
use crate::path::JsonPath;
use crate::template::Template;

/// One trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// A short name: `New note`.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// How events are learnt of.
    #[serde(default)]
    pub kind: TriggerKind,
    /// The least scopes that it needs, by the names that `auth` asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// JSON Schema of its input; an object.
    pub input: Value,
    /// Where the choices of an input property come from, by its name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub choices_from: IndexMap<String, ChoicesFrom>,
    /// JSON Schema of one event.
    pub output: Value,
    /// An example of an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Value>,
    /// The request; `input` and `cursor` (null at first) are in scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestSpec>,
    /// Whether the component does it instead.
    #[serde(default, skip_serializing_if = "is_default")]
    pub code: bool,
    /// When an answer counts as success; 2xx if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ok: OkRule,
    /// The events in the answer or in a webhook's body; all of it if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<JsonPath>,
    /// What tells one event from another; over `item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<Template>,
    /// Where to go on next time; over `body`, `item` (the newest) and `cursor`. Without it the keys of events already seen
    /// are remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Template>,
    /// Whether there is more to fetch at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<Condition>,
    /// How the pages of an answer are followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// The request that tells the app where to send events: `webhook.url` and `webhook.secret` are in scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<RequestSpec>,
    /// What is kept of its answer; `subscription.<id>` in `unsubscribe` and `verify`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub subscription: IndexMap<String, Capture>,
    /// The request that ends the subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsubscribe: Option<RequestSpec>,
    /// What the person does at the app to have events sent here; for `webhook_manual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<String>,
    /// How a webhook call is known to be the app's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<WebhookVerify>,
    /// A first handshake that some apps want answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Challenge>,
    /// Whose a call's events are, where the app sends those of several accounts to one address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    /// Which calls carry events of this trigger; all of them must hold, over the body and the headers. Every call if not said.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "crate::schema::OneOrMany<Condition>")
    )]
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "super::condition::one_or_many"
    )]
    pub when: Vec<Condition>,
    /// Which of these calls a subscription is interested in, by its input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Only>,
    /// The order in which the app lists events. They are always handed on oldest first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: Order,
    /// What other answers mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureRule>,
}

/// How events are learnt of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// By asking now and then.
    #[default]
    Polling,
    /// The app sends them to an address that it is told by a request.
    Webhook,
    /// The app sends them to an address that a person enters there.
    WebhookManual,
    /// The app sends those of all connections to one address of the app configuration; the manifest's `webhook` says how they are
    /// checked and whose they are.
    WebhookApp,
}

impl TriggerKind {
    /// Whether the app sends the events.
    #[must_use]
    pub fn is_webhook(self) -> bool {
        self != Self::Polling
    }

    /// Whether the app sends them to an address of each subscription's own.
    #[must_use]
    pub fn has_own_address(self) -> bool {
        matches!(self, Self::Webhook | Self::WebhookManual)
    }
}

/// The order in which an app lists events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Oldest first.
    #[default]
    OldestFirst,
    /// Newest first.
    NewestFirst,
}
