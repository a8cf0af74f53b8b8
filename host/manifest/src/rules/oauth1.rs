//! The answers of an OAuth 1.0a server (RFC 5849, 2.1 and 2.3): temporary credentials, then the token.
//!
//! Both are forms, whatever their content type says; some servers answer refusals in plain words, which are never repeated.
//! Signing and sending is the host's. Threat: a server that does not confirm the callback (`oauth_callback_confirmed`) speaks
//! OAuth 1.0, in which a token can be fixed on somebody else (the attack of 2009), so it is refused.

use serde_json::Value;

use super::discovery::Captures;
use super::token::{TokenError, TokenErrorKind, Wiped};
use super::verdict::retry_after_ms;
use crate::message::{PlainResponse, form_to_json};
use crate::model::{CaptureSource, Oauth1};
use crate::secret::SecretText;

/// A token and its secret. Holds secrets: no `Debug`.
pub struct Oauth1Token {
    /// `oauth_token`.
    pub token: SecretText,
    /// `oauth_token_secret`.
    pub secret: SecretText,
    /// What is kept of the answer beside them.
    pub captures: Captures,
}

/// Reads the answer to a request for temporary credentials.
///
/// # Errors
/// A typed refusal; `callback_not_confirmed` where the server does not say that it took the callback.
pub fn temporary_credentials(response: &PlainResponse) -> Result<Oauth1Token, TokenError> {
    let doc = document(response)?;
    if text(&doc.0, "oauth_callback_confirmed").as_deref() != Some("true") {
        return Err(refusal(
            response,
            "callback_not_confirmed",
            TokenErrorKind::Misconfigured,
        ));
    }
    credentials(response, &doc.0)
}

/// Reads the answer to a verifier: the token, and what the manifest keeps beside it. Captures from the callback are the
/// caller's.
///
/// # Errors
/// A typed refusal; see [`TokenError`].
pub fn oauth1_answer(oauth: &Oauth1, response: &PlainResponse) -> Result<Oauth1Token, TokenError> {
    let doc = document(response)?;
    let mut answer = credentials(response, &doc.0)?;
    let captures = &mut answer.captures;
    for (id, capture) in &oauth.capture {
        if matches!(capture.source(), None | Some(CaptureSource::Callback(_))) {
            continue;
        }
        let Some(found) = capture.read(response, &doc.0, None) else {
            if capture.required {
                let kind = TokenErrorKind::Misconfigured;
                return Err(refusal(response, "capture_missing", kind));
            }
            continue;
        };
        let value = capture.check(&found).ok_or_else(|| {
            refusal(
                response,
                "capture_not_allowed",
                TokenErrorKind::Misconfigured,
            )
        })?;
        if capture.public {
            captures.public.insert(id.clone(), value);
        } else {
            let value = SecretText::new(value);
            captures.secret.insert(id.clone(), value);
        }
    }
    Ok(answer)
}

fn credentials(response: &PlainResponse, doc: &Value) -> Result<Oauth1Token, TokenError> {
    match (text(doc, "oauth_token"), text(doc, "oauth_token_secret")) {
        (Some(token), Some(secret)) => Ok(Oauth1Token {
            token: SecretText::new(token),
            secret: SecretText::new(secret),
            captures: Captures::default(),
        }),
        _ => Err(refusal(
            response,
            "no_access_token",
            TokenErrorKind::Unreadable,
        )),
    }
}

/// The form of a success. Refusals name their problem where the server knows the extension (`oauth_problem`).
fn document(response: &PlainResponse) -> Result<Wiped, TokenError> {
    let body = std::str::from_utf8(&response.body).unwrap_or_default();
    let doc = Wiped(form_to_json(body.trim()));
    if (200..300).contains(&response.status) {
        return Ok(doc);
    }
    let problem = text(&doc.0, "oauth_problem")
        .filter(|p| p.len() <= 64 && p.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    let kind = match (response.status, problem.as_deref()) {
        (408 | 425 | 429 | 500..=599, _) => TokenErrorKind::Retry,
        // The machine's clock, or a nonce that was seen: neither says anything about the grant.
        (_, Some("timestamp_refused" | "nonce_used")) => TokenErrorKind::Retry,
        (_, Some("consumer_key_unknown" | "consumer_key_rejected" | "signature_invalid")) => {
            TokenErrorKind::Misconfigured
        }
        (400 | 401 | 403, _) => TokenErrorKind::Refused,
        _ => TokenErrorKind::Unreadable,
    };
    let error = problem.unwrap_or_else(|| format!("http_{}", response.status));
    Err(refusal(response, &error, kind))
}

fn text(doc: &Value, name: &str) -> Option<String> {
    let text = doc.get(name)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn refusal(response: &PlainResponse, error: &str, kind: TokenErrorKind) -> TokenError {
    TokenError {
        status: response.status,
        error: error.to_owned(),
        description: None,
        kind,
        retry_after_ms: retry_after_ms(response),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(status: u16, body: &str) -> PlainResponse {
        PlainResponse {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn oauth() -> Oauth1 {
        serde_json::from_value(json!({"label": "Sign in", "capture": {
            "user": {"path": "$.user_id", "public": true, "format": "digits"},
            "session": {"path": "$.oauth_session_handle", "required": false},
        }}))
        .unwrap()
    }

    fn error(read: Result<Oauth1Token, TokenError>) -> (String, TokenErrorKind) {
        let error = read.err().unwrap();
        (error.error, error.kind)
    }

    #[test]
    fn a_token_is_read_from_a_form_with_what_is_kept_beside_it() {
        let good = answer(
            200,
            "oauth_token=t%2B1&oauth_token_secret=s%26x&user_id=42&oauth_session_handle=h",
        );
        let read = oauth1_answer(&oauth(), &good).ok().unwrap();
        assert_eq!((read.token.expose(), read.secret.expose()), ("t+1", "s&x"));
        assert_eq!(read.captures.public["user"], "42");
        assert_eq!(read.captures.secret["session"].expose(), "h");
    }

    #[test]
    fn temporary_credentials_of_a_server_that_takes_no_callback_are_refused() {
        let good = "oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=true";
        assert!(temporary_credentials(&answer(200, good)).is_ok());
        for bad in [
            "oauth_token=t&oauth_token_secret=s",
            &good.replace("true", "false"),
        ] {
            let told = error(temporary_credentials(&answer(200, bad)));
            assert_eq!(told.0, "callback_not_confirmed");
        }
    }

    #[test]
    fn a_refusal_is_typed_and_its_words_are_not_repeated() {
        use TokenErrorKind::{Misconfigured, Refused, Retry, Unreadable};
        for (status, body, wanted, kind) in [
            (401, "invalid token <b>x</b>", "http_401", Refused),
            (401, "oauth_problem=token_expired", "token_expired", Refused),
            (
                401,
                "oauth_problem=timestamp_refused",
                "timestamp_refused",
                Retry,
            ),
            (
                401,
                "oauth_problem=consumer_key_unknown",
                "consumer_key_unknown",
                Misconfigured,
            ),
            (401, "oauth_problem=Evil+text", "http_401", Refused),
            (503, "", "http_503", Retry),
            (200, "<html>", "no_access_token", Unreadable),
            (
                200,
                "oauth_token=t&oauth_token_secret=s",
                "capture_missing",
                Misconfigured,
            ),
            (
                200,
                "oauth_token=t&oauth_token_secret=s&user_id=x",
                "capture_not_allowed",
                Misconfigured,
            ),
        ] {
            let told = error(oauth1_answer(&oauth(), &answer(status, body)));
            assert_eq!(told, (wanted.to_owned(), kind), "{status} {body}");
        }
    }
}
