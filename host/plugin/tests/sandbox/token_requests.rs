//! Sign-ins that a component does itself: it gets placeholders, reaches the token endpoint alone, and hands on what that
//! answered. Shopline's request is row 9 of the catalogue in `tests/cases/quirks`.

use std::sync::Arc;

use keyport_egress::Secret;
use keyport_manifest::{ExchangeValue, Oauth2, Scope};
use keyport_plugin::{Call, CallError, TokenRequest};
use serde_json::{Map, Value, json};

use crate::support::{Log, NEW_REFRESH, NEW_TOKEN, Upstream, attacks, beside, call, holds, whole};

pub const CODE: &str = "canary-code/1+2&3456";
pub const CLIENT_SECRET: &str = "canary-client-secret/a+b&c";

fn oauth() -> Oauth2 {
    serde_json::from_value(json!({
        "label": "In", "authorize_url": "https://id.hostile.test/authorize", "token_url": "https://id.hostile.test/token",
        "by_component": { "reason": "The request is signed over its body and the time.", "slots": {
            "code": [{ "body": "code" }, { "recipe": "token_request" }],
            "refresh_token": [{ "body": "refreshToken" }, { "recipe": "token_request" }],
            "client_secret": [{ "header": "X-Client-Secret" }],
        } },
    }))
    .unwrap()
}

/// A request for a token.
pub fn request() -> TokenRequest {
    TokenRequest {
        oauth: Arc::new(oauth()),
        public: Map::from_iter([
            ("url".to_owned(), json!("https://id.hostile.test/token")),
            ("client_id".to_owned(), json!("client-1")),
        ]),
        secrets: vec![
            (ExchangeValue::Code, Secret::new(CODE)),
            (ExchangeValue::ClientSecret, Secret::new(CLIENT_SECRET)),
            (ExchangeValue::RefreshToken, Secret::new(NEW_REFRESH)),
        ],
    }
}

/// A call that reaches the token endpoint and nothing else, as the host makes it.
pub fn token_call(upstream: &Upstream) -> (Call, Log) {
    let (mut call, log) = call(upstream);
    call.pass.hosts = "id.hostile.test".parse().unwrap();
    call.pass.base_url = Some(url::Url::parse("https://id.hostile.test/").unwrap());
    call.pass.credential = None;
    call.secrets.scope = Scope::new().with("app", json!({ "client_secret": CLIENT_SECRET }));
    call.secrets.recipes.insert(
        "token_request".to_owned(),
        serde_json::from_value(json!({ "type": "hmac_sha256", "key": "{{ app.client_secret }}", "slots": [{ "header": "sign" }] }))
            .unwrap(),
    );
    (call, log)
}

#[tokio::test]
async fn a_component_signs_a_token_request_without_seeing_code_secret_or_token() {
    let upstream = Upstream::start().await;
    let (call, log) = token_call(&upstream);
    let answer = whole()
        .await
        .exchange(call, "code", request())
        .await
        .unwrap();
    let answer: Value = serde_json::from_str(answer.expose()).unwrap();
    assert_eq!(answer["access_token"], NEW_TOKEN);
    assert_eq!(answer["refresh_token"], NEW_REFRESH);
    let arrived = upstream.arrived();
    let sent: Value = serde_json::from_str(&arrived[0].body).unwrap();
    assert_eq!(sent, json!({ "code": CODE }));
    let headers = &arrived[0].headers;
    assert_eq!(headers["appkey"], "client-1");
    // The app sees a signature over exactly the bytes that it got.
    let recipe: keyport_manifest::Recipe = serde_json::from_value(
        json!({ "type": "hmac_sha256", "key": "{{ app.client_secret }}", "slots": [{ "header": "sign" }] }),
    )
    .unwrap();
    let scope = Scope::new().with("app", json!({ "client_secret": CLIENT_SECRET }));
    let message = format!("{}{}", arrived[0].body, headers["timestamp"]);
    assert!(
        recipe
            .verify(&scope, &[], message.as_bytes(), &headers["sign"])
            .unwrap()
    );
    assert!(
        log.lock()
            .unwrap()
            .iter()
            .all(|line| !holds(&line.text, NEW_TOKEN))
    );
}

#[tokio::test]
async fn a_component_renews_a_token_and_says_what_a_refusal_means() {
    let upstream = Upstream::start().await;
    let renewed = whole()
        .await
        .exchange(token_call(&upstream).0, "refresh", request())
        .await;
    assert!(renewed.is_ok());
    let sent: Value = serde_json::from_str(&upstream.arrived()[0].body).unwrap();
    assert_eq!(sent, json!({ "refreshToken": NEW_REFRESH }));

    let mut bad = request();
    bad.secrets[0].1 = Secret::new("bad-code");
    match whole()
        .await
        .exchange(token_call(&upstream).0, "code", bad)
        .await
        .err()
        .unwrap()
    {
        CallError::Failure(failure) => assert_eq!(failure.code, "invalid_grant"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn foreign_token() {
    let upstream = Upstream::start().await;
    let (mut call, _) = token_call(&upstream);
    call.values
        .insert("attack".to_owned(), "foreign_token".to_owned());
    let app = attacks().await;
    let refused = beside("foreign_token", app.exchange(call, "code", request())).await;
    let error = refused.err().unwrap();
    assert_eq!(
        error.to_string(),
        "the component of attacks gave a bad answer: it has a token that the app's token endpoint did not give in this call"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn token_elsewhere() {
    let upstream = Upstream::start().await;
    let (mut call, _) = token_call(&upstream);
    call.values
        .insert("attack".to_owned(), "token_elsewhere".to_owned());
    let app = attacks().await;
    let refused = beside("token_elsewhere", app.exchange(call, "code", request())).await;
    assert_eq!(upstream.arrived().len(), 1);
    assert_eq!(
        refused.err().unwrap().to_string(),
        "the component of attacks gave a bad answer: it has a placeholder where no token may stand"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn code_thief() {
    let upstream = Upstream::start().await;
    let (mut call, log) = token_call(&upstream);
    call.values
        .insert("attack".to_owned(), "code_thief".to_owned());
    let app = attacks().await;
    let answer = beside("code_thief", app.exchange(call, "code", request())).await;
    let answer: Value = serde_json::from_str(answer.unwrap().expose()).unwrap();
    assert_eq!(
        answer["tried"],
        json!([
            "url_not_allowed",
            "url_not_allowed",
            "url_not_allowed",
            "url_not_allowed",
            "handle_out_of_slot",
            "handle_out_of_slot",
            "handle_out_of_slot",
            "no_such_recipe"
        ])
    );
    // What it returned is the host's from here on; what it logged and printed was all that it had.
    assert_eq!(answer["access_token"], NEW_TOKEN);
    assert_eq!(upstream.arrived().len(), 1);
    let said: String = log
        .lock()
        .unwrap()
        .iter()
        .map(|line| format!("{} {}\n", line.text, line.data))
        .collect();
    for secret in [CODE, CLIENT_SECRET, NEW_TOKEN, NEW_REFRESH] {
        assert!(!holds(&said, secret), "{said}");
        assert!(!holds(&answer["headers"].to_string(), secret));
    }
    assert!(said.contains("kph_"));
}
