//! Signatures in every spelling and out of place, handshakes, tenants and events.

use super::*;

fn verify(yaml_like: Value) -> WebhookVerify {
    serde_json::from_value(yaml_like).unwrap()
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

fn secret_is(secret: &str) -> Scope {
    Scope::new().with("webhook", json!({ "secret": secret }))
}

/// The example of GitHub's own documentation.
#[test]
fn githubs_own_example_holds() {
    let github = verify(
        json!({"type": "hmac_sha256", "key": "{{ webhook.secret }}", "header": "X-Hub-Signature-256", "prefix": "sha256="}),
    );
    let scope = secret_is("It's a Secret to Everybody");
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let check = |signature: &str, body: &str| {
        verify_hook(
            &github,
            &scope,
            &call(&[("x-hub-signature-256", signature)], body),
            0,
        )
    };
    assert_eq!(check(good, "Hello, World!"), Ok(()));
    assert_eq!(
        check(
            &good.to_uppercase().replace("SHA256", "sha256"),
            "Hello, World!"
        ),
        Ok(())
    );
    assert_eq!(check(good, "Hello, World"), Err(HookRefusal::Forged));
    assert_eq!(
        check(good.trim_start_matches("sha256="), "Hello, World!"),
        Err(HookRefusal::Unsigned)
    );
}

/// The example of Slack's own documentation.
#[test]
fn slacks_own_example_holds() {
    let slack = verify(json!({
        "type": "hmac_sha256", "key": "{{ webhook.secret }}", "header": "x-slack-signature", "prefix": "v0=",
        "message": "v0:{{ headers['x-slack-request-timestamp'] }}:{{ request.body }}",
        "timestamp": "{{ headers['x-slack-request-timestamp'] }}",
    }));
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
        channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
        response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
        trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let headers = [
        ("X-Slack-Request-Timestamp", "1531420618"),
        ("X-Slack-Signature", signature),
    ];
    let scope = secret_is("8f742231b10e8888abcd99yyyzzz85a5");
    let check = |now: i64| verify_hook(&slack, &scope, &call(&headers, body), now);
    assert_eq!(check(1_531_420_618), Ok(()));
    assert_eq!(check(1_531_420_919), Err(HookRefusal::Old));
}

#[test]
fn a_time_inside_a_signature_header_is_read_and_held_to_its_window() {
    let stripe = verify(json!({
        "type": "hmac_sha256", "key": "{{ subscription.secret }}", "header": "stripe-signature",
        "signature": "{{ headers['stripe-signature'] | split('v1=') | nth(1) | split(',') | first }}",
        "message": "{{ headers['stripe-signature'] | split('t=') | nth(1) | split(',') | first }}.{{ request.body }}",
        "timestamp": "{{ headers['stripe-signature'] | split('t=') | nth(1) | split(',') | first }}",
    }));
    let scope = Scope::new().with("subscription", json!({ "secret": "whsec_test" }));
    let signed = |at: i64| {
        let mac = hmac_sha256(b"whsec_test", format!("{at}.{{}}").as_bytes()).unwrap();
        format!(
            "t={at},v1={},v0=6ffbb59b2300aae63f272406069a9788",
            crate::template::hex(&mac)
        )
    };
    let check = |header: &str, now: i64| {
        verify_hook(
            &stripe,
            &scope,
            &call(&[("Stripe-Signature", header)], "{}"),
            now,
        )
    };
    assert_eq!(check(&signed(1000), 1000), Ok(()));
    assert_eq!(check(&signed(1000), 1300), Ok(()));
    assert_eq!(check(&signed(1000), 1301), Err(HookRefusal::Old));
    assert_eq!(check(&signed(1000), 699), Err(HookRefusal::Old));
    assert_eq!(
        check(&signed(1000).replace("t=1000", "t=1001"), 1001),
        Err(HookRefusal::Forged)
    );
    for nonsense in ["t=1000", "v1=", ",", "t=,v1=", "t=1000,v1=zz"] {
        assert!(check(nonsense, 1000).is_err(), "{nonsense}");
    }
}

#[test]
fn without_a_secret_nothing_is_believed() {
    let hmac = verify(json!({"type": "hmac_sha1", "key": "{{ webhook.secret }}", "header": "x-s"}));
    let token = verify(json!({"type": "token", "header": "x-s", "value": "{{ webhook.secret }}"}));
    let empty = crate::template::hex(&hmac_sha1(b"", b"{}").unwrap());
    for verify in [hmac, token] {
        for scope in [Scope::new(), secret_is("")] {
            let given = call(&[("x-s", &empty)], "{}");
            assert_eq!(
                verify_hook(&verify, &scope, &given, 0),
                Err(HookRefusal::NoKey)
            );
        }
    }
}

#[test]
fn whose_a_call_is_must_be_said_and_be_text_or_a_number() {
    let tenant: Tenant = serde_json::from_value(
        json!({"event": "{{ body.team.id }}", "connection": "{{ capture.team }}"}),
    )
    .unwrap();
    let of = |body: &str| hook_tenant(&tenant, &call(&[], body));
    assert_eq!(of(r#"{"team": {"id": "T1"}}"#).as_deref(), Some("T1"));
    assert_eq!(of(r#"{"team": {"id": 7}}"#).as_deref(), Some("7"));
    for unsaid in [
        r#"{"team": {"id": ""}}"#,
        r#"{"team": "T1"}"#,
        r#"{"team": {"id": ["T1"]}}"#,
        "{}",
        "",
    ] {
        assert_eq!(of(unsaid), None, "{unsaid}");
    }
    let known = |value: Value| {
        connection_tenant(
            &tenant,
            &Scope::new().with("capture", json!({ "team": value })),
        )
    };
    assert_eq!(known(json!("T1")).as_deref(), Some("T1"));
    assert_eq!(known(json!("")), None);
    assert_eq!(connection_tenant(&tenant, &Scope::new()), None);
}

#[test]
fn a_call_is_wanted_by_what_it_says_and_what_the_input_wishes() {
    let trigger: Trigger = serde_json::from_value(json!({
        "title": "T", "description": "D", "kind": "webhook_app", "input": {}, "output": {},
        "when": [{"path": "$.type", "equals": "message"}, {"header": "x-kind", "exists": true}],
        "only": [{"event": "{{ body.channel }}", "is": "{{ input.channel }}"}],
    }))
    .unwrap();
    let wanted = |input: Value, body: &str, headers: &[(&str, &str)]| {
        hook_is_wanted(
            &trigger,
            &Scope::new().with("input", input),
            &call(headers, body),
        )
    };
    let kind = [("x-kind", "a")];
    let body = r#"{"type": "message", "channel": "C1"}"#;
    assert!(wanted(json!({"channel": "C1"}), body, &kind));
    assert!(wanted(json!({}), body, &kind), "what is left open is open");
    assert!(!wanted(json!({"channel": "C2"}), body, &kind));
    assert!(!wanted(
        json!({"channel": "C1"}),
        r#"{"type": "message"}"#,
        &kind
    ));
    assert!(!wanted(
        json!({"channel": "C1"}),
        &body.replace("message", "other"),
        &kind
    ));
    assert!(!wanted(json!({"channel": "C1"}), body, &[]));
}

#[test]
fn events_are_found_in_json_forms_and_lists() {
    let trigger = |items: Option<&str>| -> Trigger {
        let mut tree =
            json!({"title": "T", "description": "D", "kind": "webhook", "input": {}, "output": {}});
        if let Some(items) = items {
            tree["items"] = json!(items);
        }
        serde_json::from_value(tree).unwrap()
    };
    let body = r#"{"a": [{"id": 1}, {"id": 2}], "b": {"id": 3}}"#;
    let json_call = call(&[], body);
    assert_eq!(hook_events(&trigger(Some("$.a")), &json_call).len(), 2);
    assert_eq!(hook_events(&trigger(Some("$.a[*]")), &json_call).len(), 2);
    assert_eq!(
        hook_events(&trigger(Some("$.b")), &json_call),
        [json!({"id": 3})]
    );
    assert_eq!(hook_events(&trigger(Some("$.c")), &json_call).len(), 0);
    assert_eq!(hook_events(&trigger(None), &json_call).len(), 1);
    let form = call(
        &[("content-type", "application/x-www-form-urlencoded")],
        "id=7&x=a%20b",
    );
    assert_eq!(
        hook_events(&trigger(None), &form),
        [json!({"id": "7", "x": "a b"})]
    );
    assert!(hook_events(&trigger(None), &call(&[], "no json")).is_empty());
}
