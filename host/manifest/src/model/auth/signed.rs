//! Signed by the host: a JWT as a token, AWS Signature Version 4, HMAC over each request, and WSSE.
//!
//! No key ever leaves the host; an author says which values are signed, and where the signature goes.

use serde::{Deserialize, Serialize};

use super::Inject;
use crate::model::{Encoding, Field, Jwt, KeyFormat, Test, is_default};
use crate::template::Template;

/// Sign-in with a JWT that the host signs; it is the token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JwtAuth {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// The JWT.
    pub sign: Jwt,
    /// Where it goes; `Authorization: Bearer {{ jwt.token }}` if not said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inject: Vec<Inject>,
    /// Base URL of the API for connections that sign in so, where it is not `api.base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Template>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// Sign-in to AWS and what is compatible with it: each request carries a Signature Version 4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AwsSigv4 {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// The access key's id.
    pub access_key_id: Template,
    /// The secret access key; may read secrets.
    pub secret_access_key: Template,
    /// The session token of temporary credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Template>,
    /// The region, such as `eu-central-1`.
    pub region: Template,
    /// The service's name in signatures, such as `s3`.
    pub service: Template,
    /// A role to take on with these keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AssumeRole>,
    /// Base URL of the API for connections that sign in so, where it is not `api.base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Template>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// A role to take on (AWS STS, AssumeRole).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AssumeRole {
    /// The role's ARN.
    pub role_arn: Template,
    /// The external id that the role's owner demands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<Template>,
    /// What the session is called in the owner's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<Template>,
    /// Seconds that the role's credentials live: 900 to 43200; 3600 if not said.
    #[serde(default = "one_hour", skip_serializing_if = "is_one_hour")]
    pub duration: u32,
}

fn one_hour() -> u32 {
    3600
}

fn is_one_hour(seconds: &u32) -> bool {
    *seconds == one_hour()
}

/// Sign-in with a key that signs each request (RFC 2104).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Hmac {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// The hash function; `sha256` if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub algorithm: HmacAlgorithm,
    /// The key; may read secrets.
    pub key: Template,
    /// How the key is written: `text`, `hex` or `base64`; `text` if not said.
    #[serde(default = "text", skip_serializing_if = "is_text")]
    pub key_format: KeyFormat,
    /// What is signed. May read `request.method`, `request.path`, `request.query`, `request.body`, `request.body_sha256`,
    /// `request.host`, `timestamp` and `nonce` too.
    pub message: Template,
    /// How the signature is written; `hex` if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub encoding: Encoding,
    /// Where the signature and what belongs to it go: `{{ signature }}`, `{{ timestamp }}`, `{{ nonce }}`.
    pub inject: Vec<Inject>,
    /// Base URL of the API for connections that sign in so, where it is not `api.base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Template>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

fn text() -> KeyFormat {
    KeyFormat::Text
}

fn is_text(format: &KeyFormat) -> bool {
    *format == KeyFormat::Text
}

/// Hash functions of HMAC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HmacAlgorithm {
    /// SHA-1; only where the app takes nothing better.
    Sha1,
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// Sign-in with a WS-Security user name token: a nonce, a time and a digest in a header of each request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Wsse {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// The user name.
    pub username: Template,
    /// The secret that the digest is made of; may read secrets.
    pub secret: Template,
    /// How the digest is written; `base64` if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub digest: WsseDigest,
    /// How the nonce is written; `base64` if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nonce: WsseNonce,
    /// The header; `X-WSSE` if not said.
    #[serde(default = "x_wsse", skip_serializing_if = "is_x_wsse")]
    pub header: String,
    /// Base URL of the API for connections that sign in so, where it is not `api.base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Template>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

fn x_wsse() -> String {
    "X-WSSE".to_owned()
}

fn is_x_wsse(name: &str) -> bool {
    name == x_wsse()
}

/// How a WSSE digest is written: SHA-1 over the nonce, the time and the secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WsseDigest {
    /// Base64 of the digest's bytes (Web Services Security UsernameToken Profile, 3.1).
    #[default]
    Base64,
    /// Base64 of the digest in lower-case hexadecimal (Emarsys).
    Base64OfHex,
}

/// How a WSSE nonce is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WsseNonce {
    /// Base64 in the header; the digest is made over the bytes themselves.
    #[default]
    Base64,
    /// Lower-case hexadecimal, in the header and under the digest alike.
    Hex,
}
