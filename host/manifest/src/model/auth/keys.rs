//! Pasted keys: as they are, as HTTP Basic, or as a bearer token.

use serde::{Deserialize, Serialize};

use super::{Inject, known};
use crate::model::{Field, Format, Test};
use crate::template::Template;

/// One or more pasted keys and where they go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for.
    pub fields: Vec<Field>,
    /// Where the credential goes; empty only where the component places it through recipes or handles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inject: Vec<Inject>,
    /// Base URL of the API for connections that sign in so, where it is not `api.base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Template>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// HTTP Basic with a name and a password made of the fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for; a user name and a password if not said.
    #[serde(default = "name_and_password")]
    pub fields: Vec<Field>,
    /// The user name.
    #[serde(default = "default_username")]
    pub username: Template,
    /// The password.
    #[serde(default = "default_password")]
    pub password: Template,
    /// Base URL of the API for connections that sign in so, where it is not `api.base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Template>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// A pasted token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Bearer {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for; one secret `token` if not said.
    #[serde(default = "one_token")]
    pub fields: Vec<Field>,
    /// The token.
    #[serde(default = "default_token")]
    pub token: Template,
    /// Base URL of the API for connections that sign in so, where it is not `api.base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Template>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

fn secret(id: &str, label: &str) -> Field {
    Field {
        secret: true,
        ..public(id, label)
    }
}

fn public(id: &str, label: &str) -> Field {
    Field::named(id, label, Format::Text)
}

fn name_and_password() -> Vec<Field> {
    vec![
        public("username", "User name"),
        secret("password", "Password"),
    ]
}

fn one_token() -> Vec<Field> {
    vec![secret("token", "Token")]
}

fn default_username() -> Template {
    known("{{ credentials.username }}")
}

fn default_password() -> Template {
    known("{{ credentials.password }}")
}

fn default_token() -> Template {
    known("{{ credentials.token }}")
}
