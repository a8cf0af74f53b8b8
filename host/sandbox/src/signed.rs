//! The signed API: calls that prove a secret without sending it, as vendors do that manifests alone can't describe.
//!
//! A call carries `X-Vendor-Key-Id`, `X-Vendor-Timestamp` (unix seconds, at most 300 off) and `X-Vendor-Signature`, the
//! hexadecimal HMAC-SHA256 under the signing secret of
//! `timestamp "\n" METHOD "\n" path-and-query "\n" body`, with path and query exactly as on the request line
//! (`/signed/messages?after=3`). Left out, as real vendors often do: a nonce, so a call can be repeated within the window.

use axum::body::{Body, to_bytes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use hmac::Mac;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Page;
use crate::clock::rfc3339;
use crate::errors::ApiError;
use crate::random;
use crate::state::{Entry, Feed};
use crate::{MAX_REQUEST_BODY, Vendor};

/// How far a timestamp may be from the vendor's clock, in seconds.
const MAX_SKEW_S: u64 = 300;
const MAX_TEXT: usize = 2_000;

pub(crate) fn routes(vendor: &Vendor) -> Router<Vendor> {
    Router::new()
        .route("/signed/whoami", get(whoami))
        .route("/signed/messages", get(list).post(create))
        .route_layer(from_fn_with_state(vendor.clone(), verify))
}

/// Whose signature it was: [`crate::User::id`].
#[derive(Clone)]
struct Signer(String);

/// Lets a request through whose signature is right, with its [`Signer`].
async fn verify(
    State(vendor): State<Vendor>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_REQUEST_BODY).await.map_err(|_| {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body is too large",
        )
    })?;
    let target = parts.uri.path_and_query().map_or("/", |part| part.as_str());
    let call = Call {
        method: parts.method.as_str(),
        target,
        body: &body,
    };
    let signer = check(&vendor, &parts.headers, &call)?;
    parts.extensions.insert(signer);
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

/// What is signed.
struct Call<'a> {
    method: &'a str,
    target: &'a str,
    body: &'a [u8],
}

fn check(vendor: &Vendor, headers: &HeaderMap, call: &Call<'_>) -> Result<Signer, ApiError> {
    // One answer for an unknown key and for a wrong signature: which keys exist is nobody's business.
    let refused = || {
        ApiError::unauthorized(
            "invalid_signature",
            "the key id is unknown or the signature does not match the request",
        )
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(key_id), Some(timestamp), Some(signature)) = (
        header("x-vendor-key-id"),
        header("x-vendor-timestamp"),
        header("x-vendor-signature"),
    ) else {
        return Err(ApiError::unauthorized(
            "unauthenticated",
            "send X-Vendor-Key-Id, X-Vendor-Timestamp and X-Vendor-Signature",
        ));
    };
    let signed_at: i64 = timestamp
        .parse()
        .map_err(|_| ApiError::bad_request("X-Vendor-Timestamp must be unix seconds"))?;
    let now = vendor.0.clock.now_ms().div_euclid(1000);
    if now.abs_diff(signed_at) > MAX_SKEW_S {
        return Err(ApiError::unauthorized(
            "stale_timestamp",
            "X-Vendor-Timestamp is more than 300 seconds from the vendor's clock",
        ));
    }
    let state = vendor.state();
    let account = state.by_signing_key(key_id).ok_or_else(refused)?;
    let secret = account
        .credentials
        .signing_secret
        .as_deref()
        .ok_or_else(refused)?;
    let signature = random::unhex(signature).ok_or_else(refused)?;
    let parts: [&[u8]; 7] = [
        timestamp.as_bytes(),
        b"\n",
        call.method.as_bytes(),
        b"\n",
        call.target.as_bytes(),
        b"\n",
        call.body,
    ];
    let mac = random::hmac(secret.as_bytes(), &parts).ok_or_else(refused)?;
    mac.verify_slice(&signature).map_err(|_| refused())?;
    Ok(Signer(account.user.id.clone()))
}

async fn whoami(
    State(vendor): State<Vendor>,
    Extension(signer): Extension<Signer>,
) -> Result<Json<Value>, ApiError> {
    let state = vendor.state();
    let user = &state
        .account(&signer.0)
        .ok_or_else(ApiError::internal)?
        .user;
    Ok(Json(json!({ "id": user.id, "name": user.name })))
}

async fn list(
    State(vendor): State<Vendor>,
    Extension(signer): Extension<Signer>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let state = vendor.state();
    let feed = &state
        .account(&signer.0)
        .ok_or_else(ApiError::internal)?
        .messages;
    let page = Page::parse(query.as_deref(), feed)?;
    let (entries, more) = feed.after(page.after, page.limit);
    let messages: Vec<Value> = entries
        .into_iter()
        .map(|entry| message(feed, entry))
        .collect();
    Ok(Json(json!({ "messages": messages, "more": more })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    text: String,
}

async fn create(
    State(vendor): State<Vendor>,
    Extension(signer): Extension<Signer>,
    body: Result<Json<NewMessage>, JsonRejection>,
) -> Result<Response, ApiError> {
    let text = match &body {
        Ok(Json(new)) => new.text.trim(),
        Err(_) => return Err(ApiError::bad_request("send JSON with a text")),
    };
    if text.is_empty() || text.chars().count() > MAX_TEXT {
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_message",
            "a message has a text of 1 to 2000 characters",
        ));
    }
    let now = vendor.0.clock.now_ms();
    let mut state = vendor.state();
    let account = state
        .account_mut(&signer.0)
        .ok_or_else(ApiError::internal)?;
    let number = account.messages.push("", text, now);
    let entry = account
        .messages
        .get(number)
        .ok_or_else(ApiError::internal)?;
    let created = message(&account.messages, entry);
    drop(state);
    vendor.announce(&signer.0, "message.created", "message", created.clone());
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

fn message(feed: &Feed, entry: &Entry) -> Value {
    json!({
        "id": feed.id(entry.number),
        "text": entry.body,
        "at": rfc3339(entry.at_ms),
    })
}
