//! Misbehaviour on demand: what an API does on a bad day, so that a client's patience can be tested.
//!
//! A fault answers instead of the real handler, or after it: *after* is the case that loses refresh tokens, where the
//! vendor has rotated the token and the answer never arrives.

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::Vendor;
use crate::errors::ApiError;

/// Faults that may wait at one time.
const MAX_FAULTS: usize = 64;
/// Longest a fault may hang, in milliseconds: two minutes.
pub const MAX_HANG_MS: u64 = 120_000;

/// Which calls a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Everything under `/api` and `/signed`.
    Api,
    /// `POST /oauth/token`.
    Token,
    /// `POST /oauth/revoke`.
    Revoke,
}

/// What the next calls to a target meet.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which calls.
    pub target: Target,
    /// How many of them; 1 where nothing is said.
    #[serde(default = "once")]
    pub times: u32,
    /// The status to answer, 200 to 599. Without it the real answer is given, late.
    #[serde(default)]
    pub status: Option<u16>,
    /// Milliseconds to wait first, at most [`MAX_HANG_MS`].
    #[serde(default)]
    pub hang_ms: u64,
    /// Do the work first, then lose the answer.
    #[serde(default)]
    pub after: bool,
    /// Seconds for the `Retry-After` header.
    #[serde(default)]
    pub retry_after: Option<u32>,
    /// Answer with the status and nothing else.
    #[serde(default)]
    pub empty: bool,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// `times` calls to `target` are answered with `status`, and not carried out.
    #[must_use]
    pub fn status(target: Target, times: u32, status: u16) -> Self {
        Self {
            target,
            times,
            status: Some(status),
            hang_ms: 0,
            after: false,
            retry_after: None,
            empty: false,
        }
    }

    /// Whether the vendor can do this.
    pub(crate) fn is_possible(&self) -> bool {
        self.times > 0
            && self.hang_ms <= MAX_HANG_MS
            && self
                .status
                .is_none_or(|status| (200..=599).contains(&status))
    }
}

/// The faults that are waiting, oldest first.
#[derive(Default)]
pub(crate) struct Faults(VecDeque<Fault>);

impl Faults {
    /// Adds a fault unless the queue is full.
    pub(crate) fn add(&mut self, fault: Fault) -> bool {
        if self.0.len() >= MAX_FAULTS {
            return false;
        }
        self.0.push_back(fault);
        true
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault for this call, counted down.
    fn take(&mut self, target: Target) -> Option<Fault> {
        let index = self.0.iter().position(|fault| fault.target == target)?;
        let fault = self.0.get_mut(index)?;
        fault.times = fault.times.saturating_sub(1);
        let taken = fault.clone();
        if fault.times == 0 {
            self.0.remove(index);
        }
        Some(taken)
    }
}

/// The middleware that lets faults happen. `None` for paths that no fault is for.
pub(crate) async fn happen(State(vendor): State<Vendor>, request: Request, next: Next) -> Response {
    let target = match request.uri().path() {
        "/oauth/token" => Target::Token,
        "/oauth/revoke" => Target::Revoke,
        path if path.starts_with("/api/") || path.starts_with("/signed/") => Target::Api,
        _ => return next.run(request).await,
    };
    let fault = {
        let mut state = vendor.state();
        state.counters.count(target);
        state.faults.take(target)
    };
    let _open = (target == Target::Token).then(|| Open::new(&vendor));
    let Some(fault) = fault else {
        return next.run(request).await;
    };
    let Some(status) = fault.status else {
        // Only late. The order still matters to whoever gives up waiting.
        if fault.after {
            let response = next.run(request).await;
            wait(&fault).await;
            return response;
        }
        wait(&fault).await;
        return next.run(request).await;
    };
    if fault.after {
        drop(next.run(request).await);
    }
    wait(&fault).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = if fault.empty {
        status.into_response()
    } else {
        ApiError::new(
            status,
            "injected_fault",
            "this answer was asked for over the control API",
        )
        .into_response()
    };
    if let Some(seconds) = fault.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A token request that is being answered, or given up by who made it.
struct Open(Vendor);

impl Open {
    fn new(vendor: &Vendor) -> Self {
        vendor.state().counters.begin_token_request();
        Self(vendor.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.state().counters.end_token_request();
    }
}

async fn wait(fault: &Fault) {
    if fault.hang_ms > 0 {
        tokio::time::sleep(Duration::from_millis(fault.hang_ms)).await;
    }
}
