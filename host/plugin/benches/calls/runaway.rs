//! A call that does not want to end, and how soon it has ended: beyond its own limit, beyond its caller's deadline, and after
//! its caller gave it up. One at a time, and as many at once as there are processors, and twice that.

use std::time::{Duration, Instant};

use keyport_plugin::{CallError, CallLimits, LoadedApp};
use serde_json::json;

use crate::host;
use crate::support::{self, Upstream, call};

/// How often each is tried.
const TIMES: usize = 20;

fn report(what: &str, mut late: Vec<Duration>, goal: &str) {
    late.sort();
    println!(
        "{what}: {:?} (median of {}), {:?} at the latest{goal}",
        late[late.len() / 2],
        late.len(),
        late[late.len() - 1]
    );
}

async fn over_its_limit(app: &LoadedApp, upstream: &Upstream, cpu: Duration) -> Duration {
    let (call, _) = call(upstream);
    let begun = Instant::now();
    let ended = app.action(call, "loop", &json!({})).await;
    let late = begun.elapsed().saturating_sub(cpu);
    assert!(matches!(
        ended,
        Err(CallError::Limit {
            limit: "cpu time",
            ..
        })
    ));
    late
}

pub async fn measured() {
    let wasm = support::wasm("hostile-acts");
    let upstream = Upstream::start().await;
    let goal = " (goal: under 50 ms)";
    for (cpu, times) in [
        (Duration::from_millis(200), TIMES),
        (CallLimits::default().cpu, 2),
    ] {
        let limits = CallLimits {
            cpu,
            ..CallLimits::default()
        };
        let app = host(None, limits).load("acts", &wasm).await.unwrap();
        let mut late = Vec::new();
        for _ in 0..times {
            late.push(over_its_limit(&app, &upstream, cpu).await);
        }
        report(
            &format!("a runaway ends, after its limit of {cpu:?} of computing"),
            late,
            goal,
        );
    }

    let app = host(None, CallLimits::default())
        .load("acts", &wasm)
        .await
        .unwrap();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    for at_once in [1, processors, 2 * processors] {
        // Its caller's deadline.
        let time = Duration::from_millis(100);
        let mut late = Vec::new();
        for _ in 0..TIMES {
            let calls: Vec<_> = (0..at_once)
                .map(|_| {
                    let (mut call, _) = call(&upstream);
                    call.deadline = time;
                    let app = app.clone();
                    tokio::spawn(async move {
                        let begun = Instant::now();
                        let ended = app.action(call, "loop", &json!({})).await;
                        assert!(matches!(ended, Err(CallError::Timeout { .. })));
                        begun.elapsed().saturating_sub(time)
                    })
                })
                .collect();
            for call in calls {
                late.push(call.await.unwrap());
            }
        }
        report(
            &format!("{at_once} at once, a runaway ends, after its caller's deadline"),
            late,
            goal,
        );

        // Killed: nobody waits for it any more.
        let mut late = Vec::new();
        for _ in 0..TIMES {
            let calls: Vec<_> = (0..at_once)
                .map(|_| {
                    let (call, _) = call(&upstream);
                    let app = app.clone();
                    tokio::spawn(async move { app.action(call, "loop", &json!({})).await })
                })
                .collect();
            tokio::time::sleep(Duration::from_millis(50)).await;
            let begun = Instant::now();
            calls.iter().for_each(tokio::task::JoinHandle::abort);
            for call in calls {
                assert!(call.await.unwrap_err().is_cancelled());
                late.push(begun.elapsed());
            }
        }
        report(
            &format!("{at_once} at once, a runaway ends, after it was given up"),
            late,
            goal,
        );
    }
}
