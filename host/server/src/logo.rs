//! Apps' logos. An SVG is a document that may hold scripts and links; it comes from whoever wrote the app.
//!
//! As an image in a page it runs nothing. Opened by itself it would run on our origin, so the policy makes it
//! an origin of its own that may load and run nothing.

use axum::extract::State;
use axum::response::IntoResponse;
use http::header;

use crate::extract::Path;
use crate::problem::Problem;
use crate::state::ServerState;

/// `GET /apps/{app}/logo.svg`
pub(crate) async fn logo(
    State(state): State<ServerState>,
    Path(app): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let svg = state.engine().logo(&app)?;
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'; style-src 'unsafe-inline'",
        ),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    // The platform's own page may show the logo beside its button.
    Ok((
        headers,
        [("cross-origin-resource-policy", "cross-origin")],
        svg,
    ))
}
