//! Calls that apps make: `/hooks/{address}`, one address for each subscription, and `/hooks/app/{configuration}`, one for all
//! connections of an app configuration.
//!
//! Here they only travel: the bytes as they came and the headers, one by one, go to the engine, which decides whether to believe
//! them. No cookie, no key and no origin counts here: an app has none of ours.
//!
//! Threats: bodies without end (a limit), answers that a browser would run (`nosniff` and our content policy are on every answer), an
//! address that leaks by `Referer` (`no-referrer`, on every answer too).

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use keyport_connect::{HookAnswer, HookCall};

use crate::extract::{JSON_LIMIT, Path, unreadable};
use crate::problem::Problem;
use crate::state::ServerState;

/// Both routes. They are not behind the origin check: apps' servers call them.
pub(crate) fn router() -> Router<ServerState> {
    Router::new()
        .route("/hooks/{address}", any(hook))
        .route("/hooks/app/{configuration}", any(app_hook))
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
}

async fn hook(
    State(state): State<ServerState>,
    Path(address): Path<String>,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let call = call(method, query, &headers, body)?;
    answered(state.engine().hook(&address, call).await)
}

async fn app_hook(
    State(state): State<ServerState>,
    Path(configuration): Path<String>,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let call = call(method, query, &headers, body)?;
    answered(state.engine().app_hook(&configuration, call).await)
}

fn call(
    method: Method,
    query: Option<String>,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<HookCall, Problem> {
    let body = body.map_err(unreadable)?;
    Ok(HookCall {
        method: method.as_str().to_owned(),
        query: query.unwrap_or_default(),
        // A header that is not text cannot be what any app signs with; it is left out, so it counts as missing.
        headers: headers
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect(),
        body: body.to_vec(),
    })
}

fn answered(answer: HookAnswer) -> Result<Response, Problem> {
    let status = StatusCode::from_u16(answer.status).map_err(|_| Problem::internal())?;
    let kind = HeaderValue::from_str(&answer.content_type)
        .unwrap_or_else(|_| HeaderValue::from_static("text/plain"));
    Ok((
        status,
        [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ],
        Body::from(answer.body),
    )
        .into_response())
}
