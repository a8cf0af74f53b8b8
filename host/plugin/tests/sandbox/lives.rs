//! Programs that crash, and programs that do not want to end.

use std::time::Duration;

use keyport_plugin::{CallError, CallLimits, LoadedApp, PluginConfig, PluginHost};
use serde_json::{Value, json};

use crate::support::{Upstream, attacks, beside, call, limits, load_into, whole};
use crate::token_requests::request;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn every_export() {
    let upstream = Upstream::start().await;
    let app = attacks().await;
    let chosen = || {
        let (mut call, _) = call(&upstream);
        call.values
            .insert("attack".to_owned(), "every_export".to_owned());
        call
    };
    let input = json!({});
    let crashed = |what: &str, result: Result<(), CallError>| match result {
        Err(error @ CallError::Trap { .. }) => {
            assert!(
                error
                    .to_string()
                    .starts_with("the component of attacks crashed: "),
                "{error}"
            );
        }
        other => panic!("{what}: {other:?}"),
    };
    let all = async {
        crashed("check", app.check(chosen()).await.map(drop));
        crashed(
            "action",
            app.action(chosen(), "every_export", &input).await.map(drop),
        );
        crashed(
            "poll",
            app.poll(chosen(), "every_export", &input, None)
                .await
                .map(drop),
        );
        crashed("connected", app.connected(chosen()).await.map(drop));
        crashed("disconnecting", app.disconnecting(chosen()).await.map(drop));
        crashed(
            "exchange",
            app.exchange(chosen(), "code", request()).await.map(drop),
        );
    };
    beside("every_export", all).await;
    assert!(upstream.arrived().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn holding_on() {
    let upstream = Upstream::start().await;
    let app = attacks().await;
    // As many as there is room for, each in the middle of a request, all given up by whoever asked.
    let run = async {
        let calls: Vec<_> = (0..6)
            .map(|_| {
                let call = call(&upstream).0;
                tokio::spawn(async move { app.action(call, "holding_on", &json!({})).await })
            })
            .collect();
        while upstream.waiting() < 6 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for call in &calls {
            call.abort();
        }
        // Their connections are closed, so nothing of them goes on.
        while upstream.waiting() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    beside("holding_on", run).await;
    assert!(
        upstream
            .arrived()
            .iter()
            .all(|arrived| arrived.line == "GET /silent")
    );
    // And their places are free again: more calls than there is room for go through.
    let good = whole().await;
    let others = (0..20).map(|n| {
        let call = call(&upstream).0;
        tokio::spawn(async move { good.action(call, "echo", &json!({ "n": n })).await })
    });
    for (n, other) in others.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(other.await.unwrap(), Ok(json!({ "n": n })));
    }
}

/// More calls of one app hang than there are places: another app's go on, in the places that no app can have to the last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_whose_calls_all_hang_leaves_room_for_the_others() {
    let upstream = Upstream::start().await;
    // In a host of their own, as the others' calls are counted, too: four places, of which one app has three.
    let host = PluginHost::new(PluginConfig {
        max_concurrent: 4,
        limits: CallLimits {
            wall: Duration::from_secs(600),
            ..limits()
        },
        ..PluginConfig::default()
    })
    .unwrap();
    let app = load_into(&host, "hostile-attacks").await;
    let good = load_into(&host, "hostile-whole").await;
    let ten_hang = |app: &LoadedApp| -> Vec<_> {
        let one = |_| {
            let (app, mut call) = (app.clone(), call(&upstream).0);
            // As long as a call may take: nothing but being given up ends them here.
            call.deadline = Duration::from_secs(600);
            tokio::spawn(async move { app.action(call, "holding_on", &json!({})).await })
        };
        (0..10).map(one).collect()
    };
    let mut hanging = ten_hang(&app);
    while upstream.waiting() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Loaded anew, it is the same app.
    let anew = load_into(&host, "hostile-attacks").await;
    hanging.extend(ten_hang(&anew));
    for n in 0..10 {
        let input = json!({ "n": n });
        let answer = good.action(call(&upstream).0, "echo", &input).await;
        assert_eq!(answer, Ok(input));
    }
    // Never a fourth of the one, however many there are.
    assert!(upstream.waiting() <= 3);
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_leaves_the_app_and_its_neighbours_as_they_were() {
    let upstream = Upstream::start().await;
    let app = attacks().await;
    for _ in 0..20 {
        let crashed = app
            .action(call(&upstream).0, "every_export", &json!({}))
            .await;
        assert!(matches!(crashed, Err(CallError::Trap { .. })));
        let told: Value = app
            .action(call(&upstream).0, "redirect_out", &json!({}))
            .await
            .unwrap();
        assert_eq!(told["status"], 302);
    }
}
