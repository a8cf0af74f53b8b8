//! Every way to sign in: it is read, written and read again as the same; what does not run is said; what cannot work is
//! refused under its rule.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

use keyport_manifest::{AuthMethod, Severity, check, parse};
use serde_json::{Value, json};

/// A manifest with this one way to sign in.
fn manifest(method: &Value) -> String {
    let tree = json!({
        "manifest": 1, "id": "acme", "name": "Acme", "version": "1.0.0", "summary": "Things at Acme.",
        "categories": ["productivity"], "component": "rest",
        "api": {"base_url": "https://api.acme.com"},
        "auth": {"way": method},
        "test": {
            "request": {"path": "/me"},
            "ok": {"status": 200, "body": "$.id"},
            "account": {"id": "{{ body.id }}", "label": "{{ body.name }}"},
        },
        "sources": ["https://www.acme.com/docs"],
    });
    serde_json::to_string_pretty(&tree).unwrap()
}

/// Ids of the errors about the way to sign in.
fn errors(method: &Value) -> Vec<&'static str> {
    let mut rules: Vec<&'static str> = check("manifest.yaml", &manifest(method), None)
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .map(|f| f.rule)
        .collect();
    rules.dedup();
    rules
}

fn key() -> Value {
    json!([{"id": "key", "label": "Key", "secret": true, "help_url": "https://www.acme.com/key"}])
}

fn jwt() -> Value {
    json!({"alg": "RS256", "key": "{{ credentials.key }}", "header": {"kid": "{{ key.fingerprint }}"},
        "claims": {"iss": "acme", "deep": [{"aud": "https://api.acme.com"}]}, "lifetime": 600, "fingerprint": "sha256", "without": ["iat"]})
}

fn session() -> Value {
    json!({"type": "session", "label": "Sign in", "fields": key(),
        "steps": [
            {"request": {"method": "POST", "path": "/login", "body": {"json": {"key": "{{ credentials.key }}"}}},
             "ok": {"status": 200}, "capture": {"ticket": {"header": "X-Ticket"}}},
            {"request": {"method": "POST", "path": "/open", "query": {"ticket": "{{ capture.ticket }}"}, "headers": {"x-key": "{{ credentials.key }}"}},
             "capture": {"sid": {"cookie": "sid"}}},
        ],
        "expiry": {"fixed": 1800}, "logout": {"method": "POST", "path": "/logout"},
        "inject": [{"header": "X-Session", "value": "{{ capture.sid }}"}]})
}

fn oauth(more: Value) -> Value {
    let mut method = json!({"type": "oauth2", "label": "Sign in", "authorize_url": "https://acme.com/authorize",
        "token_url": "https://acme.com/token", "refresh": {"rotates": "maybe"}, "revoke": {"none": "Acme has no way to end a grant."}});
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            method.as_object_mut().unwrap().remove(name);
        } else {
            method[name] = value.clone();
        }
    }
    method
}

/// Sound ones, at least one of each type, with every key of what is new.
fn sound() -> Vec<Value> {
    vec![
        json!({"type": "none", "label": "Open", "reason": "Acme's API is public; see its docs."}),
        session(),
        json!({"type": "jwt", "label": "Key", "fields": key(), "sign": jwt()}),
        json!({"type": "jwt", "label": "Key", "fields": key(),
            "sign": {"alg": "HS256", "key": "{{ credentials.key }}", "key_format": "hex", "claims": {}},
            "inject": [{"header": "Authorization", "value": "Ghost {{ jwt.token }}"}]}),
        json!({"type": "oauth1", "label": "Sign in", "request_token_url": "https://acme.com/request", "authorize_url": "https://acme.com/authorize",
            "access_token_url": "https://acme.com/access", "authorize_params": {"expiration": "never"}, "signature": "HMAC-SHA256", "place": "query",
            "capture": {"user": {"path": "$.user_id", "public": true}}, "revoke": {"none": "Acme has no way to end a grant."}}),
        json!({"type": "oauth1", "label": "Tokens", "grant": "token", "fields": key(), "client": {"operator": false, "owner": {"id": "id", "secret": "{{ credentials.key }}"}},
            "realm": "1234", "token": "{{ credentials.key }}", "token_secret": "{{ credentials.key }}"}),
        json!({"type": "aws_sigv4", "label": "Keys", "fields": key(), "access_key_id": "{{ credentials.key }}", "secret_access_key": "{{ credentials.key }}",
            "session_token": "{{ credentials.key }}", "region": "eu-central-1", "service": "s3",
            "assume_role": {"role_arn": "arn:aws:iam::1:role/x", "external_id": "x", "session_name": "keyport", "duration": 900}}),
        json!({"type": "hmac", "label": "Key", "fields": key(), "algorithm": "sha512", "key": "{{ credentials.key }}", "key_format": "base64",
            "message": "{{ timestamp }}{{ request.method }}{{ request.path }}{{ request.body_sha256 }}", "encoding": "base64",
            "inject": [{"header": "X-Signature", "value": "{{ signature }}"}, {"header": "X-Timestamp", "value": "{{ timestamp }}"}]}),
        json!({"type": "wsse", "label": "Name", "fields": key(), "username": "me", "secret": "{{ credentials.key }}", "header": "X-Token"}),
        json!({"type": "wsse", "label": "Name", "fields": key(), "username": "me", "secret": "{{ credentials.key }}", "digest": "base64_of_hex", "nonce": "hex"}),
        json!({"type": "session", "label": "Sign in", "fields": key(),
            "steps": [
                {"request": {"method": "POST", "path": "/open"}, "capture": {"ticket": {"path": "$.ticket"}}},
                {"sign": {"alg": "RS256", "key": "{{ credentials.key }}", "header": {"kid": "{{ key.fingerprint }}"},
                    "claims": {"iss": "acme", "ticket": "{{ capture.ticket }}"}, "fingerprint": "sha256"},
                 "request": {"method": "POST", "path": "/login", "headers": {"authorization": "Bearer {{ jwt.token }}"}},
                 "capture": {"sid": {"path": "$.sid"}}},
            ],
            "expiry": {"fixed": 3600}, "logout": {"none": "Acme has no way to end a session."},
            "base_url": "https://api.eu.acme.com",
            "inject": [{"cookie": "SID", "value": "{{ capture.sid }}"}]}),
        json!({"type": "mtls", "label": "Certificate", "fields": key(), "certificate": "{{ credentials.key }}", "private_key": "{{ credentials.key }}"}),
        json!({"type": "api_key", "label": "Key", "fields": key(), "inject": [{"body": "api_key", "value": "{{ credentials.key }}"}]}),
        oauth(
            json!({"grant": "client_credentials", "authorize_url": null, "refresh": {"by": "sign_in_again"}}),
        ),
        oauth(
            json!({"grant": "device", "authorize_url": null, "device_url": "https://acme.com/device"}),
        ),
        oauth(
            json!({"grant": "jwt_bearer", "authorize_url": null, "fields": key(), "assertion": jwt(), "refresh": {"by": "sign_in_again"}}),
        ),
        oauth(
            json!({"authorize_url": null, "token_url": null, "discover": {"issuer": "https://acme.com"}, "register": true}),
        ),
        oauth(
            json!({"fields": key(), "client_auth": "private_key_jwt", "client_assertion": jwt()}),
        ),
        oauth(
            json!({"token_method": "GET", "token_body": "query", "params": {"rename": {"client_id": "appid", "redirect_uri": "redirect_url"}, "drop": ["response_type"], "values": {"response_type": "auth_code", "grant_type": "auth_code"}}}),
        ),
        oauth(
            json!({"token_body": {"xml": "<code>{{ callback.code }}</code>"},
            "authorize": {"route": "/oauth", "order": ["appid"], "unescaped": ["scope"], "keep_empty": ["scope"], "redirect_alias": true}}),
        ),
        oauth(
            json!({"callback": {"code": "spapi_oauth_code", "state": "s", "max_state": 64,
            "verify": {"type": "hmac_sha256", "key": "{{ app.client_secret }}", "param": "hmac", "over": "query", "encoding": "base64"}}}),
        ),
        oauth(
            json!({"callback": {"verify": {"type": "jwt", "key": "{{ app.client_secret }}", "param": "signed", "alg": "HS256"}}}),
        ),
        oauth(
            json!({"scopes": {"default": ["a"], "extra": [{"param": "user_scope", "default": ["b"], "separator": ","}]},
            "response": {"expiry": {"at": "$.end", "unit": "rfc3339"}, "also": {"user": {"root": "$.user", "credential": "user"}}},
            "inject": [{"header": "Authorization", "value": "Bearer {{ tokens.user.access_token }}"}]}),
        ),
        oauth(
            json!({"exchange": {"url": "https://acme.com/exchange", "method": "GET", "params": {"t": "{{ token.access_token }}"}, "response": {"expiry": {"in": "$.left", "unit": "minutes"}}},
            "refresh_url": "https://acme.com/younger", "refresh_params": {"grant_type": "younger", "t": "{{ token.access_token }}"},
            "refresh": {"rotates": "never", "by": "exchange", "headers": {"x-a": "b"}}}),
        ),
        oauth(
            json!({"grant": "client_credentials", "authorize_url": null, "refresh": {"by": "sign_in_again"}, "client_auth": "tls", "fields": key(),
            "client_certificate": {"certificate": "{{ credentials.key }}", "private_key": "{{ credentials.key }}", "at": "token"}}),
        ),
        oauth(
            json!({"fields": [{"id": "org", "label": "Organisation", "format": "dns-label"}],
            "scopes": {"default": ["https://{{ credentials.org }}.acme.com/.default"], "optional": ["x.{{ credentials.org }}"],
                "extra": [{"param": "user_scope", "default": ["{{ credentials.org }}"]}]}}),
        ),
        oauth(
            json!({"base_url": "{{ capture.rest }}", "capture": {"rest": {"path": "$.rest_url", "format": "base-url", "suffixes": [".acme.com"], "public": true}}}),
        ),
        oauth(
            json!({"exchange": {"url": "https://acme.com/login", "params": {"t": "{{ token.access_token }}"}, "response": {"default_ttl": 600},
                "capture": {"rest": {"path": "$.rest_url", "format": "base-url", "suffixes": [".acme.com"], "public": true}}},
            "base_url": "{{ capture.rest }}"}),
        ),
        oauth(
            json!({"token_params": {"state": "{{ callback.state }}"}, "authorize": {"fragment": "x"},
            "refresh": {"rotates": "never", "prolongs": {"ok": {"path": "$.result", "equals": "0000"}, "seconds": 2592000}}}),
        ),
        oauth(
            json!({"capture": {"a": {"claim": "sub", "on_refresh": "keep"}, "b": {"header": "X-B", "on_refresh": "again"}, "c": {"callback": "c", "public": true}}}),
        ),
    ]
}

#[test]
fn every_way_to_sign_in_is_read_written_and_read_again_as_the_same() {
    let mut kinds = std::collections::BTreeSet::new();
    for method in sound() {
        let read: AuthMethod =
            serde_json::from_value(method.clone()).unwrap_or_else(|e| panic!("{method}: {e}"));
        let again: AuthMethod =
            serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
        assert_eq!(again, read, "{method}");
        assert!(AuthMethod::KINDS.contains(&read.kind()));
        kinds.insert(read.kind());
    }
    kinds.extend(["basic", "bearer"]);
    assert_eq!(kinds.len(), AuthMethod::KINDS.len(), "{kinds:?}");
}

#[test]
fn sound_ways_to_sign_in_have_no_errors_and_run() {
    for method in sound() {
        assert_eq!(errors(&method), Vec::<&str>::new(), "{method}");
        let read = parse("manifest.yaml", &manifest(&method)).unwrap();
        assert_eq!(read.why_not_run("way"), None, "{method}");
        assert_eq!(read.not_yet(), Vec::new(), "{method}");
    }
}

/// A server that wants one of these must not be met without it: the way to sign in is refused, not weakened.
#[test]
fn what_is_named_and_not_run_yet_is_told_at_its_line_and_does_not_run() {
    for (key, value, number) in [
        ("par", json!(true), "RFC 9126"),
        ("request_object", json!("ES256"), "RFC 9101"),
        ("dpop", json!("ES256"), "RFC 9449"),
        (
            "token_exchange",
            json!({"subject_token_type": "urn:ietf:params:oauth:token-type:access_token", "audience": "api"}),
            "RFC 8693",
        ),
    ] {
        let text = manifest(&oauth(json!({key: value})));
        let told: Vec<_> = check("manifest.yaml", &text, None)
            .findings
            .into_iter()
            .filter(|finding| finding.rule == "V97")
            .collect();
        assert_eq!(told.len(), 1, "{key}");
        assert_eq!(told[0].severity, Severity::Note, "{key}");
        let line = text
            .lines()
            .position(|line| line.contains(&format!("\"{key}\"")));
        assert_eq!(told[0].line, line.unwrap() + 1, "{key}");
        let why = parse("manifest.yaml", &text).unwrap().why_not_run("way");
        let why = why.unwrap();
        assert!(why.contains(key) && why.contains(number), "{why}");
        assert!(
            why.ends_with("is not run by this version of Keyport"),
            "{why}"
        );
    }
}

#[test]
fn what_cannot_work_is_refused_under_its_rule() {
    let with = |mut method: Value, pointer: &str, value: Value| {
        let (at, name) = pointer.rsplit_once('/').unwrap();
        method.pointer_mut(at).unwrap()[name] = value;
        method
    };
    let signed = || json!({"type": "jwt", "label": "Key", "fields": key(), "sign": jwt()});
    for (rule, method) in [
        ("V34", oauth(json!({"token_url": null}))),
        (
            "V34",
            oauth(json!({"device_url": "https://acme.com/device"})),
        ),
        (
            "V34",
            oauth(json!({"grant": "device", "device_url": "https://acme.com/device"})),
        ),
        (
            "V34",
            oauth(json!({"grant": "jwt_bearer", "authorize_url": null})),
        ),
        ("V34", oauth(json!({"register": true}))),
        (
            "V34",
            oauth(json!({"client_assertion": jwt(), "fields": key()})),
        ),
        ("V34", oauth(json!({"params": {"drop": ["colour"]}}))),
        (
            "V34",
            oauth(json!({"response": {"expiry": {"jwt": "other_token"}}})),
        ),
        (
            "V35",
            oauth(
                json!({"authorize_params": {"duration": "permanent"}, "refresh": {"by": "sign_in_again"}}),
            ),
        ),
        (
            "V35",
            oauth(json!({"refresh": {"rotates": "never", "by": "exchange"}})),
        ),
        (
            "V35",
            oauth(
                json!({"refresh_url": "https://acme.com/r", "response": {"expiry": {"never": "Acme's tokens never end."}}}),
            ),
        ),
        (
            "V49",
            oauth(json!({"capture": {"a": {"callback": "a", "on_refresh": "again"}}})),
        ),
        (
            "V49",
            oauth(json!({"capture": {"a": {"header": "a", "claim": "b"}}})),
        ),
        (
            "V49",
            with(
                session(),
                "/steps/0/capture/ticket",
                json!({"claim": "sub"}),
            ),
        ),
        ("V52", oauth(json!({"refresh": null}))),
        ("V52", oauth(json!({"refresh": {"early": 60}}))),
        (
            "V53",
            oauth(json!({"refresh": {"rotates": "maybe", "refused": [{}]}})),
        ),
        (
            "V53",
            oauth(json!({"refresh": {"rotates": "maybe", "refused": [{"status": "5xx"}]}})),
        ),
        (
            "V53",
            oauth(
                json!({"refresh": {"rotates": "maybe", "refused": [{"status": 400, "error": "slow_down"}]}}),
            ),
        ),
        (
            "V54",
            oauth(json!({"authorize_params": {"redirectUrl": "https://evil.example"}})),
        ),
        (
            "V54",
            oauth(
                json!({"authorize_url": "https://acme.com/authorize?redirect_uri=https%3A%2F%2Fevil.example"}),
            ),
        ),
        (
            "V54",
            oauth(json!({"params": {"rename": {"client_id": "redirect_uri"}}})),
        ),
        ("V55", oauth(json!({"params": {"drop": ["state"]}}))),
        ("V55", oauth(json!({"callback": {"without_state": "no"}}))),
        (
            "V56",
            oauth(
                json!({"callback": {"verify": {"type": "hmac_sha256", "key": "x", "param": "hmac"}}}),
            ),
        ),
        (
            "V56",
            oauth(
                json!({"callback": {"verify": {"type": "hmac_sha256", "key": "{{ app.client_secret }}", "param": "code"}}}),
            ),
        ),
        (
            "V56",
            oauth(json!({"authorize_url": "https://acme.myshopify.com/authorize"})),
        ),
        ("V34", oauth(json!({"client_auth": "tls"}))),
        (
            "V34",
            oauth(json!({"params": {"values": {"response_type": "code token"}}})),
        ),
        ("V34", oauth(json!({"params": {"values": {"scope": "x"}}}))),
        ("V34", oauth(json!({"token_params": {"state": "mine"}}))),
        (
            "V34",
            oauth(json!({"authorize_params": {"state": "{{ fields.x }}"}})),
        ),
        ("V34", oauth(json!({"authorize": {"route": "oauth"}}))),
        (
            "V34",
            oauth(json!({"authorize": {"route": "/oauth", "fragment": "x"}})),
        ),
        (
            "V52",
            oauth(
                json!({"refresh": {"rotates": "always", "prolongs": {"ok": "$.ok", "seconds": 60}}}),
            ),
        ),
        (
            "V34",
            oauth(
                json!({"refresh": {"rotates": "never", "prolongs": {"ok": "$.ok", "seconds": 0}}}),
            ),
        ),
        (
            "V16",
            oauth(
                json!({"exchange": {"url": "https://acme.com/x/{{ capture.late }}", "response": {"default_ttl": 1},
                "capture": {"late": {"path": "$.late", "public": true}}}}),
            ),
        ),
        (
            "V57",
            with(
                session(),
                "/inject",
                json!([{"cookie": "a b", "value": "{{ capture.sid }}"}]),
            ),
        ),
        (
            "V34",
            oauth(
                json!({"fields": key(), "client_certificate": {"certificate": "{{ credentials.key }}", "private_key": "x"}}),
            ),
        ),
        (
            "V18",
            oauth(json!({"fields": key(), "scopes": {"default": ["a.{{ credentials.key }}"]}})),
        ),
        (
            "V16",
            oauth(json!({"scopes": {"default": ["a.{{ token.access_token }}"]}})),
        ),
        (
            "V34",
            oauth(json!({"scopes": {"default": ["a b {{ credentials.x }}"]}})),
        ),
        (
            "V31",
            oauth(
                json!({"base_url": "{{ capture.rest }}", "capture": {"rest": {"path": "$.r", "format": "base-url", "public": true}}}),
            ),
        ),
        (
            "V31",
            oauth(
                json!({"base_url": "{{ capture.rest }}.evil.example", "capture": {"rest": {"path": "$.r", "format": "base-url", "suffixes": [".acme.com"], "public": true}}}),
            ),
        ),
        ("V32", oauth(json!({"base_url": "http://api.acme.com"}))),
        (
            "V33",
            oauth(json!({"base_url": "https://api.acme.com/?a=b"})),
        ),
        (
            "V18",
            oauth(
                json!({"base_url": "https://api.acme.com/{{ capture.rest }}", "capture": {"rest": {"path": "$.r"}}}),
            ),
        ),
        ("V34", with(session(), "/steps/0/sign", jwt())),
        (
            "V16",
            with(
                session(),
                "/steps/0/request/headers",
                json!({"x-key": "{{ jwt.token }}"}),
            ),
        ),
        ("V34", with(session(), "/steps", json!([]))),
        ("V34", with(session(), "/expiry", json!({"jwt": "nothing"}))),
        (
            "V16",
            with(
                session(),
                "/steps/0/request/headers",
                json!({"x-sid": "{{ capture.sid }}"}),
            ),
        ),
        (
            "V18",
            with(
                session(),
                "/steps/0/request/path",
                json!("/login/{{ credentials.key }}"),
            ),
        ),
        (
            "V18",
            with(session(), "/steps/1/request/method", json!("GET")),
        ),
        (
            "V32",
            with(
                session(),
                "/steps/0/request/path",
                json!("http://acme.com/login"),
            ),
        ),
        ("V34", with(signed(), "/sign/key", json!("fixed"))),
        ("V34", with(signed(), "/sign/alg", json!("HS256"))),
        ("V34", with(signed(), "/sign/claims/exp", json!(1))),
        ("V34", with(signed(), "/sign/lifetime", json!(86400))),
        ("V14", with(signed(), "/sign/fingerprint", Value::Null)),
        (
            "V34",
            json!({"type": "none", "label": "Open", "reason": "free"}),
        ),
        (
            "V34",
            json!({"type": "hmac", "label": "Key", "fields": key(), "key": "{{ credentials.key }}", "message": "x", "inject": [{"header": "X-A", "value": "b"}]}),
        ),
        (
            "V34",
            json!({"type": "mtls", "label": "C", "fields": key(), "certificate": "{{ credentials.key }}", "private_key": "x"}),
        ),
        (
            "V34",
            json!({"type": "oauth1", "label": "T", "grant": "token", "fields": key(), "token": "{{ credentials.key }}"}),
        ),
        (
            "V57",
            json!({"type": "wsse", "label": "N", "fields": key(), "username": "me", "secret": "{{ credentials.key }}", "header": "Host"}),
        ),
    ] {
        let found = errors(&method);
        assert!(
            found.contains(&rule),
            "{rule} is not among {found:?}: {method}"
        );
    }
}
