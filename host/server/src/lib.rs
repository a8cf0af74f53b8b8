//! The HTTP side of Keyport: the API under `/v1`, the hosted pages, sign-in callbacks, health and metrics.
//!
//! This crate only translates. A handler says who may ask, what is asked and what is answered, and calls
//! [`keyport_connect::Engine`], where the rules live. Every error becomes one shape in [`problem`]; every
//! answer passes [`observe`] (request id, log line, counter, security headers) on the way out.
//!
//! Threats that are met here: a foreign `Host` ([`guard`]), requests that another site makes in a
//! signed-in person's browser ([`guard`], [`cookie`]), oversized bodies, repeated POSTs ([`idempotency`]),
//! secrets in logs ([`observe`] knows route templates only), a clear-text bind ([`listen`]).
//!
//! | module | what lives in it |
//! |---|---|
//! | [`state`] | what handlers share; the public address |
//! | [`problem`], [`extract`], [`auth`] | errors, readers of bodies and queries, who is asking |
//! | `v1` | the routes of the API; `openapi` the document about them, `docs` the page to read it |
//! | `callback`, `ticket` | sign-in at the app: going there, coming back |
//! | `hooks` | calls that apps make |
//! | [`pages`] | the Apps page, the connect window, connect.js |
//! | `health`, `metrics`, [`observe`] | what operators look at |
//! | [`control`] | the operator's socket in the data folder |
//! | [`listen`], `serving` | sockets, TLS, graceful end, the housekeeping loop |
//!
//! Left out: CORS (no route needs it; the pages and the API are each called from their own origin).

pub mod auth;
mod callback;
pub mod control;
pub mod cookie;
mod docs;
pub mod extract;
pub mod guard;
mod health;
mod hooks;
pub mod idempotency;
pub mod listen;
mod logo;
mod metrics;
pub mod observe;
mod openapi;
pub mod pages;
pub mod problem;
mod serving;
pub mod state;
#[cfg(test)]
mod tests;
mod ticket;
mod v1;

use std::any::Any;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

pub use listen::{Listen, ListenError, Tls};
pub use problem::Problem;
pub use serving::serve;
pub use state::{PublicUrl, PublicUrlError, ServerState};

/// Everything that this host serves, as one service.
///
/// [`serve`] listens with it; tests call it directly. Without [`guard::Peer`] in a request's extensions, the caller
/// counts as one from another machine.
pub fn router(state: ServerState) -> Router {
    let (api, document) = OpenApiRouter::with_openapi(openapi::base())
        .merge(v1::router(&state))
        .split_for_parts();
    let document: axum::body::Bytes = document.to_json().unwrap_or_default().into();
    let pages = pages::router()
        .layer(from_fn_with_state(state.clone(), guard::same_origin))
        .layer(DefaultBodyLimit::max(extract::JSON_LIMIT));
    let json = [
        (http::header::CONTENT_TYPE, "application/json"),
        (http::header::CACHE_CONTROL, "no-cache"),
    ];
    let routes = api
        .merge(pages)
        .merge(callback::router())
        .merge(hooks::router())
        .merge(docs::router())
        .route("/openapi.json", get(async move || (json, document)))
        .route("/apps/{app}/logo.svg", get(logo::logo))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(async || Problem::no_such_route())
        .method_not_allowed_fallback(async || Problem::method_not_allowed());
    layered(routes, &state).with_state(state)
}

/// What every request passes, from the outside in: [`observe`], the net for panics, the gate for `Host`.
fn layered(routes: Router<ServerState>, state: &ServerState) -> Router<ServerState> {
    routes
        // The last layer is the outermost: whatever happens further in gets an id, a log line and headers.
        .layer(from_fn_with_state(state.clone(), guard::host))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), observe::observe))
}

/// A bug of ours: the caller learns that it happened; the panic's own text goes nowhere (it may quote a value).
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request handler panicked");
    Problem::internal().into_response()
}

/// `prefix` and 128 random bits, in letters that need no encoding.
pub(crate) fn random_id(prefix: &str) -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
}
