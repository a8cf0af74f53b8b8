//! Callbacks, steps of sessions and further exchanges, as apps really answer.

use serde_json::{Value, json};

use super::*;
use crate::message::PlainResponse;
use crate::model::{AuthMethod, Oauth2, Session};
use crate::scope::Scope;

const NOW: i64 = 1_772_366_400;

fn answer(status: u16, headers: &[(&str, &str)], body: &Value) -> PlainResponse {
    PlainResponse {
        status,
        headers: headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
        body: body.to_string().into_bytes(),
    }
}

fn oauth(more: Value) -> AuthMethod {
    let mut tree = json!({
        "type": "oauth2",
        "label": "Sign in",
        "authorize_url": "https://acme.dev/authorize",
        "token_url": "https://acme.dev/token",
    });
    for (key, value) in more.as_object().unwrap() {
        tree[key] = value.clone();
    }
    serde_json::from_value(tree).unwrap()
}

fn came(method: &AuthMethod, params: &[(&str, &str)]) -> Result<Returned, CallbackError> {
    let params: Vec<(String, String)> = params
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    let scope = Scope::new().with("app", json!({"client_secret": "hush"}));
    returned(method, &params, &scope)
}

#[test]
fn a_callback_is_read_under_the_apps_own_names() {
    let method = oauth(json!({
        "callback": {"code": "auth_code", "state": "st"},
        "capture": {
            "realm": {"callback": "realmId", "public": true, "format": "digits"},
            "hidden": {"callback": "key", "required": false},
        },
    }));
    let good = came(
        &method,
        &[
            ("auth_code", "c"),
            ("st", "s"),
            ("realmId", "12"),
            ("key", "k"),
        ],
    )
    .ok()
    .unwrap();
    assert_eq!(good.code.expose(), "c");
    assert_eq!(good.state.unwrap().expose(), "s");
    assert_eq!(good.captures.public["realm"], "12");
    assert_eq!(good.captures.secret["hidden"].expose(), "k");
    assert_eq!(good.signed, None);
    for (params, wanted) in [
        (
            vec![("code", "c"), ("st", "s"), ("realmId", "12")],
            CallbackError::CodeMissing("auth_code".into()),
        ),
        (
            vec![("auth_code", ""), ("st", "s"), ("realmId", "12")],
            CallbackError::CodeMissing("auth_code".into()),
        ),
        (
            vec![("auth_code", "c"), ("state", "s"), ("realmId", "12")],
            CallbackError::StateMissing("st".into()),
        ),
        (
            vec![("auth_code", "c"), ("st", "s")],
            CallbackError::CaptureMissing("realmId".into()),
        ),
        (
            vec![("auth_code", "c"), ("st", "s"), ("realmId", "1/../2")],
            CallbackError::CaptureNotAllowed("realmId".into()),
        ),
    ] {
        assert_eq!(came(&method, &params).err(), Some(wanted), "{params:?}");
    }
}

#[test]
fn an_app_that_brings_back_no_state_is_not_asked_for_one() {
    let method = oauth(json!({"callback": {"without_state": "it drops it"}}));
    let back = came(&method, &[("code", "c")]).ok().unwrap();
    assert!(back.state.is_none());
}

#[test]
fn oauth_1_brings_a_verifier_and_a_way_without_sending_away_has_no_callback() {
    let method: AuthMethod = serde_json::from_value(json!({
        "type": "oauth1",
        "label": "Sign in",
        "request_token_url": "https://acme.dev/r",
        "authorize_url": "https://acme.dev/a",
        "access_token_url": "https://acme.dev/t",
    }))
    .unwrap();
    let back = came(&method, &[("oauth_token", "t"), ("oauth_verifier", "v")])
        .ok()
        .unwrap();
    assert_eq!(back.code.expose(), "v");
    let key: AuthMethod =
        serde_json::from_value(json!({"type": "bearer", "label": "Key"})).unwrap();
    assert_eq!(
        came(&key, &[("code", "c"), ("state", "s")]).err(),
        Some(CallbackError::NoCallback)
    );
}

#[test]
fn a_signature_covers_every_other_parameter_sorted_by_name() {
    let method = oauth(json!({
        "callback": {"verify": {"type": "hmac_sha256", "key": "{{ app.client_secret }}", "param": "hmac"}},
    }));
    // The example of Shopify's documentation.
    let signature = "700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf";
    let params = [
        ("timestamp", "1337178173"),
        ("code", "0907a61c0c8d55e99db179b68161bc00"),
        ("hmac", signature),
        ("shop", "some-shop.myshopify.com"),
        ("state", "0.6784241404160823"),
    ];
    assert_eq!(came(&method, &params).ok().unwrap().signed, Some(true));
    for i in [0, 1, 3, 4] {
        let mut forged = params;
        forged[i].1 = "other";
        assert_eq!(came(&method, &forged).ok().unwrap().signed, Some(false));
    }
    let mut more = params.to_vec();
    more.push(("admin", "1"));
    assert_eq!(came(&method, &more).ok().unwrap().signed, Some(false));
    let mut twice = params.to_vec();
    twice.push(("hmac", signature));
    assert_eq!(came(&method, &twice).ok().unwrap().signed, Some(false));
    for odd in ["7", "zz", "700e2d\u{e9}", "Ä"] {
        let mut forged = params;
        forged[2].1 = odd;
        assert_eq!(came(&method, &forged).ok().unwrap().signed, Some(false));
    }
    let without: Vec<_> = params.into_iter().filter(|(n, _)| *n != "hmac").collect();
    assert_eq!(
        came(&method, &without).err(),
        Some(CallbackError::SignatureMissing("hmac".into()))
    );
    let nobody = returned(
        &method,
        &params.map(|(n, v)| (n.to_owned(), v.to_owned())),
        &Scope::new(),
    );
    assert_eq!(nobody.ok().unwrap().signed, Some(false), "without a key");
}

fn session(expiry: &Value) -> Session {
    serde_json::from_value(json!({
        "label": "Password",
        "steps": [
            {
                "request": {"method": "POST", "path": "/nonce"},
                "capture": {"nonce": {"header": "X-Nonce"}},
            },
            {
                "request": {"method": "POST", "path": "/session"},
                "ok": {"status": 200, "body": {"path": "$.ok", "equals": true}},
                "capture": {
                    "sid": {"cookie": "SID"},
                    "server": {"path": "$.server", "public": true, "format": "digits", "required": false},
                },
                "failures": [{"body": {"path": "$.ok", "equals": false}, "means": "needs_reconnect", "say": "No."}],
            },
        ],
        "expiry": expiry,
    }))
    .unwrap()
}

#[test]
fn each_step_of_a_session_keeps_what_is_declared_and_the_last_says_when_it_ends() {
    let session = session(&json!({"in": "$.ttl", "unit": "minutes"}));
    let scope = Scope::new();
    let step = |n, r: &PlainResponse| session_step(&session, n, &scope, r, NOW);
    let first = step(0, &answer(204, &[("x-nonce", " n ")], &Value::Null));
    let first = first.ok().unwrap();
    assert_eq!(first.captures.secret["nonce"].expose(), "n");
    assert_eq!(first.lifetime, None);
    let cookies = [
        ("Set-Cookie", "LANG=en; Path=/"),
        ("Set-Cookie", "SID=abc; HttpOnly"),
    ];
    let body = json!({"ok": true, "server": 7, "ttl": 2});
    let second = step(1, &answer(200, &cookies, &body)).ok().unwrap();
    assert_eq!(second.captures.secret["sid"].expose(), "abc");
    assert_eq!(second.captures.public["server"], "7");
    assert_eq!(second.lifetime, Some(Lifetime::Seconds(120)));
    let refusal = step(1, &answer(200, &cookies, &json!({"ok": false}))).err();
    assert_eq!(refusal, Some(Failure::new(Means::NeedsReconnect, "No.")));
    for broken in [
        step(0, &answer(204, &[], &Value::Null)),
        step(1, &answer(200, &[], &body)),
        step(
            1,
            &answer(200, &cookies, &json!({"ok": true, "server": "a.b"})),
        ),
        step(2, &answer(200, &cookies, &body)),
    ] {
        assert_eq!(broken.err().unwrap().means, Means::Other);
    }
}

#[test]
fn a_session_ends_with_its_jwt_also_if_an_earlier_step_gave_it() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let session = session(&json!({"jwt": "nonce"}));
    let claims = json!({"exp": NOW + 90}).to_string();
    let jwt = format!("e30.{}.s", URL_SAFE_NO_PAD.encode(claims));
    let scope = Scope::new().with("capture", json!({"nonce": jwt}));
    let last = answer(200, &[("set-cookie", "SID=x")], &json!({"ok": true}));
    let ends = |scope| session_step(&session, 1, scope, &last, NOW).ok().unwrap();
    assert_eq!(ends(&scope).lifetime, Some(Lifetime::Seconds(90)));
    assert_eq!(ends(&Scope::new()).lifetime, Some(Lifetime::Unknown));
}

#[test]
fn an_exchange_is_read_by_its_own_rules_and_refused_by_the_apps() {
    let AuthMethod::Oauth2(method) = oauth(json!({
        "capture": {"user": {"path": "$.user", "public": true}},
        "response": {"root": "$.first", "error": "$.error.type"},
        "refresh": {"refused": [{"error": "OAuthException"}]},
        "exchange": {"url": "https://acme.dev/long", "response": {"default_ttl": 60}},
    })) else {
        panic!("it is OAuth");
    };
    let method: &Oauth2 = &method;
    let read = |status, body| {
        let exchange = method.exchange.as_deref().unwrap();
        exchange_answer(method, exchange, &answer(status, &[], &body), NOW)
    };
    let long = read(200, json!({"access_token": "t"})).ok().unwrap();
    assert_eq!(long.expires_in, Some(60));
    assert!(long.public_captures.is_empty());
    let dead = read(400, json!({"error": {"type": "OAuthException"}}));
    let dead = dead.err().unwrap();
    assert_eq!(
        (dead.error.as_str(), dead.kind),
        ("OAuthException", TokenErrorKind::Refused)
    );
}
