//! OAuth 2.0 as apps really do it: where to go, what to send, how to read the answer, how to refresh and revoke.
//!
//! RFC 6749, 7636 (PKCE), 7009 (revocation), 9700 (current practice), 9207 (`iss`) are the rule; every key below that is
//! not needed for a server that follows them is there for a deviation that real apps show. The flow itself is the host's.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::condition::one_or_many;
use super::{
    Condition, Field, Format, Inject, RequestSpec, StatusSet, Test, is_default, is_true, yes,
};
use crate::message::Decode;
use crate::path::JsonPath;
use crate::template::Template;

/// Sign-in by OAuth 2.0 authorization code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oauth2 {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for before the person is sent to the app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// Where the person is sent.
    pub authorize_url: Template,
    /// Where codes are exchanged for tokens.
    pub token_url: Template,
    /// Where tokens are refreshed, if elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_url: Option<Template>,
    /// The issuer that the `iss` parameter of a callback must equal (RFC 9207).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Template>,
    /// Whether the server always sends `iss`, so that a callback without it is refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub issuer_required: bool,
    /// What is asked for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scopes: Scopes,
    /// PKCE (RFC 7636); S256 unless there is a reason.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pkce: Pkce,
    /// How the client proves itself at the token endpoint.
    #[serde(default, skip_serializing_if = "is_default")]
    pub client_auth: ClientAuth,
    /// Whose OAuth client is used.
    #[serde(default, skip_serializing_if = "is_default")]
    pub client: ClientSource,
    /// Further parameters of the authorization URL.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub authorize_params: IndexMap<String, Template>,
    /// Further parameters of the code exchange.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub token_params: IndexMap<String, Template>,
    /// Further parameters of a refresh.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub refresh_params: IndexMap<String, Template>,
    /// Further headers of token requests.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub token_headers: IndexMap<String, Template>,
    /// How token requests are written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub token_body: TokenBody,
    /// How token answers are read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub response: TokenResponse,
    /// What is kept of token answers and callbacks, beside the tokens; `capture.<id>` in templates.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub capture: IndexMap<String, Capture>,
    /// How tokens are renewed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refresh: Refresh,
    /// How a grant is ended at the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<Revoke>,
    /// Where the token goes; `Authorization: Bearer` if not said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inject: Vec<Inject>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// PKCE: written as `s256`, `{off: reason}` or `{plain: reason}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pkce {
    /// S256.
    #[default]
    S256,
    /// The `plain` method, and why.
    Plain(String),
    /// None, and why.
    Off(String),
}

/// How the client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the body.
    #[default]
    Body,
    /// HTTP Basic, both parts form-encoded first (RFC 6749, 2.3.1).
    Basic,
    /// HTTP Basic of the raw values.
    BasicRaw,
    /// A public client: `client_id` alone.
    None,
}

/// Whose OAuth client is used. The operator's secret only ever goes to origins that the configuration pins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSource {
    /// Whether the operator's client may be used.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub operator: bool,
    /// A client of the owner's own, from fields of this method; for hosts that no operator registered at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerClient>,
}

impl Default for ClientSource {
    fn default() -> Self {
        Self {
            operator: true,
            owner: None,
        }
    }
}

/// The owner's own OAuth client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerClient {
    /// Its id.
    pub id: Template,
    /// Its secret; none for public clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Template>,
}

/// How token requests are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenBody {
    /// `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// JSON.
    Json,
}

/// How token answers are read. Without any of this, RFC 6749 is expected, and what servers commonly get wrong is forgiven.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenResponse {
    /// How the body is written; found out from the body if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<Decode>,
    /// When an answer is a success, where the status alone does not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    pub ok: Vec<Condition>,
    /// Where the tokens are, if not at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<JsonPath>,
    /// Where each value is, seen from the root, if not under its usual name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fields: TokenFields,
    /// Seconds that an access token lives if the answer does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_ttl: Option<u64>,
    /// Token types that are accepted beside `bearer`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_types: Vec<String>,
    /// Where the error code is, if not `$.error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JsonPath>,
    /// Where its description is, if not `$.error_description`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<JsonPath>,
}

/// Where the values of a token answer are, seen from its root.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFields {
    /// The access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<JsonPath>,
    /// The refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<JsonPath>,
    /// Seconds to live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<JsonPath>,
    /// What was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<JsonPath>,
}

/// One value kept of a token answer or a callback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// Where it is in the token answer (seen from the top).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<JsonPath>,
    /// Or which parameter of the callback it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<String>,
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
}

/// How tokens are renewed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// Whether a refresh answers with a new refresh token.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rotates: Rotates,
    /// Seconds before expiry at which a token is renewed; the host's own choice if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<u64>,
    /// Answers that mean that only the person can mend it, beside `invalid_grant`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusalRule>,
}

/// Whether a refresh answers with a new refresh token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotates {
    /// Each time; the old one is dead then.
    Always,
    /// Now and then; what comes is kept.
    #[default]
    Maybe,
    /// Never; the first one lives on.
    Never,
}

/// An answer that means that the grant is dead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusalRule {
    /// Codes; any if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusSet>,
    /// The error code; any if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a grant is ended at the app. Written as `{url}` (RFC 7009), as a request (`{method, path, …}`), or as
/// `{none: reason}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "RevokeText")]
pub enum Revoke {
    /// RFC 7009, with the client's usual authentication.
    Rfc7009 {
        /// The revocation endpoint.
        url: Template,
    },
    /// A request with the connection's credential, as the API defines it. A URL beyond the API's hosts is absolute.
    Request(Box<RequestSpec>),
    /// The app has no way to do it, and why.
    None {
        /// Why.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeUrl {
    url: Template,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoneBecause {
    none: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RevokeText {
    Url(RevokeUrl),
    Request(Box<RequestSpec>),
    None(NoneBecause),
}

impl TryFrom<serde_json::Value> for Revoke {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        let text = |e: serde_json::Error| e.to_string();
        if value.get("none").is_some() {
            serde_json::from_value::<NoneBecause>(value)
                .map(|n| Self::None { reason: n.none })
                .map_err(text)
        } else if value.get("url").is_some() {
            serde_json::from_value::<RevokeUrl>(value)
                .map(|u| Self::Rfc7009 { url: u.url })
                .map_err(text)
        } else {
            serde_json::from_value(value)
                .map(|r| Self::Request(Box::new(r)))
                .map_err(text)
        }
    }
}

impl From<Revoke> for RevokeText {
    fn from(revoke: Revoke) -> Self {
        match revoke {
            Revoke::Rfc7009 { url } => Self::Url(RevokeUrl { url }),
            Revoke::Request(request) => Self::Request(request),
            Revoke::None { reason } => Self::None(NoneBecause { none: reason }),
        }
    }
}

impl Oauth2 {
    /// Parameters that no manifest may set: the flow's own (an author who could set them could break it).
    pub const RESERVED_PARAMS: &'static [&'static str] = &[
        "state",
        "redirect_uri",
        "client_id",
        "client_secret",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "response_type",
        "code",
        "grant_type",
        "refresh_token",
        "nonce",
    ];
}
