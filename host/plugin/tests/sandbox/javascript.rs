//! `fetch` as JavaScript has it, in a component that its own tool built: the credential is there, and never in sight.
//!
//! The tool is a package of node's (see `tests/js`). Where it is not installed, this says SKIPPED, and fails where nothing may be
//! skipped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use keyport_plugin::{Call, CallLimits, CodeCache, LoadedApp, PluginConfig, PluginHost};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use crate::support::{TOKEN, Upstream, call, holds, limits};

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The component, built anew where anything that it is made of has changed.
fn built() -> Option<Vec<u8>> {
    let (js, wit) = (folder("tests/js"), folder("../../wit"));
    if !js.join("node_modules").is_dir() {
        let reason = "componentize-js is not installed; run `npm ci --prefix host/plugin/tests/js`";
        assert!(
            std::env::var_os("KEYPORT_TEST_NO_SKIP").is_none(),
            "may not be skipped: {reason}"
        );
        eprintln!("SKIPPED: this test needs a JavaScript guest: {reason}");
        return None;
    }
    let mut digest = Sha256::new();
    for file in ["app.js", "build.mjs", "package-lock.json"] {
        digest.update(std::fs::read(js.join(file)).unwrap());
    }
    for file in ["types.wit", "imports.wit", "exports.wit", "worlds.wit"] {
        digest.update(std::fs::read(wit.join(file)).unwrap());
    }
    let name: String = digest.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fetch-{name}.wasm"));
    if !file.is_file() {
        let half = file.with_extension("half");
        let output = Command::new("node")
            .arg(js.join("build.mjs"))
            .args([&wit, &half])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        std::fs::rename(&half, &file).unwrap();
    }
    Some(std::fs::read(file).unwrap())
}

async fn javascript() -> Option<&'static LoadedApp> {
    static APP: OnceCell<Option<LoadedApp>> = OnceCell::const_new();
    APP.get_or_init(|| async {
        let wasm = tokio::task::spawn_blocking(built).await.unwrap()?;
        // An engine of its own size: it starts at 9 MiB and collects its garbage when it likes.
        // Compiling 12 MB takes its time, so what came of it is kept between runs.
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fetch-compiled");
        let host = PluginHost::new(PluginConfig {
            cache: Some(CodeCache::new(cache, zeroize::Zeroizing::new([1; 32]))),
            max_concurrent: 2,
            limits: CallLimits {
                memory_bytes: 64 << 20,
                cpu: Duration::from_secs(5),
                ..limits()
            },
        });
        Some(host.unwrap().load("fetches", &wasm).await.unwrap())
    })
    .await
    .as_ref()
}

async fn run(app: &LoadedApp, call: Call, action: &str, input: Value) -> Value {
    app.action(call, action, &input).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_in_javascript_has_the_credential_attached_and_never_sees_it() {
    let Some(app) = javascript().await else {
        return;
    };
    assert!(app.imports_wasi_http());
    let upstream = Upstream::start().await;
    let account = app.check(call(&upstream).0).await.unwrap();
    assert_eq!(account.label, "Ann");
    let arrived = upstream.arrived().pop().unwrap();
    assert_eq!(arrived.line, "GET /me");
    assert_eq!(arrived.headers["authorization"], format!("Bearer {TOKEN}"));
    // The app sent back what it got; the guest saw it without the secret.
    assert!(account.extra.to_string().contains("[redacted]"));
    assert!(!holds(&account.extra.to_string(), TOKEN));

    let options = json!({ "method": "POST", "headers": { "content-type": "application/json" }, "body": "{\"a\":1}" });
    let input = json!({ "path": "/items?x=1", "options": options });
    let told = run(app, call(&upstream).0, "one", input).await;
    assert_eq!(told["status"], 200);
    let arrived = upstream.arrived().pop().unwrap();
    assert_eq!(
        (arrived.line.as_str(), arrived.body.as_str()),
        ("POST /items?x=1", "{\"a\":1}")
    );
    assert_eq!(arrived.headers["content-type"], "application/json");
    assert_eq!(arrived.headers["content-length"], "7");
    assert_eq!(arrived.headers["authorization"], format!("Bearer {TOKEN}"));

    let input = json!({ "paths": ["/1", "/2", "/3", "/4"] });
    let told = run(app, call(&upstream).0, "many", input).await;
    assert_eq!(told.as_array().unwrap().len(), 4);
    assert!(
        told.as_array()
            .unwrap()
            .iter()
            .all(|one| one["status"] == 200)
    );

    // In the pieces in which it comes, each without the secret.
    let told = run(
        app,
        call(&upstream).0,
        "pieces",
        json!({ "path": "/forms" }),
    )
    .await;
    assert!(told["pieces"].as_u64().unwrap() >= 1);
    assert!(told["text"].as_str().unwrap().contains("[redacted]"));
    assert!(!holds(&told.to_string(), TOKEN), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_in_javascript_rejects_where_the_host_refuses() {
    let Some(app) = javascript().await else {
        return;
    };
    let upstream = Upstream::start().await;
    let own = json!({ "headers": { "authorization": "Bearer mine" } });
    for (path, options) in [
        ("https://elsewhere.hostile.test/", json!({})),
        ("https://api.hostile.test:8443/me", json!({})),
        ("https://127.0.0.1/", json!({})),
        ("/me", own),
        (
            "/me",
            json!({ "method": "POST", "body": "x".repeat((1 << 20) + 1) }),
        ),
    ] {
        let input = json!({ "path": path, "options": options });
        let told = run(app, call(&upstream).0, "one", input).await;
        assert_eq!(told["refused"], "TypeError", "{path}: {told}");
    }
    let (mut reading, log) = call(&upstream);
    reading.read_only = true;
    let input = json!({ "path": "/me", "options": { "method": "DELETE" } });
    let told = run(app, reading, "one", input).await;
    assert_eq!(told["refused"], "TypeError", "{told}");
    // The standard has no room for a sentence; the log does.
    let said: Vec<String> = log
        .lock()
        .unwrap()
        .iter()
        .map(|line| line.text.clone())
        .collect();
    assert!(
        said.iter()
            .any(|line| line.contains("this call may only read")),
        "{said:?}"
    );
    assert!(upstream.arrived().is_empty(), "{:?}", upstream.arrived());
}
