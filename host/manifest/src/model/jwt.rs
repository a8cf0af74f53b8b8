//! A JWT that the host signs (RFC 7519, 7515): as a token of its own, as an assertion for a token (RFC 7523), or to
//! authenticate a client.
//!
//! Only the host sees the key and the signed token. What an author says is the claims, the header and where the key is.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{JsonTemplate, is_default};
use crate::template::Template;

/// A JWT to be signed by the host. `iat` and `exp` are added to the claims unless `without` names them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// How it is signed.
    pub alg: JwtAlg,
    /// The key; may read secrets.
    pub key: Template,
    /// How the key is written; `pem` for RSA, EC and EdDSA keys, `text` for HMAC keys, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_format: Option<KeyFormat>,
    /// Further members of its header, such as `kid`. `alg` and `typ` are the host's.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub header: IndexMap<String, JsonTemplate>,
    /// Its claims: a JSON tree whose texts are templates. May read secrets and `{{ key.fingerprint }}`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub claims: IndexMap<String, JsonTemplate>,
    /// Seconds that it is valid; 300 if not said, at most 3600.
    #[serde(default = "five_minutes", skip_serializing_if = "is_five_minutes")]
    pub lifetime: u32,
    /// Makes `{{ key.fingerprint }}`: a digest of the public key (DER), in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Usual claims that the app does not take.
    #[serde(default, skip_serializing_if = "is_default")]
    pub without: Vec<UsualClaim>,
}

fn five_minutes() -> u32 {
    300
}

fn is_five_minutes(seconds: &u32) -> bool {
    *seconds == five_minutes()
}

impl Jwt {
    /// The longest that a signed token may be valid, in seconds.
    pub const MAX_LIFETIME: u32 = 3600;

    /// How the key is written, with what is usual filled in.
    #[must_use]
    pub fn key_format(&self) -> KeyFormat {
        self.key_format.unwrap_or(if self.alg.is_symmetric() {
            KeyFormat::Text
        } else {
            KeyFormat::Pem
        })
    }

    /// Every template of it, with the key it stands under: `key`, `header.kid`, `claims.iss`.
    #[must_use]
    pub fn templates(&self) -> Vec<(String, &Template)> {
        let tree = |under: &'static str, map: &'_ IndexMap<String, JsonTemplate>| {
            map.keys()
                .map(|k| format!("{under}.{k}"))
                .collect::<Vec<_>>()
        };
        let mut all = vec![("key".to_owned(), &self.key)];
        for (under, map) in [("header", &self.header), ("claims", &self.claims)] {
            for (path, value) in tree(under, map).into_iter().zip(map.values()) {
                all.extend(value.templates().into_iter().map(|t| (path.clone(), t)));
            }
        }
        all
    }
}

/// Signature algorithms (RFC 7518, part 3; RFC 8037 for EdDSA).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum JwtAlg {
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
    /// HMAC with SHA-384.
    #[serde(rename = "HS384")]
    Hs384,
    /// HMAC with SHA-512.
    #[serde(rename = "HS512")]
    Hs512,
    /// RSA PKCS#1 v1.5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSA PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSA PSS with SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSA PSS with SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA on P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384.
    #[serde(rename = "ES384")]
    Es384,
    /// ECDSA on P-521.
    #[serde(rename = "ES512")]
    Es512,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl JwtAlg {
    /// Whether both sides know the same key.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

/// How a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeyFormat {
    /// A PEM block (RFC 7468): `-----BEGIN PRIVATE KEY-----`.
    Pem,
    /// The text's own bytes.
    Text,
    /// Hexadecimal.
    Hex,
    /// Base64.
    Base64,
}

/// The digest of a key's fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Fingerprint {
    /// SHA-256.
    Sha256,
}

/// A claim that the host adds by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UsualClaim {
    /// When it was signed.
    Iat,
    /// When it ends.
    Exp,
}
