//! R52: who signed in, by a token that the server signed, and the ways in which that is forged.

use std::collections::BTreeMap;
use std::sync::Mutex;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyport_manifest::{JwtAlg, KeyFormat};
use serde_json::{Map, Value, json as object};

use super::provider::*;
use super::*;
use crate::jose::key::SigningKey;
use crate::jose::mint::sign;

const AUTH: &str = r#"
    discover: { issuer: https://as.keyport.test }
    scopes: { default: [openid] }
    capture:
      subject: { claim: sub, public: true }
    refresh: { rotates: always }
    revoke: { none: It ends by itself. }
"#;

/// A key of the issuer: it signs, and its public part is in the set.
pub(super) struct Issuer {
    key: SigningKey,
    pub(super) jwk: Value,
    kid: String,
}

impl Issuer {
    pub(super) fn new(kid: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        // RSAPublicKey (RFC 8017, A.1.1) of 2048 bits: two integers behind headers of known length.
        let public = pair.public_key().as_ref();
        let n = URL_SAFE_NO_PAD.encode(&public[9..265]);
        let e = URL_SAFE_NO_PAD.encode(&public[267..]);
        Self {
            key: SigningKey::parse(&pem, KeyFormat::Pem, JwtAlg::Rs256).unwrap(),
            jwk: object!({"kty": "RSA", "use": "sig", "kid": kid, "n": n, "e": e}),
            kid: kid.to_owned(),
        }
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = Map::from_iter([("kid".to_owned(), object!(self.kid))]);
        sign(&self.key, header, claims.as_object().unwrap())
            .unwrap()
            .expose()
            .to_owned()
    }
}

fn claims(nonce: &str) -> Value {
    object!({"iss": "https://as.keyport.test", "aud": "client", "sub": "ada", "exp": NOW + 300, "iat": NOW, "nonce": nonce})
}

async fn stand() -> Stand {
    let pinned = NewConfiguration {
        client_id: Some("client".into()),
        client_secret: Some(CLIENT_SECRET.into()),
        origins: vec!["https://as.keyport.test".into()],
        ..NewConfiguration::default()
    };
    Stand::configured(AUTH, pinned).await
}

/// The server: its metadata, the keys that it shows now, the token that it gives.
fn server(
    keys: Arc<Mutex<Vec<Value>>>,
    token: Arc<Mutex<String>>,
) -> impl FnMut(&Seen) -> Option<Reply> + Send {
    move |seen| match seen.line().as_str() {
        "GET as/.well-known/oauth-authorization-server" => Some(json(object!({
            "issuer": "https://as.keyport.test",
            "authorization_endpoint": "https://as.keyport.test/authorize",
            "token_endpoint": "https://as.keyport.test/token",
            "jwks_uri": "https://as.keyport.test/keys",
        }))),
        "GET as/keys" => Some(json(object!({ "keys": *keys.lock().unwrap() }))),
        "POST as/token" => Some(json(
            object!({"access_token": "access-token-1", "id_token": *token.lock().unwrap()}),
        )),
        _ => None,
    }
}

/// Signs in with what `make` makes of the nonce that was sent.
async fn sign_in(
    stand: &Stand,
    token: &Arc<Mutex<String>>,
    make: impl FnOnce(&str) -> String,
) -> FlowView {
    let session = stand.session("u1").await;
    stand
        .sign_in(&session, &[], |_, sent: &BTreeMap<String, String>| {
            *token.lock().unwrap() = make(&sent["nonce"]);
            code_for(sent)
        })
        .await
}

#[tokio::test]
async fn r52_a_token_counts_only_with_its_signature_issuer_audience_life_and_nonce() {
    let issuer = Issuer::new("k1");
    let stranger = Issuer::new("k1");
    let with = |name: &'static str, value: Value| {
        let issuer = &issuer;
        move |nonce: &str| {
            let mut claims = claims(nonce);
            claims[name] = value;
            issuer.sign(&claims)
        }
    };
    type Make<'m> = Box<dyn FnOnce(&str) -> String + 'm>;
    let cases: Vec<(&str, Make<'_>, Option<&str>)> = vec![
        (
            "as it should be",
            Box::new(|nonce| issuer.sign(&claims(nonce))),
            None,
        ),
        (
            "several parties, ours among them",
            Box::new(|nonce| {
                let mut claims = claims(nonce);
                claims["aud"] = object!(["client", "another"]);
                claims["azp"] = object!("client");
                issuer.sign(&claims)
            }),
            None,
        ),
        (
            "another issuer",
            Box::new(with("iss", object!("https://evil.example"))),
            Some("id_token_issuer"),
        ),
        (
            "another audience",
            Box::new(with("aud", object!("another"))),
            Some("id_token_audience"),
        ),
        (
            "several parties, and not said which",
            Box::new(with("aud", object!(["client", "another"]))),
            Some("id_token_party"),
        ),
        (
            "for another party",
            Box::new(with("azp", object!("another"))),
            Some("id_token_party"),
        ),
        (
            "over",
            Box::new(with("exp", object!(NOW - 61))),
            Some("id_token_expired"),
        ),
        (
            "without an end",
            Box::new(with("exp", Value::Null)),
            Some("id_token_expired"),
        ),
        (
            "of another flow",
            Box::new(with("nonce", object!("another"))),
            Some("id_token_nonce"),
        ),
        (
            "without a nonce",
            Box::new(with("nonce", Value::Null)),
            Some("id_token_nonce"),
        ),
        (
            "signed by somebody else",
            Box::new(|nonce| stranger.sign(&claims(nonce))),
            Some("id_token_signature"),
        ),
        (
            "unsigned",
            Box::new(|nonce| {
                let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
                format!(
                    "{}.{}.",
                    part(&object!({"alg": "none"})),
                    part(&claims(nonce))
                )
            }),
            Some("id_token_algorithm"),
        ),
        (
            "signed with the public key as a secret",
            Box::new(|nonce| {
                let secret = issuer.jwk["n"].as_str().unwrap();
                let key = SigningKey::parse(secret, KeyFormat::Text, JwtAlg::Hs256).unwrap();
                sign(&key, Map::new(), claims(nonce).as_object().unwrap())
                    .unwrap()
                    .expose()
                    .to_owned()
            }),
            Some("id_token_algorithm"),
        ),
        (
            "no token",
            Box::new(|_| "x.y".to_owned()),
            Some("capture_missing"),
        ),
    ];
    for (what, make, wanted) in cases {
        let stand = stand().await;
        let token: Arc<Mutex<String>> = Arc::default();
        let keys = Arc::new(Mutex::new(vec![issuer.jwk.clone()]));
        stand.script(server(keys, token.clone()));
        let flow = sign_in(&stand, &token, make).await;
        match wanted {
            None => {
                assert_eq!(
                    flow.status,
                    FlowStatus::Connected,
                    "{what}: {:?}",
                    flow.error
                );
                let stored = stand.stored(&flow.connection_id.unwrap()).await;
                assert_eq!(stored.sealed.unwrap().capture["subject"].expose(), "ada");
            }
            Some(code) => {
                let error = flow.error.unwrap_or_else(|| panic!("{what} was taken"));
                assert!(error.say.contains(code), "{what}: {}", error.say);
            }
        }
    }
}

/// A key that was changed is fetched once; a key that nobody has is not asked for again and again.
#[tokio::test]
async fn r52_a_set_without_the_key_is_fetched_once_more_and_then_not_for_a_while() {
    let (old, new, unknown) = (
        Issuer::new("old"),
        Issuer::new("new"),
        Issuer::new("unknown"),
    );
    let stand = stand().await;
    let token: Arc<Mutex<String>> = Arc::default();
    let keys = Arc::new(Mutex::new(vec![old.jwk.clone()]));
    stand.script(server(keys.clone(), token.clone()));
    let fetched = || stand.seen().iter().filter(|s| s.path == "/keys").count();
    let flow = sign_in(&stand, &token, |nonce| old.sign(&claims(nonce))).await;
    assert_eq!((flow.status, fetched()), (FlowStatus::Connected, 1));
    let flow = sign_in(&stand, &token, |nonce| old.sign(&claims(nonce))).await;
    assert_eq!((flow.status, fetched()), (FlowStatus::Connected, 1));

    *keys.lock().unwrap() = vec![new.jwk.clone()];
    stand.pass(61);
    let flow = sign_in(&stand, &token, |nonce| new.sign(&claims(nonce))).await;
    assert_eq!((flow.status, fetched()), (FlowStatus::Connected, 2));
    for _ in 0..3 {
        let flow = sign_in(&stand, &token, |nonce| unknown.sign(&claims(nonce))).await;
        assert_eq!((flow.status, fetched()), (FlowStatus::Failed, 2));
    }
    stand.pass(61);
    let flow = sign_in(&stand, &token, |nonce| unknown.sign(&claims(nonce))).await;
    assert_eq!((flow.status, fetched()), (FlowStatus::Failed, 3));
}
