//! The app against a scripted host.

use keyport_sdk::testing::FakeHost;
use keyport_sdk::{Means, Provider, json};

use super::*;

fn host() -> FakeHost {
    let view =
        json!({"api": {"base_url": "https://vendor.keyport.test/signed"}, "test": {"code": true}});
    FakeHost::new(&view)
        .with_value("key_id", "kid_1")
        .at(1_700_000_000)
}

#[test]
fn the_test_call_is_signed_over_time_method_path_and_body() {
    let host = host().answer(200, &json!({"id": "u_1", "name": "Ann"}));
    let account = SandboxSigned::check(&host).unwrap();
    assert_eq!(
        (account.id.as_str(), account.label.as_str()),
        ("u_1", "Ann")
    );
    let sent = host.sent();
    assert_eq!(sent[0].url, "/whoami");
    assert_eq!(
        sent[0].headers,
        [
            ("x-vendor-key-id".to_owned(), "kid_1".to_owned()),
            ("x-vendor-timestamp".to_owned(), "1700000000".to_owned()),
            (
                "x-vendor-signature".to_owned(),
                "derived:request-signature:timestamp=1700000000,method=GET,path=/signed/whoami,body=".to_owned()
            ),
        ]
    );
}

#[test]
fn a_message_is_sent_with_its_body_signed() {
    let host = host().answer(
        201,
        &json!({"id": "m_1", "text": "hi", "at": "2026-01-02T03:04:05Z"}),
    );
    let sent = SandboxSigned::run(&host, "send_message", json!({"text": "hi"})).unwrap();
    assert_eq!(
        sent,
        json!({"id": "m_1", "text": "hi", "at": "2026-01-02T03:04:05Z"})
    );
    let signature = &host.sent()[0].headers.last().unwrap().1.clone();
    assert!(
        signature.ends_with(r#"method=POST,path=/signed/messages,body={"text":"hi"}"#),
        "{signature}"
    );
}

#[test]
fn polling_goes_on_after_the_last_message_and_stays_there_when_nothing_is_new() {
    let message = |id: &str| json!({"id": id, "text": "x", "at": "2026-01-02T03:04:05Z"});
    let host = host()
        .answer(
            200,
            &json!({"messages": [message("m_1"), message("m_2")], "more": true}),
        )
        .answer(200, &json!({"messages": [], "more": false}));
    let first = SandboxSigned::poll(&host, "message_received", json!({}), None).unwrap();
    assert_eq!(
        (first.events.len(), &first.cursor, first.more),
        (2, &json!("m_2"), true)
    );
    let second =
        SandboxSigned::poll(&host, "message_received", json!({}), Some(first.cursor)).unwrap();
    assert_eq!(
        (second.events.len(), &second.cursor, second.more),
        (0, &json!("m_2"), false)
    );
    let urls: Vec<String> = host.sent().into_iter().map(|r| r.url).collect();
    assert_eq!(urls, ["/messages?limit=50", "/messages?after=m_2&limit=50"]);
}

#[test]
fn bad_input_is_told_before_anything_is_sent() {
    let host = host();
    assert_eq!(
        SandboxSigned::run(&host, "send_message", json!({}))
            .unwrap_err()
            .means,
        Means::InvalidInput
    );
    assert_eq!(
        SandboxSigned::run(&host, "list_messages", json!({"limit": -1}))
            .unwrap_err()
            .means,
        Means::InvalidInput
    );
    assert_eq!(
        SandboxSigned::run(&host, "nope", json!({}))
            .unwrap_err()
            .means,
        Means::NotFound
    );
    assert!(host.sent().is_empty());
}

#[test]
fn a_wrong_key_asks_for_a_new_sign_in() {
    let host = host().answer(401, &json!({"error": "invalid_signature"}));
    assert_eq!(
        SandboxSigned::check(&host).unwrap_err().means,
        Means::NeedsReconnect
    );
}

#[test]
fn a_promise_of_more_without_a_message_is_logged_and_not_followed() {
    let host = host().answer(200, &json!({"messages": [], "more": true}));
    let page = SandboxSigned::poll(&host, "message_received", json!({}), None).unwrap();
    assert!(!page.more, "it would be asked for again without end");
    assert_eq!(host.lines().len(), 1, "{:?}", host.lines());
}

/// The app's own fixtures; `keyport test` plays the same to the component, in the sandbox.
#[test]
fn what_the_fixtures_record_is_what_the_code_does() {
    let fixtures = include_str!("../../../manifests/sandbox-signed/fixtures/all.yaml");
    let recorded = keyport_sdk::recorded::Recorded::read(fixtures).unwrap();
    assert_eq!(recorded.play::<SandboxSigned>(), Ok(5));
}
