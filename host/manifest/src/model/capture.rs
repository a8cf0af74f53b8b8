//! Values kept of answers and callbacks beside the tokens: a tenant, an instance URL, a session id.
//!
//! What is not declared is not kept. A capture is secret unless it says `public: true`, and is checked by its declared form
//! like anything that a person typed: it comes from outside, and may decide where requests go.

use serde::{Deserialize, Serialize};

use super::{Format, is_default, is_true, yes};
use crate::path::JsonPath;

/// One value kept of a token answer, a session step or a callback; `capture.<id>` in templates. It has exactly one source:
/// `path`, `callback`, `header`, `cookie` or `claim`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// Where it is in the answer's body (seen from the top).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<JsonPath>,
    /// Or which parameter of the callback it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<String>,
    /// Or which header of the answer it is, by name in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Or which cookie the answer sets, by its exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// Or which claim of the `id_token` it is, by its exact name: `sub`, `tid`. The token is read, not verified: it comes
    /// over TLS straight from the token endpoint (OpenID Connect Core, 3.1.3.7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// Whether it may be shown and used outside of credentials.
    #[serde(default, skip_serializing_if = "is_default")]
    pub public: bool,
    /// Whether an answer without it is refused.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub required: bool,
    /// Its form; host-safe ones may stand in a URL's host.
    #[serde(default, skip_serializing_if = "is_default")]
    pub format: Format,
    /// For `host` and `origin`: what the host must end with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suffixes: Vec<String>,
    /// What a refresh does to it. If not said, it is taken again where the refresh answers with it, and kept where not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_refresh: Option<OnRefresh>,
}

/// What a refresh does to a captured value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnRefresh {
    /// It is read again; a refresh whose answer lacks it is refused if it is required.
    Again,
    /// The first value stays, whatever a refresh says.
    Keep,
}

/// Where a capture comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CaptureSource<'c> {
    /// The answer's body.
    Path(&'c JsonPath),
    /// A parameter of the callback.
    Callback(&'c str),
    /// A header of the answer.
    Header(&'c str),
    /// A cookie that the answer sets.
    Cookie(&'c str),
    /// A claim of the `id_token`.
    Claim(&'c str),
}

impl Capture {
    /// Every source that is written down; a sound capture has exactly one.
    #[must_use]
    pub fn sources(&self) -> Vec<CaptureSource<'_>> {
        let texts = [
            self.callback.as_deref().map(CaptureSource::Callback),
            self.header.as_deref().map(CaptureSource::Header),
            self.cookie.as_deref().map(CaptureSource::Cookie),
            self.claim.as_deref().map(CaptureSource::Claim),
        ];
        self.path
            .as_ref()
            .map(CaptureSource::Path)
            .into_iter()
            .chain(texts.into_iter().flatten())
            .collect()
    }

    /// Where it comes from; `None` where nothing is said.
    #[must_use]
    pub fn source(&self) -> Option<CaptureSource<'_>> {
        self.sources().first().copied()
    }
}
