//! Any request to a connection's app, with its credentials attached at the network edge. Scope `proxy`.
//!
//! Method, path, query and body pass as they are, the answer as it comes. Neither side sees the other's connection:
//! hop-by-hop headers, the platform key and cookies stay here. Which hosts may be reached, which headers may be
//! set and how much may pass are egress's rules, not this file's.
//!
//! An upstream's answer carries `keyport-upstream-status`; an answer without it is Keyport's own (a problem). So
//! a 401 of the app is told from a 401 of ours, and no upstream can imitate ours.
//!
//! Left out: CONNECT, TRACE and upgrades.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::{RawPathParams, State};
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use keyport_connect::view::KeyScope;
use utoipa::openapi::path::{HttpMethod, Paths};
use utoipa::{__dev::Tags as _, Path as _};

use super::answer::{Answer, Problems};
use crate::auth::Platform;
use crate::problem::Problem;
use crate::state::ServerState;

/// On every answer of an upstream: its status.
pub const UPSTREAM_STATUS: HeaderName = HeaderName::from_static("keyport-upstream-status");

/// Headers about one hop (RFC 9110, section 7.6.1) besides those that `Connection` names.
static HOP_BY_HOP: LazyLock<Vec<HeaderName>> = LazyLock::new(|| {
    let others = ["keep-alive", "proxy-connection", "http2-settings"].map(HeaderName::from_static);
    let known = [
        header::CONNECTION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    known
        .into_iter()
        .chain(others)
        .chain([header::PROXY_AUTHENTICATE, header::PROXY_AUTHORIZATION])
        .collect()
});

/// Of a request: what is meant for us or tells about the platform's network.
const OURS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::HOST,
    header::EXPECT,
    header::FORWARDED,
];
const OURS_BY_NAME: [&str; 6] = [
    "x-request-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-real-ip",
];

/// Of an answer: what would act on *our* origin in a browser or a proxy.
const THEIRS: [HeaderName; 6] = [
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::CONTENT_SECURITY_POLICY,
    header::CONTENT_SECURITY_POLICY_REPORT_ONLY,
    header::ALT_SVC,
    header::REFRESH,
];
const THEIRS_BY_NAME: [&str; 4] = [
    "clear-site-data",
    "service-worker-allowed",
    "public-key-pins",
    "x-frame-options",
];

/// Should a browser ever show an answer, nothing in it runs with our origin.
const SANDBOX: HeaderValue =
    HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");

/// Call the app's own API
///
/// Sends this request to the app, with the connection's credentials attached, and streams its answer back. `path` is
/// relative to the app's base URL. An answer of the app carries the header `keyport-upstream-status`; an answer
/// without it is Keyport's own.
#[utoipa::path(get, path = "/v1/connections/{id}/proxy/{path}", tag = "use", operation_id = "proxy",
    params(("id" = String, Path, description = "`con_…`"),
        ("path" = String, Path, description = "Path at the app; may hold slashes; the query string is passed on")),
    responses((status = 200, description = "The app's answer, whatever its status and media type",
        headers(("keyport-upstream-status" = u16, description = "The app's status"))), Problems))]
pub(crate) async fn proxy(
    State(state): State<ServerState>,
    key: Platform,
    params: RawPathParams,
    request: Request<Body>,
) -> Answer<Response> {
    let actor = key.with(KeyScope::Proxy)?;
    let id = params
        .iter()
        .find_map(|(name, id)| (name == "id").then_some(id))
        .unwrap_or_default();
    let request = outgoing(request)?.map(keyport_connect::Body::wrap);
    let answer = state.engine().proxy(&actor, id, request).await?;
    Ok(incoming(answer.map(Body::new)))
}

/// The request as the app is to get it: relative, without what belongs to this hop.
fn outgoing(request: Request<Body>) -> Result<Request<Body>, Problem> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Problem::method_not_allowed());
    }
    let (mut parts, body) = request.into_parts();
    parts.uri = target(&parts.uri)?;
    // What the router and the layers remember about this request is not the app's business.
    parts.extensions = http::Extensions::new();
    parts.version = http::Version::HTTP_11;
    drop_hop_by_hop(&mut parts.headers);
    OURS.iter()
        .for_each(|name| drop(parts.headers.remove(name)));
    OURS_BY_NAME
        .iter()
        .for_each(|name| drop(parts.headers.remove(*name)));
    Ok(Request::from_parts(parts, body))
}

/// What stands after `/v1/connections/{id}/proxy`, with its encoding as it came.
fn target(uri: &Uri) -> Result<Uri, Problem> {
    let rest = uri.path().splitn(6, '/').nth(5).unwrap_or_default();
    if rest.starts_with('/') {
        // Two slashes at the start of a relative address mean another host (RFC 3986, section 4.2).
        return Err(Problem::bad_request(
            "the path after `proxy/` must not start with a slash",
        ));
    }
    let query = uri
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    format!("/{rest}{query}").parse().map_err(|_| {
        Problem::bad_request(
            "the path after `proxy/` is not one; encode what is not a letter or digit",
        )
    })
}

/// The app's answer as the caller is to get it.
fn incoming(mut response: Response) -> Response {
    let status = response.status().as_u16();
    let headers = response.headers_mut();
    drop_hop_by_hop(headers);
    THEIRS.iter().for_each(|name| drop(headers.remove(name)));
    THEIRS_BY_NAME
        .iter()
        .for_each(|name| drop(headers.remove(*name)));
    // Our own sentence about cross-origin reading is "no": an upstream's yes does not count here.
    let cors: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("access-control-"))
        .cloned()
        .collect();
    cors.iter().for_each(|name| drop(headers.remove(name)));
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(UPSTREAM_STATUS, HeaderValue::from(status));
    response.extensions_mut().clear();
    response
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(HOP_BY_HOP.iter()) {
        headers.remove(name);
    }
}

/// Puts the operation into the document once for each method, each with an id of its own.
pub(crate) fn document(paths: &mut Paths, methods: impl IntoIterator<Item = HttpMethod>) {
    for method in methods {
        let mut operation = __path_proxy::operation();
        let name = match method {
            HttpMethod::Get => "proxy_get",
            HttpMethod::Head => "proxy_head",
            HttpMethod::Post => "proxy_post",
            HttpMethod::Put => "proxy_put",
            HttpMethod::Patch => "proxy_patch",
            _ => "proxy_delete",
        };
        operation.operation_id = Some(name.to_owned());
        operation.tags = Some(
            __path_proxy::tags()
                .into_iter()
                .map(str::to_owned)
                .collect(),
        );
        paths.add_path_operation(__path_proxy::path(), vec![method], operation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str) -> http::request::Builder {
        Request::builder().uri(uri)
    }

    #[test]
    fn path_and_query_keep_their_encoding() {
        for (given, wanted) in [
            (
                "/v1/connections/con_1/proxy/a/b%2Fc?x=%20&x=2",
                "/a/b%2Fc?x=%20&x=2",
            ),
            ("/v1/connections/con_1/proxy/", "/"),
            ("/v1/connections/con_1/proxy", "/"),
            ("/v1/connections/con_1/proxy/?q", "/?q"),
        ] {
            assert_eq!(target(&given.parse().unwrap()).unwrap(), wanted, "{given}");
        }
    }

    #[test]
    fn a_second_slash_can_not_name_another_host() {
        let given = "/v1/connections/con_1/proxy//evil.example/x"
            .parse()
            .unwrap();
        assert_eq!(target(&given).unwrap_err().code(), "bad_request");
    }

    #[test]
    fn the_platform_key_and_the_hop_stay_here() {
        let sent = request("/v1/connections/c/proxy/x")
            .method("PATCH")
            .header("authorization", "Bearer kp_canary")
            .header("connection", "keep-alive, x-private")
            .header("x-private", "1")
            .header("te", "trailers")
            .header("x-forwarded-for", "10.0.0.1")
            .header("idempotency-key", "theirs")
            .header("accept", "a/b")
            .body(Body::empty())
            .unwrap();
        let out = outgoing(sent).unwrap();
        assert_eq!(out.method(), Method::PATCH);
        let mut names: Vec<_> = out.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "idempotency-key"]);
    }

    #[test]
    fn trace_and_connect_do_not_pass() {
        for method in ["TRACE", "CONNECT"] {
            let sent = request("/v1/connections/c/proxy/x")
                .method(method)
                .body(Body::empty())
                .unwrap();
            assert_eq!(outgoing(sent).unwrap_err().code(), "method_not_allowed");
        }
    }

    #[test]
    fn an_upstream_sets_no_cookie_opens_no_origin_and_can_not_pass_as_us() {
        let response = Response::builder()
            .status(401)
            .header("set-cookie", "__Host-kp=planted")
            .header("access-control-allow-origin", "*")
            .header("content-security-policy", "script-src *")
            .header("keyport-upstream-status", "200")
            .header("connection", "close")
            .header("etag", "\"1\"")
            .body(Body::empty())
            .unwrap();
        let answer = incoming(response);
        let headers = answer.headers();
        assert_eq!(headers[UPSTREAM_STATUS], "401");
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], SANDBOX);
        assert!(headers.contains_key("etag"));
        for gone in ["set-cookie", "access-control-allow-origin", "connection"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
    }
}
