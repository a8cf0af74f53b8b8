//! What a token answer gives beside the tokens: captures, and when they end.

use super::*;

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
