//! OAuth 2.0 as apps really do it: where to go, what to send, how to read the answer, how to refresh and revoke.
//!
//! RFC 6749, 7636 (PKCE), 7009 (revocation), 9700 (current practice), 9207 (`iss`) are the rule; every key below that is
//! not needed for a server that follows them is there for a deviation that real apps show. The flow itself is the host's.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Capture, ClientCertificate, Field, Inject, Jwt, JwtAlg, Test, is_default};
use crate::template::Template;

mod client;
mod deviations;
mod refresh;
mod response;
mod scopes;

pub use client::{ClientAuth, ClientSource, OwnerClient, Pkce};
pub use deviations::{
    AuthorizeRules, ByComponent, CallbackRules, CallbackVerify, Discover, Exchange, ExchangeValue,
    Oauth2Grant, ParamRules, SignedPart, TokenBody, TokenExchange, TokenMethod,
};
pub use refresh::{Prolongs, Refresh, RefreshBy, RefusalRule, Revoke, Rotates};
pub use response::{SecondToken, TokenFields, TokenResponse};
pub use scopes::{ExtraScopes, Scopes};

/// Sign-in by OAuth 2.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Which grant is used; `authorization_code` if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grant: Oauth2Grant,
    /// Where the person is sent. Needed for `authorization_code`, unless it is discovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorize_url: Option<Template>,
    /// Where codes are exchanged for tokens. Needed unless it is discovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<Template>,
    /// Where a device asks for its code (RFC 8628). Needed for `device`, unless it is discovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_url: Option<Template>,
    /// The JWT that is exchanged for a token, sent as `assertion`. Needed for `jwt_bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Box<Jwt>>,
    /// Where the endpoints are found out from, instead of being written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discover: Option<Discover>,
    /// Whether the host registers a client by itself (RFC 7591), at what `discover` found.
    #[serde(default, skip_serializing_if = "is_default")]
    pub register: bool,
    /// Where tokens are refreshed, if elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_url: Option<Template>,
    /// Where a token is asked about whose answer does not say when it ends (RFC 7662).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspect_url: Option<Template>,
    /// What the token is for (RFC 8707): absolute URIs, sent as `resource` wherever a token is asked for. What `discover` says of
    /// a protected resource comes by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Template>,
    /// The issuer that the `iss` parameter of a callback must equal (RFC 9207).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Template>,
    /// What the metadata that `discover` finds says as its issuer, where that has a hole for the person's tenant:
    /// `https://login.example/{tenantid}/v2.0`. Which tenant it is, the `tid` claim of the `id_token` says, and it stays that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_pattern: Option<String>,
    /// Whether the server always sends `iss`, so that a callback without it is refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub issuer_required: bool,
    /// What is asked for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scopes: Scopes,
    /// PKCE (RFC 7636); S256 unless there is a reason.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pkce: Pkce,
    /// Whether the authorization request is pushed to the server first (RFC 9126).
    #[serde(default, skip_serializing_if = "is_default")]
    pub par: bool,
    /// What the authorization request is signed with, where it is sent as a signed object (RFC 9101).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_object: Option<JwtAlg>,
    /// What proves that a token's holder has the key that it is bound to (RFC 9449): the proofs' algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop: Option<JwtAlg>,
    /// The token that came is exchanged for one of another kind (RFC 8693).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_exchange: Option<Box<TokenExchange>>,
    /// How the client proves itself at the token endpoint.
    #[serde(default, skip_serializing_if = "is_default")]
    pub client_auth: ClientAuth,
    /// The JWT of `private_key_jwt` and `client_secret_jwt`, where it deviates from OpenID Connect Core, 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_assertion: Option<Box<Jwt>>,
    /// A certificate that is presented beside the client. Needed for the client authentication `tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<Box<ClientCertificate>>,
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
    /// The method of token requests; POST if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub token_method: TokenMethod,
    /// How token requests are written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub token_body: TokenBody,
    /// Parameters that the app knows by other names, or not at all; of authorize, token and refresh requests.
    #[serde(default, skip_serializing_if = "is_default")]
    pub params: ParamRules,
    /// How the authorization URL is written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub authorize: AuthorizeRules,
    /// What the app calls things when it sends the person back, and how it signs that.
    #[serde(default, skip_serializing_if = "is_default")]
    pub callback: CallbackRules,
    /// How token answers are read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub response: TokenResponse,
    /// What is kept of token answers and callbacks, beside the tokens; `capture.<id>` in templates.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub capture: IndexMap<String, Capture>,
    /// One further exchange, right after the tokens came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Box<Exchange>>,
    /// Where the component makes the token requests, because nothing above can say them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_component: Option<Box<ByComponent>>,
    /// How tokens are renewed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refresh: Refresh,
    /// How a grant is ended at the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<Revoke>,
    /// Where the token goes; `Authorization: Bearer` if not said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inject: Vec<Inject>,
    /// Base URL of the API for connections that sign in so, where it is not `api.base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Template>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

impl Oauth2 {
    /// The hole of an [`Oauth2::issuer_pattern`].
    pub const TENANT: &'static str = "{tenantid}";

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
