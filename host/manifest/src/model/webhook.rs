//! What a webhook needs beside its events: how its sender is known, and how a first handshake is answered.
//!
//! Threat: anybody can post to a URL. So a manifest says how a call is known to be the app's, or says in words why the app
//! has no way to tell. The values of `verify` may be secret; only the host renders them.

use serde::{Deserialize, Serialize};

use super::{Condition, Encoding};
use crate::template::Template;

/// How a webhook call is known to be the app's. Written as `{type: hmac_sha256, key, header, …}`,
/// `{type: token, header, value}` or `{none: reason}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "VerifyText", into = "VerifyText")]
pub enum WebhookVerify {
    /// The body is signed with HMAC.
    Hmac(Box<WebhookHmac>),
    /// A header carries a value that both sides know.
    Token {
        /// Name of the header.
        header: String,
        /// What it must equal; may read secrets.
        value: Template,
    },
    /// The app signs nothing, and why events may be believed all the same.
    None {
        /// Why.
        reason: String,
    },
}

/// A webhook call that is signed with HMAC.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookHmac {
    /// The hash.
    pub hash: HmacHash,
    /// The key; may read secrets.
    pub key: Template,
    /// The header that the signature comes in.
    pub header: String,
    /// What is signed; the body as it came if not said. `request.body` is the body, `headers` the call's headers.
    pub message: Option<Template>,
    /// What stands before the signature in the header: `sha256=`.
    pub prefix: Option<String>,
    /// The signature's place in the header where a prefix does not say it, over `headers`.
    pub signature: Option<Template>,
    /// How the signature is written; hexadecimal if not said.
    pub encoding: Encoding,
    /// When the call was signed, in Unix seconds, over `headers`; needed with `tolerance`.
    pub timestamp: Option<Template>,
    /// Most seconds between signing and arrival; older calls are refused as repeated ones.
    pub tolerance: Option<u32>,
}

/// Hashes that webhooks are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HmacHash {
    /// HMAC-SHA1.
    Sha1,
    /// HMAC-SHA256.
    Sha256,
    /// HMAC-SHA512.
    Sha512,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum VerifyType {
    HmacSha1,
    HmacSha256,
    HmacSha512,
    Token,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct VerifyText {
    /// How deliveries are proven.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<VerifyType>,
    /// The key; may read secrets and `webhook.secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Template>,
    /// The header that carries the signature or the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    /// What is signed; the body if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<Template>,
    /// What stands before the signature: `sha256=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    /// The signature, where it is a part of the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Template>,
    /// How the signature is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
    /// When it was signed, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<Template>,
    /// Seconds by which that may differ from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tolerance: Option<u32>,
    /// The token that the header must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Template>,
    /// Why deliveries cannot be proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    none: Option<String>,
}

impl TryFrom<VerifyText> for WebhookVerify {
    type Error = String;

    fn try_from(text: VerifyText) -> Result<Self, String> {
        let hash = match (text.kind, text.none) {
            (None, Some(reason)) => return Ok(Self::None { reason }),
            (None, None) => {
                return Err(
                    "`type` is missing; it is hmac_sha1, hmac_sha256, hmac_sha512 or token (or write `none: <why>`)"
                        .to_owned(),
                );
            }
            (Some(_), Some(_)) => return Err("`none` stands alone".to_owned()),
            (Some(VerifyType::Token), None) => {
                let only_token = text.key.is_none()
                    && text.message.is_none()
                    && text.prefix.is_none()
                    && text.signature.is_none()
                    && text.encoding.is_none()
                    && text.timestamp.is_none()
                    && text.tolerance.is_none();
                return match (text.header, text.value) {
                    (Some(header), Some(value)) if only_token => Ok(Self::Token { header, value }),
                    _ => Err("`type: token` has `header` and `value`, nothing else".to_owned()),
                };
            }
            (Some(VerifyType::HmacSha1), None) => HmacHash::Sha1,
            (Some(VerifyType::HmacSha256), None) => HmacHash::Sha256,
            (Some(VerifyType::HmacSha512), None) => HmacHash::Sha512,
        };
        let (Some(key), Some(header), None) = (text.key, text.header, text.value) else {
            return Err("a signed webhook has `key` and `header`, and no `value`".to_owned());
        };
        Ok(Self::Hmac(Box::new(WebhookHmac {
            hash,
            key,
            header,
            message: text.message,
            prefix: text.prefix,
            signature: text.signature,
            encoding: text.encoding.unwrap_or_default(),
            timestamp: text.timestamp,
            tolerance: text.tolerance,
        })))
    }
}

impl From<WebhookVerify> for VerifyText {
    fn from(verify: WebhookVerify) -> Self {
        match verify {
            WebhookVerify::Hmac(hmac) => Self {
                kind: Some(match hmac.hash {
                    HmacHash::Sha1 => VerifyType::HmacSha1,
                    HmacHash::Sha256 => VerifyType::HmacSha256,
                    HmacHash::Sha512 => VerifyType::HmacSha512,
                }),
                key: Some(hmac.key),
                header: Some(hmac.header),
                message: hmac.message,
                prefix: hmac.prefix,
                signature: hmac.signature,
                encoding: (hmac.encoding != Encoding::default()).then_some(hmac.encoding),
                timestamp: hmac.timestamp,
                tolerance: hmac.tolerance,
                ..Self::default()
            },
            WebhookVerify::Token { header, value } => Self {
                kind: Some(VerifyType::Token),
                header: Some(header),
                value: Some(value),
                ..Self::default()
            },
            WebhookVerify::None { reason } => Self {
                none: Some(reason),
                ..Self::default()
            },
        }
    }
}

impl WebhookVerify {
    /// Every template, with its key.
    #[must_use]
    pub fn templates(&self) -> Vec<(&'static str, &Template)> {
        match self {
            Self::Hmac(hmac) => [
                ("key", Some(&hmac.key)),
                ("message", hmac.message.as_ref()),
                ("signature", hmac.signature.as_ref()),
                ("timestamp", hmac.timestamp.as_ref()),
            ]
            .into_iter()
            .filter_map(|(key, t)| Some((key, t?)))
            .collect(),
            Self::Token { value, .. } => vec![("value", value)],
            Self::None { .. } => Vec::new(),
        }
    }
}

/// Whose an event is, where an app sends those of several accounts to one address: an event is handed on where both are the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Whose it is, as the call says: over `body` and `headers`.
    pub event: Template,
    /// Whose the connection is: over `account`, fields and captures.
    pub connection: Template,
}

/// An app's one address for the events of all its connections: what its operator enters at the app, once for each client that is
/// registered there. A call is believed by a secret of that client, and handed to the connections that it is about.
///
/// Threat: whoever has an account at the app can make events of their own. So only the app's signature counts, never an address that
/// nobody knows; and whose a connection is must come from the app itself, not from what a person typed or a browser brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AppWebhook {
    /// What the operator does at the app to have events sent here, and where the secret is found.
    pub manual: String,
    /// How a call is known to be the app's: by `webhook.secret`, which the operator enters in the app's configuration, or by
    /// `app.client_secret`.
    pub verify: WebhookVerify,
    /// A handshake that the app wants answered; only a call that `verify` believes is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Challenge>,
    /// Whose a call's events are: `event` over `body` and `headers`, `connection` over `capture` and `account`.
    pub tenant: Tenant,
}

impl AppWebhook {
    /// Whether calls are checked with a secret that the operator enters for that alone (`webhook.secret`).
    #[must_use]
    pub fn by_own_secret(&self) -> bool {
        let mut refs = self
            .verify
            .templates()
            .into_iter()
            .flat_map(|(_, template)| template.refs());
        refs.any(|r| r.root == "webhook" && r.name() == Some("secret"))
    }
}

/// Two values that must be the same, for a call to be of interest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Only {
    /// What the call says: over `body` and `headers`.
    pub event: Template,
    /// What is wanted: over `input`. Where the input does not say it, any call will do.
    pub is: Template,
}

/// A handshake: a call that carries no event and wants a certain answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// How such a call is told from an event; over its headers and its body, or the query's parameters if it has no body.
    pub when: Condition,
    /// What is answered, over `body` (the query's parameters if the call has no body), `headers` and `webhook`.
    pub answer: Template,
    /// The answer's content type; `text/plain` if not said.
    #[serde(default = "plain", skip_serializing_if = "is_plain")]
    pub content_type: String,
}

fn plain() -> String {
    "text/plain".to_owned()
}

fn is_plain(text: &str) -> bool {
    text == "text/plain"
}
