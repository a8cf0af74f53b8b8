//! `Idempotency-Key`: a POST that is sent twice is done once (draft-ietf-httpapi-idempotency-key-header).
//!
//! The first request under a key runs; its answer is kept for a day and given again to every repetition, marked
//! `idempotency-replayed: true`. While it runs, a repetition gets 409; the same key with another body or
//! address gets 422. Keys belong to the platform key that sent them. An answer that says "try again" (5xx, 429)
//! or "not you" (401, 403) is not kept, but for the one 502 that says that it *was* done.
//!
//! The request runs in a task of its own: a caller that hangs up does not stop half-way what it will ask for again,
//! and finds the answer when it comes back.
//!
//! Records are the engine's ([`keyport_connect::Begun`]): in the store, sealed, over hosts and restarts. A request that a host
//! left behind when it stopped is answered 409 `idempotency_cut_off`: nobody knows whether it was done.

use axum::RequestExt as _;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use keyport_connect::{Begun, Ticket};
use serde::{Deserialize, Serialize};

use crate::auth::Platform;
use crate::extract::unreadable;
use crate::problem::Problem;
use crate::state::ServerState;

/// The request header.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An answer above this is given but not kept, since a row of the store holds half a megabyte; a repetition is then told that it
/// was done.
const ANSWER: usize = 256 * 1024;

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    /// Base64; absent where it was too large to keep.
    body: Option<String>,
    /// Where the answer is a problem: it is written again, with the id of the request that gets it.
    problem: Option<Problem>,
}

/// The layer for routes that take the header. Anything but POST, and a POST without it, passes.
pub async fn idempotent(
    State(state): State<ServerState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(key) = request
        .headers()
        .get(KEY)
        .filter(|_| request.method() == Method::POST)
    else {
        return Ok(next.run(request).await);
    };
    let key = valid(key)?;
    let (mut parts, body) = request.into_parts();
    let platform = Platform::from_request_parts(&mut parts, &state).await?;
    let path = parts.uri.to_string();
    let request = Request::from_parts(parts, body);
    let (parts, body) = request.with_limited_body().into_parts();
    let body: Bytes = Request::new(body).extract().await.map_err(unreadable)?;

    let begun = state
        .engine()
        .once_begin(platform.id(), &key, &[path.as_bytes(), &body])
        .await?;
    match begun {
        Begun::Answered(kept) => replay(&kept),
        Begun::Running => Err(Problem::new(
            StatusCode::CONFLICT,
            "idempotency_running",
            "a request with this Idempotency-Key is still running; repeat it a little later to get its answer",
        )),
        Begun::CutOff => Err(Problem::new(
            StatusCode::CONFLICT,
            "idempotency_cut_off",
            "a request with this Idempotency-Key was cut off, and it is not known whether it was done; look, then use a new key",
        )),
        Begun::Different => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "this Idempotency-Key was used for another request; use a new key for a new request",
        )),
        Begun::Run(ticket) => {
            let request = Request::from_parts(parts, Body::from(body));
            let task = tokio::spawn(async move { run(&state, *ticket, next.run(request)).await });
            task.await.unwrap_or_else(|_| Err(Problem::internal()))
        }
    }
}

async fn run(
    state: &ServerState,
    ticket: Ticket,
    answer: impl Future<Output = Response> + Send + 'static,
) -> Result<Response, Problem> {
    // A handler that panics ends its own task only; then the key is free again.
    let answered = tokio::spawn(answer).await;
    let response = match answered {
        Ok(response) if keeps(&response) => response,
        other => {
            forget(state, ticket).await;
            return other.map_err(|_| Problem::internal());
        }
    };
    let (parts, body) = response.into_parts();
    // Answers on these routes are JSON that is in memory already; the limit is not reached.
    let Ok(body) = to_bytes(body, 64 * ANSWER).await else {
        forget(state, ticket).await;
        return Err(Problem::internal());
    };
    let kept = Kept {
        status: parts.status.as_u16(),
        headers: parts
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect(),
        body: (body.len() <= ANSWER).then(|| STANDARD.encode(&body)),
        problem: parts.extensions.get().cloned(),
    };
    let text = serde_json::to_string(&kept).map_err(|_| Problem::internal())?;
    if let Err(error) = state.engine().once_answered(ticket, text).await {
        tracing::warn!(
            code = error.code(),
            "the answer of a request with an Idempotency-Key was not kept"
        );
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

async fn forget(state: &ServerState, ticket: Ticket) {
    if let Err(error) = state.engine().once_forget(ticket).await {
        tracing::warn!(
            code = error.code(),
            "an Idempotency-Key stays used although its request was not done"
        );
    }
}

fn keeps(response: &Response) -> bool {
    let again = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
    ];
    let done = response
        .extensions()
        .get::<Problem>()
        .is_some_and(|problem| problem.code() == "done_with_unexpected_output");
    let status = response.status();
    done || (!status.is_server_error() && !again.contains(&status))
}

fn replay(kept: &str) -> Result<Response, Problem> {
    let kept: Kept = serde_json::from_str(kept).map_err(|_| Problem::internal())?;
    let mut response = match (kept.problem, kept.body) {
        (Some(problem), _) => problem.into_response(),
        (None, Some(body)) => {
            let body = STANDARD.decode(body).map_err(|_| Problem::internal())?;
            let mut response = Response::new(Body::from(body));
            *response.status_mut() =
                StatusCode::from_u16(kept.status).map_err(|_| Problem::internal())?;
            for (name, value) in kept.headers {
                if let (Ok(name), Ok(value)) =
                    (HeaderName::try_from(name), HeaderValue::try_from(value))
                {
                    response.headers_mut().append(name, value);
                }
            }
            response
        }
        (None, None) => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "idempotency_answer_too_large",
                "this was done, but its answer was too large to be kept; ask for what it made",
            ));
        }
    };
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn valid(key: &HeaderValue) -> Result<String, Problem> {
    let text = key.to_str().unwrap_or_default().trim().trim_matches('"');
    if text.is_empty() || text.len() > 255 {
        return Err(Problem::bad_request(
            "Idempotency-Key must be 1 to 255 printable characters, such as a UUID",
        ));
    }
    Ok(text.to_owned())
}
