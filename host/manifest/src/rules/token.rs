//! Token answers as servers really send them, brought into the form of RFC 6749, part 5.
//!
//! The `oauth2` crate rejects most real deviations (a string `expires_in`, a 201, an error with status 200, a form body, a
//! missing `token_type`, tokens below a root) and puts the raw body into its error. So the HTTP client in its slot hands
//! it [`TokenJson`] instead of the raw answer: status 200 with a standard document, or 400 with a standard error. What the
//! crate has no room for (captures, the real status, `Retry-After`) stays beside it in [`TokenAnswer`] and [`TokenError`].
//!
//! Secrets are [`SecretText`]; error texts are cut, stripped of control characters and never the raw body.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::expiry::{Lifetime, claims, lifetime, seconds};
use super::verdict::retry_after_ms;
use crate::message::{Decode, PlainResponse, form_to_json};
use crate::model::{
    Capture, CaptureSource, Exchange, Format, Oauth2, OnRefresh, Prolongs, SecondToken, TokenFields,
};
use crate::path::JsonPath;
use crate::scope::wipe;
use crate::secret::SecretText;

/// Longest error text that is passed on, in characters.
const MAX_ERROR: usize = 300;

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

/// A parsed token answer; wiped when dropped.
pub(super) struct Wiped(pub(super) Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Reads the answer of a token endpoint to a code exchange.
///
/// Captures from the callback are the caller's: they are known before the exchange ([`crate::model::Capture::check`]).
///
/// # Errors
/// A typed refusal; see [`TokenError`].
pub fn token_answer(
    oauth: &Oauth2,
    response: &PlainResponse,
    now_unix: i64,
) -> Result<TokenAnswer, TokenError> {
    read(oauth, response, now_unix, false)
}

/// Reads the answer of a token endpoint to a refresh. Captures follow their `on_refresh`: what is missing here and is not
/// declared to come `again` stays as it was.
///
/// # Errors
/// A typed refusal; see [`TokenError`].
pub fn refresh_answer(
    oauth: &Oauth2,
    response: &PlainResponse,
    now_unix: i64,
) -> Result<TokenAnswer, TokenError> {
    read(oauth, response, now_unix, true)
}

/// Reads the answer to the further exchange that a manifest declares: by the exchange's own rules of reading. What was
/// captured of the first answer stays where this one lacks it.
///
/// # Errors
/// A typed refusal; see [`TokenError`].
pub fn exchange_answer(
    oauth: &Oauth2,
    exchange: &Exchange,
    response: &PlainResponse,
    now_unix: i64,
) -> Result<TokenAnswer, TokenError> {
    let mut own = oauth.clone();
    own.response = exchange.response.clone();
    // Where errors are said is the app's habit, and seldom written down twice.
    let first = &oauth.response;
    own.response.error = own.response.error.or_else(|| first.error.clone());
    own.response.error_description = own
        .response
        .error_description
        .or_else(|| first.error_description.clone());
    let mut answer = read(&own, response, now_unix, true)?;
    // What only this answer has must be there.
    own.capture.clone_from(&exchange.capture);
    let reader = Reader {
        oauth: &own,
        response,
        refresh: false,
    };
    if let Some(doc) = reader.document() {
        reader.captures(&doc.0, None, &mut answer)?;
    }
    Ok(answer)
}

/// Reads the answer to a refresh that carries no tokens and makes the old ones live longer (`refresh.prolongs`): for how many
/// seconds from now.
///
/// # Errors
/// A typed refusal; see [`TokenError`].
pub fn prolonged(
    oauth: &Oauth2,
    prolongs: &Prolongs,
    response: &PlainResponse,
) -> Result<u64, TokenError> {
    let reader = Reader {
        oauth,
        response,
        refresh: true,
    };
    let Some(doc) = reader.document() else {
        return Err(reader.no_document());
    };
    let said = prolongs.ok.iter().all(|c| c.holds(response, &doc.0));
    if said && (200..300).contains(&response.status) {
        Ok(prolongs.seconds)
    } else {
        Err(reader.refusal(&doc.0))
    }
}

fn read(
    oauth: &Oauth2,
    response: &PlainResponse,
    now_unix: i64,
    refresh: bool,
) -> Result<TokenAnswer, TokenError> {
    let reader = Reader {
        oauth,
        response,
        refresh,
    };
    let Some(doc) = reader.document() else {
        return Err(reader.no_document());
    };
    let conditions = oauth.response.ok.iter().all(|c| c.holds(response, &doc.0));
    let root = match &oauth.response.root {
        Some(path) => path.first(&doc.0),
        None => Some(&doc.0),
    };
    let fields = &oauth.response.fields;
    let token = root.and_then(|r| text_at(fields.access_token.as_ref(), "access_token", r));
    let success = (200..300).contains(&response.status) && conditions;
    let (Some(root), Some(access_token), true) = (root, token.filter(|t| !t.is_empty()), success)
    else {
        return Err(reader.refusal(&doc.0));
    };
    if let Some(kind) = root.get("token_type").and_then(Value::as_str) {
        let known = kind.eq_ignore_ascii_case("bearer")
            || oauth
                .response
                .token_types
                .iter()
                .any(|t| t.eq_ignore_ascii_case(kind));
        if !known {
            return Err(reader.own("token_type_not_supported", TokenErrorKind::Misconfigured));
        }
    }
    let token = |name: &str| match name {
        "access_token" => Some(access_token.clone()),
        _ => text_at(None, name, root),
    };
    let said = match &oauth.response.expiry {
        Some(expiry) => lifetime(expiry, root, token, now_unix),
        None => value_at(fields.expires_in.as_ref(), "expires_in", root)
            .and_then(seconds)
            .map_or(Lifetime::Unknown, Lifetime::Seconds),
    };
    let expires_in = match said {
        Lifetime::Seconds(seconds) => Some(seconds),
        Lifetime::Endless => None,
        Lifetime::Unknown => oauth.response.default_ttl,
    };
    let scopes = granted(oauth, fields, root);
    let mut answer = TokenAnswer {
        access_token: SecretText::new(access_token),
        refresh_token: text_at(fields.refresh_token.as_ref(), "refresh_token", root)
            .filter(|t| !t.is_empty())
            .map(SecretText::new),
        expires_in,
        expires_at: end(expires_in, now_unix),
        scopes,
        public_captures: IndexMap::new(),
        secret_captures: IndexMap::new(),
        also: IndexMap::new(),
        id_token: None,
    };
    for (id, second) in &oauth.response.also {
        let found = second.root.first(&doc.0);
        if let Some(also) = found.and_then(|r| second_token(oauth, second, r, expires_in, now_unix))
        {
            answer.also.insert(id.clone(), also);
        }
    }
    let id_token = text_at(None, "id_token", root).or_else(|| text_at(None, "id_token", &doc.0));
    let id_token = id_token.map(SecretText::new);
    reader.captures(&doc.0, id_token.as_ref(), &mut answer)?;
    answer.id_token = id_token;
    Ok(answer)
}

fn granted(oauth: &Oauth2, fields: &TokenFields, root: &Value) -> Option<Vec<String>> {
    match value_at(fields.scope.as_ref(), "scope", root)? {
        Value::String(text) => Some(oauth.scopes.split(text)),
        Value::Array(items) => {
            let texts = items.iter().filter_map(Value::as_str);
            Some(texts.map(str::to_owned).collect())
        }
        _ => None,
    }
}

/// A further token below `root`; `None` where the person was not asked for one, so that there is none.
fn second_token(
    oauth: &Oauth2,
    second: &SecondToken,
    root: &Value,
    first_expires_in: Option<u64>,
    now_unix: i64,
) -> Option<SecondAnswer> {
    let fields = &second.fields;
    let text = |path: Option<&JsonPath>, usual| {
        text_at(path, usual, root).filter(|token| !token.is_empty())
    };
    let access_token = text(fields.access_token.as_ref(), "access_token")?;
    let named = |name: &str| match name {
        "access_token" => Some(access_token.clone()),
        _ => text_at(None, name, root),
    };
    let said = match &second.expiry {
        Some(expiry) => lifetime(expiry, root, named, now_unix),
        None => value_at(fields.expires_in.as_ref(), "expires_in", root)
            .and_then(seconds)
            .or(first_expires_in)
            .map_or(Lifetime::Unknown, Lifetime::Seconds),
    };
    let expires_in = match said {
        Lifetime::Seconds(seconds) => Some(seconds),
        Lifetime::Endless | Lifetime::Unknown => None,
    };
    Some(SecondAnswer {
        refresh_token: text(fields.refresh_token.as_ref(), "refresh_token").map(SecretText::new),
        expires_in,
        expires_at: end(expires_in, now_unix),
        scopes: granted(oauth, fields, root),
        access_token: SecretText::new(access_token),
    })
}

fn end(expires_in: Option<u64>, now_unix: i64) -> Option<i64> {
    expires_in.map(|s| now_unix.saturating_add(i64::try_from(s).unwrap_or(i64::MAX)))
}

struct Reader<'a> {
    oauth: &'a Oauth2,
    response: &'a PlainResponse,
    /// Whether the answer is one to a refresh.
    refresh: bool,
}

impl Reader<'_> {
    /// The body as a JSON object: as declared, else found out from the body itself, for content types are often wrong.
    fn document(&self) -> Option<Wiped> {
        let declared = self.oauth.response.decode;
        if declared == Some(Decode::Xml) {
            let value = self.response.decoded(Decode::Xml);
            return value.is_object().then_some(Wiped(value));
        }
        if declared != Some(Decode::Form)
            && let Some(value) = self.response.json()
        {
            return value.is_object().then_some(Wiped(value));
        }
        if declared == Some(Decode::Json) {
            return None;
        }
        let text = std::str::from_utf8(&self.response.body).ok()?;
        let looks_like_form = text.contains('=')
            && !text.contains(['<', '{'])
            && !text.trim().contains(char::is_whitespace);
        looks_like_form.then(|| Wiped(form_to_json(text)))
    }

    fn own(&self, error: &str, kind: TokenErrorKind) -> TokenError {
        TokenError {
            status: self.response.status,
            error: error.to_owned(),
            description: None,
            kind,
            retry_after_ms: retry_after_ms(self.response),
        }
    }

    fn no_document(&self) -> TokenError {
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

    fn refusal(&self, doc: &Value) -> TokenError {
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

    fn captures(
        &self,
        doc: &Value,
        id_token: Option<&SecretText>,
        answer: &mut TokenAnswer,
    ) -> Result<(), TokenError> {
        for (id, capture) in &self.oauth.capture {
            let keep = self.refresh && capture.on_refresh == Some(OnRefresh::Keep);
            if keep || matches!(capture.source(), None | Some(CaptureSource::Callback(_))) {
                continue;
            }
            let found = capture.read(self.response, doc, id_token.map(SecretText::expose));
            let Some(text) = found else {
                let needed = !self.refresh || capture.on_refresh == Some(OnRefresh::Again);
                if capture.required && needed {
                    return Err(self.own("capture_missing", TokenErrorKind::Misconfigured));
                }
                continue;
            };
            let value = capture
                .check(&text)
                .ok_or_else(|| self.own("capture_not_allowed", TokenErrorKind::Misconfigured))?;
            if capture.public {
                answer.public_captures.insert(id.clone(), value);
            } else {
                answer
                    .secret_captures
                    .insert(id.clone(), SecretText::new(value));
            }
        }
        Ok(())
    }
}

impl Capture {
    /// The captured text as an answer has it, unchecked; `None` if the answer lacks it or it is empty. `body` is the decoded
    /// body. A callback's parameters are not of an answer: they give `None`.
    #[must_use]
    pub fn read(
        &self,
        response: &PlainResponse,
        body: &Value,
        id_token: Option<&str>,
    ) -> Option<String> {
        let text = match self.source()? {
            CaptureSource::Path(path) => path.text(body),
            CaptureSource::Header(name) => response.header(name).map(|v| v.trim().to_owned()),
            CaptureSource::Cookie(name) => cookie(response, name),
            CaptureSource::Claim(name) => claims(id_token?).and_then(|c| match c.0.get(name)? {
                Value::String(text) => Some(text.clone()),
                Value::Number(n) => Some(n.to_string()),
                Value::Bool(b) => Some(b.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => None,
            }),
            CaptureSource::Callback(_) => None,
        };
        text.filter(|t| !t.is_empty())
    }

    /// Checks a captured value against its declared format and suffixes, as a typed one would be: captured hosts are as
    /// foreign as typed ones. Control characters are refused.
    #[must_use]
    pub fn check(&self, text: &str) -> Option<String> {
        if text.len() > 4096 || text.contains(char::is_control) {
            return None;
        }
        if self.format == Format::Text {
            Some(text.to_owned())
        } else {
            self.format.normalise(text, &self.suffixes)
        }
    }
}

fn value_at<'v>(path: Option<&JsonPath>, usual: &str, root: &'v Value) -> Option<&'v Value> {
    match path {
        Some(path) => path.first(root),
        None => root.get(usual),
    }
}

fn text_at(path: Option<&JsonPath>, usual: &str, root: &Value) -> Option<String> {
    value_at(path, usual, root)?.as_str().map(str::to_owned)
}

/// The value of a cookie that an answer sets (RFC 6265, 5.2), the last one of that name.
fn cookie(response: &PlainResponse, name: &str) -> Option<String> {
    response
        .headers
        .iter()
        .rev()
        .filter(|(header, _)| header.eq_ignore_ascii_case("set-cookie"))
        .find_map(|(_, text)| {
            let (cookie, value) = text.split(';').next()?.split_once('=')?;
            (cookie.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
        })
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
