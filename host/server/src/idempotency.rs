//! `Idempotency-Key`: a POST that is sent twice is done once (draft-ietf-httpapi-idempotency-key-header).
//!
//! The first request under a key runs; its answer is kept for a day and given again to every repetition, marked
//! `idempotency-replayed: true`. While it runs, a repetition gets 409; the same key with another body or
//! address gets 422. Keys belong to the platform key that sent them. An answer that says "try again" (5xx, 429)
//! or "not you" (401, 403) is not kept.
//!
//! The request runs in a task of its own: a caller that hangs up does not stop half-way what it will ask for again,
//! and finds the answer when it comes back.
//!
//! Kept in memory, bounded in number and bytes, the oldest first to go: answers may hold one-time links, which
//! should not be at rest. Left out, therefore: repetitions across a restart or another machine.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::RequestExt as _;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::auth::Platform;
use crate::extract::unreadable;
use crate::problem::Problem;
use crate::state::ServerState;

/// The request header.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A day covers any sensible retry.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// So many answers, at most …
const ENTRIES: usize = 10_000;
/// … and so many bytes of them.
const BYTES: usize = 32 * 1024 * 1024;
/// An answer above this is given but not kept; then a repetition runs again.
const ANSWER: usize = 1024 * 1024;

#[derive(Default)]
pub(crate) struct Idempotency {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Arc<str>, Entry>,
    /// In the order in which they came, for expiry.
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

struct Entry {
    fingerprint: [u8; 32],
    since: Instant,
    answer: Option<Answer>,
}

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// Where the answer is a problem: it is written again, with the id of the request that gets it.
    problem: Option<Problem>,
}

/// What to do with a request under a key.
enum Decision {
    Run,
    Replay(Box<Answer>),
    Running,
    Different,
}

impl Idempotency {
    fn begin(&self, slot: &Arc<str>, fingerprint: [u8; 32], now: Instant) -> Decision {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.expire(now);
        match kept.entries.get(slot) {
            Some(entry) if entry.fingerprint != fingerprint => Decision::Different,
            Some(Entry {
                answer: Some(answer),
                ..
            }) => Decision::Replay(Box::new(answer.clone())),
            Some(_) => Decision::Running,
            None => {
                kept.entries.insert(
                    slot.clone(),
                    Entry {
                        fingerprint,
                        since: now,
                        answer: None,
                    },
                );
                kept.order.push_back(slot.clone());
                Decision::Run
            }
        }
    }

    fn finish(&self, slot: &Arc<str>, answer: Answer) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let size = answer.body.len();
        if let Some(entry) = kept.entries.get_mut(slot) {
            entry.answer = Some(answer);
            kept.bytes += size;
        }
    }

    fn forget(&self, slot: &Arc<str>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.order.retain(|other| other != slot);
        kept.drop_entry(slot);
    }
}

impl Kept {
    fn expire(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front().cloned() {
            let old = self
                .entries
                .get(&oldest)
                .is_none_or(|entry| now.duration_since(entry.since) > LIFETIME);
            if !old && self.order.len() < ENTRIES && self.bytes <= BYTES {
                break;
            }
            self.order.pop_front();
            self.drop_entry(&oldest);
        }
    }

    fn drop_entry(&mut self, slot: &str) {
        if let Some(entry) = self.entries.remove(slot) {
            self.bytes = self
                .bytes
                .saturating_sub(entry.answer.map_or(0, |answer| answer.body.len()));
        }
    }
}

/// Takes the mark "running" away again, unless there is an answer: also when the handler panics.
struct Running<'a> {
    idempotency: &'a Idempotency,
    slot: Arc<str>,
    answered: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.idempotency.forget(&self.slot);
        }
    }
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

    let slot: Arc<str> = format!("{}\n{key}", platform.id()).into();
    let fingerprint = fingerprint(&path, &body);
    match state
        .idempotency()
        .begin(&slot, fingerprint, Instant::now())
    {
        Decision::Replay(answer) => Ok(replay(*answer)),
        Decision::Running => Err(Problem::new(
            StatusCode::CONFLICT,
            "idempotency_running",
            "a request with this Idempotency-Key is still running; repeat it a little later to get its answer",
        )),
        Decision::Different => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "this Idempotency-Key was used for another request; use a new key for a new request",
        )),
        Decision::Run => {
            let request = Request::from_parts(parts, Body::from(body));
            let task = tokio::spawn(async move { run(&state, slot, next.run(request)).await });
            task.await.unwrap_or_else(|_| Err(Problem::internal()))
        }
    }
}

async fn run(
    state: &ServerState,
    slot: Arc<str>,
    answer: impl Future<Output = Response>,
) -> Result<Response, Problem> {
    let mut running = Running {
        idempotency: state.idempotency(),
        slot,
        answered: false,
    };
    let response = answer.await;
    if !keeps(response.status()) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    // Answers on these routes are JSON that is in memory already; the limit is not reached.
    let Ok(body) = to_bytes(body, 16 * ANSWER).await else {
        return Err(Problem::internal());
    };
    if body.len() <= ANSWER {
        let answer = Answer {
            status: parts.status,
            headers: parts.headers.clone(),
            body: body.clone(),
            problem: parts.extensions.get().cloned(),
        };
        running.idempotency.finish(&running.slot, answer);
        running.answered = true;
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn keeps(status: StatusCode) -> bool {
    let again = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
    ];
    !status.is_server_error() && !again.contains(&status)
}

fn replay(answer: Answer) -> Response {
    let mut response = (answer.status, answer.headers, answer.body).into_response();
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    if let Some(problem) = answer.problem {
        response.extensions_mut().insert(problem);
    }
    response
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

fn fingerprint(path: &str, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(path.as_bytes());
    hash.update([0]);
    hash.update(body);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(size: usize) -> Answer {
        Answer {
            status: StatusCode::CREATED,
            headers: HeaderMap::new(),
            body: Bytes::from(vec![0; size]),
            problem: None,
        }
    }

    fn slot(name: &str) -> Arc<str> {
        name.into()
    }

    #[test]
    fn a_repetition_waits_for_the_first_and_then_gets_its_answer() {
        let (memory, now) = (Idempotency::default(), Instant::now());
        let one = fingerprint("/v1/sessions", b"{}");
        assert!(matches!(memory.begin(&slot("a"), one, now), Decision::Run));
        assert!(matches!(
            memory.begin(&slot("a"), one, now),
            Decision::Running
        ));
        memory.finish(&slot("a"), answer(1));
        assert!(matches!(
            memory.begin(&slot("a"), one, now),
            Decision::Replay(_)
        ));
    }

    #[test]
    fn the_same_key_for_another_body_or_address_is_refused() {
        let (memory, now) = (Idempotency::default(), Instant::now());
        let one = fingerprint("/v1/sessions", b"{}");
        memory.begin(&slot("a"), one, now);
        for other in [
            fingerprint("/v1/sessions", b"[]"),
            fingerprint("/v1/connections", b"{}"),
        ] {
            assert!(matches!(
                memory.begin(&slot("a"), other, now),
                Decision::Different
            ));
        }
    }

    #[test]
    fn an_answer_is_kept_for_a_day() {
        let (memory, now) = (Idempotency::default(), Instant::now());
        memory.begin(&slot("a"), [0; 32], now);
        memory.finish(&slot("a"), answer(1));
        let later = now + LIFETIME + Duration::from_secs(1);
        assert!(matches!(
            memory.begin(&slot("a"), [0; 32], later),
            Decision::Run
        ));
    }

    #[test]
    fn memory_is_bounded_in_number_and_bytes() {
        let (memory, now) = (Idempotency::default(), Instant::now());
        for number in 0..ENTRIES + 10 {
            memory.begin(&slot(&number.to_string()), [0; 32], now);
        }
        assert_eq!(memory.kept.lock().unwrap().entries.len(), ENTRIES);
        for number in 0..100 {
            let slot = slot(&format!("big-{number}"));
            memory.begin(&slot, [0; 32], now);
            memory.finish(&slot, answer(ANSWER));
        }
        memory.begin(&slot("last"), [0; 32], now);
        assert!(memory.kept.lock().unwrap().bytes <= BYTES);
    }

    #[test]
    fn a_handler_that_panics_leaves_the_key_free() {
        let (memory, now) = (Idempotency::default(), Instant::now());
        memory.begin(&slot("a"), [0; 32], now);
        drop(Running {
            idempotency: &memory,
            slot: slot("a"),
            answered: false,
        });
        assert!(matches!(
            memory.begin(&slot("a"), [0; 32], now),
            Decision::Run
        ));
    }
}
