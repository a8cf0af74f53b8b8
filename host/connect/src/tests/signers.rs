//! Whole connections whose requests are signed: HMAC and WSSE as the app checks them, and what is wrong with the keys of AWS, in
//! words (R64). Signature Version 4 itself is held against the published suite in `signing/sigv4_tests.rs`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Digest as _;

use super::pretend::*;
use super::{Actor, NOW};

const WAY: &str = "
api:
  base_url: https://api.acme.test
auth:
  way:
    type: aws_sigv4
    label: Access key
    fields:
      - { id: id, label: Access key id, help: There. }
      - { id: secret, label: Secret access key, secret: true, help: There. }
    access_key_id: '{{ credentials.id }}'
    secret_access_key: '{{ credentials.secret }}'
    region: eu-central-1
    service: sts
";

/// The test of the app that ships, with what it says of refusals.
fn test() -> String {
    let shipped = include_str!("../../../../manifests/aws/manifest.yaml");
    let test = shipped.split_once("\ntest:").unwrap().1;
    let test = test.split_once("\nsources:").unwrap().0;
    format!("{WAY}\ntest:{test}")
}

const OK: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><UserId>AIDA1</UserId><Account>123</Account>\
    <Arn>arn:aws:iam::123:user/ada</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>";

#[tokio::test]
async fn r64_what_is_wrong_with_aws_keys_is_said_in_three_messages() {
    let mut said = std::collections::BTreeSet::new();
    for code in [
        "SignatureDoesNotMatch",
        "InvalidClientTokenId",
        "AccessDenied",
    ] {
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code></Error></ErrorResponse>"
        );
        let app = app(&test(), move |seen| {
            assert!(seen.headers["authorization"].starts_with("AWS4-HMAC-SHA256 Credential=AKIA"));
            axum::response::Response::builder()
                .status(403)
                .header("content-type", "text/xml")
                // The clock of these tests: a server with another one would be asked a second time.
                .header("date", "Fri, 15 Jan 2027 08:00:00 GMT")
                .body(axum::body::Body::from(body.clone()))
                .unwrap()
        })
        .await;
        let flow = app
            .connect(&[("id", "AKIAIOSFODNN7EXAMPLE"), ("secret", "a-secret-key-1")])
            .await;
        let error = flow.error.unwrap();
        assert!(!error.say.contains("a-secret-key-1"), "{}", error.say);
        said.insert(error.say);
        assert_eq!(app.all().len(), 1);
    }
    assert_eq!(said.len(), 3, "{said:?}");
    let app = app(&test(), |seen| {
        // The secret itself is in no request.
        assert!(!format!("{seen:?}").contains("a-secret-key-1"));
        let answer = axum::response::Response::builder().header("content-type", "text/xml");
        answer.body(axum::body::Body::from(OK)).unwrap()
    })
    .await;
    app.connected(&[("id", "AKIAIOSFODNN7EXAMPLE"), ("secret", "a-secret-key-1")])
        .await;
}

const HMAC: &str = "
api:
  base_url: https://api.acme.test
auth:
  way:
    type: hmac
    label: Key
    fields:
      - { id: id, label: Key id, help: There. }
      - { id: secret, label: Secret, secret: true, help: There. }
    key: '{{ credentials.secret }}'
    message: '{{ timestamp }}{{ request.method }}{{ request.path }}{{ request.body_sha256 }}'
    inject:
      - { header: X-Key, value: '{{ credentials.id }}' }
      - { header: X-Time, value: '{{ timestamp }}' }
      - { header: X-Signature, value: '{{ signature }}' }
";

/// The app makes the signature itself and compares: over the request as it arrived, and with the secret that is in none.
#[tokio::test]
async fn an_app_that_checks_an_hmac_over_each_request_takes_ours() {
    let app = app(HMAC, |seen| {
        let (method, path) = seen.line.split_once(' ').unwrap();
        let digest: String = sha2::Sha256::digest(seen.body.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"a-shared-secret-1").unwrap();
        mac.update(format!("{}{method}{path}{digest}", seen.headers["x-time"]).as_bytes());
        let wanted: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let good = seen.headers["x-signature"] == wanted
            && seen.headers["x-time"] == NOW.to_string()
            && !format!("{seen:?}").contains("a-shared-secret-1");
        if good {
            me()
        } else {
            json(401, serde_json::Value::Null)
        }
    })
    .await;
    let id = app
        .connected(&[("id", "key-1"), ("secret", "a-shared-secret-1")])
        .await;
    let request = http::Request::post("/notes")
        .header("content-type", "application/json")
        .header("content-length", 9)
        .body(keyport_egress::Body::from_bytes(r#"{"a": 42}"#))
        .unwrap();
    assert_eq!(app.proxy(&id, request).await.unwrap().0, 200);
    // A caller that brings a signature of its own is refused, and nothing is sent.
    let before = app.all().len();
    let forged = http::Request::get("/notes")
        .header("x-signature", "00")
        .body(keyport_egress::Body::empty())
        .unwrap();
    assert!(app.engine.proxy(&Actor::Host, &id, forged).await.is_err());
    assert_eq!(app.all().len(), before);
    let wrong = app
        .connect(&[("id", "key-1"), ("secret", "another-secret-1")])
        .await;
    assert_eq!(wrong.status, super::FlowStatus::Failed);
}

const WSSE: &str = "
api:
  base_url: https://api.acme.test
auth:
  way:
    type: wsse
    label: User
    fields:
      - { id: user, label: User, help: There. }
      - { id: secret, label: Secret, secret: true, help: There. }
    username: '{{ credentials.user }}'
    secret: '{{ credentials.secret }}'
";

#[tokio::test]
async fn an_app_that_checks_a_wsse_digest_takes_ours_and_sees_no_nonce_twice() {
    let seen_nonces = std::sync::Mutex::new(std::collections::BTreeSet::new());
    let app = app(WSSE, move |seen| {
        let line = seen.headers["x-wsse"].clone();
        let part = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let nonce = STANDARD.decode(part("Nonce")).unwrap();
        let mut sum = sha1::Sha1::new();
        sum.update(&nonce);
        sum.update(part("Created"));
        sum.update("a-shared-secret-2");
        let good = STANDARD.encode(sum.finalize()) == part("PasswordDigest")
            && part("Username") == "ada"
            && seen_nonces.lock().unwrap().insert(nonce);
        if good {
            me()
        } else {
            json(401, serde_json::Value::Null)
        }
    })
    .await;
    let id = app
        .connected(&[("user", "ada"), ("secret", "a-shared-secret-2")])
        .await;
    for _ in 0..5 {
        assert_eq!(app.get(&id, "/more").await.0, 200);
    }
    assert!(!format!("{:?}", app.all()).contains("a-shared-secret-2"));
}
