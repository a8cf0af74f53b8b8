use super::*;
use serde_json::json;

fn scope() -> Scope {
    Scope::new()
        .with("fields", json!({"subdomain": "acme", "n": 7, "empty": ""}))
        .with(
            "credentials",
            json!({"token": "s3cret", "email": "a@b.example"}),
        )
        .with("input", json!({"q": "a&b=c", "list": [1, 2], "none": null}))
}

fn t(s: &str) -> Template {
    Template::parse(s).unwrap()
}

#[test]
fn a_value_is_inserted_literally_and_never_evaluated_again() {
    let scope = Scope::new().with("fields", json!({"x": "{{ credentials.token }}"}));
    assert_eq!(
        t("<{{ fields.x }}>").render(&scope, Slot::Raw).unwrap(),
        "<{{ credentials.token }}>"
    );
}

#[test]
fn a_value_cannot_add_path_segments_or_parameters() {
    let scope = Scope::new().with("input", json!({"id": "../a?b=c&d#e/%2f"}));
    assert_eq!(
        t("/v1/{{ input.id }}/x")
            .render(&scope, Slot::PathSegment)
            .unwrap(),
        "/v1/..%2Fa%3Fb%3Dc%26d%23e%2F%252f/x"
    );
    assert_eq!(
        t("{{ input.id }}").render(&scope, Slot::Query).unwrap(),
        "..%2Fa%3Fb%3Dc%26d%23e%2F%252f"
    );
}

#[test]
fn dot_segments_made_of_values_are_refused() {
    for (template, value) in [
        ("/a/{{ input.id }}", ".."),
        ("/a/{{ input.id }}{{ input.id }}/b", "."),
        ("/{{ input.id }}", ""),
    ] {
        let scope = Scope::new().with("input", json!({"id": value}));
        assert!(
            matches!(
                t(template).render(&scope, Slot::PathSegment),
                Err(RenderError::Unsafe { .. })
            ),
            "{value}"
        );
    }
}

#[test]
fn a_header_refuses_line_breaks_and_control_characters() {
    for value in ["a\r\nX-Evil: 1", "a\nb", "a\0b", "a\u{7f}", "caf\u{e9}"] {
        let scope = Scope::new().with("credentials", json!({"token": value}));
        let error = t("Bearer {{ credentials.token }}")
            .render(&scope, Slot::Header)
            .unwrap_err();
        assert!(matches!(error, RenderError::Unsafe { slot: "header", .. }));
        assert!(
            !error.to_string().contains("Evil"),
            "an error never shows the value"
        );
    }
}

#[test]
fn a_host_slot_takes_labels_only() {
    for bad in [
        "evil.com/",
        "a.b",
        "",
        "-a",
        "a-",
        "a b",
        "evil.com#",
        "a@b",
        "xn--e1awd7f",
        "a:1",
        "a\\b",
        "127.0.0.1",
    ] {
        let scope = Scope::new().with("fields", json!({"s": bad}));
        assert!(
            t("{{ fields.s }}").render(&scope, Slot::HostLabel).is_err(),
            "{bad}"
        );
    }
    assert_eq!(
        t("{{ fields.subdomain }}.x.example")
            .render(&scope(), Slot::HostLabel)
            .unwrap(),
        "acme.x.example"
    );
}

#[test]
fn a_lone_expression_keeps_its_type() {
    assert_eq!(t("{{ fields.n }}").value(&scope()).unwrap(), json!(7));
    assert_eq!(
        t("{{ input.list }}").value(&scope()).unwrap(),
        json!([1, 2])
    );
    assert_eq!(t("n={{ fields.n }}").value(&scope()).unwrap(), json!("n=7"));
}

/// A space in a manifest's own query made a request that could not be sent.
#[test]
fn fixed_text_of_a_url_may_hold_what_a_url_may_not() {
    for slot in [Slot::Query, Slot::Form, Slot::PathSegment] {
        assert_eq!(
            t("x y=é&a+b%2F\"{{ fields.n }}").render(&scope(), slot),
            Ok("x%20y=%C3%A9&a+b%2F%227".into())
        );
    }
    assert_eq!(t("x y").render(&scope(), Slot::Raw), Ok("x y".into()));
}

#[test]
fn what_is_undefined_is_an_error_and_only_inputs_may_be_left_out() {
    assert_eq!(
        t("{{ fields.nope }}").render(&scope(), Slot::Raw),
        Err(RenderError::Missing("fields.nope".into()))
    );
    assert_eq!(
        t("x{{ input.nope }}").render(&scope(), Slot::Raw),
        Err(RenderError::Missing("input.nope".into()))
    );
    assert_eq!(
        t("{{ input.nope }}")
            .render_optional(&scope(), Slot::Query)
            .unwrap(),
        None
    );
    assert_eq!(
        t("{{ input.none }}")
            .render_optional(&scope(), Slot::Query)
            .unwrap(),
        None
    );
    assert!(
        t("{{ fields.nope }}")
            .render_optional(&scope(), Slot::Query)
            .is_err()
    );
    assert!(
        t("{{ fields.nope.deep }}")
            .render(&Scope::new(), Slot::Raw)
            .is_err()
    );
}

#[test]
fn statements_calls_and_unknown_filters_are_refused_when_read() {
    let refused = |s: &str| Template::parse(s).unwrap_err().to_string();
    assert!(refused("{% for x in y %}").contains("no statements"));
    assert!(refused("{{ fields.a ").contains("never closed"));
    assert!(refused("{{ }}").contains("empty"));
    assert!(refused("{{ range(3) }}").contains("cannot be called"));
    assert!(refused("{{ fields.a.upper() }}").contains("cannot be called"));
    assert_eq!(
        refused("{{ fields.a | bas64 }}"),
        "there is no filter `bas64`; did you mean `base64`?"
    );
    assert_eq!(
        refused("{{ field.a }}"),
        "there is no `field`; did you mean `fields`?"
    );
    assert!(refused("{{ credentials | tojson }}").contains("name one value"));
    assert!(refused("{{ credentials['to' ~ 'ken'] }}").contains("name one value"));
    assert!(refused("{{ fields.a +* 2 }}").contains("not a valid expression"));
}

#[test]
fn references_are_found_through_filters_and_conditions() {
    let refs: Vec<String> =
        t("{{ (fields.a ~ credentials.b) | base64 if input.c else account.id }}")
            .refs()
            .iter()
            .map(ToString::to_string)
            .collect();
    assert_eq!(refs, ["account.id", "credentials.b", "fields.a", "input.c"]);
}

#[test]
fn filters_compute_what_vendors_expect() {
    let s = scope();
    for (template, expected) in [
        ("{{ 'user:pass' | base64 }}", "dXNlcjpwYXNz"),
        ("{{ 'a?b>c~' | base64url }}", "YT9iPmN-"),
        (
            "{{ 'abc' | sha256 }}",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        // RFC 4231, test case 2.
        (
            "{{ 'what do ya want for nothing?' | hmac_sha256('Jefe') }}",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        ("{{ 'a-us6' | split('-') | last }}", "us6"),
        ("{{ fields.empty | default('x') }}", "x"),
        ("{{ 'A b' | lower | replace(' ', '_') }}", "a_b"),
        ("{{ 'a }} b' }}", "a }} b"),
        ("{{ '12' | int + 1 }}", "13"),
        ("{{ input.q | urlencode }}", "a%26b%3Dc"),
    ] {
        assert_eq!(
            t(template).render(&s, Slot::Raw).unwrap(),
            expected,
            "{template}"
        );
    }
}

#[test]
fn a_form_value_is_form_encoded() {
    let scope = Scope::new().with("input", json!({"v": "a b+c&d"}));
    assert_eq!(
        t("{{ input.v }}").render(&scope, Slot::Form).unwrap(),
        "a+b%2Bc%26d"
    );
}

#[test]
fn composed_expressions_mean_the_same_as_the_template() {
    let template = t("{{ credentials.email }}/token \"q\" \\");
    let composed = t(&format!("{{{{ {} }}}}", template.as_expression()));
    assert_eq!(
        composed.render(&scope(), Slot::Raw).unwrap(),
        template.render(&scope(), Slot::Raw).unwrap()
    );
}

#[test]
fn filters_for_signing_dates_and_parts_give_what_is_known_of_them() {
    let scope = Scope::new()
        .with("now", json!(1_767_323_045))
        .with("input", json!({"s": "key=value", "j": "{\"a\":[1,2]}", "l": ["x", "y", "z"], "f": 1.9, "t": "60", "bad": "{"}));
    for (hole, wanted) in [
        ("now | date('%Y%m%d')", json!("20260102")),
        ("now | iso8601", json!("2026-01-02T03:04:05Z")),
        ("input.t | iso8601", json!("1970-01-01T00:01:00Z")),
        ("input.f | date('%S')", json!("01")),
        ("now | unix_ms", json!(1_767_323_045_000_i64)),
        (
            "'abc' | sha1",
            json!("a9993e364706816aba3e25717850c26c9cd0d89d"),
        ),
        ("'abc' | md5", json!("900150983cd24fb0d6963f7d28e17f72")),
        (
            "'abc' | sha512",
            json!(
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
            ),
        ),
        // RFC 2202 and 4231, test case 2.
        (
            "'what do ya want for nothing?' | hmac_sha1('Jefe')",
            json!("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        ),
        (
            "'what do ya want for nothing?' | hmac_sha512('Jefe')",
            json!(
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
            ),
        ),
        ("input.s | slice(0, 3)", json!("key")),
        ("input.s | slice(4)", json!("value")),
        ("input.s | slice(-5, -1)", json!("valu")),
        ("input.s | slice(5, 2)", json!("")),
        ("input.s | slice(2, 999)", json!("y=value")),
        ("'über' | slice(0, 1)", json!("ü")),
        ("input.s | strip_prefix('key=')", json!("value")),
        ("input.s | strip_prefix('x')", json!("key=value")),
        ("input.s | strip_suffix('value')", json!("key=")),
        ("input.l | nth(1)", json!("y")),
        ("input.l | nth(-1)", json!("z")),
        ("input.s | split('=') | nth(1)", json!("value")),
        ("(input.j | json).a | last", json!(2)),
    ] {
        let template = Template::parse(&format!("{{{{ {hole} }}}}")).unwrap();
        assert_eq!(template.value(&scope).unwrap(), wanted, "{hole}");
    }
    for hole in [
        "input.bad | json",
        "input.s | iso8601",
        "now | date('%Q')",
        "input.l | sha1",
        "input.s | nth(0)",
    ] {
        let template = Template::parse(&format!("{{{{ {hole} }}}}")).unwrap();
        assert!(template.value(&scope).is_err(), "{hole}");
    }
    let beyond = Template::parse("{{ input.l | nth(9) | default('none') }}").unwrap();
    assert_eq!(beyond.value(&scope).unwrap(), json!("none"));
}
