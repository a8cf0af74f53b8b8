//! What comes back from the app: signatures, states that are short or missing, and who may bring them.

use std::collections::BTreeMap;

use keyport_manifest::{JwtAlg, KeyFormat};
use serde_json::{Map, json};

use super::provider::*;
use super::*;
use crate::jose::key::SigningKey;
use crate::jose::mint::sign;

const URLS: &str = r#"
    authorize_url: https://as.keyport.test/authorize
    token_url: https://as.keyport.test/token
    issuer: https://as.keyport.test
    refresh: { rotates: always }
    revoke: { none: It ends by itself. }
"#;

fn hmac(text: &str) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(CLIENT_SECRET.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn joined(params: &[(String, String)]) -> String {
    let parts: Vec<String> = params.iter().map(|(n, v)| format!("{n}={v}")).collect();
    parts.join("&")
}

/// A33: Shopify signs its callback; one that is not signed, or was changed, costs no request.
#[tokio::test]
async fn a33_a_callback_that_is_not_signed_right_never_reaches_the_token_endpoint() {
    type Change = fn(&mut Vec<(String, String)>);
    let cases: [(Change, bool); 6] = [
        (|_| {}, true),
        (|params| params.retain(|(name, _)| name != "hmac"), false),
        (
            |params| params.last_mut().unwrap().1 = "00".repeat(32),
            false,
        ),
        (|params| params.last_mut().unwrap().1 = "zz".into(), false),
        (|params| params[0].1 = "another-shop".into(), false),
        (
            |params| params.insert(0, ("more".into(), "1".into())),
            false,
        ),
    ];
    for over in ["sorted_query", "query"] {
        let auth = format!(
            "{URLS}    callback: {{ verify: {{ type: hmac_sha256, key: \"{{{{ app.client_secret }}}}\", param: hmac, over: {over} }} }}\n"
        );
        for (change, good) in cases {
            let stand = Stand::new(&auth).await;
            stand.script(|seen| (seen.path == "/token").then(tokens));
            let session = stand.session("u1").await;
            let flow = stand
                .sign_in(&session, &[], |_, sent| {
                    let mut params = vec![("shop".into(), "acme".into())];
                    params.extend(code_for(sent));
                    let mut signed = params.clone();
                    if over == "sorted_query" {
                        signed.sort();
                    }
                    params.push(("hmac".into(), hmac(&joined(&signed))));
                    change(&mut params);
                    params
                })
                .await;
            if good {
                assert_eq!(
                    flow.status,
                    FlowStatus::Connected,
                    "{over}: {:?}",
                    flow.error
                );
            } else {
                assert_eq!(flow.error.unwrap().code, "callback_not_signed", "{over}");
                assert!(stand.seen().is_empty());
            }
        }
    }
}

#[tokio::test]
async fn a_callback_signed_with_a_jwt_is_checked_by_its_algorithm_alone() {
    let auth = format!(
        "{URLS}    callback: {{ verify: {{ type: jwt, key: \"{{{{ app.client_secret }}}}\", param: signed, alg: HS256 }} }}\n"
    );
    let token = |secret: &str, alg: JwtAlg| {
        let key = SigningKey::parse(secret, KeyFormat::Text, alg).unwrap();
        let claims = Map::from_iter([("shop".to_owned(), json!("acme"))]);
        sign(&key, Map::new(), &claims).unwrap().expose().to_owned()
    };
    for (signed, good) in [
        (token(CLIENT_SECRET, JwtAlg::Hs256), true),
        (token(CLIENT_SECRET, JwtAlg::Hs512), false),
        (token("another", JwtAlg::Hs256), false),
        ("eyJhbGciOiJub25lIn0.e30.".to_owned(), false),
        ("x".to_owned(), false),
    ] {
        let stand = Stand::new(&auth).await;
        stand.script(|seen| (seen.path == "/token").then(tokens));
        let session = stand.session("u1").await;
        let flow = stand
            .sign_in(&session, &[], |_, sent| {
                let mut params = code_for(sent);
                params.push(("signed".into(), signed.clone()));
                params
            })
            .await;
        assert_eq!(flow.status == FlowStatus::Connected, good, "{signed}");
        assert_eq!(stand.seen().is_empty(), !good);
    }
}

/// An app that brings back no state: the browser's own cookie says which sign-in it is, and nothing else does.
#[tokio::test]
async fn without_a_state_only_the_browser_that_left_can_come_back() {
    let auth = format!("{URLS}    callback: {{ without_state: The app drops it. }}\n");
    let stand = Stand::new(&auth).await;
    stand.script(|seen| (seen.path == "/token").then(tokens));
    let session = stand.session("u1").await;
    let started = stand
        .engine
        .start_oauth(&session, stand.start(&[]))
        .await
        .unwrap();
    let go = stand.engine.go(&session, &started.flow.id).await.unwrap();
    assert!(!go.authorize_url.contains("state="));
    let back = || vec![("code".to_owned(), "c0de".to_owned())];
    let forged = |_: &str| Some(format!("{}.{}", started.flow.id, "A".repeat(43)));
    for browser in [
        &(|_: &str| None) as &(dyn Fn(&str) -> Option<String> + Send + Sync),
        &forged,
        &(|_: &str| Some("1".to_owned())),
    ] {
        let outcome = stand
            .engine
            .callback(&stand.config.id, back(), browser)
            .await;
        assert_eq!(outcome.next, CallbackNext::Neutral);
    }
    // The path of another configuration does not take it either.
    let other = stand
        .engine
        .configure(&Actor::Host, "scripted", NewConfiguration::default())
        .await
        .unwrap();
    let outcome = stand.engine.callback(&other.id, back(), &jar(&go)).await;
    assert_eq!(outcome.next, CallbackNext::Neutral);
    assert!(stand.seen().is_empty());
    stand
        .engine
        .callback(&stand.config.id, back(), &jar(&go))
        .await;
    let flow = stand.engine.flow(&session, &started.flow.id).await.unwrap();
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    let again = stand
        .engine
        .callback(&stand.config.id, back(), &jar(&go))
        .await;
    assert_eq!(again.error.unwrap().code, "already_used");
}

/// A short state is as much a one-time secret as a long one (A5, A6).
#[tokio::test]
async fn a_short_state_cannot_be_guessed_or_used_twice() {
    let auth = format!("{URLS}    callback: {{ max_state: 43 }}\n");
    let stand = Stand::new(&auth).await;
    stand.script(|seen| (seen.path == "/token").then(tokens));
    let session = stand.session("u1").await;
    let started = stand
        .engine
        .start_oauth(&session, stand.start(&[]))
        .await
        .unwrap();
    let go = stand.engine.go(&session, &started.flow.id).await.unwrap();
    let sent: BTreeMap<String, String> = Url::parse(&go.authorize_url)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect();
    assert_eq!(sent["state"].len(), 43);
    let with = |state: String| {
        vec![
            ("code".to_owned(), "c0de".to_owned()),
            ("state".to_owned(), state),
        ]
    };
    let (id, secret) = sent["state"].split_at(22);
    for state in [
        format!("{id}{}", "A".repeat(21)),
        format!("{}{secret}", "A".repeat(22)),
        id.to_owned(),
        String::new(),
    ] {
        let outcome = stand
            .engine
            .callback(&stand.config.id, with(state), &jar(&go))
            .await;
        assert_eq!(outcome.error.unwrap().code, "unknown_state");
    }
    let tries = (0..20).map(|_| async {
        let jar = jar(&go);
        stand
            .engine
            .callback(&stand.config.id, with(sent["state"].clone()), &jar)
            .await
    });
    let outcomes = futures_util::future::join_all(tries).await;
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| outcome.flow.is_some())
            .count(),
        1
    );
    assert_eq!(stand.seen().len(), 1);
}

/// R15, R17: the verifier is 43 unreserved characters, new each time, and in no address.
#[tokio::test]
async fn r15_each_flow_has_a_verifier_of_its_own() {
    let stand = Stand::new(URLS).await;
    stand.script(|seen| (seen.path == "/token").then(tokens));
    let session = stand.session("u1").await;
    let mut challenges = Vec::new();
    for _ in 0..2 {
        stand
            .sign_in(&session, &[], |url, sent| {
                assert!(!url.as_str().contains("code_verifier"));
                challenges.push(sent["code_challenge"].clone());
                code_for(sent)
            })
            .await;
    }
    let verifiers: Vec<String> = stand
        .seen()
        .iter()
        .map(|s| s.form()["code_verifier"].clone())
        .collect();
    assert_ne!(verifiers[0], verifiers[1]);
    for (verifier, challenge) in verifiers.iter().zip(&challenges) {
        assert_eq!(verifier.len(), 43);
        assert!(
            verifier
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        );
        use base64::Engine as _;
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(verifier.as_bytes());
        assert_eq!(
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest),
            *challenge
        );
    }
}

/// R18, A8: a code that the server does not take is spent here too.
#[tokio::test]
async fn r18_a8_a_refused_code_is_not_tried_again() {
    let stand = Stand::new(URLS).await;
    stand.script(|seen| {
        (seen.path == "/token").then(|| status(400, json!({"error": "invalid_grant"})))
    });
    let session = stand.session("u1").await;
    let started = stand
        .engine
        .start_oauth(&session, stand.start(&[]))
        .await
        .unwrap();
    let go = stand.engine.go(&session, &started.flow.id).await.unwrap();
    let sent: BTreeMap<String, String> = Url::parse(&go.authorize_url)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect();
    for _ in 0..3 {
        stand
            .engine
            .callback(&stand.config.id, code_for(&sent), &jar(&go))
            .await;
    }
    assert_eq!(stand.seen().len(), 1);
    let flow = stand.engine.flow(&session, &started.flow.id).await.unwrap();
    assert_eq!(flow.error.unwrap().code, "code_refused");
}

/// R20, A1, A7: a code is not carried from one configuration, or one app, to another.
#[tokio::test]
async fn r20_a1_a7_a_callback_at_another_address_makes_no_request() {
    let stand = Stand::new(URLS).await;
    stand.script(|seen| (seen.path == "/token").then(tokens));
    let session = stand.session("u1").await;
    let other = stand
        .engine
        .configure(&Actor::Host, "scripted", NewConfiguration::default())
        .await
        .unwrap();
    let started = stand
        .engine
        .start_oauth(&session, stand.start(&[]))
        .await
        .unwrap();
    let go = stand.engine.go(&session, &started.flow.id).await.unwrap();
    let sent: BTreeMap<String, String> = Url::parse(&go.authorize_url)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect();
    let outcome = stand
        .engine
        .callback(&other.id, code_for(&sent), &jar(&go))
        .await;
    assert_eq!(outcome.error.unwrap().code, "mixed_up");
    assert!(stand.seen().is_empty());
}

/// R11, R12, R21, A10: errors of the app, and issuers that are not the one.
#[tokio::test]
async fn r11_r21_a10_an_error_or_another_issuer_ends_the_flow_without_a_request() {
    type Change = fn(&mut Vec<(String, String)>);
    let cases: [(Change, &str); 6] = [
        (
            |p| p.push(("iss".into(), "https://evil.example".into())),
            "wrong_issuer",
        ),
        (|p| p.push(("iss".into(), String::new())), "wrong_issuer"),
        (
            |p| p.push(("iss".into(), "https://as.keyport.test/".into())),
            "wrong_issuer",
        ),
        (
            |p| p[0] = ("error".into(), "access_denied".into()),
            "denied",
        ),
        (
            |p| p[0] = ("error".into(), "invalid_target".into()),
            "client_refused",
        ),
        (
            |p| p[0] = ("error".into(), "<script>".into()),
            "app_refused",
        ),
    ];
    for (change, wanted) in cases {
        let stand = Stand::new(URLS).await;
        let session = stand.session("u1").await;
        let flow = stand
            .sign_in(&session, &[], |_, sent| {
                let mut params = code_for(sent);
                change(&mut params);
                params
            })
            .await;
        let error = flow.error.unwrap();
        assert_eq!(error.code, wanted);
        assert!(!error.say.contains('<') && error.say.len() < 300);
        assert!(stand.seen().is_empty());
    }
}
