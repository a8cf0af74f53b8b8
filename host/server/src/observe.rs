//! What every request passes on its way in and out: an id, a log line, a counter, security headers.
//!
//! The log line holds the method, the route's *template*, the status, the milliseconds and the id. Never the
//! path (ids), the query (codes, search words), a header or a body: what is not read can't leak. The id is
//! the caller's own `x-request-id` where that is harmless, else a new one; it comes back as a header and in
//! problem details.
//!
//! Left out: distributed tracing headers.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::metrics::method_label;
use crate::problem::Problem;
use crate::state::{PublicUrl, ServerState};

/// The header that carries a request's id, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The policy of every answer that does not bring its own: nothing may run, load, frame or be sent.
pub const DEFAULT_CSP: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The id of the request that is being answered.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the caller's id if it is short and plain, else makes one.
    fn of(headers: &HeaderMap) -> Self {
        let plain = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=64).contains(&bytes.len())
                && bytes
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
        };
        let given = headers.get(REQUEST_ID).filter(plain).cloned();
        Self(
            given
                .or_else(Self::random)
                .unwrap_or_else(|| HeaderValue::from_static("req_unknown")),
        )
    }

    fn random() -> Option<HeaderValue> {
        crate::random_id("req_")
            .ok()
            .and_then(|id| HeaderValue::from_str(&id).ok())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// The outermost layer.
pub async fn observe(
    State(state): State<ServerState>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".into(), |path| path.as_str().to_owned());
    request.extensions_mut().insert(id.clone());

    let mut response = finish_problem(next.run(request).await, &id);
    secure(response.headers_mut(), state.public());
    response.headers_mut().insert(REQUEST_ID, id.0.clone());

    let (status, took) = (response.status().as_u16(), started.elapsed());
    state.metrics().answered(&route, &method, status, took);
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        method = method_label(&method),
        route,
        status,
        ms,
        request_id = id.as_str(),
        "answered"
    );
    response
}

/// Writes a problem again, now with the request's id. Headers that were added to it stay (`Allow`).
fn finish_problem(response: Response, id: &RequestId) -> Response {
    let Some(problem) = response.extensions().get::<Problem>().cloned() else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    let (rendered, body) = problem.render(Some(id.as_str())).into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(
        rendered
            .headers
            .into_iter()
            .filter_map(|(name, value)| Some((name?, value)))
            .collect::<HeaderMap>(),
    );
    Response::from_parts(parts, body)
}

/// Adds what is missing. A route that brings its own value keeps it.
fn secure(headers: &mut HeaderMap, public: &PublicUrl) {
    let mut default = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert_with(|| HeaderValue::from_static(value));
    };
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::X_FRAME_OPTIONS, "DENY");
    default(header::REFERRER_POLICY, "no-referrer");
    default(header::CONTENT_SECURITY_POLICY, DEFAULT_CSP);
    default(header::CACHE_CONTROL, "no-store");
    default(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    default(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    );
    if public.is_secure() {
        default(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(given: &str) -> String {
        let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(given).unwrap())]);
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_plain_id_of_the_caller_is_kept_and_any_other_replaced() {
        assert_eq!(id("trace-1.a_B"), "trace-1.a_B");
        for odd in ["", "a b", "a\"b", "ä", &"x".repeat(65)] {
            assert!(id(odd).starts_with("req_"), "{odd:?}");
        }
    }

    #[test]
    fn a_route_keeps_the_policy_that_it_brings() {
        let own = HeaderValue::from_static("default-src 'self'");
        let mut headers = HeaderMap::from_iter([(header::CONTENT_SECURITY_POLICY, own.clone())]);
        secure(
            &mut headers,
            &PublicUrl::new(&"https://a.example".parse().unwrap()).unwrap(),
        );
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], own);
        assert_eq!(headers[header::X_FRAME_OPTIONS], "DENY");
        assert!(headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}
