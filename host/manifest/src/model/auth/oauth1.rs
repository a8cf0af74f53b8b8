//! OAuth 1.0a (RFC 5849): three-legged, or with all four values pasted (NetSuite's token-based authentication).

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::model::{Capture, ClientSource, Field, Revoke, Test, is_default};
use crate::template::Template;

/// Sign-in by OAuth 1.0a; the host signs each request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Oauth1 {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// How the token is got; `three_legged` if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grant: Oauth1Grant,
    /// Where temporary credentials are asked for. Needed for `three_legged`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_token_url: Option<Template>,
    /// Where the person is sent. Needed for `three_legged`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorize_url: Option<Template>,
    /// Where the token is got. Needed for `three_legged`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_url: Option<Template>,
    /// Further parameters of the authorization URL.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub authorize_params: IndexMap<String, Template>,
    /// How requests are signed; `HMAC-SHA1` if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub signature: Oauth1Signature,
    /// The realm of the Authorization header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<Template>,
    /// Where the signature goes; `header` if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub place: Oauth1Place,
    /// Whose consumer key and secret are used.
    #[serde(default, skip_serializing_if = "is_default")]
    pub client: ClientSource,
    /// The pasted token. Needed for `token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Template>,
    /// Its secret. Needed for `token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret: Option<Template>,
    /// What is kept of the access-token answer (a form) and of the callback; `capture.<id>` in templates.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub capture: IndexMap<String, Capture>,
    /// How a grant is ended at the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<Revoke>,
    /// Base URL of the API for connections that sign in so, where it is not `api.base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Template>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// How an OAuth 1.0a token is got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Oauth1Grant {
    /// The person agrees on the app's own page.
    #[default]
    ThreeLegged,
    /// The person pastes a token and its secret.
    Token,
}

/// How OAuth 1.0a requests are signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Oauth1Signature {
    /// HMAC with SHA-1.
    #[default]
    #[serde(rename = "HMAC-SHA1")]
    HmacSha1,
    /// HMAC with SHA-256.
    #[serde(rename = "HMAC-SHA256")]
    HmacSha256,
    /// RSA with SHA-1; the client's secret is its private key in PEM.
    #[serde(rename = "RSA-SHA1")]
    RsaSha1,
    /// The secrets themselves, protected by TLS alone.
    #[serde(rename = "PLAINTEXT")]
    Plaintext,
}

/// Where an OAuth 1.0a signature goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Oauth1Place {
    /// The Authorization header.
    #[default]
    Header,
    /// Query parameters.
    Query,
    /// The form that the request's body is; the Authorization header of requests without one (RFC 5849, 3.5.2).
    Body,
}
