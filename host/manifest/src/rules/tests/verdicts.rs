//! Test calls, refusals and actions.

use serde_json::json;

use super::*;
use crate::model::{Action, Test};
use crate::scope::Scope;

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
