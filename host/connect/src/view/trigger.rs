//! Subscriptions, what triggers found, and where events are sent, as the API shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Reason;

/// How a subscription learns of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionKind {
    /// The app is asked now and then.
    Polling,
    /// The app sends them; it was told where to by a request.
    Webhook,
    /// The app sends them; a person tells it where to.
    WebhookManual,
    /// The app sends them; the operator told it where to, once for the app configuration.
    WebhookApp,
}

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    /// Works.
    Active,
    /// Does not work at the moment and is tried again by itself; the reason says why.
    Failing,
    /// Stopped by the platform; what happens meanwhile is not handed on.
    Paused,
}

/// A trigger to subscribe.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSubscription {
    /// The trigger's id, as the app lists it under `events`.
    pub trigger: String,
    /// As the trigger's `input` schema says.
    #[serde(default)]
    pub input: Option<serde_json::Value>,
    /// How often the app is asked, in seconds, 60 to 86400; 300 when absent. Webhooks come by themselves.
    #[serde(default)]
    pub every_seconds: Option<u32>,
}

/// A trigger that is subscribed for a connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SubscriptionView {
    /// `sub_…`.
    pub id: String,
    /// The connection.
    pub connection_id: String,
    /// Whose it is.
    pub owner: String,
    /// The app's id.
    pub app: String,
    /// The trigger's id.
    pub trigger: String,
    /// How events are learnt of.
    pub kind: SubscriptionKind,
    /// Where it stands.
    pub state: SubscriptionState,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Its input.
    pub input: serde_json::Value,
    /// How often the app is asked, in seconds, where it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<u32>,
    /// What a person enters at the app and how, where that is to be done by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual: Option<ManualView>,
    /// How many events it has handed on.
    pub events: u64,
    /// When the app was last asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_polled_at: Option<String>,
    /// When it last handed on an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_event_at: Option<String>,
    /// When the app is asked next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_poll_at: Option<String>,
    /// When it was made.
    pub created_at: String,
}

/// What a person does at the app to have events sent here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManualView {
    /// The address to enter. It is for this connection alone; treat it as a secret.
    pub url: String,
    /// The secret to enter where the app asks for one of the person's choice.
    pub secret: String,
    /// What to do, as the app's manifest says.
    pub say: String,
}

/// Which subscriptions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub struct SubscriptionQuery {
    /// Only this owner's.
    #[serde(default)]
    pub owner: Option<String>,
    /// Only this connection's.
    #[serde(default)]
    pub connection_id: Option<String>,
    /// From an earlier page's `next_cursor`.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most this many, 1 to 200; 50 when absent.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// Which events to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub struct TriggerEventQuery {
    /// Only this owner's.
    #[serde(default)]
    pub owner: Option<String>,
    /// Only this subscription's.
    #[serde(default)]
    pub subscription_id: Option<String>,
    /// From an earlier page's `next_cursor`.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most this many, 1 to 200; 50 when absent.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// One event that a trigger found: the same that webhooks are sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TriggerEventView {
    /// `tev_…`, sorts by time; a webhook's `webhook-id`.
    pub id: String,
    /// When it was learnt of.
    pub at: String,
    /// Whose connection it came through.
    pub owner: String,
    /// The app.
    pub app: String,
    /// The trigger's id.
    pub trigger: String,
    /// The connection that it came through.
    pub connection_id: String,
    /// The subscription that found it.
    pub subscription_id: String,
    /// What the app said, as the trigger's `output` schema has it; `null` where it was too large to keep, or its owner's data
    /// was destroyed.
    pub event: serde_json::Value,
}

/// Where to send events.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Where events are posted: https.
    pub url: String,
    /// What the operator calls it.
    #[serde(default)]
    pub description: Option<String>,
    /// Kinds of events: `trigger.event`, `connection.needs_reconnect`, `connection.*`. All when absent.
    #[serde(default)]
    pub kinds: Option<Vec<String>>,
}

/// A change to a webhook: what is absent stays.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookPatch {
    /// A new address.
    #[serde(default)]
    pub url: Option<String>,
    /// A new description.
    #[serde(default)]
    pub description: Option<String>,
    /// The new list of kinds.
    #[serde(default)]
    pub kinds: Option<Vec<String>>,
    /// `false` stops it; `true` lets it go on with what happens from then on.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// Where events are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookView {
    /// `whk_…`.
    pub id: String,
    /// The address.
    pub url: String,
    /// What the operator calls it.
    pub description: String,
    /// Kinds of events; empty: all.
    pub kinds: Vec<String>,
    /// Whether it is sent anything.
    pub enabled: bool,
    /// Why it is not, where Keyport stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_because: Option<String>,
    /// When it was made.
    pub created_at: String,
}

/// A webhook as it is shown once, when it is made or its secret is changed.
#[derive(Clone, Serialize, ToSchema)]
pub struct CreatedWebhook {
    /// What is kept of it.
    pub webhook: WebhookView,
    /// `whsec_…`: what deliveries are signed with (Standard Webhooks).
    pub secret: String,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Not yet accepted; it is tried again.
    Waiting,
    /// Accepted.
    Delivered,
    /// Not accepted in three days, or the webhook was removed.
    GivenUp,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptView {
    /// When.
    pub at: String,
    /// The status that was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there was no answer: `timeout`, `connect_failed` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// One event on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    /// `dlv_…`, sorts by time.
    pub id: String,
    /// The event: `evt_…` or `tev_…`; the `webhook-id` that is sent.
    pub event_id: String,
    /// Its kind.
    pub kind: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub tried: u32,
    /// The last ten tries, oldest first.
    pub attempts: Vec<AttemptView>,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// When it was made.
    pub created_at: String,
}
