//! How token answers are read.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::message::Decode;
use crate::model::condition::one_or_many;
use crate::model::{Condition, CredentialRef, Expiry, is_default};
use crate::path::JsonPath;

/// How token answers are read. Without any of this, RFC 6749 is expected, and what servers commonly get wrong is forgiven.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenResponse {
    /// How the body is written; found out from the body if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<Decode>,
    /// When an answer is a success, where the status alone does not tell.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "crate::schema::OneOrMany<Condition>")
    )]
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    pub ok: Vec<Condition>,
    /// Where the tokens are, if not at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<JsonPath>,
    /// Where each value is, seen from the root, if not under its usual name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fields: TokenFields,
    /// Where the end of the token comes from; `expires_in`, in seconds, as a number or text, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Expiry>,
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
    /// Further tokens of the same answer, seen from its top; `{{ tokens.<id>.access_token }}` in templates.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub also: IndexMap<String, SecondToken>,
}

/// Where the values of a token answer are, seen from its root.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// A further token of the same answer, such as a person's own beside the app's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SecondToken {
    /// Where it is, seen from the top of the answer.
    pub root: JsonPath,
    /// Where each of its values is, seen from there, if not under its usual name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fields: TokenFields,
    /// When it ends; as the first one, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Expiry>,
    /// The hosts and injections with this `credential` use it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub credential: CredentialRef,
}
