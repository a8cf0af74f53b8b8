//! Requests by `wasi:http`: what leaves is what `http` would send, and what is refused there is refused here.

use keyport_egress::Secret;
use keyport_plugin::Call;
use serde_json::{Value, json};

use crate::support::{
    KEY, Log, NEW_REFRESH, NEW_TOKEN, TOKEN, Upstream, attack, attacks, beside, call, holds, whole,
};
use crate::token_requests::{CLIENT_SECRET, CODE, request, token_call};

async fn fetch(call: Call, input: Value) -> Value {
    let told = attacks().await.action(call, "fetch_plain", &input).await;
    told.unwrap()
}

fn said(log: &Log) -> String {
    let lines = log.lock().unwrap();
    lines
        .iter()
        .map(|line| format!("{}\n", line.text))
        .collect()
}

/// Every one of these was refused, and nothing was sent.
#[track_caller]
fn all_refused(told: &Value, count: usize, upstream: &Upstream) -> Vec<String> {
    let pairs = told.as_array().unwrap();
    assert_eq!(pairs.len(), count);
    assert!(upstream.arrived().is_empty(), "{:?}", upstream.arrived());
    let word = |pair: &Value| match pair[1].as_str() {
        Some(word) => word.to_owned(),
        None => panic!("{pair} was not refused"),
    };
    pairs.iter().map(word).collect()
}

#[tokio::test]
async fn the_host_sees_who_imports_it() {
    assert!(attacks().await.imports_wasi_http());
    assert!(!whole().await.imports_wasi_http());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_plain() {
    let upstream = Upstream::start().await;
    let input = json!({ "method": "POST", "path": "/items?a=1", "headers": { "x-plain": "1", "content-length": "4" }, "body": "text" });
    let told = fetch(call(&upstream).0, input).await;
    assert_eq!(told["status"], 200);
    let arrived = upstream.arrived().pop().unwrap();
    assert_eq!(
        (arrived.line.as_str(), arrived.body.as_str()),
        ("POST /items?a=1", "text")
    );
    // The credential is attached outside, and taken out of what comes back.
    assert_eq!(arrived.headers["authorization"], format!("Bearer {TOKEN}"));
    assert!(told["body"].as_str().unwrap().contains("[redacted]"));
    assert!(!holds(&told.to_string(), TOKEN), "{told}");
    assert!(!told.to_string().contains("set-cookie"), "{told}");
    // It has its length, as one by `http` has; the two differ in nothing that the app sees.
    assert_eq!(arrived.headers["content-length"], "4");
    assert!(!arrived.headers.contains_key("transfer-encoding"));
    let input =
        json!({ "method": "PATCH", "path": "/items", "headers": {}, "body": "x".repeat(100_000) });
    assert_eq!(fetch(call(&upstream).0, input).await["status"], 200);
    assert_eq!(
        upstream.arrived().pop().unwrap().headers["content-length"],
        "100000"
    );

    let input = json!({ "method": "GET", "path": "/me" });
    fetch(call(&upstream).0, input).await;
    let by_fetch = upstream.arrived().pop().unwrap();
    let by_http = attacks().await;
    by_http
        .action(call(&upstream).0, "foreign_hosts", &json!(["/me"]))
        .await
        .unwrap();
    let by_http = upstream.arrived().pop().unwrap();
    assert_eq!(by_fetch.line, by_http.line);
    assert_eq!(by_fetch.headers, by_http.headers);
}

#[tokio::test]
async fn a_handle_is_good_in_its_slot_by_fetch_too() {
    let upstream = Upstream::start().await;
    let place = async |header: &str| {
        let (call, log) = call(&upstream);
        let input = json!({ "method": "GET", "path": "/me", "handle": "key", "handle_in": header });
        (fetch(call, input).await, said(&log))
    };
    let (placed, _) = place("x-key").await;
    assert_eq!(placed["status"], 200);
    assert_eq!(upstream.arrived()[0].headers["x-key"], KEY);
    assert!(!holds(&placed.to_string(), KEY));
    let (refused, said) = place("x-other").await;
    assert_eq!(refused["refused"], "HttpRequestDenied");
    assert!(
        said.contains("the manifest declares no slot for it"),
        "{said}"
    );
    assert_eq!(upstream.arrived().len(), 1);
}

#[tokio::test]
async fn where_only_reading_is_allowed_fetch_reads_only() {
    let upstream = Upstream::start().await;
    for (method, sent) in [
        ("GET", true),
        ("POST", false),
        ("DELETE", false),
        ("get", false),
        ("QUERY", false),
    ] {
        let (mut call, log) = call(&upstream);
        call.read_only = true;
        let told = fetch(call, json!({ "method": method, "path": "/me" })).await;
        assert_eq!(told["status"] == 200, sent, "{method}: {told}");
        assert_eq!(
            said(&log).contains("this call may only read"),
            !sent,
            "{method}"
        );
    }
    assert_eq!(upstream.arrived().len(), 1);
    for method in ["CONNECT", "TRACE", "connect", "Trace"] {
        let told = fetch(
            call(&upstream).0,
            json!({ "method": method, "path": "/me" }),
        )
        .await;
        assert_eq!(told["refused"], "HttpRequestDenied", "{method}");
    }
    assert_eq!(upstream.arrived().len(), 1);
}

#[tokio::test]
async fn an_app_that_is_granted_no_host_fetches_nothing() {
    let upstream = Upstream::start().await;
    let (mut call, log) = call(&upstream);
    call.pass.hosts = keyport_manifest::AllowedHosts::default();
    call.pass.base_url = None;
    let told = fetch(call, json!({ "method": "GET", "path": "/me" })).await;
    assert_eq!(told["refused"], "HttpRequestDenied");
    assert!(said(&log).contains("api.hostile.test is not an allowed host"));
    assert!(upstream.arrived().is_empty());
}

#[tokio::test]
async fn two_owners_that_fetch_at_once_have_their_own_credentials() {
    let upstream = Upstream::start().await;
    let one = |owner: &str| {
        let (mut call, _) = call(&upstream);
        call.pass.owner = owner.to_owned();
        let credential = call.pass.credential.as_mut().unwrap();
        credential.parts[0].value = Secret::new(format!("Bearer secret-of-{owner}"));
        credential.scrub = vec![Secret::new(format!("secret-of-{owner}"))];
        fetch(
            call,
            json!({ "method": "GET", "path": format!("/of/{owner}") }),
        )
    };
    let told = tokio::join!(
        one("owner-a"),
        one("owner-b"),
        one("owner-a"),
        one("owner-b")
    );
    for told in [&told.0, &told.1, &told.2, &told.3] {
        assert_eq!(told["status"], 200);
        assert!(!told.to_string().contains("secret-of-"), "{told}");
    }
    for arrived in upstream.arrived() {
        let owner = arrived.line.trim_start_matches("GET /of/");
        assert_eq!(
            arrived.headers["authorization"],
            format!("Bearer secret-of-{owner}")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_hosts() {
    let upstream = Upstream::start().await;
    let tries = json!([
        // Elsewhere, and near to the granted name.
        ["https", "elsewhere.hostile.test", "/"],
        ["https", "hostile.test", "/"],
        ["https", "xapi.hostile.test", "/"],
        ["https", "api.hostile.test.evil.test", "/"],
        ["https", "api.hostile.test:8443", "/"],
        ["https", "api.hostile.test:80", "/"],
        [null, "elsewhere.hostile.test", "/"],
        // Other schemes.
        ["http", "api.hostile.test", "/"],
        ["ftp", "api.hostile.test", "/"],
        ["ws", "api.hostile.test", "/"],
        ["file", "api.hostile.test", "/etc/passwd"],
        ["https:", "api.hostile.test", "/"],
        ["https://elsewhere.hostile.test/?", "api.hostile.test", "/"],
        ["", "api.hostile.test", "/"],
        // Who reads the host where.
        ["https", "api.hostile.test@elsewhere.hostile.test", "/"],
        ["https", "elsewhere.hostile.test@api.hostile.test", "/"],
        ["https", "user:pass@api.hostile.test", "/"],
        ["https", "elsewhere.hostile.test/@api.hostile.test", "/"],
        ["https", "elsewhere.hostile.test#@api.hostile.test", "/"],
        ["https", "elsewhere.hostile.test\\@api.hostile.test", "/"],
        [
            "https",
            "api.hostile.test\r\nhost: elsewhere.hostile.test",
            "/"
        ],
        ["https", "api.hostile.test elsewhere.hostile.test", "/"],
        ["https", "", "//api.hostile.test/"],
        ["https", null, "/me"],
        ["https", null, "https://api.hostile.test/"],
        // A path that would be another address, or another request.
        [
            "https",
            "api.hostile.test",
            "https://elsewhere.hostile.test/"
        ],
        ["https", "api.hostile.test", "@elsewhere.hostile.test/"],
        ["https", "api.hostile.test", ".elsewhere.hostile.test/"],
        ["https", "api.hostile.test", ":80/"],
        ["https", "api.hostile.test", "*"],
        [
            "https",
            "api.hostile.test",
            "/ HTTP/1.1\r\nhost: elsewhere.hostile.test\r\n\r\n"
        ],
        // The root's dot, and addresses.
        ["https", "api.hostile.test.", "/"],
        ["https", "127.0.0.1", "/"],
        ["https", "2130706433", "/"],
        ["https", "0x7f000001", "/"],
        ["https", "[::1]", "/"],
        ["https", "[::ffff:127.0.0.1]", "/"],
        ["https", "169.254.169.254", "/latest/meta-data/"],
        ["https", "localhost", "/"],
    ]);
    let count = tries.as_array().unwrap().len();
    let told = attack("fetch_hosts", call(&upstream).0, &tries)
        .await
        .unwrap();
    all_refused(&told, count, &upstream);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_headers() {
    let upstream = Upstream::start().await;
    let (mut call_, log) = call(&upstream);
    call_.pass.reserved_headers = vec!["X-Api-Version".to_owned()];
    let names = json!([
        "authorization",
        "Authorization",
        "AUTHORIZATION",
        "cookie",
        "Cookie2",
        "host",
        "Host",
        "proxy-authorization",
        "Proxy-Anything",
        "proxy_authorization",
        "proxy-connection",
        "transfer-encoding",
        "Transfer_Encoding",
        "connection",
        "Connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "keep-alive",
        "http2-settings",
        "x-api-version",
        "X_API_VERSION",
        "content_length",
    ]);
    let count = names.as_array().unwrap().len();
    let told = attack("fetch_headers", call_, &names).await.unwrap();
    for word in all_refused(&told, count, &upstream) {
        // Where the header is written, or where the request is sent.
        assert!(
            matches!(word.as_str(), "HeaderError" | "HttpRequestDenied"),
            "{word}"
        );
    }
    assert!(said(&log).contains("the header authorization is set by the host"));

    let (call_, _) = call(&upstream);
    let names = json!([
        "authorization ",
        " authorization",
        "author\u{0}ization",
        "authorization:",
        "x\r\nauthorization",
        "",
        "content-length",
        "autho\u{155}ization"
    ]);
    let count = names.as_array().unwrap().len();
    let told = attack("fetch_headers", call_, &names).await.unwrap();
    for word in all_refused(&told, count, &upstream) {
        assert_eq!(word, "HeaderError");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_trailers() {
    let upstream = Upstream::start().await;
    let (call, log) = call(&upstream);
    let told = attack("fetch_trailers", call, &json!({})).await.unwrap();
    assert_eq!(told["refused"], "HttpRequestTrailerSectionSize");
    assert!(said(&log).contains("trailers, which are not sent"));
    assert!(upstream.arrived().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_echo() {
    let upstream = Upstream::start().await;
    let (call, log) = call(&upstream);
    let told = attack("fetch_echo", call, &json!({})).await.unwrap();
    assert_eq!(upstream.arrived().len(), 3);
    for answer in told.as_array().unwrap() {
        assert_eq!(answer["status"], 200);
        assert!(answer.to_string().contains("[redacted]"), "{answer}");
    }
    assert!(!holds(&told.to_string(), TOKEN), "{told}");
    assert!(!holds(&said(&log), TOKEN));
}

/// What the host searches an answer for is what it knows when the guest gets it, not when the request left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_beside() {
    for waits in ["/late-key", "/late-key-after-head"] {
        let upstream = Upstream::start().await;
        let (call, log) = call(&upstream);
        let told = attack("fetch_beside", call, &json!({ "waits": waits })).await;
        let told = told.unwrap();
        let arrived = upstream.arrived();
        assert!(
            arrived
                .iter()
                .any(|one| one.headers.get("x-key").is_some_and(|key| key == KEY)),
            "{waits}: {arrived:?}"
        );
        for one in ["early", "late"] {
            assert_eq!(told[one]["status"], 200, "{waits}: {told}");
            assert!(
                told[one].to_string().contains("[redacted]"),
                "{waits}: {told}"
            );
        }
        assert!(!holds(&told.to_string(), KEY), "{waits}: {told}");
        assert!(!holds(&said(&log), KEY));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_token() {
    let upstream = Upstream::start().await;
    let (mut call, log) = token_call(&upstream);
    call.values
        .insert("attack".to_owned(), "fetch_token".to_owned());
    let app = attacks().await;
    let answer = beside("fetch_token", app.exchange(call, "code", request())).await;
    let answer: Value = serde_json::from_str(answer.unwrap().expose()).unwrap();
    assert_eq!(
        (&answer["access_token"], &answer["refresh_token"]),
        (&json!(NEW_TOKEN), &json!(NEW_REFRESH))
    );
    // The code was put in outside, the tokens came back as placeholders, and the other address was not asked.
    let arrived = upstream.arrived();
    assert_eq!(arrived.len(), 1);
    assert_eq!(
        serde_json::from_str::<Value>(&arrived[0].body).unwrap()["code"],
        CODE
    );
    let log = said(&log);
    assert!(
        log.contains("kph_") && log.contains("HttpRequestDenied"),
        "{log}"
    );
    for secret in [CODE, CLIENT_SECRET, NEW_TOKEN, NEW_REFRESH] {
        assert!(!holds(&log, secret), "{log}");
    }
}
