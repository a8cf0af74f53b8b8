//! API keys that are typed, in every place of a request.

use super::pretend::*;
use super::*;

const KEY_FIELD: &str = "
    fields:
      - { id: key, label: Key, secret: true, help: On your profile page. }";

fn api_key(inject: &str) -> String {
    format!(
        "api:\n  base_url: https://api.acme.test\n  hosts: [{{host: files.acme.test, credential: none}}]\nauth:\n  way:\n    type: api_key\n    label: Key{KEY_FIELD}\n    inject:\n{inject}\n"
    )
}

/// R61: header with a prefix, header of its own, query, body; and nothing to a host that is to get none.
#[tokio::test]
async fn an_api_key_goes_where_the_manifest_says_and_nowhere_else() {
    let key = "very-secret-key-1";
    for (inject, header, line) in [
        (
            "      - { header: Authorization, value: 'Token {{ credentials.key }}' }",
            Some(("authorization", "Token very-secret-key-1")),
            "GET /me",
        ),
        (
            "      - { header: X-Key, value: '{{ credentials.key }}' }",
            Some(("x-key", key)),
            "GET /me",
        ),
        (
            "      - { query: key, value: '{{ credentials.key }}' }",
            None,
            "GET /me?key=very-secret-key-1",
        ),
    ] {
        let app = app(&api_key(inject), |_| me()).await;
        let id = app.connected(&[("key", key)]).await;
        let seen = app.last();
        assert_eq!(seen.line, line);
        if let Some((name, value)) = header {
            assert_eq!(seen.headers[name], value);
        }
        app.get(&id, "https://files.acme.test/f").await;
        assert!(!format!("{:?}", app.last()).contains(key), "{inject}");
    }
}

/// An app that takes a digest of the key takes nothing more: a digest that it repeats is taken out as the key would be.
#[tokio::test]
async fn what_is_made_of_a_key_does_not_come_back_either() {
    let key = "very-secret-key-1";
    for value in [
        "{{ credentials.key | sha256 }}",
        "v1 {{ credentials.key | md5 }}",
        "{{ 'now' | hmac_sha256(credentials.key) }}",
        "{{ credentials.key | base64 | lower }}",
        "{{ credentials.key }}",
    ] {
        let inject = format!("      - {{ header: X-Key, value: \"{value}\" }}");
        let app = app(&api_key(&inject), |seen| match seen.line.as_str() {
            "GET /echo" => json(
                200,
                serde_json::json!({ "sent": seen.headers, "plain": "kept" }),
            ),
            _ => me(),
        })
        .await;
        let id = app.connected(&[("key", key)]).await;
        let request = http::Request::get("/echo").body(Body::empty()).unwrap();
        let (_, answer) = app.proxy(&id, request).await.unwrap();
        let sent = app.last().headers["x-key"].clone();
        assert!(!answer.contains(sent.trim_start_matches("v1 ")), "{answer}");
        assert!(answer.contains("[redacted]") && answer.contains("kept"));
    }
}

/// R61, place body; and a caller cannot bring the member itself.
#[tokio::test]
async fn an_api_key_in_the_body_is_put_into_what_the_caller_sends() {
    let yaml = format!(
        "{}test:\n  request: {{ method: POST, path: /me, safe: true, body: {{ json: {{ q: 1 }} }} }}\n  ok: {{ status: 200, body: $.id }}\n  account: {{ id: '{{{{ body.id }}}}', label: '{{{{ body.name }}}}' }}\n",
        api_key("      - { body: api_key, value: '{{ credentials.key }}' }")
    );
    let app = app(&yaml, |_| me()).await;
    // The test call is a POST that is marked as safe (C22).
    let id = app.connected(&[("key", "very-secret-key-1")]).await;
    assert_eq!(app.last().body, r#"{"api_key":"very-secret-key-1","q":1}"#);
    let send = |kind: &str, body: &str| {
        http::Request::post("/x")
            .header("content-type", kind)
            .header("content-length", body.len())
            .body(Body::from_bytes(body.to_owned()))
            .unwrap()
    };
    app.proxy(&id, send("application/json", r#"{"a":1.10}"#))
        .await
        .unwrap();
    assert_eq!(
        app.last().body,
        r#"{"api_key":"very-secret-key-1","a":1.10}"#
    );
    app.proxy(&id, send("application/x-www-form-urlencoded", "a=1"))
        .await
        .unwrap();
    assert_eq!(app.last().body, "a=1&api_key=very-secret-key-1");
    let before = app.all().len();
    let refused = app
        .proxy(&id, send("application/json", r#"{"api_key":"mine"}"#))
        .await;
    assert_eq!(code(refused), "forbidden_parameter");
    let refused = app.proxy(&id, send("text/plain", "x")).await;
    assert_eq!(code(refused), "no_place_in_body");
    assert_eq!(app.all().len(), before, "nothing was sent");
}

/// R62 and A24: control characters in a pasted secret are refused at the form, before anything is sent; outer space is trimmed.
#[tokio::test]
async fn a_pasted_key_with_a_line_break_is_refused_at_the_form() {
    let app = app(
        &api_key("      - { header: X-Key, value: '{{ credentials.key }}' }"),
        |_| me(),
    )
    .await;
    let session = app.session().await;
    for bad in ["a\r\nx-evil: 1", "a\nb", "a\0b"] {
        let mut form = key_form(bad);
        form.app = "acme".into();
        form.method = "way".into();
        form.fields = IndexMap::from([("key".to_owned(), bad.to_owned())]);
        let refused = app.engine.connect_with_form(&session, form).await;
        assert_eq!(code(refused), "invalid_input", "{bad:?}");
    }
    assert!(app.all().is_empty());
    app.connected(&[("key", "  spaced-key-1  ")]).await;
    assert_eq!(app.last().headers["x-key"], "spaced-key-1");
}

/// A23: a value is data: it is never a template, and adds neither parameters nor segments.
#[tokio::test]
async fn a_typed_value_is_never_evaluated_and_stays_in_its_slot() {
    let app = app(
        &api_key("      - { query: key, value: '{{ credentials.key }}' }"),
        |_| me(),
    )
    .await;
    app.connected(&[("key", "{{ fields.x }}&admin=1/../%2f?")])
        .await;
    assert_eq!(
        app.last().line,
        "GET /me?key=%7B%7B+fields.x+%7D%7D%26admin%3D1%2F..%2F%252f%3F"
    );
}

/// R63: several secrets at once.
#[tokio::test]
async fn several_secrets_are_asked_for_and_sent_together() {
    let yaml = "api:\n  base_url: https://api.acme.test\nauth:\n  way:\n    type: api_key\n    label: Keys\n    fields:\n      - { id: key, label: Key, secret: true, help: On your page. }\n      - { id: app_key, label: Application key, secret: true, help: On your page. }\n    inject:\n      - { header: X-Key, value: '{{ credentials.key }}' }\n      - { header: X-App, value: '{{ credentials.app_key }}' }\n";
    let app = app(yaml, |_| me()).await;
    let session = app.session().await;
    let mut form = key_form("");
    (form.app, form.method) = ("acme".into(), "way".into());
    form.fields = IndexMap::from([("key".to_owned(), "only-one-1".to_owned())]);
    assert_eq!(
        code(app.engine.connect_with_form(&session, form).await),
        "invalid_input"
    );
    app.connected(&[("key", "first-key-1"), ("app_key", "second-key-2")])
        .await;
    let seen = app.last();
    assert_eq!(
        (
            seen.headers["x-key"].as_str(),
            seen.headers["x-app"].as_str()
        ),
        ("first-key-1", "second-key-2")
    );
}
