//! What a token answer comes to, and the same in the words of RFC 6749 for the `oauth2` crate.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::scope::wipe;
use crate::secret::SecretText;

/// Tokens, as they are kept.
pub struct TokenAnswer {
    /// The access token.
    pub access_token: SecretText,
    /// The refresh token, if the answer had one; without one, an older one stays valid.
    pub refresh_token: Option<SecretText>,
    /// Seconds to live as the server or the manifest says; `None` if neither does.
    pub expires_in: Option<u64>,
    /// The same as a Unix time in seconds.
    pub expires_at: Option<i64>,
    /// Seconds after which the refresh token dies if nobody uses it, as far as answer and manifest say.
    pub idle_in: Option<u64>,
    /// Seconds after which the grant ends whatever is done. In the answer to a refresh only what the answer itself says: what
    /// the manifest counts from the sign-in goes on.
    pub ends_in: Option<u64>,
    /// What was granted, if the server says.
    pub scopes: Option<Vec<String>>,
    /// Captures that may be shown.
    pub public_captures: IndexMap<String, String>,
    /// Captures that are secret.
    pub secret_captures: IndexMap<String, SecretText>,
    /// Further tokens that the manifest declares (`response.also`) and the answer carries, by name.
    pub also: IndexMap<String, SecondAnswer>,
    /// Who signed in, as an unverified JWT (OpenID Connect Core, 3.1.3.3).
    pub id_token: Option<SecretText>,
}

/// A further token of the same answer. Holds secrets: no `Debug`.
pub struct SecondAnswer {
    /// The access token.
    pub access_token: SecretText,
    /// The refresh token, if the answer had one.
    pub refresh_token: Option<SecretText>,
    /// Seconds to live; as the first token if the manifest says nothing of its own; `None` if nobody says.
    pub expires_in: Option<u64>,
    /// The same as a Unix time in seconds.
    pub expires_at: Option<i64>,
    /// What was granted, if the server says.
    pub scopes: Option<Vec<String>>,
}

/// What a refusal of the token endpoint means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenErrorKind {
    /// The grant or code is dead: only the person can mend it.
    Refused,
    /// The operator's client or the manifest is at fault.
    Misconfigured,
    /// The app is down or asks to wait; the grant is not in question.
    Retry,
    /// The answer makes no sense.
    Unreadable,
}

/// A token endpoint's refusal. Holds no token and no raw body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the token endpoint refused ({status}, {error})")]
pub struct TokenError {
    /// The real HTTP status.
    pub status: u16,
    /// The error code (RFC 6749, 5.2), or one of ours where there is none: `empty_answer`, `no_access_token`,
    /// `capture_missing`, `capture_not_allowed`, `token_type_not_supported`, `http_<status>`.
    pub error: String,
    /// The server's description, cut and cleaned; text only.
    pub description: Option<String>,
    /// What it means.
    pub kind: TokenErrorKind,
    /// How long the app asks to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// A standard answer for the `oauth2` crate: 200 or 400, `application/json`, this body.
pub struct TokenJson {
    /// 200 or 400.
    pub status: u16,
    /// A document of RFC 6749, 5.1 or 5.2.
    pub body: SecretText,
}

impl TokenAnswer {
    /// The answer as RFC 6749, 5.1 wants it.
    #[must_use]
    pub fn to_json(&self) -> TokenJson {
        let mut map = Map::new();
        map.insert("access_token".into(), self.access_token.expose().into());
        map.insert("token_type".into(), "bearer".into());
        if let Some(token) = &self.refresh_token {
            map.insert("refresh_token".into(), token.expose().into());
        }
        if let Some(seconds) = self.expires_in {
            map.insert("expires_in".into(), seconds.into());
        }
        if let Some(scopes) = &self.scopes {
            map.insert("scope".into(), scopes.join(" ").into());
        }
        let mut value = Value::Object(map);
        let body = SecretText::new(value.to_string());
        wipe(&mut value);
        TokenJson { status: 200, body }
    }
}

impl TokenError {
    /// The error as RFC 6749, 5.2 wants it.
    #[must_use]
    pub fn to_json(&self) -> TokenJson {
        let body = match &self.description {
            Some(text) => json!({"error": self.error, "error_description": text}),
            None => json!({"error": self.error}),
        };
        TokenJson {
            status: 400,
            body: SecretText::new(body.to_string()),
        }
    }
}
