//! Answers that point elsewhere.

use std::sync::Arc;

use http::{HeaderMap, Request};
use keyport_egress::{
    Body, Covers, EgressError, Injection, NotSigned, Place, Purpose, Redirects, Secret, Signed,
    Signer, Unsigned, UrlFault,
};

use crate::upstream::{TOKEN, Upstream, egress, get, pass, read, redirect, text};

#[tokio::test]
async fn a_redirect_is_returned_unless_the_pass_says_otherwise() {
    let upstream = Upstream::start(|_| redirect(302, "https://evil.test/")).await;
    let egress = egress(&[("api", &upstream.url())]);
    let answer = egress
        .send(&pass(Purpose::Flow), get("https://api.example.com/"))
        .await
        .unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], "https://evil.test/");
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_redirect_into_the_network_is_not_followed_in_any_notation() {
    let sink = Upstream::start(|_| text("internal")).await;
    let port = sink.address.port();
    for (location, expected) in [
        (format!("http://127.0.0.1:{port}/"), UrlFault::NotHttps),
        (format!("https://127.0.0.1:{port}/"), UrlFault::IpLiteral),
        (format!("//127.0.0.1:{port}/"), UrlFault::IpLiteral),
        (format!("https://2130706433:{port}/"), UrlFault::IpLiteral),
        (format!("https://0x7f.1:{port}/"), UrlFault::IpLiteral),
        (
            format!("https://[::ffff:127.0.0.1]:{port}/"),
            UrlFault::IpLiteral,
        ),
        (
            "https://169.254.169.254/latest/meta-data".to_owned(),
            UrlFault::IpLiteral,
        ),
        (
            "https://user:pw@api.example.com/".to_owned(),
            UrlFault::UserInfo,
        ),
        (
            "https://api.example.com./".to_owned(),
            UrlFault::TrailingDot,
        ),
        ("file:///etc/passwd".to_owned(), UrlFault::NotHttps),
    ] {
        let shown = location.clone();
        let upstream = Upstream::start(move |_| redirect(302, &location)).await;
        let egress = egress(&[("api", &upstream.url())]);
        let mut pass = pass(Purpose::Guest);
        pass.redirects = Redirects::Follow;
        let refused = egress
            .send(&pass, get("https://api.example.com/"))
            .await
            .err();
        assert_eq!(refused, Some(EgressError::BadUrl(expected)), "{shown}");
    }
    assert!(sink.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_to_a_host_that_is_not_allowed_is_not_followed() {
    let upstream = Upstream::start(|_| redirect(307, "https://www.evil.test/steal")).await;
    let egress = egress(&[("api", &upstream.url())]);
    let mut pass = pass(Purpose::Guest);
    pass.redirects = Redirects::Follow;
    let refused = egress
        .send(&pass, get("https://api.example.com/"))
        .await
        .err();
    assert!(
        matches!(refused, Some(EgressError::HostNotAllowed { host, .. }) if host == "www.evil.test")
    );
}

#[tokio::test]
async fn a_followed_redirect_carries_no_credential_and_no_header_to_another_host() {
    let other = Upstream::start(|_| text("from the other")).await;
    let upstream = Upstream::start(|_| redirect(302, "https://cdn.example.com/file")).await;
    let egress = egress(&[("api", &upstream.url()), ("cdn", &other.url())]);
    let mut pass = pass(Purpose::Guest);
    pass.redirects = Redirects::Follow;
    pass.fixed_headers = vec![("x-constant".to_owned(), "1".to_owned())];
    let request = Request::post("https://api.example.com/")
        .header("x-mine", "private")
        .body(Body::from_bytes("private"))
        .unwrap();

    let answer = egress.send(&pass, request).await.unwrap();

    assert_eq!(read(answer).await.unwrap(), "from the other");
    assert_eq!(
        upstream.seen()[0].header("authorization"),
        Some(format!("Bearer {TOKEN}").as_str())
    );
    let seen = &other.seen()[0];
    assert_eq!(seen.line, "GET /file");
    assert_eq!(seen.body, "");
    for gone in [
        "authorization",
        "x-mine",
        "content-length",
        "cookie",
        "referer",
    ] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_eq!(seen.header("x-constant"), Some("1"));
}

#[tokio::test]
async fn a_redirect_that_spells_out_the_credential_to_another_host_is_not_followed() {
    let other = Upstream::start(|_| text("")).await;
    for location in [
        format!("https://cdn.example.com/?key={TOKEN}"),
        "https://cdn.example.com/tok_very%2Fsecret%2Bvalue".to_owned(),
    ] {
        let upstream = Upstream::start(move |_| redirect(302, &location)).await;
        let egress = egress(&[("api", &upstream.url()), ("cdn", &other.url())]);
        for purpose in [Purpose::Guest, Purpose::Flow] {
            let mut pass = pass(purpose);
            pass.redirects = Redirects::Follow;
            let refused = egress
                .send(&pass, get("https://api.example.com/"))
                .await
                .err();
            assert!(matches!(refused, Some(EgressError::BadAnswer(_))));
        }
    }
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn within_the_audience_the_credential_is_attached_anew() {
    let upstream = Upstream::start(|seen| {
        if seen.line == "GET /a" {
            redirect(301, "/b")
        } else {
            text("there")
        }
    })
    .await;
    let egress = egress(&[("api", &upstream.url())]);
    let mut pass = pass(Purpose::Guest);
    pass.redirects = Redirects::Follow;
    let answer = egress
        .send(&pass, get("https://api.example.com/a"))
        .await
        .unwrap();
    assert_eq!(read(answer).await.unwrap(), "there");
    assert!(upstream.seen()[1].header("authorization").is_some());
}

#[tokio::test]
async fn an_endless_loop_of_redirects_ends() {
    let upstream = Upstream::start(|_| redirect(302, "/again")).await;
    let egress = egress(&[("api", &upstream.url())]);
    let mut pass = pass(Purpose::Guest);
    pass.redirects = Redirects::Follow;
    let refused = egress
        .send(&pass, get("https://api.example.com/"))
        .await
        .err();
    assert_eq!(refused, Some(EgressError::TooManyRedirects(3)));
    assert_eq!(upstream.seen().len(), 4);
}

#[tokio::test]
async fn a_body_is_never_sent_a_second_time() {
    let upstream = Upstream::start(|_| redirect(307, "/again")).await;
    let egress = egress(&[("api", &upstream.url())]);
    let mut pass = pass(Purpose::Guest);
    pass.redirects = Redirects::Follow;
    let request = Request::post("https://api.example.com/")
        .body(Body::from_bytes("once"))
        .unwrap();
    assert_eq!(egress.send(&pass, request).await.unwrap().status(), 307);
    assert_eq!(upstream.seen().len(), 1);
}

/// Signs with what it sees of the request: the method and the URL.
struct Telltale;

impl Signer for Telltale {
    fn covers(&self, _: &HeaderMap) -> Covers {
        Covers::Nothing
    }

    fn sign(&self, request: &Unsigned<'_>) -> Result<Signed, NotSigned> {
        let part = Injection {
            place: Place::Header,
            name: "X-Signature".to_owned(),
            value: Secret::new(format!("{} {}", request.method, request.url.path())),
        };
        Ok(Signed {
            parts: vec![part],
            derived: Vec::new(),
        })
    }
}

#[tokio::test]
async fn a_followed_redirect_is_signed_anew_within_the_audience_and_not_at_all_beyond_it() {
    let other = Upstream::start(|_| text("from the other")).await;
    let upstream = Upstream::start(|seen| {
        if seen.line == "POST /a" {
            redirect(303, "/b")
        } else {
            redirect(302, "https://cdn.example.com/c")
        }
    })
    .await;
    let egress = egress(&[("api", &upstream.url()), ("cdn", &other.url())]);
    let mut pass = pass(Purpose::Guest);
    pass.redirects = Redirects::Follow;
    let mut signed = pass.credential.take().unwrap();
    signed.signer = Some(Arc::new(Telltale));
    pass.credential = Some(signed);
    let request = Request::post("https://api.example.com/a")
        .body(Body::from_bytes("once"))
        .unwrap();

    let answer = egress.send(&pass, request).await.unwrap();

    assert_eq!(read(answer).await.unwrap(), "from the other");
    let [first, second] = upstream.seen().try_into().unwrap();
    // A signature is of one request: the one of `/a` would be refused, or be good for something else, at `/b`.
    assert_eq!(first.header("x-signature"), Some("POST /a"));
    assert_eq!(second.header("x-signature"), Some("GET /b"));
    assert_eq!(second.body, "");
    let seen = &other.seen()[0];
    assert_eq!(seen.line, "GET /c");
    assert_eq!(seen.header("x-signature"), None);
    assert_eq!(seen.header("authorization"), None);
}
