//! Scopes: what is asked for, in which parameters, and how servers write what they granted.

use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Scopes {
    /// Always asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default: Vec<String>,
    /// What an operator may add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optional: Vec<String>,
    /// Between scopes; a space if not said.
    #[serde(default = "space", skip_serializing_if = "is_space")]
    pub separator: String,
    /// Name of the parameter; `scope` if not said.
    #[serde(default = "scope", skip_serializing_if = "is_scope")]
    pub param: String,
    /// Scopes of further parameters, where the app keeps kinds of scope apart (Slack's `user_scope`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<ExtraScopes>,
}

/// Scopes that go into a parameter of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExtraScopes {
    /// Name of the parameter.
    pub param: String,
    /// Always asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default: Vec<String>,
    /// What an operator may add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optional: Vec<String>,
    /// Between scopes; a space if not said.
    #[serde(default = "space", skip_serializing_if = "is_space")]
    pub separator: String,
}

fn space() -> String {
    " ".to_owned()
}

fn is_space(text: &str) -> bool {
    text == " "
}

fn scope() -> String {
    "scope".to_owned()
}

fn is_scope(text: &str) -> bool {
    text == "scope"
}

impl Default for Scopes {
    fn default() -> Self {
        Self {
            default: Vec::new(),
            optional: Vec::new(),
            separator: space(),
            param: scope(),
            extra: Vec::new(),
        }
    }
}

impl Scopes {
    /// The parameter's value for these scopes, or `None` if there are none.
    #[must_use]
    pub fn join<'s>(&self, scopes: impl IntoIterator<Item = &'s str>) -> Option<String> {
        let all: Vec<&str> = scopes.into_iter().collect();
        (!all.is_empty()).then(|| all.join(&self.separator))
    }

    /// Splits what a server says was granted: the declared separator, and spaces and commas as servers mix them up.
    #[must_use]
    pub fn split(&self, text: &str) -> Vec<String> {
        text.replace(self.separator.as_str(), " ")
            .split([' ', ',', '+'])
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect()
    }
}
