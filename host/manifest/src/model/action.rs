//! What an automation can do with an app.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FailureRule, OkRule, Pagination, RequestSpec, is_default};
use crate::path::JsonPath;

/// One action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// A short name, verb first: `Create note`.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// Whether it changes anything at the app.
    pub effect: Effect,
    /// The least scopes that it needs, by the names that `auth` asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Whether doing it twice does no more than doing it once, so that it may be tried again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub idempotent: bool,
    /// Whether it destroys something that cannot be brought back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destructive: bool,
    /// JSON Schema of its input; an object.
    pub input: Value,
    /// Where the choices of an input property come from, by its name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub choices_from: IndexMap<String, ChoicesFrom>,
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
    /// How the pages of the answer are followed; the output is then the joined list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// What other answers mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureRule>,
}

/// Whether something changes at the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It only reads; the host refuses anything else of it.
    Read,
    /// It changes something.
    Write,
}

/// Choices of an input property, listed by another action of this app and asked for while somebody fills in a form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChoicesFrom {
    /// The action that lists them; it must only read and need no input.
    pub action: String,
    /// The list in the action's output; the output itself if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<JsonPath>,
    /// What is put into the property; seen from one item.
    pub value: JsonPath,
    /// What people see; seen from one item. The value if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<JsonPath>,
}
