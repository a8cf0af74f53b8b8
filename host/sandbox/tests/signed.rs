//! The signed API: right, wrong, old and moved signatures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod common;

use axum::http::StatusCode;
use common::{NOW, Reply, Site, site};
use hmac::{Hmac, KeyInit, Mac};
use keyport_sandbox::CredentialKind;
use serde_json::json;
use sha2::Sha256;

/// A signature made without the vendor's own code.
fn sign(secret: &str, at: i64, method: &str, target: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at}\n{method}\n{target}\n{body}").as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A call with the given signature at the given time.
async fn call(
    site: &mut Site,
    method: &str,
    target: &str,
    body: &str,
    at: i64,
    signature: &str,
) -> Reply {
    let at = at.to_string();
    let headers = [
        ("x-vendor-key-id", "ada-key-id"),
        ("x-vendor-timestamp", at.as_str()),
        ("x-vendor-signature", signature),
        ("content-type", "application/json"),
    ];
    site.call(method, target, &headers, body).await
}

/// A call signed as it should be.
async fn signed(site: &mut Site, method: &str, target: &str, body: &str) -> Reply {
    let signature = sign("ada-signing-secret", NOW, method, target, body);
    call(site, method, target, body, NOW, &signature).await
}

#[tokio::test]
async fn a_right_signature_says_who_it_is() {
    let mut site = site();
    let reply = signed(&mut site, "GET", "/signed/whoami", "").await;
    assert_eq!(reply.json(), json!({"id": "u_ada", "name": "Ada Lovelace"}));
}

#[tokio::test]
async fn messages_are_written_and_read_with_the_query_signed_too() {
    let mut site = site();
    let body = json!({"text": "hello"}).to_string();
    let made = signed(&mut site, "POST", "/signed/messages", &body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let message = json!({"id": "m_000002", "text": "hello", "at": "2027-01-15T08:00:00Z"});
    assert_eq!(made.json(), message);
    let page = signed(
        &mut site,
        "GET",
        "/signed/messages?after=m_000001&limit=5",
        "",
    )
    .await;
    assert_eq!(page.json(), json!({"messages": [message], "more": false}));
    let bad = signed(&mut site, "POST", "/signed/messages", "{}").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_signature_fits_one_method_path_query_body_and_time() {
    let mut site = site();
    let good = sign(
        "ada-signing-secret",
        NOW,
        "GET",
        "/signed/messages?after=1",
        "",
    );
    let wrong_key = sign("another-secret", NOW, "GET", "/signed/messages?after=1", "");
    let cases = [
        (
            "GET",
            "/signed/messages?after=1",
            "",
            NOW,
            wrong_key.as_str(),
        ),
        ("GET", "/signed/messages?after=2", "", NOW, &good),
        ("GET", "/signed/whoami", "", NOW, &good),
        ("POST", "/signed/messages?after=1", "", NOW, &good),
        ("GET", "/signed/messages?after=1", "x", NOW, &good),
        ("GET", "/signed/messages?after=1", "", NOW + 1, &good),
        ("GET", "/signed/messages?after=1", "", NOW, ""),
        ("GET", "/signed/messages?after=1", "", NOW, "zz"),
        ("GET", "/signed/messages?after=1", "", NOW, &good[..62]),
    ];
    for (method, target, body, at, signature) in cases {
        let reply = call(&mut site, method, target, body, at, signature).await;
        assert_eq!(
            reply.status,
            StatusCode::UNAUTHORIZED,
            "{method} {target} {at}"
        );
        assert_eq!(reply.json()["error"]["code"], "invalid_signature");
    }
    let upper = good.to_uppercase();
    let reply = call(
        &mut site,
        "GET",
        "/signed/messages?after=1",
        "",
        NOW,
        &upper,
    )
    .await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn a_signature_from_another_time_is_refused_even_if_it_is_right() {
    let mut site = site();
    for (at, status) in [
        (NOW - 300, StatusCode::OK),
        (NOW - 301, StatusCode::UNAUTHORIZED),
        (NOW + 300, StatusCode::OK),
        (NOW + 301, StatusCode::UNAUTHORIZED),
        (i64::MIN, StatusCode::UNAUTHORIZED),
    ] {
        let signature = sign("ada-signing-secret", at, "GET", "/signed/whoami", "");
        let reply = call(&mut site, "GET", "/signed/whoami", "", at, &signature).await;
        assert_eq!(reply.status, status, "{at}");
    }
    let headers = [
        ("x-vendor-key-id", "ada-key-id"),
        ("x-vendor-timestamp", "soon"),
        ("x-vendor-signature", "00"),
    ];
    assert_eq!(
        site.get("/signed/whoami", &headers).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        site.get("/signed/whoami", &[]).await.status,
        StatusCode::UNAUTHORIZED
    );
    let key = [("x-api-key", "ada-api-key")];
    assert_eq!(
        site.get("/signed/whoami", &key).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_replaced_signing_key_takes_the_old_one_out_of_use() {
    let mut site = site();
    site.vendor
        .set_credential("u_ada", CredentialKind::SigningKey, true)
        .unwrap();
    let reply = signed(&mut site, "GET", "/signed/whoami", "").await;
    assert_eq!(reply.json()["error"]["code"], "invalid_signature");
}
