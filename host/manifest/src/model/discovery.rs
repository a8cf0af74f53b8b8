//! What is asked of the app right after signing in: which site, workspace or company this connection is for.
//!
//! Each step is a request with the new credential. Its answer, or one item of the list in it, gives captures that URLs and
//! templates may use from then on (`{{ capture.cloud_id }}`). Who picks the item is said in the manifest, never guessed.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Capture, Condition, FailureRule, OkRule, RequestSpec, is_default};
use crate::path::JsonPath;
use crate::template::Template;

/// One step of discovery: a request, which item of the answer is meant, and what is kept of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// Name of the step: lower-case letters, digits, underscores.
    pub id: String,
    /// The ways to sign in that it belongs to; all if not said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The request; it must only read. Captures of the tokens and of earlier steps are in scope.
    pub request: RequestSpec,
    /// When its answer counts as success; 2xx if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ok: OkRule,
    /// The list to choose from; without it the answer itself is the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<JsonPath>,
    /// How one item of the list is chosen: `ask`, `first`, `only` or `{match: condition}`. Needed with `items`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
    /// What people see of an item when they are asked, over `item`: `{{ item.name }} ({{ item.url }})`. Needed for `ask`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Template>,
    /// What is kept of the chosen item; `capture.<id>` in templates.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub capture: IndexMap<String, Capture>,
    /// What other answers mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureRule>,
}

/// How one item of a list is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The person chooses; a list of one is taken without asking.
    Ask,
    /// The first one.
    First,
    /// The only one; more than one is an error.
    Only,
    /// The first one that the condition holds for; the condition looks into the item.
    Match(Condition),
}

impl Discovery {
    /// Whether the step belongs to a way to sign in.
    #[must_use]
    pub fn is_for(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|m| m == method)
    }
}
