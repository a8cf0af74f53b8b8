//! What can start an automation: events that are found by asking.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Condition, FailureRule, OkRule, RequestSpec, is_default};
use crate::path::JsonPath;
use crate::template::Template;

/// One trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// A short name: `New note`.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// How events are learnt of.
    #[serde(default)]
    pub kind: TriggerKind,
    /// JSON Schema of its input; an object.
    pub input: Value,
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
    /// The events in the answer; all of it if not said.
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
    /// The order in which the app lists events. They are always handed on oldest first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: Order,
    /// What other answers mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureRule>,
}

/// How events are learnt of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// By asking now and then.
    #[default]
    Polling,
}

/// The order in which an app lists events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Oldest first.
    #[default]
    OldestFirst,
    /// Newest first.
    NewestFirst,
}
