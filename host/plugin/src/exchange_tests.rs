//! What a component sees of a token request and its answer, and what it may hand on.

use serde_json::json;

use super::*;

fn exchange(response: Value) -> Exchange {
    let oauth: Oauth2 = serde_json::from_value(json!({
        "label": "In", "authorize_url": "https://acme.dev/a", "token_url": "https://acme.dev/t",
        "response": response,
        "capture": { "tenant": { "path": "$.tenant_key" }, "site": { "path": "$.site", "public": true } },
        "by_component": { "reason": "The request is signed over its body and the time.", "slots": {
            "code": [{ "body": "code" }], "answer": [{ "body": "refresh_token" }] } },
    }))
    .unwrap();
    let request = TokenRequest {
        oauth: Arc::new(oauth),
        public: Map::from_iter([("url".to_owned(), json!("https://acme.dev/t"))]),
        secrets: vec![
            (ExchangeValue::Code, Secret::new("the-code")),
            (ExchangeValue::ClientSecret, Secret::new("the-secret")),
        ],
    };
    let (exchange, input) = Exchange::begin(request, "acme.dev".parse().unwrap());
    assert!(input["code"].as_str().unwrap().starts_with("kph_"));
    assert_eq!(input["url"], "https://acme.dev/t");
    // No slot, so it is not handed over.
    assert!(input.get("client_secret").is_none());
    exchange
}

fn shown(exchange: &Exchange, kind: &str, body: &str) -> Value {
    serde_json::from_slice(&exchange.shown(kind, body.as_bytes())).unwrap_or(Value::Null)
}

#[test]
fn tokens_come_out_as_placeholders_and_go_back_in_as_tokens() {
    let exchange = exchange(json!({ "root": "$.data", "fields": { "access_token": "$.key" } }));
    let answer = json!({ "data": { "key": "tok-12345678", "refreshToken": "ref-12345678", "expireTime": "x",
        "next": "https://acme.dev/?t=tok-12345678" }, "tenant_key": "ten-12345678", "site": "acme-site" });
    let seen = shown(&exchange, "application/json", &answer.to_string());
    let text = seen.to_string();
    for secret in ["tok-12345678", "ref-12345678", "ten-12345678"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(seen["site"], "acme-site");
    let back = exchange.taken(seen).unwrap();
    let back: Value = serde_json::from_str(back.expose()).unwrap();
    assert_eq!(back["data"]["key"], "tok-12345678");
    assert_eq!(back["data"]["refreshToken"], "ref-12345678");
}

#[test]
fn the_endpoint_is_one_address_and_its_query_is_free() {
    let exchange = exchange(json!({}));
    for (url, is) in [
        ("https://acme.dev/t", true),
        ("https://acme.dev/t?code=x", true),
        ("https://ACME.dev:443/t", true),
        ("https://acme.dev/x/../t", true),
        ("https://acme.dev/", false),
        ("https://acme.dev/t/", false),
        ("https://acme.dev/api/messages", false),
        ("https://acme.dev:8443/t", false),
        ("https://user@acme.dev/t", false),
        ("http://acme.dev/t", false),
        ("https://other.dev/t", false),
        ("/t", false),
    ] {
        assert_eq!(exchange.is_for(url), is, "{url}");
    }
}

#[test]
fn a_form_is_read_and_what_is_neither_is_withheld() {
    let exchange = exchange(json!({}));
    let seen = shown(
        &exchange,
        "application/x-www-form-urlencoded",
        "access_token=tok-12345678&scope=a",
    );
    assert!(seen["access_token"].as_str().unwrap().starts_with("kph_"));
    assert_eq!(seen["scope"], "a");
    for (kind, body) in [
        ("text/xml", "<t>tok-12345678</t>"),
        // A token and nothing else, said to be something.
        ("application/json", "\"tok-12345678\""),
        ("application/x-www-form-urlencoded", "tok-12345678"),
        ("application/x-www-form-urlencoded", "a=b&tok-12345678"),
    ] {
        assert!(exchange.shown(kind, body.as_bytes()).is_empty(), "{body}");
    }
}

#[test]
fn what_goes_by_a_tokens_name_is_hidden_in_any_spelling_and_depth() {
    let exchange = exchange(json!({}));
    for name in [
        "tenant_access_token",
        "userToken",
        "APP-SECRET",
        "jwt",
        "oauth_token_secret",
        "apiKey",
    ] {
        let body = json!({ "data": [{ name: "tok-12345678" }] }).to_string();
        let seen = shown(&exchange, "application/json", &body);
        assert!(!seen.to_string().contains("tok-12345678"), "{name}");
    }
    let body = r#"{"token_type":"SomethingLong","code":"SOME_ERROR"}"#;
    assert_eq!(
        shown(&exchange, "application/json", body).to_string().len(),
        body.len()
    );
}

#[test]
fn a_token_that_the_component_brings_along_is_refused() {
    let exchange = exchange(json!({}));
    shown(
        &exchange,
        "application/json",
        r#"{"access_token":"tok-12345678"}"#,
    );
    for answer in [
        json!({ "access_token": "token-of-another-account" }),
        json!({ "access_token": exchange.handles.issue(Secret::new("x"), vec![]) }),
        json!({ "data": [{ "refresh-token": "token-of-another-account" }] }),
    ] {
        assert!(exchange.taken(answer.clone()).is_err(), "{answer}");
    }
    let elsewhere = json!({ "site": exchange.handles.issue(Secret::new("x"), vec![]) });
    assert!(exchange.taken(elsewhere).is_err());
    assert!(exchange.taken(json!({ "error": "invalid_grant" })).is_ok());
}

/// No app answers with hundreds of tokens: what a body is full of, the host would look for in all that follows.
#[test]
fn an_answer_that_is_full_of_tokens_is_withheld_and_so_is_the_one_that_makes_it_too_many() {
    let full = |from: usize, many: usize| {
        let tokens = (from..from + many).map(|n| json!({ "token": format!("token-{n:08}") }));
        Value::from_iter(tokens).to_string()
    };
    let kind = "application/json";
    assert_eq!(
        shown(&exchange(json!({})), kind, &full(0, 100_000)),
        Value::Null
    );
    // The same one again and again is one.
    let again = format!(
        "[{}]",
        vec![r#"{"token":"token-12345678"}"#; 1_000].join(",")
    );
    assert!(shown(&exchange(json!({})), kind, &again)[999]["token"].is_string());
    // Over all answers of a call.
    let call = exchange(json!({}));
    assert!(shown(&call, kind, &full(0, 150)).is_array());
    assert_eq!(shown(&call, kind, &full(150, 51)), Value::Null);
    assert!(shown(&call, kind, &full(150, 50)).is_array());
}

/// What the host reads as public it shows to the component's next call, and keeps in the clear.
#[test]
fn a_placeholder_becomes_a_token_only_where_the_host_looks_for_one() {
    let token = r#"{"access_token":"tok-12345678","tenant_key":"ten-12345678"}"#;
    let of = |call: &Exchange, name: &str| {
        shown(call, "application/json", token)[name]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for answer in [
        json!({ "access_token": "T", "site": "T" }),
        json!({ "access_token": "T", "site": "K" }),
        json!({ "access_token": "T", "scope": "T" }),
        json!({ "access_token": "T", "scope": ["T"] }),
        json!({ "access_token": "T", "token_type": "T" }),
        json!({ "error": "T" }),
    ] {
        let call = exchange(json!({}));
        let (token, key) = (of(&call, "access_token"), of(&call, "tenant_key"));
        let given = answer.to_string().replace("\"T\"", &format!("\"{token}\""));
        let given = given.replace("\"K\"", &format!("\"{key}\""));
        let taken = call.taken(serde_json::from_str(&given).unwrap());
        assert_eq!(
            taken.err(),
            Some("it has a placeholder where no token may stand"),
            "{answer}"
        );
    }
    // A public capture by the name of a token is public all the same.
    let mut call = exchange(json!({}));
    let oauth = Arc::make_mut(&mut call.oauth);
    oauth.capture["site"].path = Some(JsonPath::parse("$.token").unwrap());
    let token = of(&call, "access_token");
    assert!(call.taken(json!({ "token": token })).is_err());
}

#[test]
fn a_token_that_is_said_twice_is_shown_where_one_may_stand_and_can_be_handed_on() {
    let call = exchange(json!({}));
    let answer = json!({ "access_token": "tok-12345678", "legacy": "tok-12345678" });
    let seen = shown(&call, "application/json", &answer.to_string());
    assert_eq!(seen["legacy"], "[redacted]");
    assert!(call.taken(seen).is_ok());
}

#[test]
fn a_short_token_and_a_number_are_tokens_where_the_host_looks_for_them() {
    let call = exchange(json!({}));
    let answer = r#"{"access_token":"t-12345","tenant_key":123456789}"#;
    let seen = shown(&call, "application/json", answer);
    assert!(seen["access_token"].as_str().unwrap().starts_with("kph_"));
    assert!(seen["tenant_key"].as_str().unwrap().starts_with("kph_"));
    let back = call.taken(seen).unwrap();
    let back: Value = serde_json::from_str(back.expose()).unwrap();
    assert_eq!(
        back,
        json!({ "access_token": "t-12345", "tenant_key": "123456789" })
    );
    for foreign in [
        json!({ "access_token": "t-54321" }),
        json!({ "access_token": 54321 }),
        json!({ "tenant_key": 987654321 }),
    ] {
        assert!(call.taken(foreign.clone()).is_err(), "{foreign}");
    }
}
