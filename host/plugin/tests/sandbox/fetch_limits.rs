//! Programs that take more than they may by `wasi:http`, and programs that leave requests behind.

use std::time::Duration;

use keyport_egress::Limits;
use keyport_plugin::CallError;
use serde_json::{Value, json};

use crate::support::{Upstream, attack, attacks, beside, call, limit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_fields() {
    let upstream = Upstream::start().await;
    for (how, ends) in [
        ("one", "header bytes"),
        ("many", "header bytes"),
        ("copies", "header bytes"),
        ("values", "header bytes"),
        ("again", "header bytes"),
        ("empty", "handles"),
    ] {
        let ended = attack("fetch_fields", call(&upstream).0, &json!(how)).await;
        assert_eq!(limit(ended), ends, "{how}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_addresses() {
    let upstream = Upstream::start().await;
    for what in ["method", "scheme", "path", "authority"] {
        let ended = attack("fetch_addresses", call(&upstream).0, &json!(what)).await;
        assert_eq!(limit(ended), "header bytes", "{what}");
    }
    assert!(upstream.arrived().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_flood() {
    let upstream = Upstream::start().await;
    let flood = |times: u32, path: &str| {
        let input = json!({ "times": times, "path": path });
        let call = call(&upstream).0;
        async move { attack("fetch_flood", call, &input).await }
    };
    assert_eq!(limit(flood(1_000, "/me").await), "http requests");
    assert!(upstream.arrived().len() <= 50);
    // As many as a call may make can be started at once, and all are answered.
    assert_eq!(flood(50, "/me").await.unwrap(), Value::from(vec![200; 50]));
    // Where none is answered, few are under way: the connections are not the guest's to take.
    let app = attacks().await;
    let hanging = async {
        let (call, input) = (call(&upstream).0, json!({ "times": 50, "path": "/silent" }));
        let running = tokio::spawn(async move { app.action(call, "fetch_flood", &input).await });
        while upstream.waiting() < 6 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..100 {
            assert!(upstream.waiting() <= 6);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.abort();
    };
    beside("fetch_flood, unanswered", hanging).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_bodies() {
    let upstream = Upstream::start().await;
    let told = attack("fetch_bodies", call(&upstream).0, &json!({}))
        .await
        .unwrap();
    assert_eq!(told["fits"]["status"], 200, "{told}");
    for (what, word) in [
        ("longer", "HttpProtocolError"),
        ("shorter", "HttpProtocolError"),
        ("none", "HttpProtocolError"),
        ("without", "HttpRequestBodySize"),
        ("given_up", "HttpProtocolError"),
        ("too_large", "HttpRequestBodySize"),
    ] {
        assert_eq!(told[what]["refused"], word, "{what}: {told}");
    }
    assert_eq!(
        upstream.arrived().len(),
        1,
        "a body that was refused was sent"
    );
    // The limit for one body is the limit for all that are held at a time.
    let endless = attack("fetch_bodies", call(&upstream).0, &json!("endless")).await;
    assert_eq!(endless.unwrap()["refused"], "HttpRequestBodySize");
    let together = attack("fetch_bodies", call(&upstream).0, &json!("together"))
        .await
        .unwrap();
    let (sent, refused): (Vec<_>, Vec<_>) = together
        .as_array()
        .unwrap()
        .iter()
        .partition(|told| **told == json!(200));
    assert_eq!((sent.len(), refused.len()), (2, 4), "{together}");
    assert!(
        refused
            .iter()
            .all(|word| **word == json!("HttpRequestBodySize"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_endless() {
    let upstream = Upstream::start().await;
    let told = attack("fetch_endless", call(&upstream).0, &json!({})).await;
    assert_eq!(told.unwrap(), json!(["HttpResponseBodySize"]));
    // Answers that nobody reads take up room, so there is an end to them too: 2 MiB of them here, of 900 KiB each.
    let input = json!({ "path": "/large", "times": 4 });
    let told = attack("fetch_endless", call(&upstream).0, &input).await;
    let refused = "HttpResponseBodySize";
    assert_eq!(told.unwrap(), json!([200, 200, refused, refused]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_abandoned() {
    let upstream = Upstream::start().await;
    for path in ["/silent", "/half"] {
        let told = attack("fetch_abandoned", call(&upstream).0, &json!(path)).await;
        assert_eq!(told.unwrap(), json!([200, 200]), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_silent() {
    let upstream = Upstream::start().await;
    let silent = async |change: fn(&mut Limits), input: Value| {
        let (mut call, _) = call(&upstream);
        change(&mut call.pass.limits);
        attack("fetch_silent", call, &input).await.unwrap()
    };
    // The host's limit, whatever the guest asks for; one of its own where that is shorter.
    let ages = u64::MAX;
    for input in [
        json!({}),
        json!({ "connect": ages, "first_byte": ages, "between_bytes": ages }),
    ] {
        let told = silent(
            |limits| limits.total = Duration::from_secs(1),
            input.clone(),
        )
        .await;
        assert_eq!(told["refused"], "HttpResponseTimeout", "{input}");
    }
    for input in [
        json!({ "connect": 0, "first_byte": 0, "between_bytes": 0 }),
        json!({ "connect": 1, "first_byte": 1_000_000 }),
    ] {
        let told = silent(|_| {}, input.clone()).await;
        assert_eq!(told["refused"], "HttpResponseTimeout", "{input}");
    }
    // Of silence in the middle of an answer; the others are as long as they are, so that a busy machine is in time for the head.
    for input in [
        json!({ "path": "/half" }),
        json!({ "path": "/half", "between_bytes": ages }),
    ] {
        let told = silent(|limits| limits.idle = Duration::from_secs(1), input.clone()).await;
        assert_eq!(told["refused"], "ConnectionReadTimeout", "{input}");
    }
    let input = json!({ "path": "/half", "between_bytes": 1_000_000 });
    let told = silent(|_| {}, input).await;
    assert_eq!(told["refused"], "ConnectionReadTimeout");
    // A body that is never ended keeps nobody waiting for longer than the call's own time.
    let (mut open, _) = call(&upstream);
    open.deadline = Duration::from_secs(2);
    let ended = attack(
        "fetch_silent",
        open,
        &json!({ "path": "/me", "open": true }),
    )
    .await;
    assert_eq!(
        ended,
        Err(CallError::Timeout {
            app: "attacks".into(),
            after_ms: 2_000
        })
    );
    assert!(
        upstream
            .arrived()
            .iter()
            .all(|arrived| !arrived.line.ends_with("/me"))
    );
    while upstream.waiting() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_given_up_takes_its_fetches_with_it() {
    let upstream = Upstream::start().await;
    let app = attacks().await;
    let given_up = async {
        let call = call(&upstream).0;
        let running =
            tokio::spawn(async move { app.action(call, "fetch_silent", &json!({})).await });
        while upstream.waiting() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.abort();
        while upstream.waiting() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    beside("fetch_silent, given up", given_up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn fetch_forged() {
    let upstream = Upstream::start().await;
    for number in [0, 1, 2, 3, 1_000, 4_294_967_294_u32] {
        let ended = attack("fetch_forged", call(&upstream).0, &json!(number)).await;
        assert!(
            matches!(ended, Err(CallError::Trap { .. })),
            "{number}: {ended:?}"
        );
    }
    // Nothing that one call kept is there in the next.
    for _ in 0..3 {
        let told = attack("fetch_forged", call(&upstream).0, &json!(null)).await;
        assert_eq!(told.unwrap(), "kept");
    }
}
