//! Success or failure of a test call or an action, and what a failure means.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::message::PlainResponse;
use crate::model::{Action, FailureRule, OkRule, RequestSpec, Test, TestCall};
use crate::path::JsonPath;
use crate::scope::Scope;
use crate::template::Slot;

/// Longest id, label or message taken from an answer or a manifest, in characters.
const MAX_TEXT: usize = 250;

/// What a failure means, so that the host can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// Only the person can mend it, by signing in again.
    NeedsReconnect,
    /// The sign-in holds, but lacks a right.
    MissingScope,
    /// Too many requests; try again later.
    RateLimited,
    /// The app is down or unreachable; try again later.
    ProviderDown,
    /// What was asked for does not exist.
    NotFound,
    /// The input is at fault.
    InvalidInput,
    /// Anything else.
    Other,
}

impl Means {
    /// The name as manifests and the API write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeedsReconnect => "needs_reconnect",
            Self::MissingScope => "missing_scope",
            Self::RateLimited => "rate_limited",
            Self::ProviderDown => "provider_down",
            Self::NotFound => "not_found",
            Self::InvalidInput => "invalid_input",
            Self::Other => "other",
        }
    }
}

/// A failure: what it means and what to tell the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it means.
    pub means: Means,
    /// One sentence for the person. Never a piece of the answer.
    pub say: String,
    /// How long the app asks to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A failure without a time to wait.
    #[must_use]
    pub fn new(means: Means, say: impl Into<String>) -> Self {
        Self {
            means,
            say: say.into(),
            retry_after_ms: None,
        }
    }
}

/// Whose connection it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Account {
    /// An id that never changes, unique within the app.
    pub id: String,
    /// What people know the account by.
    pub label: String,
    /// More to show; an object of texts.
    pub extra: Value,
}

/// Judges the answer to a test call; to the first one of a test with several.
///
/// `scope` is the one that the request was rendered with; `status`, `headers` and `body` are added here.
///
/// # Errors
/// What the refusal means; or that the answer was a success but did not say whose account it is.
pub fn judge(test: &Test, scope: &Scope, response: &PlainResponse) -> Result<Account, Failure> {
    match test.call() {
        Some(call) => judge_call(call, scope, response),
        None => Err(Failure::new(Means::Other, "this app declares no test call")),
    }
}

/// What it means that every candidate of a test was refused: `failures` in the order in which they were tried.
///
/// A connection counts as dead only if every candidate says so. One that could not be asked (the app is down, or asks to slow
/// down) proves nothing, and one that was refused for lack of a right shows that the sign-in as such still holds.
#[must_use]
pub fn refused_by_all(failures: Vec<Failure>) -> Failure {
    let transient = |f: &Failure| matches!(f.means, Means::ProviderDown | Means::RateLimited);
    let alive = |f: &Failure| f.means != Means::NeedsReconnect;
    let at = failures
        .iter()
        .position(transient)
        .or_else(|| failures.iter().position(alive))
        .unwrap_or(0);
    failures
        .into_iter()
        .nth(at)
        .unwrap_or_else(|| Failure::new(Means::Other, "this app declares no test call"))
}

/// Judges the answer to one candidate of a test.
///
/// # Errors
/// As [`judge`].
pub fn judge_call(
    call: &TestCall,
    scope: &Scope,
    response: &PlainResponse,
) -> Result<Account, Failure> {
    let body = response.decoded(call.request.decode);
    if !call.ok.holds(response, &body) {
        return Err(failure_of(&call.failures, response, &body));
    }
    let scope = scope.with_response(response, call.request.decode);
    let unnamed = |_| {
        Failure::new(
            Means::Other,
            "the app accepted the sign-in, but its answer does not say whose account it is",
        )
    };
    let id = call.account.id.render(&scope, Slot::Raw).map_err(unnamed)?;
    let id = clean(&id);
    if id.is_empty() {
        return Err(Failure::new(
            Means::Other,
            "the app accepted the sign-in, but its answer has an empty account id",
        ));
    }
    let label = call
        .account
        .label
        .render(&scope, Slot::Raw)
        .map(|l| clean(&l))
        .unwrap_or_default();
    let mut extra = Map::new();
    for (name, template) in &call.account.extra {
        if let Ok(text) = template.render(&scope, Slot::Raw) {
            extra.insert(name.clone(), Value::String(clean(&text)));
        }
    }
    Ok(Account {
        label: if label.is_empty() { id.clone() } else { label },
        id,
        extra: Value::Object(extra),
    })
}

/// One line, without control characters, of bounded length: it will be shown in lists.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_TEXT)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// What an answer that is no success means: the first rule that fits, else the usual meaning of its status.
#[must_use]
pub fn failure_for(failures: &[FailureRule], response: &PlainResponse) -> Failure {
    failure_of(failures, response, &response.json().unwrap_or(Value::Null))
}

pub(super) fn failure_of(
    failures: &[FailureRule],
    response: &PlainResponse,
    body: &Value,
) -> Failure {
    let (means, say) = failures
        .iter()
        .find(|rule| rule.fits(response, body))
        .map_or_else(
            || usual(response.status),
            |rule| (rule.means, rule.say.as_str()),
        );
    let waits = matches!(means, Means::RateLimited | Means::ProviderDown);
    Failure {
        means,
        say: say.to_owned(),
        retry_after_ms: waits.then(|| retry_after_ms(response)).flatten(),
    }
}

/// RFC 9110's meanings, in words. 401 and 403 are told apart: only the first says that the sign-in is at fault.
fn usual(status: u16) -> (Means, &'static str) {
    match status {
        401 => (
            Means::NeedsReconnect,
            "the app no longer accepts this sign-in",
        ),
        402 => (Means::Other, "the app asks for a payment or another plan"),
        403 => (
            Means::MissingScope,
            "this sign-in lacks a right that is needed here",
        ),
        404 | 410 => (Means::NotFound, "the app does not have what was asked for"),
        400 | 409 | 413 | 414 | 415 | 422 => {
            (Means::InvalidInput, "the app did not accept what was sent")
        }
        429 => (
            Means::RateLimited,
            "the app asks to slow down; try again later",
        ),
        408 | 425 | 500..=599 => (
            Means::ProviderDown,
            "the app has a problem of its own; try again later",
        ),
        300..=399 => (
            Means::Other,
            "the app sent the request elsewhere; its address may be wrong",
        ),
        200..=299 => (Means::Other, "the app answered, but not as expected"),
        _ => (Means::Other, "the app answered with an unusual status"),
    }
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3), at most a day. Its date form is left to the caller's own back-off.
pub(super) fn retry_after_ms(response: &PlainResponse) -> Option<u64> {
    let seconds: u64 = response.header("retry-after")?.trim().parse().ok()?;
    Some(seconds.min(86_400) * 1000)
}

/// The output of a declared action; of one that is paged, the items of this page.
///
/// # Errors
/// What the refusal means.
pub fn action_result(action: &Action, response: &PlainResponse) -> Result<Value, Failure> {
    let body = accepted(
        &action.ok,
        &action.failures,
        action.request.as_ref(),
        response,
    )?;
    if let Some(pagination) = &action.pagination {
        return Ok(Value::Array(super::page_items(pagination, &body)));
    }
    Ok(match &action.result {
        None => body,
        Some(path) => pick(path, &body),
    })
}

/// The decoded body of a success.
pub(super) fn accepted(
    ok: &OkRule,
    failures: &[FailureRule],
    request: Option<&RequestSpec>,
    response: &PlainResponse,
) -> Result<Value, Failure> {
    let body = response.decoded(request.map(|r| r.decode).unwrap_or_default());
    if ok.holds(response, &body) {
        Ok(body)
    } else {
        Err(failure_of(failures, response, &body))
    }
}

/// One value for a path that can select one, a list for a path that can select many.
fn pick(path: &JsonPath, body: &Value) -> Value {
    if path.is_singular() {
        path.first(body).cloned().unwrap_or(Value::Null)
    } else {
        Value::Array(path.select(body).into_iter().cloned().collect())
    }
}
