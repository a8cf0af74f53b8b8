//! The OAuth client: whose it is, and how it proves itself.

use serde::{Deserialize, Serialize};

use crate::model::{is_true, yes};
use crate::template::Template;

/// PKCE: written as `s256`, `{off: reason}` or `{plain: reason}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the body.
    #[default]
    Body,
    /// HTTP Basic, both parts form-encoded first (RFC 6749, 2.3.1).
    Basic,
    /// HTTP Basic of the raw values.
    BasicRaw,
    /// HTTP Basic with the secret as the user name and no password; `client_id` is not sent (Stripe Apps).
    BasicSecret,
    /// A public client: `client_id` alone.
    None,
    /// A JWT signed with the client's private key (RFC 7523, 2.2; OpenID Connect Core, 9).
    PrivateKeyJwt,
    /// A JWT signed with the client's secret (OpenID Connect Core, 9).
    ClientSecretJwt,
    /// The client's TLS certificate (RFC 8705).
    Tls,
}

/// Whose OAuth client is used. The operator's secret only ever goes to origins that the configuration pins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OwnerClient {
    /// Its id.
    pub id: Template,
    /// Its secret; none for public clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Template>,
}
