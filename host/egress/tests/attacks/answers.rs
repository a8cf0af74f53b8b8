//! Upstreams that answer too much, too slowly, or not at all.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::Response;
use keyport_egress::{Body, EgressError, Limits, Part, Purpose, Wait};

use crate::upstream::{Then, Upstream, egress, get, pass, raw, read, text};

const API: &str = "https://api.example.com/";

/// Sends a GET to a raw upstream with small limits of size and gives the error, wherever it comes.
async fn failure(script: impl Into<Vec<u8>>, then: Then) -> EgressError {
    failure_within(|_| {}, script, then).await
}

/// The same with a short limit of time. Only where that is what ends the call: a busy machine reaches it in the other cases, too.
async fn failure_within(
    short: fn(&mut Limits),
    script: impl Into<Vec<u8>>,
    then: Then,
) -> EgressError {
    let mut pass = pass(Purpose::Guest);
    pass.limits.response_body = 100_000;
    pass.limits.header_bytes = 10_000;
    pass.limits.total = Duration::from_secs(120);
    short(&mut pass.limits);
    let (url, task) = raw(script, then).await;
    let error = match egress(&[("api", &url)]).send(&pass, get(API)).await {
        Err(error) => error,
        Ok(answer) => read(answer).await.expect_err("the call must fail"),
    };
    task.abort();
    error
}

const TOO_LARGE: EgressError = EgressError::TooLarge {
    what: Part::ResponseBody,
    limit: 100_000,
};

#[tokio::test]
async fn an_announced_length_over_the_limit_is_refused_before_the_body() {
    let script = "HTTP/1.1 200 OK\r\ncontent-length: 100001\r\n\r\n";
    assert_eq!(failure(script, Then::Hang).await, TOO_LARGE);
}

#[tokio::test]
async fn an_endless_chunked_body_ends_at_the_limit() {
    let script = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(
        failure(script, Then::Repeat(b"8\r\n01234567\r\n")).await,
        TOO_LARGE
    );
}

#[tokio::test]
async fn an_endless_body_without_any_length_ends_at_the_limit() {
    assert_eq!(
        failure("HTTP/1.1 200 OK\r\n\r\n", Then::Repeat(b"0123456789")).await,
        TOO_LARGE
    );
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_given_up() {
    assert_eq!(
        failure_within(
            |limits| limits.total = Duration::from_secs(1),
            "",
            Then::Hang
        )
        .await,
        EgressError::Timeout(Wait::Headers)
    );
}

#[tokio::test]
async fn an_upstream_that_never_ends_its_headers_is_given_up() {
    assert_eq!(
        failure_within(
            |limits| limits.total = Duration::from_secs(1),
            "HTTP/1.1 200 OK\r\nx: y\r\n",
            Then::Hang
        )
        .await,
        EgressError::Timeout(Wait::Headers)
    );
}

#[tokio::test]
async fn endless_headers_end_at_the_limit() {
    let error = failure(
        "HTTP/1.1 200 OK\r\n",
        Then::Repeat(b"x-pad: 0123456789012345678901234567890123456789\r\n"),
    )
    .await;
    assert!(
        matches!(
            error,
            EgressError::TooLarge {
                what: Part::ResponseHeaders,
                ..
            }
        ),
        "{error}"
    );
    let one_long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(10_000));
    let error = failure(one_long, Then::Hang).await;
    assert!(
        matches!(
            error,
            EgressError::TooLarge {
                what: Part::ResponseHeaders,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn silence_in_the_middle_of_a_body_is_not_waited_out() {
    let script = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345";
    assert_eq!(
        failure_within(
            |limits| limits.idle = Duration::from_millis(300),
            script,
            Then::Hang
        )
        .await,
        EgressError::Timeout(Wait::Body)
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_not_a_short_body() {
    let script = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345";
    assert_eq!(failure(script, Then::Close).await, EgressError::Broken);
    let script = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n";
    assert_eq!(failure(script, Then::Close).await, EgressError::Broken);
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    assert!(matches!(
        failure("SSH-2.0-OpenSSH_9.6\r\n\r\n", Then::Close).await,
        EgressError::BadAnswer(_)
    ));
    assert_eq!(failure("", Then::Close).await, EgressError::Broken);
}

#[tokio::test]
async fn an_answer_that_switches_protocols_is_refused() {
    let script = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    assert!(matches!(
        failure(script, Then::Hang).await,
        EgressError::BadAnswer(_)
    ));
}

#[tokio::test]
async fn a_drip_that_keeps_the_connection_busy_still_ends_with_the_call() {
    let upstream = Upstream::start(|_| {
        let drip = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok::<_, EgressError>("x".into()), ()))
        });
        Response::new(Body::from_stream(drip))
    })
    .await;
    let mut pass = pass(Purpose::Guest);
    pass.limits.total = Duration::from_secs(2);
    let answer = egress(&[("api", &upstream.url())])
        .send(&pass, get(API))
        .await
        .unwrap();
    assert_eq!(read(answer).await, Err(EgressError::Timeout(Wait::Body)));
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn encoded(coding: &'static str, body: Vec<u8>) -> Response<Body> {
    Response::builder()
        .header("content-encoding", coding)
        .header("etag", "x")
        .body(Body::from(body))
        .unwrap()
}

#[tokio::test]
async fn a_compression_bomb_ends_at_the_limit_on_what_comes_out() {
    let bomb = gzip(&vec![0; 50 << 20]);
    assert!(bomb.len() < 100_000);
    let upstream = Upstream::start(move |_| encoded("gzip", bomb.clone())).await;
    let mut pass = pass(Purpose::Guest);
    pass.limits.response_body = 100_000;
    let answer = egress(&[("api", &upstream.url())])
        .send(&pass, get(API))
        .await
        .unwrap();
    assert_eq!(read(answer).await, Err(TOO_LARGE));
}

#[tokio::test]
async fn an_answer_that_is_compressed_although_nobody_asked_is_read_and_scrubbed() {
    let upstream = Upstream::start(|seen| {
        encoded(
            "gzip",
            gzip(format!("you sent {}", seen.header("authorization").unwrap()).as_bytes()),
        )
    })
    .await;
    let egress = egress(&[("api", &upstream.url())]);
    for purpose in [Purpose::Guest, Purpose::Proxy] {
        let answer = egress.send(&pass(purpose), get(API)).await.unwrap();
        assert!(!answer.headers().contains_key("content-encoding"));
        assert!(!answer.headers().contains_key("content-length"));
        assert_eq!(read(answer).await.unwrap(), "you sent Bearer [redacted]");
    }
}

#[tokio::test]
async fn a_coding_that_cannot_be_read_is_refused_because_it_cannot_be_scrubbed() {
    let upstream = Upstream::start(|_| encoded("br", vec![1, 2, 3])).await;
    let egress = egress(&[("api", &upstream.url())]);
    for purpose in [Purpose::Guest, Purpose::Proxy, Purpose::Flow] {
        let refused = egress.send(&pass(purpose), get(API)).await.err();
        assert!(matches!(refused, Some(EgressError::BadAnswer(_))));
    }
}

#[tokio::test]
async fn cookies_and_headers_that_act_on_an_origin_do_not_come_back() {
    let upstream = Upstream::start(|_| {
        Response::builder()
            .header("set-cookie", "session=1")
            .header("strict-transport-security", "max-age=1")
            .header("access-control-allow-origin", "*")
            .header("keep-alive", "timeout=5")
            .header("x-ratelimit-remaining", "9")
            .body(Body::from_bytes("ok"))
            .unwrap()
    })
    .await;
    let answer = egress(&[("api", &upstream.url())])
        .send(&pass(Purpose::Proxy), get(API))
        .await
        .unwrap();
    for gone in [
        "set-cookie",
        "strict-transport-security",
        "access-control-allow-origin",
        "keep-alive",
    ] {
        assert!(!answer.headers().contains_key(gone), "{gone}");
    }
    assert_eq!(answer.headers()["x-ratelimit-remaining"], "9");
}

#[tokio::test]
async fn the_length_of_an_untouched_answer_is_passed_on() {
    let upstream = Upstream::start(|_| text("12345")).await;
    let answer = egress(&[("api", &upstream.url())])
        .send(&pass(Purpose::Flow), get(API))
        .await
        .unwrap();
    assert_eq!(answer.body().exact_len(), Some(5));
    assert_eq!(answer.headers()["content-length"], "5");
    assert_eq!(read(answer).await.unwrap(), "12345");
}
