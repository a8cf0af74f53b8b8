//! What the API does without an app: sessions, repetition, callbacks that belong to nobody.

use http::StatusCode;
use keyport_connect::view::KeyScope;
use serde_json::json;

use super::{Answer, Server, ask};

impl Server {
    async fn post(&self, path: &str, key: &str, once: Option<&str>, body: &str) -> Answer {
        let mut headers = vec![("authorization", key), ("content-type", "application/json")];
        headers.extend(once.map(|once| ("idempotency-key", once)));
        self.send(ask("POST", path, &headers, body)).await
    }
}

fn session(owner: &str) -> String {
    json!({ "owner": owner, "kind": "manage" }).to_string()
}

#[tokio::test]
async fn a_session_is_made_looked_at_and_closed() {
    let server = Server::new().await;
    let key = server.key(&KeyScope::ALL).await;
    let made = server
        .post("/v1/sessions", &key, None, &session("ada"))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("/v1/sessions/{id}"));
    assert!(
        made.json()["url"]
            .as_str()
            .unwrap()
            .starts_with("https://keyport.example/open#")
    );

    let path = format!("/v1/sessions/{id}");
    let seen = server
        .send(ask("GET", &path, &[("authorization", &key)], ""))
        .await;
    assert_eq!(seen.json()["owner"], "ada");
    assert!(
        !seen.text.contains('#'),
        "the link's token is shown once only: {}",
        seen.text
    );
    let closed = server
        .send(ask("DELETE", &path, &[("authorization", &key)], ""))
        .await;
    assert_eq!(closed.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_whatever_one_asks_of_it() {
    let server = Server::new().await;
    let key = server.key(&KeyScope::ALL).await;
    for (method, path) in [
        ("GET", "/v1/apps/nothing"),
        ("GET", "/v1/sessions/ses_nothing"),
        ("GET", "/v1/configurations/cfg_nothing"),
        ("GET", "/v1/connections/con_nothing"),
        ("POST", "/v1/connections/con_nothing/test"),
        ("POST", "/v1/connections/con_nothing/reconnect"),
        ("DELETE", "/v1/connections/con_nothing"),
        ("GET", "/v1/connections/con_nothing/credentials"),
        ("GET", "/v1/connections/con_nothing/proxy/me"),
    ] {
        let answer = server
            .send(ask(method, path, &[("authorization", &key)], ""))
            .await;
        answer.problem(404, "not_found");
        assert!(
            !answer.headers.contains_key("keyport-upstream-status"),
            "{path}"
        );
    }
    server
        .get("/apps/nothing/logo.svg")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_post_that_is_sent_twice_under_one_key_is_done_once() {
    let server = Server::new().await;
    let key = server.key(&KeyScope::ALL).await;
    let first = server
        .post("/v1/sessions", &key, Some("k1"), &session("ada"))
        .await;
    let again = server
        .post("/v1/sessions", &key, Some("k1"), &session("ada"))
        .await;
    assert_eq!(
        (again.status, &again.text),
        (StatusCode::CREATED, &first.text)
    );
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            again.header("idempotency-replayed")
        ),
        ("", "true")
    );
    assert_eq!(again.header("location"), first.header("location"));
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));

    let without = server
        .post("/v1/sessions", &key, None, &session("ada"))
        .await;
    assert_ne!(without.json()["id"], first.json()["id"]);
}

#[tokio::test]
async fn one_idempotency_key_does_not_stand_for_two_requests_or_two_callers() {
    let server = Server::new().await;
    let (key, other) = (
        server.key(&KeyScope::ALL).await,
        server.key(&KeyScope::ALL).await,
    );
    let first = server
        .post("/v1/sessions", &key, Some("k1"), &session("ada"))
        .await;
    server
        .post("/v1/sessions", &key, Some("k1"), &session("eve"))
        .await
        .problem(422, "idempotency_key_reused");
    let theirs = server
        .post("/v1/sessions", &other, Some("k1"), &session("ada"))
        .await;
    assert_ne!(theirs.json()["id"], first.json()["id"]);
    server
        .post(
            "/v1/sessions",
            "Bearer kp_wrong",
            Some("k1"),
            &session("ada"),
        )
        .await
        .problem(401, "unauthorized");
    server
        .post(
            "/v1/sessions",
            &key,
            Some(&"x".repeat(256)),
            &session("ada"),
        )
        .await
        .problem(400, "bad_request");
}

#[tokio::test]
async fn a_refusal_is_repeated_but_a_missing_scope_may_be_mended() {
    let server = Server::new().await;
    let key = server.key(&[KeyScope::Connect]).await;
    let wrong = server.post("/v1/sessions", &key, Some("k1"), "{}").await;
    wrong.problem(422, "wrong_shape");
    let again = server.post("/v1/sessions", &key, Some("k1"), "{}").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    again.problem(422, "wrong_shape");

    let refused = server
        .post("/v1/apps/x/configurations", &key, Some("k2"), "{}")
        .await;
    refused.problem(403, "missing_scope");
    let again = server
        .post("/v1/apps/x/configurations", &key, Some("k2"), "{}")
        .await;
    assert_eq!(again.header("idempotency-replayed"), "");
}

#[tokio::test]
async fn a_callback_that_belongs_to_no_sign_in_changes_nothing_and_leads_nowhere_else() {
    let server = Server::new().await;
    let evil = [
        ("referer", "https://evil.example/"),
        ("cookie", "kp_flow=x"),
    ];
    for query in [
        "",
        "?code=a&state=b",
        "?state=b&state=c&code=a",
        "?error=access_denied",
        "?installation_id=1&setup_action=x",
    ] {
        let answer = server
            .send(ask(
                "GET",
                &format!("/oauth/callback/cfg_nothing{query}"),
                &evil,
                "",
            ))
            .await;
        assert_eq!(
            answer.status,
            StatusCode::SEE_OTHER,
            "{query}: {}",
            answer.text
        );
        assert!(
            answer.header("location").starts_with("/connect/end?"),
            "{query}: {}",
            answer.header("location")
        );
        assert!(!answer.header("location").contains("code=a"), "{query}");
    }
}

#[tokio::test]
async fn a_posted_callback_becomes_a_get_with_a_ticket_that_works_once() {
    let server = Server::new().await;
    let form = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "https://appleid.apple.example"),
    ];
    let posted = server
        .send(ask(
            "POST",
            "/oauth/callback/cfg_x",
            &form,
            "code=canary&state=s",
        ))
        .await;
    assert_eq!(posted.status, StatusCode::SEE_OTHER, "{}", posted.text);
    let to = posted.header("location").to_owned();
    assert!(
        to.starts_with("/oauth/callback/cfg_x?keyport_ticket="),
        "{to}"
    );
    assert!(!to.contains("canary"));
    assert!(!posted.headers.contains_key("set-cookie"));
    let first = server.get(&to).await;
    let second = server.get(&to).await;
    assert!(
        !first.header("location").contains("already_used"),
        "{}",
        first.header("location")
    );
    assert!(
        second.header("location").contains("code=already_used"),
        "{}",
        second.header("location")
    );
    server
        .send(ask(
            "POST",
            "/oauth/callback/cfg_x",
            &[("content-type", "application/json")],
            "{}",
        ))
        .await
        .problem(415, "not_a_form");
}

#[tokio::test]
async fn a_configuration_in_a_posted_callbacks_address_can_not_redirect_elsewhere() {
    let server = Server::new().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted = server
        .send(ask(
            "POST",
            "/oauth/callback/%2F%2Fevil.example%0d%0ax",
            &form,
            "code=c",
        ))
        .await;
    assert!(
        posted
            .header("location")
            .starts_with("/oauth/callback/%2F%2Fevil.example%0D%0Ax?"),
        "{}",
        posted.header("location")
    );
}

#[tokio::test]
async fn going_to_an_app_without_a_session_ends_on_our_own_page() {
    let server = Server::new().await;
    let answer = server.get("/page/go/flow_x").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    // The request's id is what its person can quote.
    assert_eq!(
        answer.header("location"),
        format!(
            "/connect/end?outcome=refused&code=session_required&ref={}",
            answer.header("x-request-id")
        )
    );
}
