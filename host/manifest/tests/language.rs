//! The parts of the language beyond signing in: each is written out as it was read, and does what its page says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may be blunt"
)]

use keyport_manifest::{
    Action, Discovered, Discovery, Failure, Field, FolderFacts, Format, Manifest, Means, Migration,
    NextStep, Pagination, PlainRequest, PlainResponse, Progress, Scope, Test, Trigger, Variants,
    check, discovered, first_page, next_page, parse, refused_by_all,
};
use serde_json::{Value, json};

fn same<T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug>(v: Value) {
    let read: T = serde_json::from_value(v.clone()).unwrap();
    let written = serde_json::to_value(&read).unwrap();
    let again: T = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(again, read, "{written}");
}

#[test]
fn every_part_is_written_out_as_it_was_read() {
    same::<Variants>(
        json!({"label": "E", "default": "a", "choices": {"a": {"label": "A", "values": {"x": "1"}}}}),
    );
    for pick in [
        json!("ask"),
        json!("first"),
        json!("only"),
        json!({"match": {"path": "$.d", "equals": true}}),
    ] {
        same::<Discovery>(
            json!({"id": "s", "methods": ["o"], "request": {"path": "/x"}, "items": "$[*]",
            "pick": pick, "label": "{{ item.n }}", "capture": {"c": {"path": "$.id", "public": true}}}),
        );
    }
    same::<Migration>(
        json!({"from": "<2.0.0", "rename": {"a": "b"}, "set": {"r": "us"}, "remove": ["o"], "reconnect": "x"}),
    );
    for next in [
        json!({"cursor": "$.n", "query": "c"}),
        json!({"cursor": "$.n", "body": "c"}),
        json!({"link_header": true}),
        json!({"url": "$.n"}),
        json!({"page": "p", "start": 0}),
        json!({"page": "p"}),
        json!({"offset": "o"}),
    ] {
        same::<Pagination>(
            json!({"items": "$.d", "next": next, "size": {"query": "l", "value": 2}, "max_pages": 3}),
        );
    }
    for verify in [
        json!({"type": "hmac_sha256", "key": "{{ webhook.secret }}", "header": "X", "prefix": "s=", "encoding": "base64",
            "message": "{{ request.body }}", "timestamp": "{{ headers.t }}", "tolerance": 300}),
        json!({"type": "token", "header": "X", "value": "{{ webhook.secret }}"}),
        json!({"none": "the app has none"}),
    ] {
        same::<Trigger>(
            json!({"title": "t", "description": "d", "kind": "webhook", "input": {}, "output": {},
            "subscribe": {"method": "POST", "path": "/h"}, "subscription": {"id": {"path": "$.id"}},
            "unsubscribe": {"method": "DELETE", "path": "/h/{{ subscription.id }}"}, "verify": verify,
            "challenge": {"when": "$.challenge", "answer": "{{ body.challenge }}"}}),
        );
    }
    same::<Action>(
        json!({"title": "t", "description": "d", "effect": "write", "input": {}, "output": {}, "scopes": ["s"],
        "idempotent": true, "destructive": true, "choices_from": {"c": {"action": "l", "value": "$.id"}}}),
    );
    let call = json!({"request": {"path": "/me"}, "ok": {"status": 200}, "account": {"id": "{{ body.i }}", "label": "x"}});
    same::<Test>(json!({"any_of": [call, call]}));
    for shown in [
        json!({"field": "r", "equals": "eu"}),
        json!({"field": "r", "in": ["eu", "us"]}),
    ] {
        same::<Field>(
            json!({"id": "f", "label": "F", "shown_when": shown, "group": "G",
            "file": {"accept": [".pem"], "max": 10}, "format": "pem"}),
        );
    }
    for wrong in [
        json!({"cursor": "$.n"}),
        json!({"page": "p", "offset": "o"}),
        json!({}),
        json!({"link_header": false}),
    ] {
        assert!(
            serde_json::from_value::<Pagination>(json!({"items": "$", "next": wrong})).is_err()
        );
    }
}

#[test]
fn each_format_takes_its_own_and_gives_one_written_form() {
    let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\nBBBB\n-----END PRIVATE KEY-----\n";
    for (format, typed, stored) in [
        (Format::Integer, "-007", Some("-7")),
        (Format::Integer, "1.5", None),
        (Format::Boolean, "Yes", Some("true")),
        (Format::Boolean, "0", Some("false")),
        (Format::Boolean, "maybe", None),
        (Format::Date, "2024-02-29", Some("2024-02-29")),
        (Format::Date, "2023-02-29", None),
        (Format::Date, "2023-2-3", None),
        (Format::Json, "{\"a\":1}", Some("{\"a\":1}")),
        (Format::Json, "{\"a\":", None),
        (Format::Json, "7", None),
        (Format::Pem, pem, Some(pem)),
        (
            Format::Pem,
            "-----BEGIN PRIVATE KEY-----\\nAAAA\\nBBBB\\n-----END PRIVATE KEY-----",
            Some(pem),
        ),
        (
            Format::Pem,
            "-----BEGIN PRIVATE KEY----- AAAA BBBB -----END PRIVATE KEY-----",
            Some(pem),
        ),
        (Format::Pem, "-----BEGIN PRIVATE KEY-----\nAAAA", None),
        (Format::Pem, "AAAA", None),
    ] {
        assert_eq!(
            Field::named("f", "F", format).parse(typed).ok().as_deref(),
            stored,
            "{typed}"
        );
    }
    let hidden = Field {
        hidden: true,
        default: Some("x".into()),
        ..Field::named("f", "F", Format::Text)
    };
    assert_eq!(hidden.parse("typed").unwrap(), "x");
}

fn answer(status: u16, body: &Value) -> PlainResponse {
    PlainResponse {
        status,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}

#[test]
fn discovery_takes_the_item_that_is_meant_and_never_guesses() {
    let step = |pick: Value| -> Discovery {
        serde_json::from_value(json!({"id": "site", "request": {"path": "/s"}, "items": "$", "pick": pick,
            "label": "{{ item.name }}", "capture": {"id": {"path": "$.id", "public": true}, "key": {"path": "$.key", "required": false}}}))
        .unwrap()
    };
    let two = json!([{"id": 1, "name": "A", "key": "k"}, {"id": 2, "name": "B", "d": true}]);
    let found = |pick: Value, body: &Value| match discovered(
        &step(pick),
        &Scope::new(),
        &answer(200, body),
    ) {
        Ok(Discovered::Item(c)) => format!("{} {}", c.public.get("id").unwrap(), c.secret.len()),
        Ok(Discovered::Ask(all)) => all
            .iter()
            .map(|c| c.label.as_str())
            .collect::<Vec<_>>()
            .join(","),
        Err(f) => f.say,
    };
    let is_d = json!({"match": {"path": "$.d", "equals": true}});
    assert_eq!(found(json!("first"), &two), "1 1");
    assert_eq!(found(json!("ask"), &two), "A,B");
    assert_eq!(found(json!("ask"), &json!([{"id": 3}])), "3 0");
    assert_eq!(found(is_d.clone(), &two), "2 0");
    assert!(found(is_d, &json!([{"id": 1}])).contains("is the one that is meant"));
    assert!(found(json!("only"), &two).contains("several"));
    assert!(found(json!("first"), &json!([])).contains("lists nothing"));
    assert!(found(json!("first"), &json!([{"name": "A"}])).contains("lacks `id`"));
    let refused = discovered(
        &step(json!("first")),
        &Scope::new(),
        &answer(401, &json!({})),
    );
    assert_eq!(refused.err().unwrap().means, Means::NeedsReconnect);
}

#[test]
fn pages_are_followed_to_their_end_and_no_further() {
    let pages = |next: Value| -> Pagination {
        serde_json::from_value(json!({"items": "$.d", "next": next, "size": {"query": "n", "value": 2}, "max_pages": 3})).unwrap()
    };
    let request = PlainRequest {
        method: "POST".into(),
        url: "/x?a=1".into(),
        headers: Vec::new(),
        body: Some(b"{}".to_vec()),
    };
    let full = json!({"d": [1, 2], "c": "x y", "u": "https://h.example/2"});
    let step = |next: Value, body: &Value, link: &str, pages_read: u32| {
        let p = pages(next);
        let first = first_page(&p, &request);
        let mut response = answer(200, body);
        response.headers.push(("Link".into(), link.into()));
        match next_page(
            &p,
            &first,
            &response,
            body,
            Progress {
                pages: pages_read,
                items: 2,
            },
        ) {
            NextStep::Read(r) => {
                format!("{} {}", r.url, String::from_utf8(r.body.unwrap()).unwrap())
            }
            other => format!("{other:?}"),
        }
    };
    let link = "<https://h.example/1>; rel=\"prev\", <https://h.example/3?a,b>; rel=\"next\"";
    for (next, body, link, read, wanted) in [
        (
            json!({"cursor": "$.c", "query": "c"}),
            &full,
            "",
            1,
            "/x?a=1&n=2&c=x%20y {}",
        ),
        (
            json!({"cursor": "$.c", "body": "c"}),
            &full,
            "",
            1,
            "/x?a=1&n=2 {\"c\":\"x y\"}",
        ),
        (
            json!({"cursor": "$.c", "query": "c"}),
            &json!({"d": [1]}),
            "",
            1,
            "Done",
        ),
        (
            json!({"url": "$.u"}),
            &full,
            "",
            1,
            "https://h.example/2 {}",
        ),
        (
            json!({"url": "$.u"}),
            &json!({"u": "ftp://h"}),
            "",
            1,
            "Lost",
        ),
        (
            json!({"link_header": true}),
            &full,
            link,
            1,
            "https://h.example/3?a,b {}",
        ),
        (
            json!({"link_header": true}),
            &full,
            "<https://h/1>; rel=\"last\"",
            1,
            "Done",
        ),
        (json!({"page": "p"}), &full, "", 1, "/x?a=1&n=2&p=2 {}"),
        (
            json!({"page": "p", "start": 0}),
            &full,
            "",
            2,
            "/x?a=1&n=2&p=2 {}",
        ),
        (json!({"page": "p"}), &json!({"d": [1]}), "", 1, "Done"),
        (json!({"offset": "o"}), &full, "", 1, "/x?a=1&n=2&o=2 {}"),
        (json!({"offset": "o"}), &full, "", 3, "Limit"),
    ] {
        assert_eq!(step(next.clone(), body, link, read), wanted, "{next}");
    }
}

#[test]
fn a_connection_is_dead_only_if_every_candidate_says_so() {
    let means =
        |all: &[Means]| refused_by_all(all.iter().map(|m| Failure::new(*m, "x")).collect()).means;
    use Means::{MissingScope, NeedsReconnect, ProviderDown};
    assert_eq!(means(&[NeedsReconnect, NeedsReconnect]), NeedsReconnect);
    assert_eq!(means(&[NeedsReconnect, MissingScope]), MissingScope);
    assert_eq!(
        means(&[NeedsReconnect, MissingScope, ProviderDown]),
        ProviderDown
    );
}

const VARIANTS: &str = "manifest: 1
id: acme
name: Acme
version: 1.0.0
summary: Things.
component: rest
variants:
  label: Environment
  choices:
    production: { label: Production, values: { api: api.acme.example } }
    sandbox: { label: Sandbox, values: { api: api.sandbox.acme.example } }
api: { base_url: \"https://{{ variant.api }}/{{ variant.id }}\" }
auth:
  key: { type: bearer, label: Key }
test:
  request: { path: /me }
  ok: { status: 200, body: $.id }
  account: { id: \"{{ body.id }}\", label: \"{{ body.name }}\" }
";

fn variants() -> Manifest {
    parse("acme.yaml", VARIANTS).unwrap_or_else(|f| panic!("{f:?}"))
}

#[test]
fn the_chosen_variant_decides_the_host_and_nothing_else_can() {
    let m = variants();
    let scope = |key: &str| {
        Scope::new()
            .with("fields", json!({"variant": key}))
            .with("variant", json!({"api": "evil.example"}))
    };
    assert_eq!(
        m.resolve(&scope("sandbox")).unwrap().base_url.as_str(),
        "https://api.sandbox.acme.example/sandbox"
    );
    assert!(m.resolve(&scope("other")).is_err());
    assert_eq!(
        m.fields_for("key")
            .map(|f| f.id.as_str())
            .collect::<Vec<_>>(),
        ["variant", "token"]
    );
    let wrong = VARIANTS.replace("api: api.sandbox.acme.example", "api: 'evil.example/x'");
    assert!(
        check("x", &wrong, None)
            .findings
            .iter()
            .any(|f| f.rule == "V31")
    );
    let uneven = VARIANTS.replace("{ api: api.sandbox.acme.example }", "{ other: x }");
    let rules: Vec<&str> = check("x", &uneven, None)
        .findings
        .iter()
        .map(|f| f.rule)
        .collect();
    assert!(
        rules.contains(&"V23") && rules.contains(&"V14"),
        "{rules:?}"
    );
}

#[test]
fn an_app_built_on_another_is_checked_as_a_whole() {
    let child = "manifest: 1\nid: kid\nname: Kid\nversion: 1.0.0\nsummary: A kid.\nextends: acme\nvariants: null\napi: { base_url: https://kid.example }\n";
    let facts = |base: &str| FolderFacts {
        name: "kid".into(),
        bases: vec![("acme".parse().unwrap(), base.to_owned())],
        ..FolderFacts::default()
    };
    let report = check("kid", child, Some(&facts(VARIANTS)));
    let kid = report.manifest.unwrap();
    assert_eq!(
        (kid.name.as_str(), kid.auth.len(), kid.variants.is_none()),
        ("Kid", 1, true)
    );
    let broken = VARIANTS.replace(
        "label: Key",
        "label: Key, fields: [{ id: password, label: P }]",
    );
    let told = check("kid", child, Some(&facts(&broken)));
    let found = told.findings.iter().find(|f| f.rule == "V20").unwrap();
    assert_eq!(
        (found.line, found.message.contains("of `acme`")),
        (6, true),
        "{found:?}"
    );
    assert!(
        check("kid", child, None)
            .findings
            .iter()
            .any(|f| f.rule == "V62")
    );
}
