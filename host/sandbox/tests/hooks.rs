//! Webhooks as the vendor sends them, seen from where they arrive.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod common;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use common::{Site, site};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

const SECRET: &str = "a-secret-of-the-listener";

/// What arrived, and what is answered to events.
#[derive(Clone, Default)]
struct Listener {
    seen: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    answers: Arc<Mutex<Vec<u16>>>,
}

impl Listener {
    /// Listens; the address. One that is `mute` does not answer challenges.
    async fn start(&self, mute: bool) -> String {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/hooks/x?y=1", socket.local_addr().unwrap());
        let ours = self.clone();
        let answer = move |headers: HeaderMap, body: Bytes| async move {
            let said: Value = serde_json::from_slice(&body).unwrap();
            if let (Some(challenge), false) = (said["challenge"].as_str(), mute) {
                return (StatusCode::OK, challenge.to_owned());
            }
            ours.seen.lock().unwrap().push((headers, body));
            let status = ours.answers.lock().unwrap().pop().unwrap_or(200);
            (StatusCode::from_u16(status).unwrap(), "{}".to_owned())
        };
        let router = Router::new().route("/hooks/x", post(answer));
        tokio::spawn(async move { axum::serve(socket, router).await });
        address
    }

    async fn until(&self, count: usize) -> Vec<(HeaderMap, Value)> {
        loop {
            let seen = self.seen.lock().unwrap().clone();
            if seen.len() >= count {
                let read = |(headers, body): (HeaderMap, Bytes)| {
                    assert!(signed(&headers, &body));
                    (headers, serde_json::from_slice(&body).unwrap())
                };
                return seen.into_iter().map(read).collect();
            }
            tokio::task::yield_now().await;
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

fn signed(headers: &HeaderMap, body: &[u8]) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(headers["x-vendor-timestamp"].as_bytes());
    mac.update(b".");
    mac.update(body);
    let mac = mac.finalize().into_bytes();
    let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    headers["x-vendor-signature"] == format!("v1={hex}")
}

const ADA: [(&str, &str); 1] = [("x-api-key", "ada-api-key")];

async fn hooked(site: &mut Site, url: &str) -> (u16, Value) {
    let new = json!({ "url": url, "secret": SECRET, "event": "note.created" });
    let reply = site.post_json("/api/hooks", &ADA, &new).await;
    (reply.status.as_u16(), reply.json())
}

#[tokio::test]
async fn a_note_is_posted_signed_to_whoever_answered_the_challenge_and_again_until_it_is_taken() {
    let mut site = site();
    let listener = Listener::default();
    let url = listener.start(false).await;
    let (status, made) = hooked(&mut site, &url).await;
    assert_eq!(status, 201, "{made}");
    assert!(!made.to_string().contains(SECRET));
    // The last is answered first.
    listener.answers.lock().unwrap().extend([200, 500, 503]);
    site.post_json("/api/notes", &ADA, &json!({ "title": "Hello" }))
        .await;
    let seen = listener.until(3).await;
    assert_eq!(seen[0].1["note"]["title"], "Hello");
    assert_eq!(
        (&seen[0].1["type"], &seen[0].1["account"]),
        (&json!("note.created"), &json!("u_ada"))
    );
    assert_eq!(seen[0].1, seen[2].1, "the same event each time");
    assert!(!seen[0].0.contains_key("x-vendor-retry-num"));
    assert_eq!(seen[2].0["x-vendor-retry-num"], "2");

    let id = made["id"].as_str().unwrap();
    let path = format!("/api/hooks/{id}");
    let others = [("x-api-key", "somebody-elses")];
    assert_eq!(site.call("DELETE", &path, &others, "").await.status, 401);
    assert_eq!(site.call("DELETE", &path, &ADA, "").await.status, 204);
    assert_eq!(site.call("DELETE", &path, &ADA, "").await.status, 404);
    let left = site.get("/api/hooks", &ADA).await.json();
    assert_eq!(left["hooks"], json!([]));
}

#[tokio::test]
async fn an_address_that_is_not_on_this_machine_or_does_not_answer_gets_nothing() {
    let mut site = site();
    for url in [
        "https://127.0.0.1:1/x",
        "http://169.254.169.254:80/latest",
        "http://example.com:8080/",
        "http://localhost/no-port",
        "http://user@127.0.0.1:1/",
        "file:///etc/passwd",
        "not an address",
        "",
    ] {
        let (status, said) = hooked(&mut site, url).await;
        assert_eq!(
            (status, &said["error"]["code"]),
            (422, &json!("invalid_hook")),
            "{url}"
        );
    }
    let mute = Listener::default();
    let url = mute.start(true).await;
    let (status, said) = hooked(&mut site, &url).await;
    assert_eq!(
        (status, &said["error"]["code"]),
        (422, &json!("challenge_failed"))
    );
    let (status, _) = hooked(&mut site, "http://127.0.0.1:9/nobody").await;
    assert_eq!(status, 422);
    let left = site.get("/api/hooks", &ADA).await.json();
    assert_eq!(left["hooks"], json!([]));
}
