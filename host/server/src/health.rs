//! What an operator's probes ask: alive, ready, counters. No key; on this machine under any `Host`.
//!
//! *Ready* asks the store something small, so that a host whose store is gone is taken out of service while
//! one that merely runs stays alive.

use axum::extract::State;
use axum::response::IntoResponse;
use http::{StatusCode, header};

use crate::problem::Problem;
use crate::state::ServerState;

/// The process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The process answers and its store does.
pub(crate) async fn readyz(State(state): State<ServerState>) -> Result<&'static str, Problem> {
    state
        .engine()
        .events(None, None, Some(1))
        .await
        .map_err(|_| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not_ready",
                "the store does not answer; the logs say why",
            )
        })?;
    Ok("ready\n")
}

/// Prometheus counters.
pub(crate) async fn metrics(State(state): State<ServerState>) -> impl IntoResponse {
    let keys = state.engine().vault().inventory(false).await;
    let keys = keys
        .map(|keys| crate::metrics::keys(&keys))
        .unwrap_or_default();
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        state.metrics().render() + &keys + &crate::metrics::older(state.engine().older().is_some()),
    )
}
