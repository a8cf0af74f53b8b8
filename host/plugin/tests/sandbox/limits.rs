//! Programs that take more than they may: each ends within its limit, and the error names the limit and the app.

use std::time::Duration;

use keyport_plugin::CallError;
use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::support::{Upstream, attack, attacks, beside, brief, call, limit, shared};

async fn ends(program: &str) -> &'static str {
    let upstream = Upstream::start().await;
    limit(attack(program, call(&upstream).0, &json!({})).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn endless_loop() {
    let upstream = Upstream::start().await;
    let app = brief("attacks", "hostile-attacks").await;
    let input = json!({});
    let run = app.action(call(&upstream).0, "endless_loop", &input);
    assert_eq!(limit(beside("endless_loop", run).await), "cpu time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn memory_growth() {
    assert_eq!(ends("memory_growth").await, "memory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn memory_at_once() {
    assert_eq!(ends("memory_at_once").await, "memory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn deep_recursion() {
    assert_eq!(ends("deep_recursion").await, "stack");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn handle_flood() {
    assert_eq!(ends("handle_flood").await, "handles");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn random_flood() {
    assert_eq!(ends("random_flood").await, "random bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn placeholder_flood() {
    assert_eq!(ends("placeholder_flood").await, "uses of secrets");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn request_flood() {
    let upstream = Upstream::start().await;
    let ended = attack("request_flood", call(&upstream).0, &json!({})).await;
    assert_eq!(limit(ended), "http requests");
    assert_eq!(upstream.arrived().len(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn huge_result() {
    assert_eq!(ends("huge_result").await, "bytes per host call");
}

/// Some hundred kilobytes of text, within every limit of bytes; as a poll's events and as an account, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn dense_result() {
    assert_eq!(ends("dense_result").await, "values in json");
    let upstream = Upstream::start().await;
    let app = attacks().await;
    let chosen = || {
        let (mut call, _) = call(&upstream);
        let program = ("attack".to_owned(), "dense_result".to_owned());
        call.values.extend([program]);
        call
    };
    let input = json!({});
    let page = app.poll(chosen(), "dense_result", &input, None).await;
    let account = app.check(chosen()).await;
    let limits = [
        limit(page.map(|_| input.clone())),
        limit(account.map(|_| input)),
    ];
    assert_eq!(limits, ["values in json"; 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn log_flood() {
    let upstream = Upstream::start().await;
    let (call, log) = call(&upstream);
    // It may end with its work done or with its time used up; what counts is what it leaves behind.
    match attack("log_flood", call, &json!({})).await {
        Ok(done) => assert_eq!(done, "done"),
        Err(CallError::Timeout { .. }) => {}
        other => assert_eq!(limit(other), "cpu time"),
    }
    let log = log.lock().unwrap();
    assert_eq!(log.len(), 20);
    assert!(
        log[19]
            .text
            .contains("the component of attacks logs too much")
    );
    for line in log.iter() {
        assert!(line.text.len() <= (4 << 10) + 4 && !line.text.contains(['\n', '\r', '\u{1b}']));
        assert!(!line.text.starts_with("ERROR forged") || line.text.contains("\\u{1b}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn huge_request() {
    let upstream = Upstream::start().await;
    // Two megabytes are more than a request may have; six are more than one call of the host takes.
    let ended = attack("huge_request", call(&upstream).0, &json!({})).await;
    assert_eq!(limit(ended), "bytes per host call");
    assert!(upstream.arrived().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn endless_answer() {
    let upstream = Upstream::start().await;
    let told = attack("endless_answer", call(&upstream).0, &json!({}))
        .await
        .unwrap();
    assert_eq!(told["refused"], "too_large", "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn silent_answer() {
    let upstream = Upstream::start().await;
    let (mut call, _) = call(&upstream);
    call.deadline = Duration::from_millis(300);
    let ended = attack("silent_answer", call, &json!({})).await;
    let timeout = CallError::Timeout {
        app: "attacks".into(),
        after_ms: 300,
    };
    assert_eq!(ended, Err(timeout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn header_flood() {
    let upstream = Upstream::start().await;
    let told = attack("header_flood", call(&upstream).0, &json!({}))
        .await
        .unwrap();
    let refused: Vec<&Value> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["refused"])
        .collect();
    assert_eq!(refused, ["too_many_headers", "too_large"]);
    assert!(upstream.arrived().is_empty());
}

// --- what no compiler of Rust makes

/// LEB128 of a small number.
fn leb(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = u8::try_from(n & 127).unwrap();
        n >>= 7;
        if n == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 128);
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![id];
    out.extend(leb(content.len()));
    out.extend(content);
    out
}

fn export(name: &str, kind: u8, index: u8) -> Vec<u8> {
    let mut out = leb(name.len());
    out.extend(name.as_bytes());
    out.extend([kind, index]);
    out
}

/// A component whose test call is `body`, in WebAssembly's own bytes, with a table and a memory.
fn by_hand(body: &[u8]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    // () -> i32, and the four numbers that `cabi_realloc` takes -> i32
    module.extend(section(
        1,
        &[
            2, 0x60, 0, 1, 0x7f, 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f,
        ],
    ));
    module.extend(section(3, &[2, 0, 1]));
    module.extend(section(4, &[1, 0x70, 0, 1]));
    module.extend(section(5, &[1, 0, 1]));
    let mut exports = vec![3];
    exports.extend(export("memory", 2, 0));
    exports.extend(export("keyport:provider/connection@1.0.0#check", 0, 0));
    exports.extend(export("cabi_realloc", 0, 1));
    module.extend(section(7, &exports));
    let mut code = vec![2];
    code.extend(leb(body.len() + 2));
    code.push(0);
    code.extend(body);
    code.push(0x0b);
    code.extend([3, 0, 0x00, 0x0b]);
    module.extend(section(10, &code));

    let mut resolve = wit_parser::Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    let (package, _) = resolve.push_dir(wit).unwrap();
    let app = "package test:app; world app { export keyport:provider/connection@1.0.0; }";
    let app = resolve.push_str("app.wit", app).unwrap();
    assert_ne!(package, app);
    let world = resolve.select_world(&[app], Some("app")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

async fn checked(body: &[u8]) -> CallError {
    let upstream = Upstream::start().await;
    let app = shared().load("attacks", &by_hand(body)).await.unwrap();
    let check = app.check(call(&upstream).0);
    beside("by hand", check).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_grows_a_table_is_stopped_by_name() {
    // loop: table.grow 0 (ref.null func) 1000, for ever
    let body = [
        0x03, 0x40, 0xd0, 0x70, 0x41, 0xe8, 0x07, 0xfc, 0x0f, 0x00, 0x1a, 0x0c, 0x00, 0x0b, 0x41,
        0x00,
    ];
    let limit = CallError::Limit {
        app: "attacks".into(),
        limit: "table elements",
    };
    assert_eq!(checked(&body).await, limit);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_points_outside_of_the_guests_memory_is_its_authors_bug() {
    // i32.const -16
    let error = checked(&[0x41, 0x70]).await;
    assert!(
        matches!(&error, CallError::Trap { app, .. } if app == "attacks"),
        "{error}"
    );
}
