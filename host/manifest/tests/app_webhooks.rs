//! Apps that send the events of everybody to one address, by their own manifests and the vendors' documented calls.
#![expect(clippy::unwrap_used, reason = "tests may be blunt")]

use keyport_manifest::{
    HookCall, HookRefusal, Manifest, Scope, challenged, connection_tenant, dedupe_key, hook_events,
    hook_is_wanted, hook_tenant, parse, verify_hook,
};
use serde_json::{Value, json};

fn manifest(app: &str) -> Manifest {
    let path = format!(
        "{}/../../manifests/{app}/manifest.yaml",
        env!("CARGO_MANIFEST_DIR")
    );
    parse("manifest.yaml", &std::fs::read_to_string(path).unwrap()).unwrap()
}

fn call(headers: &[(&str, &str)], body: &str) -> HookCall {
    HookCall {
        method: "POST".into(),
        query: String::new(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.as_bytes().to_vec(),
    }
}

/// The example of "Verifying requests from Slack": secret, time, body and signature as they are printed there.
#[test]
fn slacks_own_example_of_a_signature_holds_for_its_time_and_no_other() {
    let slack = manifest("slack");
    let webhook = slack.webhook.unwrap();
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let secret = Scope::new().with(
        "webhook",
        json!({"secret": "8f742231b10e8888abcd99yyyzzz85a5"}),
    );
    let given = call(
        &[
            ("X-Slack-Request-Timestamp", "1531420618"),
            ("X-Slack-Signature", signature),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ],
        body,
    );
    let at = |now: i64| verify_hook(&webhook.verify, &secret, &given, now);
    assert_eq!(at(1_531_420_618), Ok(()));
    assert_eq!(at(1_531_420_618 + 300), Ok(()));
    assert_eq!(at(1_531_420_618 + 301), Err(HookRefusal::Old));
    let none = verify_hook(&webhook.verify, &Scope::new(), &given, 1_531_420_618);
    assert_eq!(none, Err(HookRefusal::NoKey));
}

/// The shapes of the Events API's documentation.
#[test]
fn slacks_documented_event_is_read_as_the_manifest_says() {
    let slack = manifest("slack");
    let webhook = slack.webhook.as_ref().unwrap();
    let trigger = &slack.triggers["message_posted"];
    let asked = call(
        &[],
        r#"{"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P", "type": "url_verification"}"#,
    );
    let challenge = webhook.challenge.as_ref().unwrap();
    assert_eq!(
        challenged(challenge, &Scope::new(), &asked)
            .unwrap()
            .unwrap(),
        "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
    );
    let event = |change: &dyn Fn(&mut Value)| {
        let mut body = json!({
            "token": "one-long-verification-token", "team_id": "T061EG9R6", "api_app_id": "A0PNCHHK2",
            "event": {
                "type": "message", "channel": "C024BE91L", "user": "U2147483697",
                "text": "Live long and prospect.", "ts": "1355517523.000005", "event_ts": "1355517523.000005",
                "channel_type": "channel",
            },
            "type": "event_callback", "authed_teams": ["T061EG9R6"], "event_id": "Ev0PV52K21", "event_time": 1_355_517_523,
        });
        change(&mut body);
        call(&[], &body.to_string())
    };
    let given = event(&|_| {});
    assert!(challenged(challenge, &Scope::new(), &given).is_none());
    assert_eq!(
        hook_tenant(&webhook.tenant, &given).as_deref(),
        Some("T061EG9R6")
    );
    let connection = Scope::new().with("capture", json!({"team_id": "T061EG9R6"}));
    assert_eq!(
        connection_tenant(&webhook.tenant, &connection).as_deref(),
        Some("T061EG9R6")
    );
    let input = Scope::new().with("input", json!({"channel": "C024BE91L"}));
    assert!(hook_is_wanted(trigger, &input, &given));
    let events = hook_events(trigger, &given);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["text"], "Live long and prospect.");
    let seen = given.scope(&input);
    let key = dedupe_key(trigger, &seen, &events[0]).unwrap();
    assert_eq!(key.as_deref(), Some("Ev0PV52K21"));
    for unwanted in [
        event(&|body| body["event"]["subtype"] = json!("message_changed")),
        event(&|body| body["event"]["channel_type"] = json!("im")),
        event(&|body| body["event"]["channel"] = json!("C0")),
        event(&|body| body["event"]["type"] = json!("reaction_added")),
    ] {
        assert!(!hook_is_wanted(trigger, &input, &unwanted));
    }
}

/// An event of a connected account names it; one of the platform's own names none.
#[test]
fn stripes_connected_accounts_are_told_apart_from_the_platform() {
    let stripe = manifest("stripe");
    let webhook = stripe.webhook.as_ref().unwrap();
    let trigger = &stripe.triggers["connected_event"];
    let body = r#"{"id": "evt_1NG8Du2eZvKYlo2CUI79vXWy", "object": "event", "account": "acct_1032D82eZvKYlo2C", "type": "charge.succeeded", "created": 1686089970, "data": {"object": {}}}"#;
    let given = call(&[], body);
    assert_eq!(
        hook_tenant(&webhook.tenant, &given).as_deref(),
        Some("acct_1032D82eZvKYlo2C")
    );
    let own = call(
        &[],
        &body.replace("\"account\": \"acct_1032D82eZvKYlo2C\", ", ""),
    );
    assert_eq!(hook_tenant(&webhook.tenant, &own), None);
    let wish = |kind: &str| Scope::new().with("input", json!({ "type": kind }));
    assert!(hook_is_wanted(trigger, &wish("charge.succeeded"), &given));
    assert!(!hook_is_wanted(trigger, &wish("payout.paid"), &given));
    let event = &hook_events(trigger, &given)[0];
    let key = dedupe_key(trigger, &given.scope(&Scope::new()), event).unwrap();
    assert_eq!(key.as_deref(), Some("evt_1NG8Du2eZvKYlo2CUI79vXWy"));
}
