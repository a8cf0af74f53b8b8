//! Log-ins by a password that begin sessions.

use axum::response::Response;

use super::pretend::*;
use super::*;

const SESSION: &str = "
api:
  base_url: https://api.acme.test
auth:
  way:
    type: session
    label: Password
    fields:
      - { id: user, label: User }
      - { id: password, label: Password, secret: true, help: Yours. }
    steps:
      - request: { method: POST, path: 'https://id.acme.test/login', body: { json: { user: '{{ credentials.user }}', password: '{{ credentials.password }}' } } }
        ok: { status: 200 }
        capture: { ticket: { header: X-Ticket } }
        failures:
          - { status: 401, means: needs_reconnect, say: Acme does not accept this password. }
      - request: { method: POST, path: /open, headers: { x-ticket: '{{ capture.ticket }}' } }
        capture: { sid: { cookie: sid } }
    expiry: { in: $.ttl, unit: minutes }
    logout: { method: POST, path: /logout }
    inject:
      - { header: X-Session, value: '{{ capture.sid }}' }
";

/// A log-in in two steps: the second uses what the first gave; the session is used, and counted.
fn log_in(seen: &Seen, number: usize) -> Response {
    match seen.line.as_str() {
        "POST /login" if seen.body.contains("right-password") => {
            let mut answer = json(200, serde_json::json!({}));
            answer
                .headers_mut()
                .insert("x-ticket", "ticket-12345".parse().unwrap());
            answer
        }
        "POST /login" => json(401, serde_json::json!({})),
        "POST /open" if seen.headers["x-ticket"] == "ticket-12345" => {
            let mut answer = json(200, serde_json::json!({ "ttl": 30 }));
            let cookie = format!("sid=session-{number:05}; Path=/");
            answer
                .headers_mut()
                .insert("set-cookie", cookie.parse().unwrap());
            answer
        }
        "POST /logout" => json(204, serde_json::json!(null)),
        _ if seen
            .headers
            .get("x-session")
            .is_some_and(|sid| *sid == format!("session-{number:05}")) =>
        {
            me()
        }
        _ => json(401, serde_json::json!({})),
    }
}

const RIGHT: &[(&str, &str)] = &[("user", "ada"), ("password", "right-password")];

#[tokio::test]
async fn a_log_in_in_two_steps_begins_a_session_that_is_renewed_and_ended() {
    let number = Arc::new(std::sync::atomic::AtomicUsize::new(1));
    let theirs = Arc::clone(&number);
    let app = app(SESSION, move |seen| {
        log_in(seen, theirs.load(Ordering::SeqCst))
    })
    .await;
    let id = app.connected(RIGHT).await;
    assert_eq!(app.last().headers["x-session"], "session-00001");
    // Half an hour is not over: no second log-in.
    app.pass(20 * 60);
    assert_eq!(app.get(&id, "/me").await.0, 200);
    assert_eq!(app.count("POST /login"), 1);
    // Shortly before its end it is begun anew, once for all who ask.
    app.pass(9 * 60 + 30);
    number.store(2, Ordering::SeqCst);
    let all = futures_util::future::join_all((0..20).map(|_| app.get(&id, "/me"))).await;
    assert!(all.iter().all(|(status, _)| *status == 200));
    assert_eq!(app.count("POST /login"), 2);
    // The app has ended it by itself: its 401 begins another, and the caller does not notice.
    number.store(3, Ordering::SeqCst);
    assert_eq!(app.get(&id, "/me").await.0, 200);
    assert_eq!(app.count("POST /login"), 3);
    let done = app.engine.disconnect(&Actor::Host, &id).await.unwrap();
    assert_eq!(done.revoked, Revoked::Yes);
    assert_eq!(
        (
            app.last().line.as_str(),
            app.last().headers["x-session"].as_str()
        ),
        ("POST /logout", "session-00003")
    );
}

/// A wrong password is sent once and no more: without the state that a refusal makes, each use would bring the account closer
/// to being locked.
#[tokio::test]
async fn a_password_that_is_refused_is_not_tried_again() {
    let right = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let theirs = Arc::clone(&right);
    let app = app(SESSION, move |seen| {
        if theirs.load(Ordering::SeqCst) {
            log_in(seen, 1)
        } else {
            json(401, serde_json::json!({}))
        }
    })
    .await;
    let flow = app
        .connect(&[("user", "ada"), ("password", "wrong-password")])
        .await;
    assert_eq!(flow.status, FlowStatus::Failed);
    assert_eq!(
        flow.error.unwrap().say,
        "Acme does not accept this password."
    );
    assert_eq!(app.count("POST /login"), 1);
    let id = app.connected(RIGHT).await;
    right.store(false, Ordering::SeqCst);
    app.pass(3600);
    let before = app.count("POST /login");
    for _ in 0..5 {
        assert!(
            app.proxy(&id, http::Request::get("/me").body(Body::empty()).unwrap())
                .await
                .is_err()
        );
    }
    assert_eq!(app.count("POST /login"), before + 1);
    let view = app.engine.get(&Actor::Host, &id).await.unwrap();
    assert_eq!(view.state, ConnectionState::NeedsReconnect);
    // And nothing of the password is in what is kept in the clear.
    let heads = app
        .vault
        .list(keyport_vault::Kind::new("connection"), None, None, 10)
        .await
        .unwrap();
    assert!(
        !format!(
            "{:?}",
            heads
                .heads
                .iter()
                .map(|h| h.clear.to_string())
                .collect::<Vec<_>>()
        )
        .contains("password\":")
    );
}
