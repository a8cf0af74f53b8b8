//! A trigger that is subscribed for a connection, and an event that it found, as they are kept.

use indexmap::IndexMap;
use keyport_vault::Kind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Entity;
use crate::hidden::{self, Hidden};
use crate::view::{Reason, SubscriptionKind, SubscriptionState};

pub(crate) struct Subscription;

impl Entity for Subscription {
    const KIND: Kind = Kind::new("subscription");
    const PREFIX: &'static str = "sub_";
    const WHAT: &'static str = "subscription";
    type Clear = SubscriptionClear;
    type Sealed = SubscriptionSealed;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SubscriptionClear {
    pub(crate) connection_id: String,
    pub(crate) app: String,
    pub(crate) trigger: String,
    pub(crate) kind: SubscriptionKind,
    pub(crate) state: SubscriptionState,
    pub(crate) reason: Option<Reason>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    /// How often it is polled, in milliseconds.
    pub(crate) every_ms: i64,
    /// When it is looked at next; its row in the timetable has the same time.
    pub(crate) due: Option<i64>,
    /// Whether the first poll has set the mark that events are counted from.
    pub(crate) marked: bool,
    /// Polls that failed in a row.
    pub(crate) failures: u32,
    pub(crate) last_polled_at: Option<i64>,
    pub(crate) last_event_at: Option<i64>,
    /// How many events it has handed on.
    pub(crate) events: u64,
    /// Where calls to an app's one address find it: a digest of the configuration and of whose the connection is.
    #[serde(default)]
    pub(crate) route: Option<String>,
}

/// What belongs to the connection's owner: sealed.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SubscriptionSealed {
    pub(crate) input: Value,
    /// Where to go on; the app's own or the component's.
    pub(crate) cursor: Option<Value>,
    /// Digests of the keys of events that were handed on or marked, the oldest first.
    pub(crate) seen: Vec<String>,
    /// For what the app sends.
    pub(crate) hook: Option<Hook>,
}

/// What was agreed with the app about its calls.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Hook {
    /// The part of the address that nobody can guess.
    #[serde(with = "hidden::text")]
    pub(crate) token: Hidden,
    /// `webhook.secret`.
    #[serde(with = "hidden::text")]
    pub(crate) secret: Hidden,
    /// What was kept of the answer to `subscribe`.
    #[serde(with = "hidden::map")]
    pub(crate) captures: IndexMap<String, Hidden>,
}

pub(crate) struct TriggerEvent;

impl Entity for TriggerEvent {
    const KIND: Kind = Kind::new("trigger_event");
    const PREFIX: &'static str = "tev_";
    const WHAT: &'static str = "trigger event";
    type Clear = TriggerEventClear;
    type Sealed = TriggerEventSealed;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TriggerEventClear {
    pub(crate) at: i64,
    pub(crate) app: String,
    pub(crate) trigger: String,
    pub(crate) connection_id: String,
    pub(crate) subscription_id: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TriggerEventSealed {
    /// What the app said; `None` where it was too large to keep.
    pub(crate) event: Option<Value>,
}
