//! What a caller may say, and what an upstream then sees.

use bytes::Bytes;
use http::{Method, Request};
use keyport_egress::{Body, EgressError, Handles, Methods, Part, Purpose, Secret, Slot, UrlFault};

use crate::upstream::{Upstream, egress, get, pass, pieces, read, text};

#[tokio::test]
async fn an_ordinary_call_arrives_with_what_the_host_attaches_and_comes_back() {
    let upstream = Upstream::start(|_| text("hello")).await;
    let egress = egress(&[("api", &upstream.url())]);
    let mut pass = pass(Purpose::Guest);
    pass.base_url = Some("https://api.example.com/v1".parse().unwrap());
    pass.fixed_headers = vec![("accept".to_owned(), "application/json".to_owned())];
    let request = Request::post("/things?a=b")
        .header("x-mine", "1")
        .body(Body::from_bytes("body"))
        .unwrap();

    let answer = egress.send(&pass, request).await.unwrap();

    assert_eq!(answer.status(), 200);
    assert_eq!(read(answer).await.unwrap(), "hello");
    let seen = &upstream.seen()[0];
    assert_eq!(seen.line, "POST /v1/things?a=b");
    assert_eq!(seen.body, "body");
    assert_eq!(
        seen.header("authorization"),
        Some("Bearer tok_very/secret+value")
    );
    assert_eq!(seen.header("accept"), Some("application/json"));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert_eq!(seen.header("content-length"), Some("4"));
    assert_eq!(seen.header("x-mine"), Some("1"));
    // An overridden origin is addressed by its own name, so that ordinary mock servers answer.
    assert_eq!(
        seen.header("host"),
        Some(upstream.address.to_string().as_str())
    );
}

#[tokio::test]
async fn nothing_leaves_when_a_guest_sets_a_header_that_is_not_its_own() {
    let upstream = Upstream::start(|_| text("")).await;
    let egress = egress(&[("api", &upstream.url())]);
    for name in [
        "authorization",
        "Authorization",
        "cookie",
        "host",
        "proxy-authorization",
        "te",
        "connection",
        "transfer-encoding",
        "content-length",
        "Transfer_Encoding",
    ] {
        let request = Request::get("https://api.example.com/")
            .header(name, "1")
            .body(Body::empty())
            .unwrap();
        let refused = egress.send(&pass(Purpose::Guest), request).await.err();
        assert_eq!(
            refused,
            Some(EgressError::ForbiddenHeader(name.to_ascii_lowercase()))
        );
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn nothing_leaves_for_a_url_that_is_not_allowed() {
    let upstream = Upstream::start(|_| text("")).await;
    let egress = egress(&[("api", &upstream.url())]);
    let port = upstream.address.port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://localhost:{port}/"),
        "https://api.example.com.evil.test/".to_owned(),
        "https://api.example.com:8443/".to_owned(),
        "https://evil.test/?https://api.example.com/".to_owned(),
        "http://api.example.com/".to_owned(),
    ] {
        let refused = egress.send(&pass(Purpose::Guest), get(&url)).await;
        assert!(
            matches!(
                refused,
                Err(EgressError::BadUrl(_) | EgressError::HostNotAllowed { .. })
            ),
            "{url}"
        );
    }
    let user_info = egress
        .send(&pass(Purpose::Guest), get("https://me:pw@api.example.com/"))
        .await;
    assert_eq!(
        user_info.err(),
        Some(EgressError::BadUrl(UrlFault::UserInfo))
    );
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_reading_call_cannot_write() {
    let upstream = Upstream::start(|_| text("")).await;
    let egress = egress(&[("api", &upstream.url())]);
    let mut pass = pass(Purpose::Guest);
    pass.methods = Methods::ReadOnly;
    for method in [Method::POST, Method::DELETE, Method::CONNECT, Method::TRACE] {
        let mut request = get("https://api.example.com/");
        *request.method_mut() = method;
        let refused = egress.send(&pass, request).await;
        assert!(matches!(refused, Err(EgressError::MethodNotAllowed { .. })));
    }
    assert!(upstream.seen().is_empty());
    assert!(
        egress
            .send(&pass, get("https://api.example.com/"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_streamed_body_arrives_whole_up_to_the_limit_and_breaks_off_at_it() {
    let upstream = Upstream::start(|seen| text(seen.body.len().to_string())).await;
    let egress = egress(&[("api", &upstream.url())]);
    let mut pass = pass(Purpose::Proxy);
    pass.limits.request_body = 3000;
    let request = |body| {
        Request::post("https://api.example.com/")
            .body(body)
            .unwrap()
    };

    let answer = egress
        .send(&pass, request(pieces(vec![vec![b'x'; 1000]; 3])))
        .await
        .unwrap();
    assert_eq!(read(answer).await.unwrap(), "3000");

    let too_large = Some(EgressError::TooLarge {
        what: Part::RequestBody,
        limit: 3000,
    });
    let refused = egress
        .send(&pass, request(pieces(vec![vec![b'x'; 1000]; 4])))
        .await
        .err();
    assert_eq!(refused, too_large);
    let refused = egress
        .send(&pass, request(Body::from_bytes(vec![0; 3001])))
        .await
        .err();
    assert_eq!(refused, too_large);
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_proxied_request_loses_its_hop_headers_on_the_way() {
    let upstream = Upstream::start(|_| text("")).await;
    let egress = egress(&[("api", &upstream.url())]);
    let request = Request::get("https://api.example.com/")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("host", "keyport.internal")
        .header("x-forwarded-for", "10.1.2.3")
        .header("accept-encoding", "br, gzip")
        .body(Body::empty())
        .unwrap();
    egress.send(&pass(Purpose::Proxy), request).await.unwrap();
    let seen = &upstream.seen()[0];
    for gone in ["x-hop", "x-forwarded-for", "connection"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_ne!(seen.header("host"), Some("keyport.internal"));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn a_handle_becomes_its_value_in_its_slot_and_is_never_sent_elsewhere() {
    let upstream = Upstream::start(|seen| text(format!("{:?}", seen.header("x-signature")))).await;
    let egress = egress(&[("api", &upstream.url()), ("cdn", &upstream.url())]);
    let mut pass = pass(Purpose::Guest);
    pass.handles = Handles::default();
    let handle = pass.handles.issue(
        Secret::new("derived-signature"),
        vec![Slot::Header("x-signature".to_owned())],
    );

    let signed = |url: &str| {
        Request::get(url)
            .header("x-signature", &handle)
            .body(Body::empty())
            .unwrap()
    };
    let answer = egress
        .send(&pass, signed("https://api.example.com/"))
        .await
        .unwrap();
    assert_eq!(
        upstream.seen()[0].header("x-signature"),
        Some("derived-signature")
    );
    assert_eq!(read(answer).await.unwrap(), "Some(\"[redacted]\")");

    for request in [
        signed("https://cdn.example.com/"),
        get(&format!("https://api.example.com/{handle}")),
        get(&format!("https://api.example.com/?x={handle}")),
        Request::get("https://api.example.com/")
            .header("x-other", &handle)
            .body(Body::empty())
            .unwrap(),
        Request::post("https://api.example.com/")
            .body(Body::from(handle.clone()))
            .unwrap(),
        // In two pieces, so that neither holds all of it.
        Request::post("https://api.example.com/")
            .body(pieces(vec![handle[..9].into(), handle[9..].into()]))
            .unwrap(),
    ] {
        let refused = egress.send(&pass, request).await;
        assert!(matches!(refused, Err(EgressError::HandleOutOfSlot(_))));
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_failing_request_body_fails_the_call_without_its_detail() {
    let upstream = Upstream::start(|_| text("")).await;
    let egress = egress(&[("api", &upstream.url())]);
    let body = Body::from_stream(futures_util::stream::iter([
        Ok(Bytes::from("start")),
        Err(std::io::Error::other("a detail")),
    ]));
    let request = Request::post("https://api.example.com/")
        .body(body)
        .unwrap();
    let failed = egress.send(&pass(Purpose::Proxy), request).await.err();
    assert_eq!(failed, Some(EgressError::RequestBody));
}
