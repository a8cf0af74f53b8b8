//! Sign-in by the app's own requests: one or several, each of which may use what the ones before gave.
//!
//! Secrets may stand in the bodies, headers and (of a POST) query parameters of the steps, never in a path. Only declared
//! captures of the answers are kept.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::Inject;
use crate::model::{
    Capture, Expiry, FailureRule, Field, Jwt, OkRule, RequestSpec, Test, is_default,
};
use crate::template::Template;

/// Sign-in by the app's own log-in requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// The requests, in order; at least one.
    pub steps: Vec<SessionStep>,
    /// When the session ends, seen from the last answer. `jwt` names a capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Expiry>,
    /// How the session is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logout: Option<Logout>,
    /// Where what was captured goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inject: Vec<Inject>,
    /// Base URL of the API for connections that sign in so, where it is not `api.base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Template>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// One request of a sign-in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionStep {
    /// A JWT that the host signs right before this request; `{{ jwt.token }}` in its headers and body. May read what earlier
    /// steps captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign: Option<Box<Jwt>>,
    /// The request: a path under the API, or an absolute URL.
    pub request: RequestSpec,
    /// When it counts as success; 2xx if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ok: OkRule,
    /// What is kept of its answer; `capture.<id>` in later steps, in `inject` and in requests.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub capture: IndexMap<String, Capture>,
    /// What other answers mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureRule>,
}

/// How a session is ended. Written as a request, or as `{none: reason}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "LogoutText")]
pub enum Logout {
    /// A request with the session's credential.
    Request(Box<RequestSpec>),
    /// The app has no way to do it, and why.
    None {
        /// Why.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct NoneBecause {
    none: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum LogoutText {
    Request(Box<RequestSpec>),
    None(NoneBecause),
}

impl TryFrom<serde_json::Value> for Logout {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        if value.get("none").is_some() {
            serde_json::from_value::<NoneBecause>(value)
                .map(|n| Self::None { reason: n.none })
                .map_err(|e| e.to_string())
        } else {
            serde_json::from_value(value)
                .map(|r| Self::Request(Box::new(r)))
                .map_err(|e| e.to_string())
        }
    }
}

impl From<Logout> for LogoutText {
    fn from(logout: Logout) -> Self {
        match logout {
            Logout::Request(request) => Self::Request(request),
            Logout::None { reason } => Self::None(NoneBecause { none: reason }),
        }
    }
}
