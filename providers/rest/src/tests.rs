//! The component's logic against a scripted host.

use keyport_sdk::testing::FakeHost;
use keyport_sdk::{Host, Means, Provider, Refusal, Response, json};

use super::*;

fn view() -> Value {
    json!({
        "api": { "base_url": "https://{{ fields.subdomain }}.example.com/v1" },
        "test": {
            "request": { "path": "/me" },
            "ok": { "status": 200, "body": "$.user.id" },
            "account": {
                "id": "{{ fields.subdomain }}:{{ body.user.id }}",
                "label": "{{ body.user.email }}",
                "extra": { "plan": "{{ body.plan }}" }
            },
            "failures": [{ "status": 401, "means": "needs_reconnect", "say": "Example no longer accepts this key." }]
        },
        "actions": {
            "create_note": {
                "title": "Create note", "description": "Creates a note.", "effect": "write",
                "input": { "type": "object" }, "output": { "type": "object" },
                "request": { "method": "POST", "path": "/notes/{{ input.folder }}", "body": { "json": { "text": "{{ input.text }}" } } },
                "result": "$.note"
            },
            "coded": {
                "title": "Coded", "description": "Needs code.", "effect": "read",
                "input": { "type": "object" }, "output": { "type": "object" }, "code": true
            }
        },
        "triggers": {
            "new_note": {
                "title": "New note", "description": "A note was created.",
                "input": { "type": "object" }, "output": { "type": "object" },
                "request": { "path": "/notes", "query": { "after": "{{ cursor }}" } },
                "items": "$.notes", "dedupe": "{{ item.id }}", "cursor": "{{ item.id }}"
            }
        }
    })
}

fn host() -> FakeHost {
    FakeHost::new(&view())
        .with_value("subdomain", "acme")
        .at(1_700_000_000)
}

#[test]
fn the_test_call_says_whose_connection_it_is() {
    let host = host().answer(
        200,
        &json!({"user": {"id": 7, "email": "ann@acme.test"}, "plan": "pro"}),
    );
    let account = Rest::check(&host).unwrap();
    assert_eq!(
        (account.id.as_str(), account.label.as_str()),
        ("acme:7", "ann@acme.test")
    );
    assert_eq!(account.extra, json!({"plan": "pro"}));
    assert_eq!(
        host.sent()
            .iter()
            .map(|r| (r.method.as_str(), r.url.as_str()))
            .collect::<Vec<_>>(),
        [("GET", "/me")]
    );
}

#[test]
fn a_success_without_the_promised_body_is_no_success() {
    let failure = Rest::check(&host().answer(200, &json!({"user": {}}))).unwrap_err();
    assert_eq!(failure.means, Means::Other);
}

#[test]
fn a_refusal_is_told_in_the_manifests_words() {
    let failure = Rest::check(&host().answer(401, &json!({"error": "secret detail"}))).unwrap_err();
    assert_eq!(
        (failure.means, failure.say.as_str()),
        (Means::NeedsReconnect, "Example no longer accepts this key.")
    );
}

#[test]
fn an_app_that_cannot_be_reached_is_down_and_a_refused_request_is_not() {
    let refusal = |transient| Refusal {
        code: "c".into(),
        say: "s".into(),
        transient,
    };
    assert_eq!(
        Rest::check(&host().refuse(refusal(true)))
            .unwrap_err()
            .means,
        Means::ProviderDown
    );
    assert_eq!(
        Rest::check(&host().refuse(refusal(false)))
            .unwrap_err()
            .means,
        Means::Other
    );
}

#[test]
fn an_action_sends_its_input_escaped_and_gives_the_declared_part_of_the_answer() {
    let host = host().answer(201, &json!({"note": {"id": 3}, "other": 1}));
    let output = Rest::run(&host, "create_note", json!({"folder": "a/b", "text": "x"})).unwrap();
    assert_eq!(output, json!({"id": 3}));
    let sent = host.sent();
    assert_eq!(sent[0].url, "/notes/a%2Fb");
    assert_eq!(sent[0].body.as_deref(), Some(&br#"{"text":"x"}"#[..]));
}

#[test]
fn an_action_without_a_needed_input_says_which_and_sends_nothing() {
    let host = host();
    let failure = Rest::run(&host, "create_note", json!({"text": "x"})).unwrap_err();
    assert_eq!(failure.means, Means::InvalidInput);
    assert!(failure.say.contains("input.folder"), "{}", failure.say);
    assert!(host.sent().is_empty());
}

#[test]
fn an_action_that_is_not_declared_or_needs_code_is_refused() {
    assert_eq!(
        Rest::run(&host(), "nope", json!({})).unwrap_err().means,
        Means::NotFound
    );
    assert_eq!(
        Rest::run(&host(), "coded", json!({})).unwrap_err().code,
        "needs_code"
    );
}

#[test]
fn a_poll_goes_on_where_the_last_one_ended() {
    let host = host()
        .answer(200, &json!({"notes": [{"id": "1"}, {"id": "2"}]}))
        .answer(200, &json!({"notes": [{"id": "3"}]}))
        .answer(200, &json!({"notes": []}));
    let first = Rest::poll(&host, "new_note", json!({}), None).unwrap();
    assert_eq!(first.events.len(), 2);
    let second = Rest::poll(&host, "new_note", json!({}), Some(first.cursor)).unwrap();
    assert_eq!(second.events, [json!({"id": "3"})]);
    let third = Rest::poll(&host, "new_note", json!({}), Some(second.cursor.clone())).unwrap();
    assert_eq!((third.events.len(), third.cursor), (0, second.cursor));
    assert_eq!(
        host.sent()
            .iter()
            .map(|r| r.url.as_str())
            .collect::<Vec<_>>(),
        ["/notes", "/notes?after=2", "/notes?after=3"]
    );
}

#[test]
fn a_wait_that_the_app_asks_for_is_passed_on() {
    let slow = Response {
        status: 429,
        headers: vec![("retry-after".into(), "2".into())],
        body: Vec::new(),
    };
    let failure = Rest::poll(&host().response(slow), "new_note", json!({}), None).unwrap_err();
    assert_eq!(
        (failure.means, failure.retry_after_ms),
        (Means::RateLimited, Some(2000))
    );
}

#[test]
fn a_value_that_the_host_does_not_give_is_named() {
    let host = FakeHost::new(&view()).answer(200, &json!({"user": {"id": 7, "email": "x"}}));
    assert!(host.value("subdomain").is_none());
    let failure = Rest::check(&host as &dyn Host).unwrap_err();
    assert_eq!(failure.means, Means::Other);
}
