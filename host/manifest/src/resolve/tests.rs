use serde_json::{Value, json};

use super::*;
use crate::model::Manifest;

fn manifest(api: Value, fields: Value, auth: Value) -> Manifest {
    serde_json::from_value(json!({"manifest": 1, "id": "x", "name": "X", "version": "1.0.0", "summary": "s", "component": "rest",
        "fields": fields, "api": api, "auth": auth, "test": {"none": "a test of templates"}}))
    .unwrap()
}

fn zendesk() -> Manifest {
    manifest(
        json!({"base_url": "https://{{ fields.subdomain }}.zendesk.com", "headers": {"accept": "application/json"},
            "hosts": [{"host": "*.zdusercontent.com", "credential": "none"}, "{{ fields.subdomain }}.zendesk-staging.com"]}),
        json!([{"id": "subdomain", "label": "Subdomain", "format": "dns-label", "prefix": "https://", "suffix": ".zendesk.com"}]),
        json!({"oauth": {"type": "oauth2", "label": "O", "authorize_url": "https://{{ fields.subdomain }}.zendesk.com/oauth/authorizations/new",
            "token_url": "https://{{ fields.subdomain }}.zendesk.com/oauth/tokens", "issuer": "https://{{ fields.subdomain }}.zendesk.com"}}),
    )
}

fn gitlab(suffixes: Value) -> Manifest {
    manifest(
        json!({"base_url": "{{ fields.origin }}/api/v4"}),
        json!([{"id": "origin", "label": "Address", "format": "origin", "suffixes": suffixes, "default": "https://gitlab.com"}]),
        json!({"oauth": {"type": "oauth2", "label": "O", "authorize_url": "{{ fields.origin }}/oauth/authorize",
            "token_url": "{{ fields.origin }}/oauth/token", "revoke": {"url": "{{ fields.origin }}/oauth/revoke"}}}),
    )
}

fn fields(id: &str, value: &str) -> Scope {
    Scope::new().with("fields", json!({id: value}))
}

#[test]
fn a_base_url_is_made_of_its_field_and_implies_its_host() {
    let api = zendesk().resolve(&fields("subdomain", "acme")).unwrap();
    assert_eq!(api.base_url.as_str(), "https://acme.zendesk.com/");
    assert_eq!(
        api.hosts.to_string(),
        "acme.zendesk.com, *.zdusercontent.com, acme.zendesk-staging.com"
    );
    assert_eq!(
        api.audience(&CredentialRef::Main).to_string(),
        "acme.zendesk.com, acme.zendesk-staging.com"
    );
    assert_eq!(
        api.audience(&CredentialRef::None).to_string(),
        "*.zdusercontent.com"
    );
    assert_eq!(
        api.headers,
        [("accept".to_owned(), "application/json".to_owned())]
    );
}

#[test]
fn endpoints_follow_the_same_field() {
    let endpoints = zendesk()
        .endpoints("oauth", &fields("subdomain", "acme"))
        .unwrap()
        .unwrap();
    assert_eq!(
        endpoints.authorize.as_ref().unwrap().as_str(),
        "https://acme.zendesk.com/oauth/authorizations/new"
    );
    assert_eq!(endpoints.token, endpoints.refresh);
    assert_eq!(
        endpoints.issuer.as_deref(),
        Some("https://acme.zendesk.com")
    );
    assert_eq!(endpoints.secret_origins(), ["https://acme.zendesk.com"]);
    assert!(
        zendesk()
            .endpoints("nope", &Scope::new())
            .unwrap()
            .is_none()
    );
}

/// The attack: a field that is part of a host decides where a secret goes.
#[test]
fn a_subdomain_field_cannot_leave_its_suffix() {
    for evil in [
        "127.0.0.1",
        "[::1]",
        "0x7f.1",
        "169.254.169.254",
        "localhost.",
        "evil.com#",
        "a@b",
        "evil.com/",
        "x.myshop.evil.tld",
        "evil.com\\",
        "xn--80ak6aa92e",
        "acme:8080",
        "acme%2e",
        "",
        ".",
        "a..b",
        "acme\t",
        "{{ credentials.x }}",
    ] {
        if evil == "acme\t" {
            continue; // trimmed before it is looked at
        }
        assert!(
            zendesk().resolve(&fields("subdomain", evil)).is_err(),
            "{evil}"
        );
        assert!(
            zendesk()
                .endpoints("oauth", &fields("subdomain", evil))
                .is_err(),
            "{evil}"
        );
    }
}

#[test]
fn an_origin_is_only_an_origin() {
    let open = gitlab(json!([]));
    for evil in [
        "http://gitlab.example",
        "https://a@b.example",
        "https://a:b@c.example",
        "https://gitlab.example/x",
        "https://gitlab.example?x",
        "https://gitlab.example#x",
        "javascript:alert(1)",
        "https://evil.example\\@gitlab.example",
        "https://localhost",
        "https://x.localhost",
        "ftp://x.example",
        "https://https://x.example",
        "https://x.example:99999",
    ] {
        assert!(open.resolve(&fields("origin", evil)).is_err(), "{evil}");
    }
    for (typed, base) in [
        ("https://gitlab.example", "https://gitlab.example/api/v4"),
        ("gitlab.example", "https://gitlab.example/api/v4"),
        (
            "https://GitLab.example:8443/",
            "https://gitlab.example:8443/api/v4",
        ),
        ("", "https://gitlab.com/api/v4"),
        // An address typed as a number is shown for what it is; whether it may be reached is the egress's to say.
        ("https://0x7f.1", "https://127.0.0.1/api/v4"),
    ] {
        assert_eq!(
            open.resolve(&fields("origin", typed))
                .unwrap()
                .base_url
                .as_str(),
            base,
            "{typed}"
        );
    }
}

#[test]
fn suffixes_hold_on_label_boundaries() {
    let fixed = gitlab(json!([".zoho.com", "zoho.eu"]));
    for (typed, fine) in [
        ("https://accounts.zoho.com", true),
        ("https://zoho.com", false),
        ("https://zoho.eu", true),
        ("https://a.zoho.eu", true),
        ("https://evilzoho.eu", false),
        ("https://zoho.eu.evil.example", false),
        ("https://10.0.0.1", false),
        ("https://evil-zoho.com", false),
    ] {
        assert_eq!(
            fixed.resolve(&fields("origin", typed)).is_ok(),
            fine,
            "{typed}"
        );
    }
}

#[test]
fn a_self_hosted_flow_names_the_origins_that_get_secrets() {
    let endpoints = gitlab(json!([]))
        .endpoints("oauth", &fields("origin", "https://git.example:8443"))
        .unwrap()
        .unwrap();
    assert_eq!(endpoints.secret_origins(), ["https://git.example:8443"]);
    assert_eq!(
        endpoints.revoke.unwrap().as_str(),
        "https://git.example:8443/oauth/revoke"
    );
}

#[test]
fn defaults_are_filled_in_and_secret_fields_left_out() {
    let mut m = gitlab(json!([]));
    m.fields
        .push(serde_json::from_value(json!({"id": "s", "label": "S", "secret": true})).unwrap());
    let typed = json!({"s": "hidden", "other": "x"});
    let scope = m.public_fields(typed.as_object().unwrap()).unwrap();
    assert_eq!(
        scope.get("fields", "origin"),
        Some(&json!("https://gitlab.com"))
    );
    assert_eq!(scope.get("fields", "s"), None);
}

#[test]
fn a_captured_host_is_checked_as_a_typed_one() {
    let m = manifest(
        json!({"base_url": "{{ capture.instance }}/services"}),
        json!([]),
        json!({"oauth": {"type": "oauth2", "label": "O", "authorize_url": "https://a.example/", "token_url": "https://a.example/",
            "capture": {"instance": {"path": "$.instance_url", "public": true, "format": "origin", "suffixes": [".salesforce.com"]}}}}),
    );
    let capture = |v: &str| Scope::new().with("capture", json!({"instance": v}));
    assert!(m.resolve(&capture("https://acme.salesforce.com")).is_ok());
    assert!(m.resolve(&capture("https://evil.example")).is_err());
}

#[test]
fn parts_of_a_url_are_told_apart() {
    for (before, part) in [
        ("", UrlPart::Origin),
        ("https://", UrlPart::Host),
        ("https://a.", UrlPart::Host),
        ("https://a/", UrlPart::Path),
        ("https://a/b?c=", UrlPart::Query),
        ("https://a?c=", UrlPart::Query),
        ("https://a/#", UrlPart::Elsewhere),
        ("https://u@", UrlPart::Elsewhere),
        ("http://", UrlPart::Elsewhere),
        ("javascript:", UrlPart::Elsewhere),
        ("\u{1}/x/", UrlPart::Path),
    ] {
        assert_eq!(url_part(before), part, "{before}");
    }
}

#[test]
fn only_app_fields_and_captures_decide_a_host() {
    let m = manifest(
        json!({"base_url": "https://{{ credentials.host }}/api"}),
        json!([]),
        json!({"key": {"type": "bearer", "label": "K"}}),
    );
    let scope = Scope::new().with("credentials", json!({"host": "evil.example"}));
    assert!(matches!(
        m.resolve(&scope),
        Err(ResolveError::NotAUrl { .. })
    ));
}

/// An app whose API is where its token answer says, path included (Bullhorn), and elsewhere for pasted keys.
fn two_bases() -> Manifest {
    serde_json::from_value(serde_json::json!({
        "manifest": 1, "id": "acme", "name": "Acme", "version": "1.0.0", "summary": "Things.", "component": "rest",
        "api": {"base_url": "https://api.acme.example/v1", "hosts": ["files.acme.example"]},
        "auth": {
            "oauth": {"type": "oauth2", "label": "Sign in", "authorize_url": "https://acme.example/a", "token_url": "https://acme.example/t",
                "base_url": "{{ capture.rest_url }}",
                "capture": {"rest_url": {"path": "$.restUrl", "public": true, "format": "base-url", "suffixes": [".acme.example"]}}},
            "key": {"type": "bearer", "label": "Key"},
        },
        "test": {"request": {"path": "/me"}, "ok": {"status": 200}, "account": {"id": "{{ body.id }}", "label": "x"}},
    }))
    .unwrap()
}

#[test]
fn each_way_to_sign_in_can_have_a_base_url_of_its_own() {
    let m = two_bases();
    let rest = |url: &str| Scope::new().with("capture", serde_json::json!({"rest_url": url}));
    let there = m
        .resolve_for(
            "oauth",
            &rest("https://rest91.acme.example/rest-services/a1b2"),
        )
        .unwrap();
    assert_eq!(
        there.base_url.as_str(),
        "https://rest91.acme.example/rest-services/a1b2"
    );
    let hosts: Vec<String> = there.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["rest91.acme.example", "files.acme.example"]);
    // The app's own host is not allowed by the way: the credential is not for it.
    assert!(
        !there
            .hosts
            .allows(&"https://api.acme.example/".parse().unwrap())
    );
    let key = m.resolve_for("key", &Scope::new()).unwrap();
    assert_eq!(key.base_url.as_str(), "https://api.acme.example/v1");
    let view = crate::guest_view_for(&m, "oauth");
    assert_eq!(view["api"]["base_url"], "{{ capture.rest_url }}");
}

#[test]
fn a_captured_base_url_sends_a_credential_nowhere_else() {
    let m = two_bases();
    for evil in [
        "https://evil.example/rest-services",
        "https://acme.example.evil.example/x",
        "https://rest91.acme.example@evil.example/x",
        "https://rest91.acme.example/../../x",
        "https://rest91.acme.example/%2e%2e/x",
        "https://rest91.acme.example/a//b",
        "https://rest91.acme.example/a?x=https://evil.example",
        "https://rest91.acme.example/a#b",
        "https://rest91.acme.example\\@evil.example/x",
        "http://rest91.acme.example/x",
        "https://127.0.0.1/x",
        "https://rest91.acme.example/a b",
        "",
    ] {
        let scope = Scope::new().with("capture", serde_json::json!({"rest_url": evil}));
        assert!(m.resolve_for("oauth", &scope).is_err(), "{evil}");
    }
}
