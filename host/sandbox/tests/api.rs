//! The API: who gets in, what they may do, and what comes back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod common;

use axum::http::StatusCode;
use common::{basic, site};
use keyport_sandbox::CredentialKind;
use serde_json::json;

const KEY: (&str, &str) = ("x-api-key", "ada-api-key");

#[tokio::test]
async fn each_kind_of_credential_says_who_it_is() {
    let mut site = site();
    let login = basic("ada@vendora.test", "ada:pass:word");
    for header in [
        KEY,
        ("authorization", "Bearer ada-personal-token"),
        ("authorization", "bearer ada-personal-token"),
        ("authorization", &login),
    ] {
        let me = site.get("/api/me", &[header]).await;
        assert_eq!(me.status, StatusCode::OK, "{header:?}");
        assert_eq!(
            me.json(),
            json!({"id": "u_ada", "email": "ada@vendora.test", "name": "Ada Lovelace", "workspace": "Analytical Engines"})
        );
    }
}

#[tokio::test]
async fn a_wrong_or_missing_credential_gets_a_json_401_that_does_not_repeat_it() {
    let mut site = site();
    let login = basic("ada@vendora.test", "canary-password");
    let other = basic("grace@vendora.test", "ada:pass:word");
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[], "unauthenticated"),
        (&[("authorization", "Bearer canary-token")], "invalid_token"),
        (&[("authorization", "Bearer ")], "invalid_token"),
        (&[("authorization", "Digest x")], "unauthenticated"),
        (&[("authorization", "Basic %%%")], "invalid_login"),
        (&[("authorization", &login)], "invalid_login"),
        (&[("authorization", &other)], "invalid_login"),
        (&[("x-api-key", "")], "invalid_api_key"),
    ];
    for (headers, code) in cases {
        let reply = site.get("/api/me", headers).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{headers:?}");
        assert_eq!(reply.json()["error"]["code"], code, "{headers:?}");
        assert!(!reply.text.contains("canary"));
        assert!(reply.header("www-authenticate").starts_with("Bearer"));
    }
    let both = [KEY, ("authorization", "Bearer ada-personal-token")];
    assert_eq!(
        site.get("/api/me", &both).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_revoked_credential_stops_working_and_a_new_one_starts() {
    let mut site = site();
    site.vendor
        .set_credential("u_ada", CredentialKind::ApiKey, false)
        .unwrap();
    assert_eq!(site.vendor.demo_credentials()[0].api_key, None);
    assert_eq!(
        site.get("/api/me", &[KEY]).await.status,
        StatusCode::UNAUTHORIZED
    );
    site.vendor
        .set_credential("ada@vendora.test", CredentialKind::ApiKey, true)
        .unwrap();
    assert_eq!(
        site.get("/api/me", &[KEY]).await.status,
        StatusCode::UNAUTHORIZED
    );
    let fresh = site.vendor.demo_credentials()[0].api_key.clone().unwrap();
    assert_eq!(
        site.get("/api/me", &[("x-api-key", &fresh)]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn notes_come_oldest_first_in_pages_and_a_new_one_comes_last() {
    let mut site = site();
    let made = site
        .post_json(
            "/api/notes",
            &[KEY],
            &json!({"title": " Third ", "body": "b"}),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    let note = made.json();
    assert_eq!(note["id"], "n_000003");
    assert_eq!(note["title"], "Third");
    assert_eq!(note["created_at"], "2027-01-15T08:00:00Z");
    let first = site.get("/api/notes?limit=2", &[KEY]).await.json();
    assert_eq!(first["more"], true);
    assert_eq!(first["notes"][1]["id"], "n_000002");
    let rest = site
        .get("/api/notes?after=n_000002&limit=2", &[KEY])
        .await
        .json();
    assert_eq!(rest, json!({"notes": [note], "more": false}));
    assert_eq!(site.get("/api/notes/n_000003", &[KEY]).await.json(), note);
    assert_eq!(
        site.get("/api/notes/n_000004", &[KEY]).await.status,
        StatusCode::NOT_FOUND
    );
    // Grace's notes are her own.
    let grace = site.vendor.demo_credentials()[1]
        .personal_token
        .clone()
        .unwrap();
    let bearer = format!("Bearer {grace}");
    let hers = site
        .get("/api/notes", &[("authorization", &bearer)])
        .await
        .json();
    assert_eq!(hers["notes"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn old_notes_make_room_so_that_writing_for_ever_costs_no_memory() {
    let mut site = site();
    for n in 0..510 {
        let reply = site
            .post_json("/api/notes", &[KEY], &json!({"title": format!("{n}")}))
            .await;
        assert_eq!(reply.status, StatusCode::CREATED);
    }
    let page = site.get("/api/notes?limit=1", &[KEY]).await.json();
    assert_eq!(page["notes"][0]["id"], "n_000013");
}

#[tokio::test]
async fn bad_input_gets_a_clear_answer_and_changes_nothing() {
    let mut site = site();
    for path in [
        "/api/notes?limit=0",
        "/api/notes?limit=101",
        "/api/notes?limit=-1",
        "/api/notes?after=m_000001",
        "/api/notes?after=99999999999999999999999",
        "/api/notes?after=1&after=2",
        "/api/slow?ms=60001",
        "/api/slow",
        "/api/status/99",
        "/api/status/101",
        "/api/status/x",
    ] {
        let reply = site.get(path, &[KEY]).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(reply.json()["error"]["code"], "invalid_request", "{path}");
    }
    for body in [
        json!({}),
        json!({"title": 1}),
        json!({"title": "x", "colour": "red"}),
        json!([]),
    ] {
        let reply = site.post_json("/api/notes", &[KEY], &body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
    }
    for body in [json!({"title": " "}), json!({"title": "x".repeat(201)})] {
        let reply = site.post_json("/api/notes", &[KEY], &body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let large = json!({"title": "x", "body": "y".repeat(70_000)});
    assert!(
        site.post_json("/api/notes", &[KEY], &large)
            .await
            .status
            .is_client_error()
    );
    assert_eq!(
        site.get("/api/nothing", &[]).await.json()["error"]["code"],
        "not_found"
    );
    let notes = site.get("/api/notes", &[KEY]).await.json();
    assert_eq!(notes["notes"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_token_does_only_what_its_scopes_say() {
    let mut site = site();
    let (read, _) = site.sign_in("notes:read").await;
    let (write, _) = site.sign_in("notes:write").await;
    let (read, write) = (format!("Bearer {read}"), format!("Bearer {write}"));
    let note = json!({"title": "t"});
    let reply = site
        .post_json("/api/notes", &[("authorization", &read)], &note)
        .await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert_eq!(reply.json()["error"]["code"], "missing_scope");
    assert!(
        reply
            .header("www-authenticate")
            .contains("insufficient_scope")
    );
    let reply = site
        .post_json("/api/notes", &[("authorization", &write)], &note)
        .await;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(
        site.get("/api/notes", &[("authorization", &read)])
            .await
            .status,
        StatusCode::OK
    );
    let reply = site.get("/api/notes", &[("authorization", &write)]).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn echo_returns_the_request_as_it_arrived() {
    let mut site = site();
    let headers = [
        ("authorization", "Bearer canary"),
        ("x-two", "a"),
        ("x-two", "b"),
    ];
    let json = site
        .call("POST", "/api/echo?q=1", &headers, "the body")
        .await
        .json();
    assert_eq!(json["headers"]["authorization"], "Bearer canary");
    assert_eq!(json["headers"]["x-two"], "a, b");
    assert_eq!(json["method"], "POST");
    assert_eq!(json["url"], "/api/echo?q=1");
    assert_eq!(json["body"], "the body");
}

#[tokio::test(start_paused = true)]
async fn slow_takes_as_long_as_asked_and_status_is_the_one_asked_for() {
    let mut site = site();
    let began = tokio::time::Instant::now();
    assert_eq!(
        site.get("/api/slow?ms=5000", &[KEY]).await.json()["slept_ms"],
        5000
    );
    assert_eq!(began.elapsed().as_millis(), 5000);
    for code in [200, 204, 304, 401, 429, 503] {
        let reply = site.get(&format!("/api/status/{code}"), &[KEY]).await;
        assert_eq!(reply.status.as_u16(), code);
    }
    assert_eq!(
        site.get("/api/status/503", &[]).await.status,
        StatusCode::UNAUTHORIZED
    );
}
