//! The API under `/api`: who one is, notes to read and write, and three calls that only tests need
//! (`echo`, `slow`, `status`).

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Vendor;
use crate::caller::Caller;
use crate::clock::rfc3339;
use crate::errors::ApiError;
use crate::form::Params;
use crate::state::{Entry, Feed};

/// Longest that `/api/slow` waits: a minute, in milliseconds.
const MAX_SLOW_MS: u64 = 60_000;
/// Entries on a page where nothing is said.
const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;
const MAX_TITLE: usize = 200;
const MAX_BODY: usize = 10_000;

pub(crate) fn routes() -> Router<Vendor> {
    Router::new()
        .route("/api/me", get(me))
        .route("/api/notes", get(list).post(create))
        .route("/api/notes/{id}", get(one))
        .route("/api/echo", any(echo))
        .route("/api/slow", get(slow))
        .route("/api/status/{code}", any(status))
}

async fn me(State(vendor): State<Vendor>, caller: Caller) -> Result<Json<Value>, ApiError> {
    let state = vendor.state();
    let user = &state
        .account(&caller.user)
        .ok_or_else(ApiError::internal)?
        .user;
    Ok(Json(json!({
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "workspace": user.workspace,
    })))
}

async fn list(
    State(vendor): State<Vendor>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    caller.may_read()?;
    let state = vendor.state();
    let account = state.account(&caller.user).ok_or_else(ApiError::internal)?;
    let page = Page::parse(query.as_deref(), &account.notes)?;
    let (entries, more) = account.notes.after(page.after, page.limit);
    let notes: Vec<Value> = entries
        .into_iter()
        .map(|entry| note(&account.notes, entry))
        .collect();
    Ok(Json(json!({ "notes": notes, "more": more })))
}

async fn one(
    State(vendor): State<Vendor>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    caller.may_read()?;
    let state = vendor.state();
    let notes = &state
        .account(&caller.user)
        .ok_or_else(ApiError::internal)?
        .notes;
    let entry = notes.number(&id).and_then(|number| notes.get(number));
    let entry = entry.ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is no note under this id",
        )
    })?;
    Ok(Json(note(notes, entry)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNote {
    title: String,
    #[serde(default)]
    body: String,
}

async fn create(
    State(vendor): State<Vendor>,
    caller: Caller,
    body: Result<Json<NewNote>, JsonRejection>,
) -> Result<Response, ApiError> {
    caller.may_write()?;
    let Ok(Json(new)) = body else {
        return Err(ApiError::bad_request(
            "send JSON with a title and, if there is one, a body",
        ));
    };
    let title = new.title.trim();
    if title.is_empty() || title.chars().count() > MAX_TITLE || new.body.chars().count() > MAX_BODY
    {
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_note",
            "a note has a title of 1 to 200 characters and a body of at most 10000",
        ));
    }
    let now = vendor.0.clock.now_ms();
    let mut state = vendor.state();
    let notes = &mut state
        .account_mut(&caller.user)
        .ok_or_else(ApiError::internal)?
        .notes;
    let number = notes.push(title, &new.body, now);
    let entry = notes.get(number).ok_or_else(ApiError::internal)?;
    let made = note(notes, entry);
    drop(state);
    vendor.announce(&caller.user, "note.created", "note", made.clone());
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

fn note(feed: &Feed, entry: &Entry) -> Value {
    json!({
        "id": feed.id(entry.number),
        "title": entry.title,
        "body": entry.body,
        "created_at": rfc3339(entry.at_ms),
    })
}

/// Where a page begins and how long it is.
pub(crate) struct Page {
    pub after: u64,
    pub limit: usize,
}

impl Page {
    /// Reads `after` (an id) and `limit` (1 to 100).
    pub(crate) fn parse(query: Option<&str>, feed: &Feed) -> Result<Self, ApiError> {
        let params = Params::parse(query.unwrap_or_default().as_bytes());
        if params.has_repeated() {
            return Err(ApiError::bad_request("give each query parameter once"));
        }
        let after = match params.get("after") {
            None => 0,
            Some(id) => feed
                .number(id)
                .ok_or_else(|| ApiError::bad_request("after must be an id from an earlier page"))?,
        };
        let limit = match params.get("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| ApiError::bad_request("limit must be a number from 1 to 100"))?,
        };
        Ok(Self { after, limit })
    }
}

/// The request as it arrived, credentials included. The one call that asks for none, so that a test can see that none was
/// sent.
async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Json<Value> {
    let mut seen = Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        seen.insert(name.to_string(), Value::String(values.join(", ")));
    }
    let url = uri.path_and_query().map_or("/", |part| part.as_str());
    Json(json!({
        "method": method.as_str(),
        "url": url,
        "headers": seen,
        "body": String::from_utf8_lossy(&body),
    }))
}

async fn slow(_: Caller, RawQuery(query): RawQuery) -> Result<Json<Value>, ApiError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let ms = params
        .get("ms")
        .and_then(|text| text.parse().ok())
        .filter(|ms| *ms <= MAX_SLOW_MS)
        .ok_or_else(|| ApiError::bad_request("ms must be a number of milliseconds up to 60000"))?;
    tokio::time::sleep(Duration::from_millis(ms)).await;
    Ok(Json(json!({ "slept_ms": ms })))
}

/// Answers with the status in the path, as an error where it is one.
async fn status(_: Caller, Path(code): Path<String>) -> Result<Response, ApiError> {
    let status = code
        .parse::<u16>()
        .ok()
        .filter(|code| (200..=599).contains(code))
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| ApiError::bad_request("the status must be a number from 200 to 599"))?;
    if status.is_client_error() || status.is_server_error() {
        let words = "this answer was asked for in the path";
        return Err(ApiError::new(status, "requested_status", words));
    }
    if matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        return Ok(status.into_response());
    }
    Ok((status, Json(json!({ "status": status.as_u16() }))).into_response())
}
