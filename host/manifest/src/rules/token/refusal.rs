//! What it means when a token endpoint gives no token: RFC 6749, 5.2, and all that servers say instead.

use serde_json::Value;

use super::{Reader, TokenError, TokenErrorKind};
use crate::rules::verdict::retry_after_ms;

/// Longest error text that is passed on, in characters.
const MAX_ERROR: usize = 300;

impl Reader<'_> {
    pub(super) fn own(&self, error: &str, kind: TokenErrorKind) -> TokenError {
        TokenError {
            status: self.response.status,
            error: error.to_owned(),
            description: None,
            kind,
            retry_after_ms: retry_after_ms(self.response),
        }
    }

    pub(super) fn no_document(&self) -> TokenError {
        let status = self.response.status;
        if self.refused_by_rule("") {
            return self.own(&format!("http_{status}"), TokenErrorKind::Refused);
        }
        let kind = match status {
            408 | 425 | 429 | 500..=599 => TokenErrorKind::Retry,
            401 => TokenErrorKind::Misconfigured,
            _ => TokenErrorKind::Unreadable,
        };
        if self.response.body.is_empty() && status < 500 {
            return self.own("empty_answer", kind);
        }
        self.own(&format!("http_{status}"), kind)
    }

    fn refused_by_rule(&self, error: &str) -> bool {
        self.oauth.refresh.refused.iter().any(|rule| {
            rule.status
                .as_ref()
                .is_none_or(|s| s.contains(self.response.status))
                && rule.error.as_deref().is_none_or(|e| e == error)
        })
    }

    pub(super) fn refusal(&self, doc: &Value) -> TokenError {
        let declared = self.oauth.response.error.as_ref().and_then(|p| p.text(doc));
        let usual = || match doc.get("error") {
            Some(Value::String(code)) => Some(code.clone()),
            Some(Value::Object(inner)) => ["code", "type", "message"]
                .iter()
                .find_map(|k| inner.get(*k).and_then(Value::as_str))
                .map(str::to_owned),
            _ => None,
        };
        let error = declared
            .or_else(usual)
            .map(|e| clean(&e))
            .filter(|e| !e.is_empty());
        let description = match &self.oauth.response.error_description {
            Some(path) => path.text(doc),
            None => doc
                .get("error_description")
                .and_then(Value::as_str)
                .map(str::to_owned),
        };
        let status = self.response.status;
        let code = error.as_deref().unwrap_or_default();
        let kind = if self.refused_by_rule(code) {
            TokenErrorKind::Refused
        } else {
            match code {
                _ if matches!(status, 408 | 425 | 429 | 500..=599) => TokenErrorKind::Retry,
                "invalid_grant"
                | "access_denied"
                | "bad_verification_code"
                | "invalid_refresh_token" => TokenErrorKind::Refused,
                "temporarily_unavailable" | "server_error" | "slow_down" => TokenErrorKind::Retry,
                "" => TokenErrorKind::Unreadable,
                _ => TokenErrorKind::Misconfigured,
            }
        };
        let fallback = || {
            if (200..300).contains(&status) {
                "no_access_token".to_owned()
            } else {
                format!("http_{status}")
            }
        };
        TokenError {
            status,
            error: error.unwrap_or_else(fallback),
            description: description.map(|d| clean(&d)).filter(|d| !d.is_empty()),
            kind,
            retry_after_ms: retry_after_ms(self.response),
        }
    }
}

/// One line of bounded length without control characters.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_ERROR)
        .collect::<String>()
        .trim()
        .to_owned()
}
