//! What a call into a component costs, beside bare wasmtime running the same component. `cargo bench -p keyport-plugin`
//!
//! The baseline ([`bare`]) is what one would write by hand with wasmtime and nothing else: the same engine settings, pool and
//! component, an empty WASI context, a limiter, an epoch deadline, and the same imports, of which `http` does the same (it
//! sends through the same egress, with the same pass). What is compared is instantiate and call, each time in a fresh store:
//! one of ours, one of theirs, in turns, so that whatever else the machine does meets both. What the baseline has not, and
//! we pay for: a log that is counted and scrubbed, limits of handles and of bytes per host call, the time limit round
//! the call, places for calls, the reading of the answer as JSON.
//!
//! | module | what is measured |
//! |---|---|
//! | `bare` | the baseline |
//! | `apps` | calls a second with 1, 10 and 1,000 apps loaded; loading those; their memory |
//! | `runaway` | how soon a call that does not want to end does |
//!
//! Names of parts after `--` run those alone: `cargo bench -p keyport-plugin -- bare`.
//!
//! Left out: the network itself. Requests go to a server on the loopback, for both sides.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement, run by hand"
)]

#[path = "calls/apps.rs"]
mod apps;
#[path = "calls/bare.rs"]
mod bare;
#[path = "calls/runaway.rs"]
mod runaway;
#[path = "../tests/support/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod support;

use std::time::{Duration, Instant};

use keyport_plugin::{Call, CallLimits, CodeCache, LoadedApp, PluginConfig, PluginHost};
use serde_json::json;

use support::{Upstream, call};

const CALLS: usize = 4_000;

/// The middle one, and the one that 99 of 100 are below.
fn middle_and_p99(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn host(cache: Option<CodeCache>, limits: CallLimits) -> PluginHost {
    PluginHost::new(PluginConfig {
        cache,
        max_concurrent: 64,
        limits,
    })
    .unwrap()
}

async fn once(app: &LoadedApp, call: Call, action: &str) -> Duration {
    let input = json!({});
    let begun = Instant::now();
    app.action(call, action, &input).await.unwrap();
    begun.elapsed()
}

async fn against_bare() {
    let wasm = support::wasm("hostile-acts");
    let upstream = Upstream::start().await;
    let app = host(None, CallLimits::default())
        .load("acts", &wasm)
        .await
        .unwrap();
    let bare = bare::Bare::new(&wasm);
    let (call, _) = call(&upstream);
    for (what, action, rounds) in [
        ("no request", "echo", CALLS),
        ("one request", "get", CALLS / 4),
    ] {
        let (mut own, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..rounds + rounds / 10 {
            let (a, b) = if round % 2 == 0 {
                let a = once(&app, call.clone(), action).await;
                (a, bare.once(call.clone(), action).await)
            } else {
                let b = bare.once(call.clone(), action).await;
                (once(&app, call.clone(), action).await, b)
            };
            // The first ones warm up.
            if round >= rounds / 10 {
                own.push(a);
                theirs.push(b);
            }
        }
        let (own, own99) = middle_and_p99(&mut own);
        let (theirs, theirs99) = middle_and_p99(&mut theirs);
        println!(
            "instantiate and call, {what}, {rounds} of each: bare wasmtime {theirs:?} (p99 {theirs99:?}), keyport {own:?} (p99 {own99:?}), \
             ratio of the medians {:.2} (goal: at most 1.3)",
            own.as_secs_f64() / theirs.as_secs_f64()
        );
    }
}

fn main() {
    let parts: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{processors} processors, load before: {}", load.trim());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if wanted("bare") {
        runtime.block_on(async { tokio::spawn(against_bare()).await.unwrap() });
    }
    if wanted("apps") {
        runtime.block_on(async { tokio::spawn(apps::measured()).await.unwrap() });
    }
    if wanted("runaway") {
        runtime.block_on(async { tokio::spawn(runaway::measured()).await.unwrap() });
    }
}
