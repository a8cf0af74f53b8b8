//! The control API, configuration that cannot be, and the socket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod common;

use std::time::Duration;

use axum::http::StatusCode;
use common::{authorize, pair, site, site_with};
use keyport_sandbox::{Client, Fault, Seed, Target, User, Vendor, VendorConfig, VendorError};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const KEY: (&str, &str) = ("x-api-key", "ada-api-key");

#[tokio::test]
async fn there_is_no_control_api_unless_it_was_asked_for() {
    let mut site = site_with(|config| config.control = false);
    for path in ["/control/stats", "/control/credentials"] {
        let reply = site.get(path, &[]).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
        assert!(!reply.text.contains("ada-api-key"));
    }
}

#[tokio::test]
async fn a_form_of_another_site_cannot_control_the_vendor() {
    let mut site = site();
    site.sign_in("notes:read").await;
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let headers = [("content-type", kind)];
        let reply = site
            .call("POST", "/control/revoke-grants", &headers, "{}")
            .await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(site.vendor.stats().grants, 1);
}

#[tokio::test]
async fn grants_are_revoked_and_tokens_expired_behind_the_clients_back() {
    let mut site = site();
    let (access, refresh) = site.sign_in("notes:read").await;
    let reply = site
        .post_json("/control/expire-access-tokens", &[], &json!({}))
        .await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert_eq!(site.me(&access).await.status, StatusCode::UNAUTHORIZED);
    let (access, refresh) = pair(&site.refresh(&refresh).await);
    assert_eq!(site.me(&access).await.status, StatusCode::OK);
    let other = json!({"user": "grace@vendora.test"});
    let reply = site.post_json("/control/revoke-grants", &[], &other).await;
    assert_eq!(reply.json()["revoked"], 0);
    let hers = json!({"user": "ada@vendora.test"});
    let reply = site.post_json("/control/revoke-grants", &[], &hers).await;
    assert_eq!(reply.json()["revoked"], 1);
    assert_eq!(site.me(&access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        site.refresh(&refresh).await.json()["error"],
        "invalid_grant"
    );
    let nobody = site
        .post_json("/control/revoke-grants", &[], &json!({"user": "x"}))
        .await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_counts_say_what_is_in_force_and_what_was_asked() {
    let mut site = site();
    let (access, refresh) = site.sign_in("notes:read").await;
    site.refresh(&refresh).await;
    site.me(&access).await;
    let stats = site.get("/control/stats", &[]).await.json();
    assert_eq!(
        stats,
        json!({
            "grants": 1, "access_tokens": 2, "refresh_tokens": 1, "token_requests": 2, "most_token_requests": 1, "refreshes": 1,
            "revoke_requests": 0, "api_requests": 1,
        })
    );
}

#[tokio::test]
async fn the_next_calls_fail_as_often_as_asked_and_then_no_more() {
    let mut site = site();
    let fault = json!({"target": "api", "times": 2, "status": 429, "retry_after": 7});
    assert_eq!(
        site.post_json("/control/faults", &[], &fault).await.status,
        StatusCode::NO_CONTENT
    );
    for _ in 0..2 {
        let reply = site.get("/api/me", &[KEY]).await;
        assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(reply.header("retry-after"), "7");
    }
    assert_eq!(site.get("/api/me", &[KEY]).await.status, StatusCode::OK);
    site.post_json("/control/faults", &[], &fault).await;
    site.call("DELETE", "/control/faults", &[], "").await;
    assert_eq!(site.get("/api/me", &[KEY]).await.status, StatusCode::OK);
    for wrong in [
        json!({"target": "api", "status": 101}),
        json!({"target": "api", "times": 0}),
        json!({"target": "api", "hang_ms": 120_001}),
        json!({"target": "moon"}),
        json!({"target": "api", "colour": 1}),
    ] {
        let reply = site.post_json("/control/faults", &[], &wrong).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn a_fault_before_the_work_leaves_the_refresh_token_good_and_one_after_it_does_not() {
    let mut site = site();
    let (_, refresh) = site.sign_in("notes:read").await;
    assert!(site.vendor.fault(Fault::status(Target::Token, 1, 503)));
    assert_eq!(
        site.refresh(&refresh).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(site.vendor.stats().refreshes, 0);
    let lost = Fault {
        after: true,
        ..Fault::status(Target::Token, 1, 502)
    };
    assert!(site.vendor.fault(lost));
    assert_eq!(site.refresh(&refresh).await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(site.vendor.stats().refreshes, 1);
    // The answer was lost: trying the old token again is now a reuse.
    assert_eq!(
        site.refresh(&refresh).await.json()["error"],
        "invalid_grant"
    );
    assert_eq!(site.vendor.stats().grants, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_hangs_as_long_as_asked_and_then_answers() {
    let mut site = site();
    let hang = json!({"target": "api", "hang_ms": 90_000});
    site.post_json("/control/faults", &[], &hang).await;
    let began = tokio::time::Instant::now();
    assert_eq!(site.get("/api/me", &[KEY]).await.status, StatusCode::OK);
    assert_eq!(began.elapsed(), Duration::from_secs(90));
}

#[tokio::test]
async fn a_user_can_consent_without_a_page() {
    let mut site = site();
    site.post_json("/control/auto-consent", &[], &json!({"user": "u_grace"}))
        .await;
    let back = site.get(&authorize(&[]), &[]).await;
    let tokens = site.exchange(&back.sent_back("code").unwrap()).await;
    assert_eq!(site.me(&pair(&tokens).0).await.json()["id"], "u_grace");
    site.post_json("/control/auto-consent", &[], &json!({}))
        .await;
    assert_eq!(site.get(&authorize(&[]), &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn redirects_and_credentials_are_set_over_the_control_api() {
    let mut site = site();
    let uri = "http://127.0.0.1:5000/back";
    let request = authorize(&[("redirect_uri", uri)]);
    assert_eq!(
        site.get(&request, &[]).await.status,
        StatusCode::BAD_REQUEST
    );
    let body =
        json!({"client": "keyport", "uri": uri, "prefix": "http://localhost:5000/oauth/callback/"});
    site.post_json("/control/redirects", &[], &body).await;
    assert_eq!(site.get(&request, &[]).await.status, StatusCode::OK);
    let outside = json!({"client": "keyport", "prefix": "http://evil.example:80/"});
    let reply = site.post_json("/control/redirects", &[], &outside).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let change = json!({"user": "u_ada", "kind": "password", "action": "revoke"});
    site.post_json("/control/credentials", &[], &change).await;
    let listed = site.get("/control/credentials", &[]).await.json();
    assert_eq!(listed["credentials"][0]["api_key"], "ada-api-key");
    assert_eq!(listed["credentials"][0]["password"], json!(null));
}

#[test]
fn a_configuration_that_cannot_be_is_refused_with_its_reason() {
    let refused = |change: &dyn Fn(&mut VendorConfig)| {
        let mut config = VendorConfig::new("http://127.0.0.1:1");
        change(&mut config);
        Vendor::new(config).err()
    };
    assert_eq!(refused(&|_| {}), None);
    let origin = |what| Some(VendorError::Origin { what });
    assert_eq!(
        refused(&|c| c.public_origin = "http://a/".to_owned()),
        origin("public_origin")
    );
    assert_eq!(
        refused(&|c| c.issuer = "vendor".to_owned()),
        origin("issuer")
    );
    assert_eq!(refused(&|c| c.users.clear()), Some(VendorError::Users));
    assert_eq!(
        refused(&|c| c.users = vec![User::ada(), User::ada()]),
        Some(VendorError::Users)
    );
    let shared = |c: &mut VendorConfig| {
        for user in &mut c.users {
            user.seed = Seed {
                password: Some("same".to_owned()),
                ..Seed::default()
            };
        }
    };
    assert_eq!(
        refused(&shared),
        Some(VendorError::SharedCredential { what: "password" })
    );
    let twice =
        |c: &mut VendorConfig| c.clients = vec![Client::new("a", "x"), Client::new("a", "y")];
    assert_eq!(refused(&twice), Some(VendorError::ClientId));
    let empty = |c: &mut VendorConfig| c.clients = vec![Client::new("a", "")];
    assert_eq!(refused(&empty), Some(VendorError::ClientSecret));
    let scheme = |c: &mut VendorConfig| {
        let mut client = Client::new("a", "x");
        client.redirect_uris = vec!["app:/cb".to_owned()];
        c.clients = vec![client];
    };
    assert_eq!(refused(&scheme), Some(VendorError::RedirectUri));
    let vendor = Vendor::new(VendorConfig::new("http://127.0.0.1:1")).unwrap();
    assert_eq!(
        vendor.allow_redirect("x", "http://a/"),
        Err(VendorError::UnknownClient)
    );
}

#[tokio::test]
async fn it_serves_a_socket_and_stops_when_told_to() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let vendor = Vendor::new(VendorConfig::new(format!("http://{address}"))).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(keyport_sandbox::serve(listener, vendor, async {
        let _ = stopped.await;
    }));
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!("GET /api/me HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
