use serde_json::{Value, json};

use super::*;
use crate::message::PlainResponse;
use crate::model::{Action, Oauth2, Test, Trigger};
use crate::scope::Scope;

fn answer(status: u16, body: &Value) -> PlainResponse {
    PlainResponse {
        status,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}

fn raw(status: u16, body: &str) -> PlainResponse {
    PlainResponse {
        status,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    }
}

fn with_header(mut response: PlainResponse, name: &str, value: &str) -> PlainResponse {
    response.headers.push((name.to_owned(), value.to_owned()));
    response
}

fn slack_like() -> Test {
    serde_json::from_value(json!({
        "request": {"method": "POST", "path": "/auth.test", "safe": true},
        "ok": {"status": 200, "body": {"path": "$.ok", "equals": true}},
        "account": {"id": "{{ body.team_id }}:{{ body.user_id }}", "label": "{{ body.user }} in {{ body.team }}",
                    "extra": {"url": "{{ body.url }}", "plan": "{{ body.plan }}"}},
        "failures": [
            {"status": 200, "body": {"path": "$.error", "matches": "^(invalid_auth|token_revoked)$"}, "means": "needs_reconnect", "say": "Slack no longer accepts this sign-in."},
            {"status": 200, "body": {"path": "$.error", "equals": "ratelimited"}, "means": "rate_limited", "say": "Slack asks to slow down."}
        ]
    }))
    .unwrap()
}

#[test]
fn a_test_that_passes_says_whose_account_it_is() {
    let ok = answer(
        200,
        &json!({"ok": true, "team_id": "T1", "user_id": "U1", "user": "ann", "team": "Acme", "url": "https://acme.example"}),
    );
    let account = judge(&slack_like(), &Scope::new(), &ok).unwrap();
    assert_eq!(
        (account.id.as_str(), account.label.as_str()),
        ("T1:U1", "ann in Acme")
    );
    assert_eq!(
        account.extra,
        json!({"url": "https://acme.example"}),
        "what has no value is left out"
    );
}

#[test]
fn an_error_inside_a_200_is_a_failure_with_its_meaning() {
    let failure = judge(
        &slack_like(),
        &Scope::new(),
        &answer(200, &json!({"ok": false, "error": "token_revoked"})),
    )
    .unwrap_err();
    assert_eq!(
        (failure.means, failure.say.as_str()),
        (
            Means::NeedsReconnect,
            "Slack no longer accepts this sign-in."
        )
    );
    let failure = judge(
        &slack_like(),
        &Scope::new(),
        &answer(200, &json!({"ok": false, "error": "weird"})),
    )
    .unwrap_err();
    assert_eq!(failure.means, Means::Other);
}

#[test]
fn a_success_without_an_account_is_no_success() {
    let failure = judge(
        &slack_like(),
        &Scope::new(),
        &answer(200, &json!({"ok": true, "team_id": "T1"})),
    )
    .unwrap_err();
    assert!(failure.say.contains("whose account"));
}

#[test]
fn an_account_label_is_one_clean_line() {
    let ok = answer(
        200,
        &json!({"ok": true, "team_id": "T", "user_id": "U", "user": "a\n\u{1b}[31mb", "team": "x".repeat(900)}),
    );
    let account = judge(&slack_like(), &Scope::new(), &ok).unwrap();
    assert!(account.label.starts_with("a[31mb in xxx") && account.label.chars().count() == 250);
}

#[test]
fn statuses_mean_what_they_usually_mean_when_nothing_is_declared() {
    for (status, means) in [
        (401, Means::NeedsReconnect),
        (403, Means::MissingScope),
        (404, Means::NotFound),
        (422, Means::InvalidInput),
        (429, Means::RateLimited),
        (500, Means::ProviderDown),
        (503, Means::ProviderDown),
        (302, Means::Other),
        (200, Means::Other),
    ] {
        assert_eq!(
            failure_for(&[], &raw(status, "<html>")).means,
            means,
            "{status}"
        );
    }
}

#[test]
fn the_time_to_wait_is_read_and_bounded() {
    let wait =
        |v: &str| failure_for(&[], &with_header(raw(429, ""), "Retry-After", v)).retry_after_ms;
    assert_eq!(wait("30"), Some(30_000));
    assert_eq!(wait("99999999"), Some(86_400_000));
    assert_eq!(wait("soon"), None);
    assert_eq!(
        failure_for(&[], &with_header(raw(401, ""), "Retry-After", "30")).retry_after_ms,
        None
    );
}

#[test]
fn an_action_yields_the_declared_part_of_the_answer() {
    let action: Action = serde_json::from_value(
        json!({"title": "List", "description": "d", "effect": "read", "input": {}, "output": {},
        "request": {"path": "/x"}, "result": "$.items[*].id"}),
    )
    .unwrap();
    assert_eq!(
        action_result(
            &action,
            &answer(200, &json!({"items": [{"id": 1}, {"id": 2}]}))
        )
        .unwrap(),
        json!([1, 2])
    );
    assert_eq!(
        action_result(&action, &answer(404, &json!({})))
            .unwrap_err()
            .means,
        Means::NotFound
    );
}

fn trigger(extra: Value) -> Trigger {
    let mut base = json!({"title": "New", "description": "d", "input": {}, "output": {}, "request": {"path": "/x"},
        "items": "$.notes", "dedupe": "{{ item.id }}"});
    base.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    serde_json::from_value(base).unwrap()
}

#[test]
fn a_poll_goes_on_from_the_newest_item() {
    let t = trigger(json!({"cursor": "{{ item.id }}", "more": {"path": "$.more", "equals": true}}));
    let page = poll_page(
        &t,
        &Scope::new(),
        None,
        &answer(
            200,
            &json!({"notes": [{"id": "n1"}, {"id": "n2"}, {"id": "n2"}], "more": true}),
        ),
    )
    .unwrap();
    assert_eq!(
        page,
        PollPage {
            events: vec![json!({"id": "n1"}), json!({"id": "n2"})],
            cursor: json!("n2"),
            more: true
        }
    );
    let page = poll_page(
        &t,
        &Scope::new(),
        Some(&json!("n2")),
        &answer(200, &json!({"notes": [], "more": true})),
    )
    .unwrap();
    assert_eq!(
        page,
        PollPage {
            events: vec![],
            cursor: json!("n2"),
            more: false
        },
        "a page that does not move on is the last"
    );
}

#[test]
fn without_a_cursor_of_the_apps_own_seen_events_are_remembered() {
    let t = trigger(json!({"order": "newest_first"}));
    let first = poll_page(
        &t,
        &Scope::new(),
        None,
        &answer(200, &json!({"notes": [{"id": 2}, {"id": 1}]})),
    )
    .unwrap();
    assert_eq!(
        first.events,
        [json!({"id": 1}), json!({"id": 2})],
        "oldest first"
    );
    let second = poll_page(
        &t,
        &Scope::new(),
        Some(&first.cursor),
        &answer(200, &json!({"notes": [{"id": 3}, {"id": 2}]})),
    )
    .unwrap();
    assert_eq!(second.events, [json!({"id": 3})]);
    assert_eq!(second.cursor, json!({"seen": ["2", "3", "1"]}));
}

#[test]
fn an_event_without_its_key_is_refused() {
    let t = trigger(json!({}));
    assert!(
        poll_page(
            &t,
            &Scope::new(),
            None,
            &answer(200, &json!({"notes": [{"x": 2}]}))
        )
        .is_err()
    );
}

fn oauth(extra: Value) -> Oauth2 {
    let mut base = json!({"label": "O", "authorize_url": "https://a.example/a", "token_url": "https://a.example/t"});
    base.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    serde_json::from_value(base).unwrap()
}

fn standard(json: &TokenJson) -> (u16, Value) {
    (
        json.status,
        serde_json::from_str(json.body.expose()).unwrap(),
    )
}

/// What servers really send, and the standard document that the `oauth2` crate is handed instead.
#[test]
fn deviating_token_answers_become_standard_ones() {
    let plain = json!({"access_token": "at", "token_type": "bearer"});
    let hour = json!({"access_token": "at", "token_type": "bearer", "expires_in": 3600});
    for (name, config, response, expected) in [
        (
            "standard",
            json!({}),
            answer(
                200,
                &json!({"access_token": "at", "token_type": "Bearer", "expires_in": 3600}),
            ),
            hour.clone(),
        ),
        (
            "no token_type",
            json!({}),
            answer(200, &json!({"access_token": "at"})),
            plain.clone(),
        ),
        (
            "201",
            json!({}),
            answer(201, &json!({"access_token": "at"})),
            plain.clone(),
        ),
        (
            "text expiry",
            json!({}),
            answer(200, &json!({"access_token": "at", "expires_in": "3600"})),
            hour.clone(),
        ),
        (
            "float expiry",
            json!({}),
            answer(200, &json!({"access_token": "at", "expires_in": 3600.0})),
            hour.clone(),
        ),
        (
            "negative expiry",
            json!({}),
            answer(200, &json!({"access_token": "at", "expires_in": -1})),
            plain.clone(),
        ),
        (
            "zero expiry",
            json!({}),
            answer(200, &json!({"access_token": "at", "expires_in": 0})),
            plain.clone(),
        ),
        (
            "null expiry",
            json!({}),
            answer(200, &json!({"access_token": "at", "expires_in": null})),
            plain.clone(),
        ),
        (
            "default ttl",
            json!({"response": {"default_ttl": 3600}}),
            answer(200, &json!({"access_token": "at"})),
            hour.clone(),
        ),
        (
            "form",
            json!({}),
            raw(200, "access_token=at&expires_in=3600&token_type=bearer\n"),
            hour.clone(),
        ),
        (
            "byte order mark",
            json!({}),
            raw(200, "\u{feff}{\"access_token\":\"at\"}"),
            plain.clone(),
        ),
        (
            "root",
            json!({"response": {"root": "$.data"}}),
            answer(
                200,
                &json!({"data": {"access_token": "at", "expires_in": 3600}}),
            ),
            hour.clone(),
        ),
        (
            "own names",
            json!({"response": {"fields": {"access_token": "$.token", "expires_in": "$.ttl"}}}),
            answer(200, &json!({"token": "at", "ttl": 3600})),
            hour.clone(),
        ),
        (
            "nested token",
            json!({"response": {"fields": {"access_token": "$.access_token.token"}}}),
            answer(200, &json!({"access_token": {"token": "at"}})),
            plain.clone(),
        ),
        (
            "scope list",
            json!({}),
            answer(200, &json!({"access_token": "at", "scope": ["a", "b"]})),
            json!({"access_token": "at", "token_type": "bearer", "scope": "a b"}),
        ),
        (
            "comma scopes",
            json!({"scopes": {"separator": ","}}),
            answer(200, &json!({"access_token": "at", "scope": "a,b"})),
            json!({"access_token": "at", "token_type": "bearer", "scope": "a b"}),
        ),
        (
            "rotation",
            json!({}),
            answer(200, &json!({"access_token": "at", "refresh_token": "rt"})),
            json!({"access_token": "at", "token_type": "bearer", "refresh_token": "rt"}),
        ),
    ] {
        let parsed = token_answer(&oauth(config), &response, 1_000).map_err(|e| e.to_string());
        let parsed = parsed.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(standard(&parsed.to_json()), (200, expected), "{name}");
    }
}

#[test]
fn refusals_are_typed_and_say_who_has_to_act() {
    use TokenErrorKind::{Misconfigured, Refused, Retry, Unreadable};
    let slack = json!({"response": {"ok": {"path": "$.ok", "equals": true}}});
    let jira = json!({"refresh": {"refused": [{"status": 403, "error": "unauthorized_client"}]}});
    for (name, config, response, error, kind) in [
        (
            "standard",
            json!({}),
            answer(400, &json!({"error": "invalid_grant"})),
            "invalid_grant",
            Refused,
        ),
        (
            "client",
            json!({}),
            answer(401, &json!({"error": "invalid_client"})),
            "invalid_client",
            Misconfigured,
        ),
        (
            "error in a 200",
            json!({}),
            answer(200, &json!({"error": "bad_verification_code"})),
            "bad_verification_code",
            Refused,
        ),
        (
            "form error in a 200",
            json!({}),
            raw(
                200,
                "error=incorrect_client_credentials&error_description=x",
            ),
            "incorrect_client_credentials",
            Misconfigured,
        ),
        (
            "ok false with a token",
            slack.clone(),
            answer(
                200,
                &json!({"ok": false, "error": "invalid_code", "access_token": "x"}),
            ),
            "invalid_code",
            Misconfigured,
        ),
        (
            "declared refusal",
            jira,
            answer(403, &json!({"error": "unauthorized_client"})),
            "unauthorized_client",
            Refused,
        ),
        (
            "object error",
            json!({}),
            answer(400, &json!({"error": {"code": "x"}})),
            "x",
            Misconfigured,
        ),
        (
            "error list",
            json!({}),
            answer(400, &json!({"errors": ["x"]})),
            "http_400",
            Unreadable,
        ),
        (
            "html",
            json!({}),
            raw(502, "<html><body a=b>"),
            "http_502",
            Retry,
        ),
        (
            "down but well-formed",
            json!({}),
            answer(503, &json!({"error": "invalid_grant"})),
            "invalid_grant",
            Retry,
        ),
        (
            "slow down",
            json!({}),
            answer(429, &json!({"error": "x"})),
            "x",
            Retry,
        ),
        ("empty", json!({}), raw(400, ""), "empty_answer", Unreadable),
        (
            "redirect",
            json!({}),
            raw(307, ""),
            "empty_answer",
            Unreadable,
        ),
        (
            "nothing of use",
            json!({}),
            answer(200, &json!({"hello": 1})),
            "no_access_token",
            Unreadable,
        ),
        (
            "a list",
            json!({}),
            answer(200, &json!([1])),
            "http_200",
            Unreadable,
        ),
        (
            "odd type",
            json!({}),
            answer(200, &json!({"access_token": "a", "token_type": "mac"})),
            "token_type_not_supported",
            Misconfigured,
        ),
    ] {
        let refused = token_answer(&oauth(config), &response, 0)
            .err()
            .unwrap_or_else(|| panic!("{name} was accepted"));
        assert_eq!(
            (refused.error.as_str(), refused.kind),
            (error, kind),
            "{name}"
        );
        let (status, body) = standard(&refused.to_json());
        assert_eq!(
            (status, body["error"].as_str()),
            (400, Some(error)),
            "{name}"
        );
    }
}

#[test]
fn a_refusal_keeps_the_time_to_wait_and_no_raw_body() {
    let response = with_header(raw(503, "<html>secret-canary</html>"), "retry-after", "7");
    let refused = token_answer(&oauth(json!({})), &response, 0).err().unwrap();
    assert_eq!((refused.status, refused.retry_after_ms), (503, Some(7_000)));
    assert!(!format!("{refused:?} {refused}").contains("canary"));
}

#[test]
fn captures_are_kept_apart_by_secrecy_and_held_to_their_suffix() {
    let config = json!({"capture": {
        "team_id": {"path": "$.team.id", "public": true},
        "user_token": {"path": "$.authed_user.access_token", "required": false},
        "instance": {"path": "$.instance_url", "public": true, "format": "origin", "suffixes": [".salesforce.com"], "required": false}}});
    let good = answer(
        200,
        &json!({"access_token": "a", "team": {"id": "T1"}, "authed_user": {"access_token": "xoxp"}, "instance_url": "https://acme.my.salesforce.com"}),
    );
    let tokens = token_answer(&oauth(config.clone()), &good, 0).ok().unwrap();
    assert_eq!(tokens.public_captures["team_id"], "T1");
    assert_eq!(
        tokens.public_captures["instance"],
        "https://acme.my.salesforce.com"
    );
    assert_eq!(tokens.secret_captures["user_token"].expose(), "xoxp");
    assert!(!tokens.public_captures.contains_key("user_token"));

    for evil in [
        "https://evil.example",
        "https://salesforce.com.evil.example",
        "https://a@acme.salesforce.com",
        "http://acme.salesforce.com",
        "https://acme.salesforce.com/x",
    ] {
        let bad = answer(
            200,
            &json!({"access_token": "a", "team": {"id": "T1"}, "instance_url": evil}),
        );
        let refused = token_answer(&oauth(config.clone()), &bad, 0)
            .err()
            .unwrap_or_else(|| panic!("{evil}"));
        assert_eq!(refused.error, "capture_not_allowed", "{evil}");
    }
    let missing = answer(200, &json!({"access_token": "a"}));
    assert_eq!(
        token_answer(&oauth(config), &missing, 0)
            .err()
            .unwrap()
            .error,
        "capture_missing"
    );
}

#[test]
fn expiry_is_a_time_from_now() {
    let tokens = token_answer(
        &oauth(json!({})),
        &answer(200, &json!({"access_token": "a", "expires_in": 60})),
        1_000,
    )
    .ok()
    .unwrap();
    assert_eq!(tokens.expires_at, Some(1_060));
}

fn id_token(claims: &Value) -> String {
    use base64::Engine as _;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("e30.{payload}.c2ln")
}

#[test]
fn captures_are_read_from_the_body_a_header_a_cookie_or_a_claim() {
    let mut response = answer(
        200,
        &json!({"access_token": "at", "team": {"id": 7}, "id_token": id_token(&json!({"sub": "u1", "n": 5, "list": []}))}),
    );
    response.headers.extend([
        ("X-Tenant".to_owned(), " acme ".to_owned()),
        ("Set-Cookie".to_owned(), "sid=old; Path=/".to_owned()),
        ("set-cookie".to_owned(), "sid=\"new\"; HttpOnly".to_owned()),
    ]);
    for (source, wanted) in [
        (json!({"path": "$.team.id"}), Some("7")),
        (json!({"path": "$.team.name"}), None),
        (json!({"header": "x-tenant"}), Some("acme")),
        (json!({"header": "X-Absent"}), None),
        (json!({"cookie": "sid"}), Some("new")),
        (json!({"cookie": "SID"}), None),
        (json!({"claim": "sub"}), Some("u1")),
        (json!({"claim": "n"}), Some("5")),
        (json!({"claim": "list"}), None),
        (json!({"claim": "absent"}), None),
    ] {
        let mut capture = source.clone();
        capture["public"] = json!(true);
        let oauth = oauth(json!({"capture": {"it": capture}}));
        let read = token_answer(&oauth, &response, 0);
        match (read, wanted) {
            (Ok(read), Some(wanted)) => {
                assert_eq!(
                    read.public_captures.get("it").map(String::as_str),
                    Some(wanted),
                    "{source}"
                );
            }
            (Err(e), None) => assert_eq!(e.error, "capture_missing", "{source}"),
            (Ok(_), None) => panic!("{source}: something was captured"),
            (Err(e), Some(_)) => panic!("{source}: {e}"),
        }
    }
}

#[test]
fn a_refresh_takes_captures_again_keeps_them_or_insists() {
    let with = answer(200, &json!({"access_token": "at", "where": "b"}));
    let without = answer(200, &json!({"access_token": "at"}));
    for (policy, on_with, on_without) in [
        (json!(null), Ok(Some("b")), Ok(None)),
        (json!("again"), Ok(Some("b")), Err("capture_missing")),
        (json!("keep"), Ok(None), Ok(None)),
    ] {
        let mut capture = json!({"path": "$.where", "public": true});
        if !policy.is_null() {
            capture["on_refresh"] = policy.clone();
        }
        let oauth = oauth(json!({"capture": {"it": capture}}));
        for (response, wanted) in [(&with, on_with), (&without, on_without)] {
            let read = refresh_answer(&oauth, response, 0);
            let got = match &read {
                Ok(read) => Ok(read.public_captures.get("it").map(String::as_str)),
                Err(e) => Err(e.error.as_str()),
            };
            assert_eq!(got, wanted, "{policy}");
        }
        assert!(
            token_answer(&oauth, &without, 0).is_err(),
            "{policy}: the first answer has it"
        );
    }
}

#[test]
fn the_declared_expiry_decides_and_the_default_stands_in() {
    for (config, body, wanted) in [
        (
            json!({"expiry": {"in": "$.ms", "unit": "milliseconds"}}),
            json!({"ms": 60000}),
            Some(60),
        ),
        (
            json!({"expiry": {"at": "$.end"}, "default_ttl": 9}),
            json!({"end": "1090"}),
            Some(90),
        ),
        (
            json!({"expiry": {"at": "$.end"}, "default_ttl": 9}),
            json!({"end": 999}),
            Some(9),
        ),
        (
            json!({"expiry": {"jwt": "id_token"}}),
            json!({"id_token": id_token(&json!({"exp": 1030}))}),
            Some(30),
        ),
        (
            json!({"expiry": {"fixed": 7200}}),
            json!({"expires_in": 1}),
            Some(7200),
        ),
        (
            json!({"expiry": {"never": "keys live on"}, "default_ttl": 9}),
            json!({"expires_in": 1}),
            None,
        ),
        (
            json!({"root": "$.data", "expiry": {"in": "$.left", "unit": "minutes"}}),
            json!({"data": {"access_token": "at", "left": "2"}}),
            Some(120),
        ),
    ] {
        let mut body = body;
        if body.get("data").is_none() {
            body["access_token"] = json!("at");
        }
        let oauth = oauth(json!({"response": config}));
        let read = token_answer(&oauth, &answer(200, &body), 1000).map_err(|e| e.error);
        let read = read.unwrap_or_else(|e| panic!("{body}: {e}"));
        assert_eq!(read.expires_in, wanted, "{body}");
        assert_eq!(read.expires_at, wanted.map(|s| 1000 + s as i64), "{body}");
    }
}

#[test]
fn a_token_answer_in_xml_is_read_if_it_is_declared() {
    let oauth = oauth(
        json!({"response": {"decode": "xml", "root": "$.Access_Token",
        "fields": {"access_token": "$.Token"}, "expiry": {"fixed": 60}}}),
    );
    let response = PlainResponse {
        status: 200,
        headers: Vec::new(),
        body: b"<Access_Token><Token>at</Token></Access_Token>".to_vec(),
    };
    let read = token_answer(&oauth, &response, 0)
        .map_err(|e| e.error)
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read.access_token.expose(), "at");
}
