//! What stops a request before its handler: host, origin, key, scope, method, size, shape; and what every answer carries.

use axum::routing::get;
use http::StatusCode;
use keyport_connect::view::KeyScope;

use super::{Answer, ORIGIN, Server, ask};
use crate::guard::Peer;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_host_that_is_not_ours_is_misdirected() {
    let server = Server::new().await;
    for host in [
        "evil.example",
        "keyport.example.evil.example",
        "127.0.0.1",
        "keyport.example:8080",
    ] {
        let answer = server
            .send(ask("GET", "/openapi.json", &[("host", host)], ""))
            .await;
        assert!(
            answer
                .problem(421, "wrong_host")
                .contains("https://keyport.example"),
            "{host}"
        );
    }
}

#[tokio::test]
async fn probes_on_this_machine_may_use_any_name_and_others_may_not() {
    let server = Server::new().await;
    for (peer, status) in [("127.0.0.1:9", 200), ("203.0.113.9:9", 421)] {
        let mut request = ask("GET", "/healthz", &[("host", "10.0.0.1:4700")], "");
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        assert_eq!(server.send(request).await.status.as_u16(), status, "{peer}");
    }
    let mut request = ask("GET", "/openapi.json", &[("host", "10.0.0.1:4700")], "");
    request
        .extensions_mut()
        .insert(Peer("127.0.0.1:9".parse().unwrap()));
    assert_eq!(
        server.send(request).await.status,
        StatusCode::MISDIRECTED_REQUEST
    );
}

#[tokio::test]
async fn every_route_of_the_api_wants_a_key_before_it_says_anything_else() {
    let server = Server::new().await;
    let document = server.get("/openapi.json").await.json();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path.replace(['{', '}'], "");
            // Even the body is not looked at.
            let answer = server
                .send(ask(&method.to_uppercase(), &path, &[], "not json"))
                .await;
            if method == "head" {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            } else {
                answer.problem(401, "unauthorized");
            }
            assert_eq!(
                answer.header("www-authenticate"),
                "Bearer realm=\"keyport\"",
                "{method} {path}"
            );
            asked += 1;
        }
    }
    assert!(asked > 25, "{asked}");
}

#[tokio::test]
async fn a_key_that_is_unknown_revoked_or_sent_twice_is_refused() {
    let server = Server::new().await;
    let key = server.key(&KeyScope::ALL).await;
    let asked =
        async |headers: &[(&str, &str)]| server.send(ask("GET", "/v1/events", headers, "")).await;
    assert_eq!(
        asked(&[("authorization", &key)]).await.status,
        StatusCode::OK
    );
    asked(&[(
        "authorization",
        "Bearer kp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    )])
    .await
    .problem(401, "unauthorized");
    asked(&[("authorization", "Basic a3A6eA==")])
        .await
        .problem(401, "unauthorized");
    asked(&[("authorization", &key), ("authorization", &key)])
        .await
        .problem(401, "unauthorized");
    let id = server
        .engine
        .list_keys(&keyport_connect::Actor::Host)
        .await
        .unwrap()[0]
        .id
        .clone();
    server
        .engine
        .revoke_key(&keyport_connect::Actor::Host, &id)
        .await
        .unwrap();
    asked(&[("authorization", &key)])
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn a_key_without_the_scope_is_told_which_one_it_lacks() {
    let server = Server::new().await;
    let key = server.key(&[KeyScope::Actions]).await;
    for (method, path, body, scope) in [
        ("GET", "/v1/events", "", "manage"),
        ("GET", "/v1/connections", "", "manage or connect"),
        (
            "POST",
            "/v1/sessions",
            r#"{"owner":"a","kind":"manage"}"#,
            "connect",
        ),
        (
            "GET",
            "/v1/connections/con_x/credentials",
            "",
            "read-credentials",
        ),
        ("GET", "/v1/connections/con_x/proxy/me", "", "proxy"),
        ("DELETE", "/v1/connections/con_x", "", "manage"),
    ] {
        let answer = server
            .send(ask(method, path, &[("authorization", &key), JSON], body))
            .await;
        let detail = answer.problem(403, "missing_scope");
        assert!(
            detail.contains(&format!("scope {scope};")),
            "{path}: {detail}"
        );
    }
}

#[tokio::test]
async fn a_page_can_not_be_driven_from_another_site() {
    let server = Server::new().await;
    for origin in [
        "https://evil.example",
        "https://sub.keyport.example",
        "null",
        "http://keyport.example",
    ] {
        let answer = server
            .send(ask(
                "POST",
                "/page/open",
                &[("origin", origin), JSON],
                r#"{"token":"x"}"#,
            ))
            .await;
        answer.problem(403, "wrong_origin");
    }
    server
        .send(ask("POST", "/page/open", &[JSON], r#"{"token":"x"}"#))
        .await
        .problem(403, "wrong_origin");
    let ours = server
        .send(ask(
            "POST",
            "/page/open",
            &[("origin", ORIGIN), JSON],
            r#"{"token":"x"}"#,
        ))
        .await;
    assert_ne!(ours.json()["code"], "wrong_origin");
}

#[tokio::test]
async fn the_api_does_not_take_a_cookie_and_the_pages_take_no_key() {
    let server = Server::new().await;
    let key = server.key(&KeyScope::ALL).await;
    server
        .send(ask(
            "GET",
            "/v1/connections",
            &[("cookie", "__Host-kp=whatever")],
            "",
        ))
        .await
        .problem(401, "unauthorized");
    server
        .send(ask("GET", "/page/session", &[("authorization", &key)], ""))
        .await
        .problem(401, "session_required");
}

#[tokio::test]
async fn no_cors_is_granted_to_anyone() {
    let server = Server::new().await;
    let headers = [
        ("origin", "https://evil.example"),
        ("access-control-request-method", "POST"),
    ];
    for path in ["/v1/sessions", "/page/session"] {
        let answer = server.send(ask("OPTIONS", path, &headers, "")).await;
        assert!(answer.status.is_client_error(), "{path}");
        assert!(
            answer
                .headers
                .keys()
                .all(|name| !name.as_str().starts_with("access-control-")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_address_or_method_that_does_not_exist_is_a_problem_too() {
    let server = Server::new().await;
    server
        .get("/v1/nothing")
        .await
        .problem(404, "no_such_route");
    server.get("/").await.problem(404, "no_such_route");
    let answer = server.send(ask("DELETE", "/v1/sessions", &[], "")).await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "POST");
}

#[tokio::test]
async fn a_body_that_is_not_what_it_should_be_is_explained() {
    let server = Server::new().await;
    let key = server.key(&KeyScope::ALL).await;
    let post = async |headers: &[(&str, &str)], body: &str| {
        let mut all = vec![("authorization", key.as_str())];
        all.extend_from_slice(headers);
        server.send(ask("POST", "/v1/sessions", &all, body)).await
    };
    post(&[JSON], "{").await.problem(400, "bad_json");
    post(&[], "{}").await.problem(415, "not_json");
    post(&[("content-type", "text/plain")], "{}")
        .await
        .problem(415, "not_json");
    let unknown = post(&[JSON], r#"{"owner":"a","kind":"manage","ownr":"b"}"#)
        .await
        .problem(422, "wrong_shape");
    assert!(unknown.contains("unknown field `ownr`"), "{unknown}");
    let missing = post(&[JSON], r#"{"kind":"manage"}"#)
        .await
        .problem(422, "wrong_shape");
    assert!(missing.contains("missing field `owner`"), "{missing}");
    let large = format!(
        r#"{{"owner":"{}"}}"#,
        "a".repeat(crate::extract::JSON_LIMIT)
    );
    post(&[JSON], &large).await.problem(413, "body_too_large");
    post(&[JSON, ("idempotency-key", "k")], &large)
        .await
        .problem(413, "body_too_large");
}

#[tokio::test]
async fn a_misspelt_query_parameter_does_not_widen_a_list_in_silence() {
    let server = Server::new().await;
    let key = server.key(&KeyScope::ALL).await;
    for path in [
        "/v1/connections?onwer=ada",
        "/v1/apps?cursr=x",
        "/v1/events?limit=many",
        "/v1/connections?state=odd",
    ] {
        server
            .send(ask("GET", path, &[("authorization", &key)], ""))
            .await
            .problem(400, "bad_request");
    }
}

#[tokio::test]
async fn a_panic_is_a_problem_without_its_words() {
    let server = Server::new().await;
    let broken =
        axum::Router::new().route("/broken", get(async || -> () { panic!("canary-secret") }));
    let router = crate::layered(broken, &server.state).with_state(server.state.clone());
    let response = tower::ServiceExt::oneshot(router, ask("GET", "/broken", &[], ""))
        .await
        .unwrap();
    let answer = Answer::read(response).await;
    answer.problem(500, "internal");
    assert!(!answer.text.contains("canary"), "{}", answer.text);
}

#[tokio::test]
async fn every_answer_carries_an_id_and_the_security_headers() {
    let server = Server::new().await;
    for path in [
        "/healthz",
        "/docs",
        "/openapi.json",
        "/v1/apps",
        "/nothing",
        "/apps/none/logo.svg",
    ] {
        let answer = server
            .send(ask("GET", path, &[("x-request-id", "trace-7")], ""))
            .await;
        assert_eq!(answer.header("x-request-id"), "trace-7", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(
            answer
                .header("content-security-policy")
                .contains("default-src 'none'"),
            "{path}"
        );
        assert!(
            answer
                .header("strict-transport-security")
                .starts_with("max-age="),
            "{path}"
        );
    }
    let odd = server
        .send(ask("GET", "/healthz", &[("x-request-id", "a b\"c")], ""))
        .await;
    assert!(odd.header("x-request-id").starts_with("req_"));
}

#[tokio::test]
async fn counters_know_templates_and_never_ids() {
    let server = Server::new().await;
    server.get("/v1/connections/con_canary?token=canary").await;
    server.get("/canary-path").await;
    let page = server.get("/metrics").await.text;
    assert!(
        page.contains("route=\"/v1/connections/{id}\",method=\"GET\",status=\"401\"} 1"),
        "{page}"
    );
    assert!(page.contains("route=\"none\""), "{page}");
    assert!(!page.contains("canary"), "{page}");
}

#[tokio::test]
async fn a_host_with_its_store_is_ready() {
    let server = Server::new().await;
    assert_eq!(server.get("/healthz").await.text, "ok\n");
    assert_eq!(server.get("/readyz").await.text, "ready\n");
}
