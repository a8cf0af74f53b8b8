//! What holds for every request and every answer.
//!
//! The threat is DNS rebinding: a page on the internet gives its own name this machine's address and then reads the developer
//! page as its own. A request must therefore name a host that is ours: the public origin's, the issuer's, or this machine
//! itself. One that names none did not come from a browser.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::Url;

use crate::Vendor;
use crate::redirects::is_loopback;

/// The outermost middleware.
pub(crate) async fn guard(State(vendor): State<Vendor>, request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .map(|value| value.to_str().unwrap_or_default())
        .or_else(|| {
            request
                .uri()
                .authority()
                .map(|authority| authority.as_str())
        });
    let ours = host.is_none_or(|host| is_ours(&vendor, host));
    let method = request.method().clone();
    // The path alone: a query carries codes and states.
    let path = request.uri().path().to_owned();
    let mut response = if ours {
        next.run(request).await
    } else {
        let words = "this host is not the vendor's; open it at its own address\n";
        (StatusCode::MISDIRECTED_REQUEST, words).into_response()
    };
    log(&method, &path, response.status());
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // Not no-referrer: browsers then send forms with the origin "null".
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        ));
    response
}

fn log(method: &Method, path: &str, status: StatusCode) {
    tracing::debug!(%method, path, status = status.as_u16(), "vendor answered");
}

fn is_ours(vendor: &Vendor, host: &str) -> bool {
    [&vendor.0.public, &vendor.0.issuer_url]
        .into_iter()
        .any(|own| {
            Url::parse(&format!("{}://{host}/", own.scheme())).is_ok_and(|url| {
                // Parsing must not have found more than a host: "a@b" or "a/b" are not ours.
                let plain =
                    url.path() == "/" && url.username().is_empty() && url.password().is_none();
                plain && (is_loopback(url.host()) || url.origin() == own.origin())
            })
        })
}
