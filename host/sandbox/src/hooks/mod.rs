//! Webhooks: what happens in an account is posted to whoever asked for it.
//!
//! | call | what |
//! |---|---|
//! | `POST /api/hooks {url, secret, event}` | one of the caller's own; the address must answer a challenge first (201) |
//! | `GET /api/hooks` | the caller's, without secrets |
//! | `DELETE /api/hooks/{id}` | ends one (204) |
//!
//! An OAuth client can have one address for the events of everybody who granted it something, as Slack's apps do; that is set up
//! over the control API ([`crate::control`]). A delivery carries `X-Vendor-Delivery`, `X-Vendor-Timestamp` (unix seconds) and
//! `X-Vendor-Signature`, `v1=` and the hexadecimal HMAC-SHA256 of `timestamp "." body` under the hook's secret. One that is not
//! answered with 2xx is tried three times, with `X-Vendor-Retry-Num`.
//!
//! Threat: a vendor that posts wherever it is told reaches what its callers cannot. So an address is `http` on this machine, and
//! nothing of an answer but its status is kept. Left out: an outbox that survives the process.

pub(crate) mod deliver;
mod send;

use std::collections::VecDeque;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::Vendor;
use crate::caller::Caller;
use crate::errors::ApiError;
use crate::random;
use crate::redirects::is_loopback;

/// Hooks that one account may have.
const MAX_HOOKS: usize = 20;
/// Deliveries that are remembered; the oldest go.
const MAX_DELIVERIES: usize = 200;
/// What can be asked for.
const EVENTS: [&str; 2] = ["note.created", "message.created"];

pub(crate) fn routes() -> Router<Vendor> {
    Router::new()
        .route("/api/hooks", get(list).post(create))
        .route("/api/hooks/{id}", delete(end))
}

/// Every hook, and what was sent lately.
#[derive(Default)]
pub(crate) struct Hooks {
    all: Vec<Hook>,
    deliveries: VecDeque<Delivery>,
}

/// Where events go.
#[derive(Clone)]
pub(crate) struct Hook {
    pub(crate) id: String,
    pub(crate) of: HookOf,
    pub(crate) url: Url,
    pub(crate) secret: String,
    /// The one kind that is sent; all of them where there is none.
    pub(crate) event: Option<String>,
}

/// Whose events they are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum HookOf {
    /// One account's, by its id.
    Account(String),
    /// Those of everybody who granted this client something.
    Client(String),
}

/// One event on its way to one hook.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) hook: Hook,
    pub(crate) body: String,
    /// When it was signed, in unix seconds.
    pub(crate) at: i64,
    /// What was answered, a try each; 0 is no answer.
    pub(crate) answers: Vec<u16>,
}

impl Hooks {
    /// Adds a hook; a client's takes the place of its earlier one.
    pub(crate) fn add(&mut self, hook: Hook) {
        if matches!(hook.of, HookOf::Client(_)) {
            self.all.retain(|known| known.of != hook.of);
        }
        self.all.push(hook);
    }

    fn of(&self, of: &HookOf) -> impl Iterator<Item = &Hook> {
        let of = of.clone();
        self.all.iter().filter(move |hook| hook.of == of)
    }

    fn remember(&mut self, delivery: Delivery) {
        self.deliveries.push_back(delivery);
        while self.deliveries.len() > MAX_DELIVERIES {
            self.deliveries.pop_front();
        }
    }

    fn answered(&mut self, id: &str, status: u16) {
        if let Some(one) = self.deliveries.iter_mut().find(|one| one.id == id) {
            one.answers.push(status);
        }
    }

    pub(crate) fn delivery(&self, id: &str) -> Option<&Delivery> {
        self.deliveries.iter().find(|one| one.id == id)
    }

    pub(crate) fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.iter()
    }
}

/// An address that events may be posted to.
pub(crate) fn address(text: &str) -> Result<Url, ApiError> {
    let refused = || {
        ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_hook",
            "a hook's url is http on this machine, with a port; the pretend vendor posts nowhere else",
        )
    };
    let url = Url::parse(text).map_err(|_| refused())?;
    let fits = url.scheme() == "http"
        && is_loopback(url.host())
        && url.port().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && text.len() <= 2048;
    fits.then_some(url).ok_or_else(refused)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewHook {
    url: String,
    secret: String,
    event: String,
}

async fn create(
    State(vendor): State<Vendor>,
    caller: Caller,
    body: Result<Json<NewHook>, JsonRejection>,
) -> Result<Response, ApiError> {
    caller.may_read()?;
    let Ok(Json(new)) = body else {
        return Err(ApiError::bad_request(
            "send JSON with url, secret and event",
        ));
    };
    let words = |message| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_hook", message);
    if !EVENTS.contains(&new.event.as_str()) {
        return Err(words("an event is note.created or message.created"));
    }
    if !(16..=256).contains(&new.secret.len()) {
        return Err(words("a secret has 16 to 256 bytes"));
    }
    let of = HookOf::Account(caller.user.clone());
    if vendor.state().hooks.of(&of).count() >= MAX_HOOKS {
        return Err(words("this account has as many hooks as it may have"));
    }
    let hook = Hook {
        id: random::credential("h_").map_err(|_| ApiError::internal())?,
        of,
        url: address(&new.url)?,
        secret: new.secret,
        event: Some(new.event),
    };
    vendor.challenge(&hook).await?;
    let made = shown(&hook);
    vendor.state().hooks.add(hook);
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

async fn list(State(vendor): State<Vendor>, caller: Caller) -> Result<Json<Value>, ApiError> {
    caller.may_read()?;
    let state = vendor.state();
    let of = HookOf::Account(caller.user);
    let all: Vec<Value> = state.hooks.of(&of).map(shown).collect();
    Ok(Json(json!({ "hooks": all })))
}

async fn end(
    State(vendor): State<Vendor>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    caller.may_read()?;
    let mut state = vendor.state();
    let of = HookOf::Account(caller.user);
    let before = state.hooks.all.len();
    state
        .hooks
        .all
        .retain(|hook| hook.id != id || hook.of != of);
    if state.hooks.all.len() == before {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is no hook under this id",
        ));
    }
    Ok(StatusCode::NO_CONTENT)
}

fn shown(hook: &Hook) -> Value {
    json!({ "id": hook.id, "url": hook.url.as_str(), "event": hook.event })
}
