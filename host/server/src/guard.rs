//! Two gates before any handler: is this request meant for this host, and did our own page make it?
//!
//! **Host.** A request whose `Host` (or HTTP/2 `:authority`) is not `public_url`'s gets 421. Against DNS
//! rebinding: a page of another site whose name is made to point here would otherwise be same-origin with
//! us. Health and metrics are excepted for callers on this machine, whose probes use addresses.
//!
//! **Origin.** On page routes, whatever is not GET or HEAD must carry our own `Origin`. Against another site's
//! forms and scripts in a signed-in person's browser; `SameSite=Lax` already stops most of them, but counts
//! sibling subdomains as the same site.
//!
//! Left out: `Referer` as a stand-in for `Origin`. Every browser since 2020 sends `Origin` where it matters.

use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode, Uri, header};

use crate::problem::Problem;
use crate::state::{PublicUrl, ServerState};

/// The other end of the connection; put into each request by [`crate::serve`].
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Routes that probes on this machine may call under any name.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Lets a request in only if it names this host.
pub async fn host(
    State(state): State<ServerState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let local = request
        .extensions()
        .get::<Peer>()
        .is_some_and(|peer| peer.0.ip().is_loopback());
    let probe = local && PROBES.contains(&request.uri().path());
    if !probe && !names_us(state.public(), request.uri(), request.headers()) {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "wrong_host",
            format!(
                "this host serves {} only; call it by that name, or correct `public_url` (a proxy in front must pass Host on)",
                state.public().origin()
            ),
        ));
    }
    Ok(next.run(request).await)
}

/// True if every name that the request gives is ours, and it gives at least one.
fn names_us(public: &PublicUrl, uri: &Uri, headers: &HeaderMap) -> bool {
    let mut named = false;
    let authority = uri.authority().map(|authority| authority.as_str());
    let hosts = headers
        .get_all(header::HOST)
        .iter()
        .map(|value| value.to_str().unwrap_or_default());
    for name in authority.into_iter().chain(hosts) {
        if !public.is_host(name) {
            return false;
        }
        named = true;
    }
    named
}

/// Lets a request that changes something in only if a page of ours made it.
pub async fn same_origin(
    State(state): State<ServerState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && !from_us(state.public(), request.headers()) {
        return Err(Problem::forbidden(
            "wrong_origin",
            "this can be done from Keyport's own page only; reload the page and try again",
        ));
    }
    Ok(next.run(request).await)
}

fn from_us(public: &PublicUrl, headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => origin.as_bytes() == public.origin().as_bytes(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn public() -> PublicUrl {
        PublicUrl::new(&"https://keyport.example".parse().unwrap()).unwrap()
    }

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn a_request_that_names_two_hosts_is_for_neither() {
        let (bare, absolute) = (
            Uri::from_static("/v1/apps"),
            Uri::from_static("https://evil.example/v1/apps"),
        );
        assert!(names_us(
            &public(),
            &bare,
            &headers(header::HOST, &["keyport.example"])
        ));
        assert!(!names_us(
            &public(),
            &bare,
            &headers(header::HOST, &["keyport.example", "evil.example"])
        ));
        assert!(!names_us(
            &public(),
            &absolute,
            &headers(header::HOST, &["keyport.example"])
        ));
        assert!(!names_us(&public(), &bare, &HeaderMap::new()));
    }

    #[test]
    fn a_sibling_subdomain_and_a_missing_origin_are_not_us() {
        for (origins, ours) in [
            (&["https://keyport.example"][..], true),
            (&["https://evil.keyport.example"], false),
            (&["http://keyport.example"], false),
            (&["null"], false),
            (&[], false),
            (&["https://keyport.example", "https://evil.example"], false),
        ] {
            assert_eq!(
                from_us(&public(), &headers(header::ORIGIN, origins)),
                ours,
                "{origins:?}"
            );
        }
    }
}
