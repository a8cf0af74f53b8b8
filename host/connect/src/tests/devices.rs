//! Sign-in by a code that the person types (RFC 8628): R38, R39, A34.

use std::sync::atomic::AtomicUsize;

use super::provider::*;
use super::*;

const AUTH: &str = r#"
    grant: device
    device_url: https://as.keyport.test/device
    token_url: https://as.keyport.test/token
    client_auth: none
    scopes: { default: [read] }
    refresh: { rotates: never }
    revoke: { none: It ends by itself. }
"#;

fn codes() -> Reply {
    json(serde_json::json!({
        "device_code": "dev-1", "user_code": "WDJB-MJHT", "verification_uri": "https://as.keyport.test/activate",
        "verification_uri_complete": "https://as.keyport.test/activate?user_code=WDJB-MJHT", "expires_in": 1800, "interval": 5,
    }))
}

fn error(code: &str) -> Reply {
    status(400, serde_json::json!({ "error": code }))
}

/// Answers the questions in this order; the last one for ever.
fn answers(replies: Vec<fn() -> Reply>) -> impl FnMut(&Seen) -> Option<Reply> + Send {
    let turn = AtomicUsize::new(0);
    move |seen| match seen.line().as_str() {
        "POST as/device" => Some(codes()),
        "POST as/token" => {
            let at = turn.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1);
            Some(replies[at]())
        }
        _ => None,
    }
}

async fn begun(stand: &Stand) -> (SessionCtx, FlowView) {
    let session = stand.session("u1").await;
    let started = stand.engine.start_oauth(&session, stand.start(&[])).await;
    (session, started.unwrap().flow)
}

fn questions(stand: &Stand) -> usize {
    stand.seen().iter().filter(|s| s.path == "/token").count()
}

#[tokio::test]
async fn r38_a_device_is_asked_for_at_the_servers_pace_until_the_person_has_agreed() {
    let stand = Stand::new(AUTH).await;
    stand.script(answers(vec![
        || error("authorization_pending"),
        || error("slow_down"),
        || error("authorization_pending"),
        tokens,
    ]));
    let (session, flow) = begun(&stand).await;
    assert_eq!(flow.status, FlowStatus::Authorizing);
    let shown = flow.device.unwrap();
    assert_eq!(shown.user_code, "WDJB-MJHT");
    assert_eq!(shown.verification_uri, "https://as.keyport.test/activate");
    assert_eq!(stand.only("/device").form()["client_id"], "client");
    assert_eq!(stand.only("/device").form()["scope"], "read");
    // The window goes straight to where the code is typed.
    let go = stand.engine.go(&session, &flow.id).await.unwrap();
    assert!(go.authorize_url.ends_with("/activate?user_code=WDJB-MJHT"));

    // Asked too often, nothing leaves.
    for _ in 0..3 {
        stand.engine.poll_device(&flow.id).await.unwrap();
    }
    assert_eq!(questions(&stand), 0);
    // 5 s, 5 s, then slower by 5 s for good (RFC 8628, 3.5).
    for (pass, asked) in [(5, 1), (5, 2), (5, 2), (5, 3), (5, 3), (5, 4)] {
        stand.pass(pass);
        stand.engine.poll_device(&flow.id).await.unwrap();
        assert_eq!(questions(&stand), asked);
    }
    let sent = stand.seen().last().unwrap().form();
    assert_eq!(
        sent["grant_type"],
        "urn:ietf:params:oauth:grant-type:device_code"
    );
    assert_eq!(sent["device_code"], "dev-1");
    let flow = stand.engine.flow(&session, &flow.id).await.unwrap();
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    assert!(flow.device.is_none(), "the code is good once");
    let id = flow.connection_id.unwrap();
    assert_eq!(stand.used(&id).await, 200);
    stand.pass(60);
    stand.engine.poll_device(&flow.id).await.unwrap();
    assert_eq!(questions(&stand), 4);
}

#[tokio::test]
async fn r38_a_refusal_and_a_late_code_end_it() {
    for (reply, code) in [
        ((|| error("access_denied")) as fn() -> Reply, "denied"),
        (|| error("expired_token"), "expired"),
        (|| error("invalid_client"), "client_refused"),
        (|| error("invalid_grant"), "code_refused"),
    ] {
        let stand = Stand::new(AUTH).await;
        stand.script(answers(vec![reply]));
        let (session, flow) = begun(&stand).await;
        stand.pass(5);
        stand.engine.poll_device(&flow.id).await.unwrap();
        let flow = stand.engine.flow(&session, &flow.id).await.unwrap();
        assert_eq!(flow.status, FlowStatus::Failed);
        assert_eq!(flow.error.unwrap().code, code);
    }
    // A code that nobody types: at most ten minutes, whatever the server says.
    let stand = Stand::new(AUTH).await;
    stand.script(answers(vec![|| error("authorization_pending")]));
    let (session, flow) = begun(&stand).await;
    stand.pass(601);
    stand.engine.poll_device(&flow.id).await.unwrap();
    let flow = stand.engine.flow(&session, &flow.id).await.unwrap();
    assert_eq!(flow.error.unwrap().code, "expired");
    assert_eq!(questions(&stand), 0);
}

#[tokio::test]
async fn r38_a_server_that_is_down_is_asked_ever_more_seldom() {
    let stand = Stand::new(AUTH).await;
    stand.script(answers(vec![
        || status(503, serde_json::json!({})),
        || status(503, serde_json::json!({})),
        tokens,
    ]));
    let (session, flow) = begun(&stand).await;
    for (pass, asked) in [(5, 1), (5, 1), (5, 2), (10, 2), (10, 3)] {
        stand.pass(pass);
        stand.engine.poll_device(&flow.id).await.unwrap();
        assert_eq!(questions(&stand), asked);
    }
    let flow = stand.engine.flow(&session, &flow.id).await.unwrap();
    assert_eq!(flow.status, FlowStatus::Connected);
}

#[tokio::test]
async fn r38_a_cancelled_flow_asks_no_more_and_another_host_goes_on_after_a_restart() {
    let stand = Stand::new(AUTH).await;
    stand.script(answers(vec![|| error("authorization_pending"), tokens]));
    let (session, cancelled) = begun(&stand).await;
    stand
        .engine
        .cancel_flow(&session, &cancelled.id)
        .await
        .unwrap();
    stand.pass(5);
    stand.engine.poll_device(&cancelled.id).await.unwrap();
    assert_eq!(questions(&stand), 0);

    let (session, flow) = begun(&stand).await;
    stand.pass(5);
    stand.engine.poll_device(&flow.id).await.unwrap();
    stand.pass(5);
    // The first host is gone; the sweep of another one asks.
    let other = stand.restarted().await;
    other.sweep().await.unwrap();
    let flow = other.flow(&session, &flow.id).await.unwrap();
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
}

/// A page that was closed asks for nothing more, and what the person then types connects nothing.
#[tokio::test]
async fn r38_a_session_that_is_closed_ends_the_questions() {
    let stand = Stand::new(AUTH).await;
    stand.script(answers(vec![|| error("authorization_pending"), tokens]));
    let (session, flow) = begun(&stand).await;
    stand.pass(5);
    stand.engine.poll_device(&flow.id).await.unwrap();
    assert_eq!(questions(&stand), 1);
    let actor = Actor::Session(session.clone());
    stand
        .engine
        .close_session(&actor, &session.id)
        .await
        .unwrap();
    for _ in 0..3 {
        stand.pass(5);
        stand.engine.poll_device(&flow.id).await.unwrap();
    }
    assert_eq!(questions(&stand), 1);
    let flow = stand.engine.flow(&session, &flow.id).await.unwrap();
    assert_eq!(flow.error.unwrap().code, "session_over");
}

#[tokio::test]
async fn of_many_hosts_one_asks() {
    let stand = Stand::new(AUTH).await;
    stand.script(answers(vec![|| error("authorization_pending")]));
    let (_, flow) = begun(&stand).await;
    stand.pass(5);
    let tries = (0..8).map(|_| stand.engine.poll_device(&flow.id));
    for done in futures_util::future::join_all(tries).await {
        done.unwrap();
    }
    assert_eq!(questions(&stand), 1);
}

/// A34: the code is the session's own, and nobody else sees or moves the flow.
#[tokio::test]
async fn a34_another_session_sees_no_code() {
    let stand = Stand::new(AUTH).await;
    stand.script(answers(vec![|| error("authorization_pending")]));
    let (_, flow) = begun(&stand).await;
    for owner in ["u1", "u2"] {
        let other = stand.session(owner).await;
        assert_eq!(code(stand.engine.flow(&other, &flow.id).await), "not_found");
        assert_eq!(code(stand.engine.go(&other, &flow.id).await), "not_found");
    }
}
