//! Token answers as servers really send them, and refusals.

use super::*;

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
