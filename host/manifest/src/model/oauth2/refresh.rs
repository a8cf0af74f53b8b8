//! How tokens are renewed, and how a grant is ended.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::ClientAuth;
use crate::model::condition::one_or_many;
use crate::model::{Condition, Expiry, RequestSpec, StatusSet, is_default};
use crate::template::Template;

/// How tokens are renewed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// Whether a refresh answers with a new refresh token. Said wherever a refresh token is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotates: Option<Rotates>,
    /// Seconds before expiry at which a token is renewed; the host's own choice if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<u64>,
    /// How long a refresh token lives that nobody uses; each refresh begins it anew. The host renews the grant before half of
    /// it has passed; once a day if not said. Paths are seen from where the tokens are, of each answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Expiry>,
    /// When the grant ends whatever is done: `fixed` counts from the sign-in, a path is read in each answer. The connection
    /// says so, for by then its person signs in again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Expiry>,
    /// Answers that mean that only the person can mend it, beside `invalid_grant`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusalRule>,
    /// How the client proves itself in a refresh, where that is another way (Clover takes the client's id alone).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<ClientAuth>,
    /// Further headers of a refresh, beside `token_headers`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, Template>,
    /// What a token is renewed with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub by: RefreshBy,
    /// Says that the answer to a refresh carries no tokens: the old ones live on for this long (Coros).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prolongs: Option<Prolongs>,
}

/// A refresh that makes the tokens that there are live longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Prolongs {
    /// What its answer must say.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "crate::schema::OneOrMany<Condition>")
    )]
    #[serde(with = "one_or_many")]
    pub ok: Vec<Condition>,
    /// Seconds that the tokens live from then on.
    pub seconds: u64,
}

/// What a token is renewed with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefreshBy {
    /// The refresh token (RFC 6749, 6).
    #[default]
    RefreshToken,
    /// The `exchange`, done again with the token that is about to end: at `refresh_url` and with `refresh_params`, where they
    /// are written, in place of the exchange's own.
    Exchange,
    /// There is no refresh: the grant is asked for again (client credentials, assertions).
    SignInAgain,
}

/// Whether a refresh answers with a new refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Rotates {
    /// Each time; the old one is dead then.
    Always,
    /// Now and then; what comes is kept.
    Maybe,
    /// Never; the first one lives on.
    Never,
}

/// An answer that means that the grant is dead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RevokeUrl {
    url: Template,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
