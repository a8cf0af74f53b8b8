//! The page to read the API's document: small, offline, and under a policy that loads nothing from elsewhere.
//!
//! Written for this document rather than a vendored viewer: the common ones weigh over a megabyte and need
//! inline styles or `eval`. It shows; it does not send requests, so no key is ever typed into it.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;

use crate::state::ServerState;

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// `/docs` and its two files.
pub(crate) fn router() -> Router<ServerState> {
    Router::new()
        .route(
            "/docs",
            get(async || file("text/html; charset=utf-8", include_str!("docs.html"))),
        )
        .route(
            "/docs/docs.js",
            get(async || file("text/javascript; charset=utf-8", include_str!("docs.js"))),
        )
        .route(
            "/docs/docs.css",
            get(async || file("text/css; charset=utf-8", include_str!("docs.css"))),
        )
}

fn file(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}
