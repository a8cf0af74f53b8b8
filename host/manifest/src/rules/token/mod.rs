//! Token answers as servers really send them, brought into the form of RFC 6749, part 5.
//!
//! The `oauth2` crate rejects most real deviations (a string `expires_in`, a 201, an error with status 200, a form body, a
//! missing `token_type`, tokens below a root) and puts the raw body into its error. So the HTTP client in its slot hands
//! it [`TokenJson`] instead of the raw answer: status 200 with a standard document, or 400 with a standard error. What the
//! crate has no room for (captures, the real status, `Retry-After`) stays beside it in [`TokenAnswer`] and [`TokenError`].
//!
//! | module | what lives in it |
//! |---|---|
//! | this one | tokens, lifetimes and captures are read out of an answer |
//! | [`shapes`] | what comes of it |
//! | [`refusal`] | why there is none, and what that means |
//!
//! Secrets are [`SecretText`]; error texts are cut, stripped of control characters and never the raw body.

mod refusal;
mod shapes;

use indexmap::IndexMap;
use serde_json::Value;

pub use self::shapes::{SecondAnswer, TokenAnswer, TokenError, TokenErrorKind, TokenJson};
use super::expiry::{Lifetime, lifetime, seconds};
use crate::message::{Decode, PlainResponse, form_to_json};
use crate::model::{
    CaptureSource, Exchange, Expiry, Oauth2, OnRefresh, Prolongs, SecondToken, TokenFields,
};
use crate::path::JsonPath;
use crate::scope::wipe;
use crate::secret::SecretText;

/// A parsed token answer; wiped when dropped.
pub(in crate::rules) struct Wiped(pub(in crate::rules) Value);

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
    let span = |expiry: &Option<Expiry>| match expiry {
        Some(expiry) => match lifetime(expiry, root, token, now_unix) {
            Lifetime::Seconds(seconds) => Some(seconds),
            Lifetime::Endless | Lifetime::Unknown => None,
        },
        None => None,
    };
    let idle_in = span(&oauth.refresh.idle);
    let counted = matches!(oauth.refresh.ends, Some(Expiry::Fixed(_)));
    let ends_in = span(&oauth.refresh.ends).filter(|_| !(refresh && counted));
    let scopes = granted(oauth, fields, root);
    let mut answer = TokenAnswer {
        access_token: SecretText::new(access_token),
        refresh_token: text_at(fields.refresh_token.as_ref(), "refresh_token", root)
            .filter(|t| !t.is_empty())
            .map(SecretText::new),
        expires_in,
        expires_at: end(expires_in, now_unix),
        idle_in,
        ends_in,
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

fn value_at<'v>(path: Option<&JsonPath>, usual: &str, root: &'v Value) -> Option<&'v Value> {
    match path {
        Some(path) => path.first(root),
        None => root.get(usual),
    }
}

fn text_at(path: Option<&JsonPath>, usual: &str, root: &Value) -> Option<String> {
    value_at(path, usual, root)?.as_str().map(str::to_owned)
}
