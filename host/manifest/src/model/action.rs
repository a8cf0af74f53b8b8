//! What an automation can do with an app.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FailureRule, OkRule, RequestSpec, is_default};
use crate::path::JsonPath;

/// One action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// A short name, verb first: `Create note`.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// Whether it changes anything at the app.
    pub effect: Effect,
    /// JSON Schema of its input; an object.
    pub input: Value,
    /// JSON Schema of its output.
    pub output: Value,
    /// An example of its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Value>,
    /// The request; `input` is in scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestSpec>,
    /// Whether the component does it instead.
    #[serde(default, skip_serializing_if = "is_default")]
    pub code: bool,
    /// When it counts as success; 2xx if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ok: OkRule,
    /// The part of the answer that is the output; all of it if not said. A path that can select many gives a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<JsonPath>,
    /// What other answers mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureRule>,
}

/// Whether something changes at the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It only reads; the host refuses anything else of it.
    Read,
    /// It changes something.
    Write,
}
