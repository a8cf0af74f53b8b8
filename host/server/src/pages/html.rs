//! The pages themselves: five static documents. None holds a word from a request, so there is nothing to escape.
//!
//! Threats: injected script (a policy without `unsafe-*`, inline or foreign sources), framing (clickjacking), a page that
//! we opened or that opened us reaching across windows (`Cross-Origin-Opener-Policy`), a token in a `Referer`.
//!
//! The Apps page keeps others out of its window group; the connect window and what leads to it must stay tied to the
//! platform's page that opened them, or they could not hand over the completion code.

use axum::http::HeaderValue;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderName, header};

/// What a page may load and do: its own files and its own API, nothing inline, nothing framed.
pub(super) const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// `GET /apps`: the owner's connections and the catalogue.
pub(super) async fn apps() -> Response {
    page(
        include_str!("../../assets/apps.html"),
        "same-origin-allow-popups",
    )
}

/// `GET /connect`: connect or pick one account for a platform's page.
pub(super) async fn connect() -> Response {
    page(include_str!("../../assets/connect.html"), "unsafe-none")
}

/// `GET /open`: trades the link's token for the cookie.
pub(super) async fn open() -> Response {
    page(include_str!("../../assets/open.html"), "unsafe-none")
}

/// `GET /connect/wait`: a window that is told where to go by the page that opened it.
pub(super) async fn wait() -> Response {
    page(include_str!("../../assets/wait.html"), "unsafe-none")
}

/// `GET /connect/end`: where a sign-in at an app comes back to. See [`super::end_of_sign_in`].
pub(super) async fn end() -> Response {
    page(include_str!("../../assets/end.html"), "unsafe-none")
}

fn page(document: &'static str, opener_policy: &'static str) -> Response {
    let mut response = Html(document).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CSP),
    );
    headers.insert(OPENER_POLICY, HeaderValue::from_static(opener_policy));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Revalidated each time; the document holds nothing that is anybody's.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
