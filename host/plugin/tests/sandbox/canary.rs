//! A guest that returns, logs, prints and sends everything that it can get hold of never shows a secret.

use serde_json::json;

use crate::support::{KEY, TOKEN, Upstream, attack, attacks, beside, call, holds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn greedy() {
    let upstream = Upstream::start().await;
    let (call_, log) = call(&upstream);
    let told = attack("greedy", call_, &json!({ "given": true }))
        .await
        .unwrap();
    let log: String = log
        .lock()
        .unwrap()
        .iter()
        .map(|line| format!("{} {}\n", line.text, line.data))
        .collect();
    assert!(log.contains("kph_") && told.to_string().contains("[redacted]"));
    let arrived = upstream.arrived();
    // It was used where it belongs …
    assert!(
        arrived
            .iter()
            .any(|a| a.headers["authorization"].contains(TOKEN))
    );
    assert!(
        arrived
            .iter()
            .any(|a| a.headers.get("x-key").is_some_and(|key| key == KEY))
    );
    let signature = arrived
        .iter()
        .find_map(|a| a.headers.get("x-signature"))
        .unwrap();
    // … and nowhere else.
    for secret in [TOKEN, KEY, signature.as_str()] {
        assert!(
            !holds(&told.to_string(), secret),
            "the guest returned {secret}: {told}"
        );
        assert!(!holds(&log, secret), "the log holds {secret}: {log}");
        for sent in &arrived {
            assert!(
                !holds(&sent.body, secret) && !holds(&sent.line, secret),
                "the guest sent {secret}: {sent:?}"
            );
        }
    }

    // The same as a test call, a poll and around a connection.
    let app = attacks().await;
    let chosen = || {
        let (mut call, log) = call(&upstream);
        call.values.insert("attack".to_owned(), "greedy".to_owned());
        (call, log)
    };
    let all = async {
        let account = app.check(chosen().0).await.unwrap();
        let page = app
            .poll(chosen().0, "greedy", &json!({}), None)
            .await
            .unwrap();
        let connected = app.connected(chosen().0).await.unwrap();
        json!([account.extra, page.events, connected]).to_string()
    };
    let said = beside("greedy, in every export", all).await;
    assert!(!holds(&said, TOKEN) && !holds(&said, KEY), "{said}");
}
