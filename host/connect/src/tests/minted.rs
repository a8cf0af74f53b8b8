//! Tokens that the host signs by itself (R46), a signed log-in, and apps that ask for nothing.

use keyport_manifest::{JwtAlg, KeyFormat};
use serde_json::{Value, json as object};

use super::grants::{header, payload};
use super::pretend::*;
use super::*;
use crate::jose::key::SigningKey;
use crate::jose::tests::{pem, public_pem};
use crate::jose::verify_with_text;

/// An app with a way `way` of the type `jwt`, whose `sign` is this.
fn signing(sign: &str, inject: &str) -> String {
    format!(
        "
api:
  base_url: https://api.acme.test
auth:
  way:
    type: jwt
    label: Key
    fields:
      - {{ id: id, label: Id, help: There. }}
      - {{ id: key, label: Key, secret: true, multiline: true, help: There. }}
    sign:
{sign}{inject}
"
    )
}

/// The token of a request, without its scheme.
fn token(seen: &Seen) -> String {
    let line = &seen.headers["authorization"];
    line.split_once(' ').unwrap().1.to_owned()
}

fn now(app: &App) -> i64 {
    app.engine.now() / 1000
}

/// Ghost: a shared secret in hexadecimal, its id in the header, a scheme of its own. A token is used until shortly before its
/// end and never after it.
#[tokio::test]
async fn r46_a_shared_secret_in_hex_signs_tokens_that_are_kept_until_just_before_their_end() {
    const SECRET: &str = "a secret of more than thirty-two bytes";
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    let yaml = signing(
        "      alg: HS256
      key: '{{ credentials.key }}'
      key_format: hex
      header: { kid: '{{ credentials.id }}' }
      claims: { aud: /admin/ }
      lifetime: 300
",
        "    inject: [{ header: Authorization, value: 'Ghost {{ jwt.token }}' }]",
    );
    let app = app(&yaml, |_| me()).await;
    let id = app.connected(&[("id", "kid-1"), ("key", &hex)]).await;
    let first = token(&app.last());
    assert!(app.last().headers["authorization"].starts_with("Ghost "));
    let claims = verify_with_text(&first, JwtAlg::Hs256, SECRET).unwrap();
    assert_eq!(
        (&claims["aud"], &header(&first)["kid"]),
        (&object!("/admin/"), &object!("kid-1"))
    );
    let mut tokens = vec![first];
    for _ in 0..20 {
        app.pass(30);
        app.get(&id, "/me").await;
        let used = token(&app.last());
        let claims = payload(&used);
        let (issued, ends) = (
            claims["iat"].as_i64().unwrap(),
            claims["exp"].as_i64().unwrap(),
        );
        assert_eq!(ends - issued, 300);
        assert!(
            ends > now(&app) && issued <= now(&app),
            "{claims} at {}",
            now(&app)
        );
        if tokens.last() != Some(&used) {
            tokens.push(used);
        }
    }
    assert!((3..=8).contains(&tokens.len()), "{}", tokens.len());
    // A secret that is not hexadecimal signs nothing, and nothing is sent.
    let before = app.all().len();
    let flow = app
        .connect(&[("id", "kid-1"), ("key", "not hexadecimal")])
        .await;
    assert_eq!(flow.status, FlowStatus::Failed);
    assert_eq!(app.all().len(), before);
}

/// App Store Connect: ES256 with a PKCS#8 key, the key's id in the header.
#[tokio::test]
async fn r46_an_elliptic_key_signs_what_its_public_part_verifies() {
    let yaml = signing(
        "      alg: ES256
      key: '{{ credentials.key }}'
      header: { kid: '{{ credentials.id }}' }
      claims: { iss: issuer-1, aud: appstoreconnect-v1 }
      lifetime: 1200
",
        "",
    );
    let key = pem(JwtAlg::Es256);
    let app = app(&yaml, |_| me()).await;
    app.connected(&[("id", "kid-2"), ("key", &key)]).await;
    let sent = token(&app.last());
    let public = public_pem(&SigningKey::parse(&key, KeyFormat::Pem, JwtAlg::Es256).unwrap());
    let claims = verify_with_text(&sent, JwtAlg::Es256, &public).unwrap();
    assert_eq!(
        (&claims["iss"], &claims["aud"]),
        (&object!("issuer-1"), &object!("appstoreconnect-v1"))
    );
    assert_eq!(
        header(&sent),
        object!({"kid": "kid-2", "alg": "ES256", "typ": "JWT"})
    );
    // Another connection, another key: nothing of the first one's token is used.
    let other = pem(JwtAlg::Es256);
    app.connected(&[("id", "kid-2"), ("key", &other)]).await;
    assert!(verify_with_text(&token(&app.last()), JwtAlg::Es256, &public).is_err());
    // R44: a key of another kind.
    let before = app.all().len();
    let flow = app
        .connect(&[("id", "kid-2"), ("key", &pem(JwtAlg::Rs256))])
        .await;
    assert_eq!(flow.status, FlowStatus::Failed);
    assert_eq!(app.all().len(), before);
}

/// Snowflake: RS256, and the issuer ends in the fingerprint of the public key.
#[tokio::test]
async fn r46_the_fingerprint_of_a_key_stands_in_its_tokens() {
    let yaml = signing(
        "      alg: RS256
      key: '{{ credentials.key }}'
      fingerprint: sha256
      claims: { iss: '{{ credentials.id }}.SHA256:{{ key.fingerprint }}', sub: '{{ credentials.id }}' }
      lifetime: 3600
",
        "",
    );
    let key = pem(JwtAlg::Rs256);
    let app = app(&yaml, |_| me()).await;
    let id = app.connected(&[("id", "ACME.ADA"), ("key", &key)]).await;
    let parsed = SigningKey::parse(&key, KeyFormat::Pem, JwtAlg::Rs256).unwrap();
    let sent = token(&app.last());
    let claims = verify_with_text(&sent, JwtAlg::Rs256, &public_pem(&parsed)).unwrap();
    use base64::Engine as _;
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(parsed.public_der().unwrap());
    let digest = base64::engine::general_purpose::STANDARD.encode(digest);
    assert_eq!(claims["iss"], format!("ACME.ADA.SHA256:{digest}"));
    assert_eq!(claims["sub"], "ACME.ADA");
    // An app that echoes its request does not hand the token to whoever called.
    let (_, body) = app.get(&id, "/me").await;
    assert!(!body.contains(&sent));
}

/// A log-in whose first request carries a JWT that the host signs; a second log-in has one of its own.
#[tokio::test]
async fn a_session_is_begun_with_a_signed_token_and_begun_again_with_a_new_one() {
    let yaml = "
api:
  base_url: https://api.acme.test
auth:
  way:
    type: session
    label: Key
    fields:
      - { id: key, label: Key, secret: true, multiline: true, help: There. }
    steps:
      - sign: { alg: RS256, key: '{{ credentials.key }}', claims: { iss: acme-1, aud: 'https://id.acme.test/login' }, lifetime: 60 }
        request: { method: POST, path: 'https://id.acme.test/login', body: { form: { assertion: '{{ jwt.token }}' } } }
        capture: { sid: { path: $.session } }
    expiry: { in: $.ttl }
    logout: { none: A session ends by itself. }
    inject:
      - { header: X-Session, value: '{{ capture.sid }}' }
";
    let key = pem(JwtAlg::Rs256);
    let public = public_pem(&SigningKey::parse(&key, KeyFormat::Pem, JwtAlg::Rs256).unwrap());
    let count = std::sync::atomic::AtomicUsize::new(0);
    let app = app(yaml, move |seen| match seen.line.as_str() {
        "POST /login" => {
            let form: IndexMap<String, String> = url::form_urlencoded::parse(seen.body.as_bytes())
                .into_owned()
                .collect();
            let good = verify_with_text(&form["assertion"], JwtAlg::Rs256, &public);
            match good {
                Ok(claims) if claims["iss"] == "acme-1" => {
                    let number = count.fetch_add(1, Ordering::SeqCst);
                    json(
                        200,
                        object!({"session": format!("session-{number:05}"), "ttl": 600}),
                    )
                }
                _ => json(401, Value::Null),
            }
        }
        _ if seen
            .headers
            .get("x-session")
            .is_some_and(|sid| sid.starts_with("session-")) =>
        {
            me()
        }
        _ => json(401, Value::Null),
    })
    .await;
    let id = app.connected(&[("key", &key)]).await;
    assert_eq!(app.count("POST /login"), 1);
    app.pass(599);
    assert_eq!(app.get(&id, "/me").await.0, 200);
    assert_eq!(app.last().headers["x-session"], "session-00001");
    let logins: Vec<String> = app
        .all()
        .into_iter()
        .filter(|seen| seen.line == "POST /login")
        .map(|seen| seen.body)
        .collect();
    assert_eq!(logins.len(), 2);
    assert_ne!(logins[0], logins[1]);
    assert!(!logins[0].contains("PRIVATE"));
}

/// A public app: nothing is asked for, nothing is sent along, and yet the test is made.
#[tokio::test]
async fn an_app_without_a_sign_in_is_connected_by_its_test_alone() {
    let yaml = "
api:
  base_url: https://api.acme.test
auth:
  way:
    type: none
    label: Nothing
    reason: Everybody may read this app's data.
";
    let up = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let theirs = Arc::clone(&up);
    let app = app(yaml, move |_| {
        if theirs.load(Ordering::SeqCst) {
            me()
        } else {
            json(403, Value::Null)
        }
    })
    .await;
    let id = app.connected(&[]).await;
    assert_eq!(app.last().line, "GET /me");
    assert!(!app.last().headers.contains_key("authorization"));
    assert_eq!(app.get(&id, "/more").await.0, 200);
    let gone = app.engine.disconnect(&Actor::Host, &id).await.unwrap();
    assert_ne!(gone.revoked, Revoked::No, "there is nothing to end");
    up.store(false, Ordering::SeqCst);
    assert_eq!(app.connect(&[]).await.status, FlowStatus::Failed);
}
