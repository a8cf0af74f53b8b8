//! Events on their way to the platform: signed, tried again, sent once where they are accepted, logged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;

use super::actions::stand;
use super::provider::{Seen, Stand, json, status};
use super::*;

const URL: &str = "https://other.keyport.test/keyport";

async fn webhook(stand: &Stand, kinds: &[&str]) -> CreatedWebhook {
    let new = NewWebhook {
        url: URL.into(),
        description: None,
        kinds: Some(kinds.iter().map(|kind| (*kind).to_owned()).collect()),
    };
    // Nothing from before is sent.
    stand.engine.fill_outbox().await.unwrap();
    stand
        .engine
        .create_webhook(&Actor::Host, new)
        .await
        .unwrap()
}

/// As a platform checks it, by the specification alone.
fn holds(secret: &str, seen: &Seen) -> bool {
    let key = STANDARD
        .decode(secret.strip_prefix("whsec_").unwrap())
        .unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    let signed = format!(
        "{}.{}.{}",
        seen.headers["webhook-id"], seen.headers["webhook-timestamp"], seen.body
    );
    mac.update(signed.as_bytes());
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    seen.headers["webhook-signature"]
        .split(' ')
        .any(|one| one == wanted)
}

async fn log(stand: &Stand, made: &CreatedWebhook) -> Vec<DeliveryView> {
    let page = stand
        .engine
        .deliveries(&Actor::Host, &made.webhook.id, None, None)
        .await;
    page.unwrap().items
}

async fn send(engine: &Engine) -> usize {
    engine.fill_outbox().await.unwrap();
    engine.deliver_due().await.unwrap()
}

#[tokio::test]
async fn a_connections_change_reaches_the_platform_signed_and_once() {
    let stand = stand("").await;
    let id = stand.token("u1").await;
    let made = webhook(&stand, &["connection.*"]).await;
    stand.script(|seen| (seen.host == "other").then(|| json(json!({}))));
    stand.pass(1);
    stand.engine.pause(&Actor::Host, &id).await.unwrap();
    let other = stand.restarted().await;
    let sent = futures_util::future::join_all([send(&stand.engine), send(&other)]).await;
    send(&other).await;
    let calls = stand.calls("other");
    assert_eq!(calls.len(), 1, "{sent:?}");
    let call = &calls[0];
    assert_eq!(call.line(), "POST other/keyport");
    assert!(holds(&made.secret, call));
    let body = call.json();
    assert_eq!(body["type"], "connection.paused");
    assert_eq!(body["data"]["connection_id"], id.as_str());
    assert_eq!(body["data"]["id"], call.headers["webhook-id"].as_str());
    let log = log(&stand, &made).await;
    assert_eq!(
        (log.len(), log[0].state, log[0].tried),
        (1, DeliveryState::Delivered, 1)
    );
    assert_eq!(log[0].attempts[0].status, Some(200));
    assert!(!format!("{log:?}").contains("whsec_"));
}

#[tokio::test]
async fn a_change_that_somebody_alters_on_the_way_is_not_believed() {
    let stand = stand("").await;
    let id = stand.token("u1").await;
    let made = webhook(&stand, &[]).await;
    stand.pass(1);
    stand.engine.pause(&Actor::Host, &id).await.unwrap();
    send(&stand.engine).await;
    let good = stand.calls("other").remove(0);
    assert!(holds(&made.secret, &good));
    let changed = |change: &dyn Fn(&mut Seen)| {
        let mut call = good.clone();
        change(&mut call);
        call
    };
    for bad in [
        changed(&|call| call.body = call.body.replace("paused", "resumed")),
        changed(&|call| drop(call.headers.insert("webhook-timestamp".into(), "1".into()))),
        changed(&|call| drop(call.headers.insert("webhook-id".into(), "evt_x".into()))),
        changed(&|call| {
            drop(
                call.headers
                    .insert("webhook-signature".into(), "v1,".into()),
            )
        }),
    ] {
        assert!(!holds(&made.secret, &bad));
    }
}

#[tokio::test]
async fn what_is_not_accepted_is_tried_again_for_three_days_and_then_given_up() {
    let stand = stand("").await;
    let id = stand.token("u1").await;
    let made = webhook(&stand, &["connection.paused"]).await;
    stand.script(|seen| {
        (seen.host == "other").then(|| status(500, json!({"canary": "of the platform"})))
    });
    stand.pass(1);
    stand.engine.pause(&Actor::Host, &id).await.unwrap();
    send(&stand.engine).await;
    assert_eq!(stand.calls("other").len(), 1);
    stand.pass(2);
    send(&stand.engine).await;
    assert_eq!(stand.calls("other").len(), 1, "not at once");
    for _ in 0..(4 * 24 * 12) {
        stand.pass(300);
        stand.engine.deliver_due().await.unwrap();
    }
    let calls = stand.calls("other");
    assert_eq!(calls.len(), 10);
    let ids: std::collections::BTreeSet<&String> = calls
        .iter()
        .map(|call| &call.headers["webhook-id"])
        .collect();
    assert_eq!(ids.len(), 1, "a repetition is known by its id");
    assert!(
        calls.iter().all(|call| holds(&made.secret, call)),
        "each is signed anew"
    );
    let log = log(&stand, &made).await;
    assert_eq!((log[0].state, log[0].tried), (DeliveryState::GivenUp, 10));
    assert!(
        !format!("{log:?}").contains("canary"),
        "nothing of an answer is kept"
    );

    stand.script(|seen| (seen.host == "other").then(|| json(json!({}))));
    stand
        .engine
        .resend(&Actor::Host, &made.webhook.id, &log[0].id)
        .await
        .unwrap();
    stand.engine.deliver_due().await.unwrap();
    let log = self::log(&stand, &made).await;
    assert_eq!(log[0].state, DeliveryState::Delivered);
}

#[tokio::test]
async fn a_host_that_dies_while_it_sends_leaves_it_to_another() {
    let stand = stand("").await;
    let id = stand.token("u1").await;
    let made = webhook(&stand, &["connection.paused"]).await;
    stand.pass(1);
    stand.engine.pause(&Actor::Host, &id).await.unwrap();
    stand.engine.fill_outbox().await.unwrap();
    // The line to the platform never answers; the host is gone before it has given up.
    stand.script(|seen| (seen.host == "other").then(|| status(500, json!({}))));
    let dying = tokio::time::timeout(Duration::ZERO, stand.engine.deliver_due()).await;
    drop(dying);
    stand.script(|seen| (seen.host == "other").then(|| json(json!({}))));
    let other = stand.restarted().await;
    stand.pass(61);
    other.deliver_due().await.unwrap();
    assert_eq!(log(&stand, &made).await[0].state, DeliveryState::Delivered);
}

#[tokio::test]
async fn an_address_that_is_gone_is_sent_no_more_until_the_operator_says_so() {
    let stand = stand("").await;
    let id = stand.token("u1").await;
    let made = webhook(&stand, &["connection.*"]).await;
    stand.script(|seen| (seen.host == "other").then(|| status(410, json!({}))));
    stand.pass(1);
    stand.engine.pause(&Actor::Host, &id).await.unwrap();
    send(&stand.engine).await;
    let view = stand
        .engine
        .webhook(&Actor::Host, &made.webhook.id)
        .await
        .unwrap();
    assert!(!view.enabled && view.disabled_because.is_some());
    stand.engine.resume(&Actor::Host, &id).await.unwrap();
    send(&stand.engine).await;
    assert_eq!(stand.calls("other").len(), 1);
}

#[tokio::test]
async fn a_new_secret_signs_beside_the_old_one_for_a_day() {
    let stand = stand("").await;
    let id = stand.token("u1").await;
    let made = webhook(&stand, &["connection.paused"]).await;
    let new = stand
        .engine
        .rotate_webhook_secret(&Actor::Host, &made.webhook.id)
        .await
        .unwrap();
    assert_ne!(new.secret, made.secret);
    stand.script(|seen| (seen.host == "other").then(|| json(json!({}))));
    for (seconds, old_holds) in [(1, true), (24 * 3600, false)] {
        stand.pass(seconds);
        stand.engine.pause(&Actor::Host, &id).await.unwrap();
        send(&stand.engine).await;
        let call = stand.calls("other").pop().unwrap();
        assert!(holds(&new.secret, &call));
        assert_eq!(holds(&made.secret, &call), old_holds);
    }
}

#[tokio::test]
async fn events_do_not_go_where_they_should_not() {
    let stand = stand("").await;
    for url in [
        "http://app.example.com/x",
        "https://user:pass@app.example.com/",
        "https://app.example.com/#x",
        "ftp://app.example.com/",
        "nonsense",
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest",
        "https://[::1]/",
    ] {
        let new = NewWebhook {
            url: url.into(),
            description: None,
            kinds: None,
        };
        assert_eq!(
            code(stand.engine.create_webhook(&Actor::Host, new).await),
            "invalid_input",
            "{url}"
        );
    }
    // An address inside the operator's network is refused where every request leaves.
    let id = stand.token("u1").await;
    stand.engine.fill_outbox().await.unwrap();
    for url in ["https://localhost/x", "https://localhost:4700/v1/keys"] {
        let new = NewWebhook {
            url: url.into(),
            description: None,
            kinds: Some(vec!["connection.paused".into()]),
        };
        let made = stand
            .engine
            .create_webhook(&Actor::Host, new)
            .await
            .unwrap();
        stand.pass(1);
        stand.engine.pause(&Actor::Host, &id).await.unwrap();
        send(&stand.engine).await;
        let log = log(&stand, &made).await;
        let attempt = &log.last().unwrap().attempts[0];
        assert_eq!(
            attempt.code.as_deref(),
            Some("address_blocked"),
            "{url} {attempt:?}"
        );
        stand
            .engine
            .delete_webhook(&Actor::Host, &made.webhook.id)
            .await
            .unwrap();
    }
}
