//! Where an app's endpoints deviate from RFC 6749: names of parameters, the form of requests, the callback, and further
//! exchanges.
//!
//! None of this is needed for a server that follows the RFC. Each key says *what* deviates and never lets an author set what
//! the flow itself sets: `state`, the callback's address and PKCE stay the host's.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::TokenResponse;
use crate::model::{Capture, Encoding, JwtAlg, SecretSlot, is_default};
use crate::template::Template;

/// Which grant of OAuth 2.0 is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Oauth2Grant {
    /// The person agrees on the app's own page (RFC 6749, 4.1).
    #[default]
    AuthorizationCode,
    /// The client signs in as itself (RFC 6749, 4.4).
    ClientCredentials,
    /// The person types a code at another device (RFC 8628).
    Device,
    /// A signed assertion is exchanged for a token (RFC 7523, 2.1).
    JwtBearer,
    /// An administrator agrees on the app's own page, whose answer names the directory and carries no code; then the client
    /// signs in as itself (Microsoft Entra). Only with a client of the owner's own: the answer is whatever the browser says,
    /// so with the operator's client a person could name any directory that ever agreed to it.
    AdminConsent,
}

impl Oauth2Grant {
    /// Whether the person is sent to a page of the app and comes back from it.
    #[must_use]
    pub fn has_page(self) -> bool {
        match self {
            Self::AuthorizationCode | Self::AdminConsent => true,
            Self::ClientCredentials | Self::Device | Self::JwtBearer => false,
        }
    }

    /// Whether a token is asked for without anybody there, and so can be asked for again.
    #[must_use]
    pub fn is_unattended(self) -> bool {
        match self {
            Self::ClientCredentials | Self::JwtBearer | Self::AdminConsent => true,
            Self::AuthorizationCode | Self::Device => false,
        }
    }
}

/// Where endpoints are found out from, instead of being written down: `{issuer: T}` or `{resource: T}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Discover {
    /// Metadata of an authorization server (RFC 8414, OpenID Connect Discovery).
    Issuer(Template),
    /// Metadata of a protected resource, which names its authorization server (RFC 9728; MCP servers).
    Resource(Template),
}

/// The method of token requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum TokenMethod {
    /// POST, as RFC 6749 wants it.
    #[default]
    Post,
    /// GET, with everything in the URL.
    Get,
}

/// How token requests are written: `form`, `json`, `query` or `{xml: T}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenBody {
    /// `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// JSON.
    Json,
    /// No body: parameters of the URL. Only where the app takes nothing else, for URLs end up in logs.
    Query,
    /// XML: a template that reads what `token_params` may; values are escaped.
    Xml(Template),
}

/// Parameters of OAuth requests under other names, with other words, or left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ParamRules {
    /// From the usual name to the app's: `client_id: client_key`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub rename: IndexMap<String, String>,
    /// Usual parameters that the app does not take.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Other words for the flow's own: `response_type` of the authorization URL, and `grant_type` where a code is exchanged
    /// (Follow Up Boss says `auth_code`).
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, String>,
}

/// How the authorization URL is written, where the app is particular about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuthorizeRules {
    /// What follows `#`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fragment: Option<String>,
    /// Or the route of a one-page app that stands behind `#`, with the parameters after it: `/oauth/authorize` makes
    /// `https://app.example/#/oauth/authorize?client_id=…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Parameters that come first, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
    /// Parameters whose value is not percent-encoded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unescaped: Vec<String>,
    /// Parameters that are sent even if they are empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep_empty: Vec<String>,
    /// Whether the app registers an alias for the callback's address (eBay's RuName), and that is sent in its place. The alias
    /// is the operator's; a manifest never says where a person is sent back to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub redirect_alias: bool,
}

/// What the app calls things when it sends the person back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CallbackRules {
    /// The parameter with the code; `code` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The parameter with the state; `state` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The longest state that the app brings back, in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_state: Option<u32>,
    /// Why the app cannot bring back a state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_state: Option<String>,
    /// How the app signs its callback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<CallbackVerify>,
}

impl CallbackRules {
    /// Length of the state that the host makes, in characters: 256 random bits in base64url.
    pub const STATE_LENGTH: u32 = 43;
}

/// How a callback's signature is checked, by `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum CallbackVerify {
    /// HMAC-SHA256 over the other parameters.
    HmacSha256 {
        /// The key; may read secrets.
        key: Template,
        /// The parameter with the signature.
        param: String,
        /// What is signed.
        #[serde(default)]
        over: SignedPart,
        /// How the signature is written.
        #[serde(default)]
        encoding: Encoding,
    },
    /// A JWT in a parameter.
    Jwt {
        /// The key; may read secrets.
        key: Template,
        /// The parameter with the JWT.
        param: String,
        /// How it is signed; nothing else is accepted.
        alg: JwtAlg,
    },
}

/// What of a callback is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SignedPart {
    /// Every other parameter, sorted by name, as `a=1&b=2`.
    #[default]
    SortedQuery,
    /// Every other parameter in the order in which they came, as they were sent.
    Query,
}

/// One further exchange right after tokens came, from a code or from a refresh: a short-lived token for a long-lived one, or
/// a token for the API's own session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Where the token is exchanged.
    pub url: Template,
    /// GET or POST; POST if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub method: TokenMethod,
    /// Its parameters: in the URL of a GET, in the form of a POST. May read secrets.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub params: IndexMap<String, Template>,
    /// Its headers.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, Template>,
    /// How its answer is read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub response: TokenResponse,
    /// What is kept of its answer, beside what `capture` of the method keeps; `capture.<id>` in templates.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub capture: IndexMap<String, Capture>,
}

/// A token that is exchanged for one of another kind at the token endpoint (RFC 8693).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenExchange {
    /// What kind the token is that is given: `urn:ietf:params:oauth:token-type:access_token`.
    pub subject_token_type: String,
    /// What kind is asked for; the server's choice if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_token_type: Option<String>,
    /// Whom the new token is for, by the server's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// Token requests that the component makes. It exports the interface `exchange` and is asked for the steps `code`, `refresh`,
/// `device`, `client_credentials` and `jwt_bearer`; it reaches the token endpoint alone.
///
/// It holds no secret. Each comes as a placeholder that is good in its slots, towards the token endpoint; tokens in answers
/// are placeholders too, and what the component returns is read as an answer of the token endpoint, by `response` and
/// `capture`. A token that it did not get from the token endpoint is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ByComponent {
    /// Why: what the app's token requests have that no manifest can say.
    #[cfg_attr(feature = "schema", schemars(length(min = 20)))]
    pub reason: String,
    /// What the component may place, and where.
    pub slots: IndexMap<ExchangeValue, Vec<SecretSlot>>,
}

/// A secret of a token request that a component may place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExchangeValue {
    /// The code that the person brought back, or the device's.
    Code,
    /// The PKCE verifier.
    CodeVerifier,
    /// The refresh token.
    RefreshToken,
    /// The client's secret.
    ClientSecret,
    /// The signed assertion.
    Assertion,
    /// What an answer of the token endpoint gave: for a further request.
    Answer,
}
