//! The test call.
//!
//! V40 there is one, or a reason why not · V41 it only reads · V42 it uses the credential · V43 its rule of success is written
//! down · V46 the label tells accounts apart · V47 so does the id.

use super::Checker;
use crate::hosts::HostPattern;
use crate::model::{Component, CredentialRef, Test, TestCall};
use crate::yaml::places::{child, item};

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    one(c, "test", &m.test);
    for (method, auth) in &m.auth {
        if let Some(test) = auth.test() {
            one(c, &child(&child("auth", method), "test"), test);
        }
    }
}

fn one(c: &mut Checker<'_>, path: &str, test: &Test) {
    match test {
        Test::Call(call) => self::call(c, path, call),
        Test::AnyOf(calls) => {
            for (i, call) in calls.iter().enumerate() {
                self::call(c, &item(&child(path, "any_of"), i), call);
            }
        }
        Test::Code if c.manifest.component == Component::Rest => {
            c.error(
                "V40",
                path,
                "the component `rest` has no code of this app's",
                Some("declare `request`, `ok` and `account`"),
            );
        }
        Test::Code => {}
        Test::None { reason } if reason.trim().chars().count() < 10 => {
            c.error(
                "V40",
                path,
                "an app without a test says why",
                Some("write `none: <why no request is safe>`"),
            );
        }
        Test::None { reason } => c.note(
            "V40",
            path,
            format!("connections cannot be tested: {reason}"),
        ),
    }
}

fn call(c: &mut Checker<'_>, path: &str, call: &TestCall) {
    let at = |key: &str| child(path, key);
    if !call.request.method.is_safe() && !call.request.safe {
        c.error(
            "V41",
            &child(&at("request"), "method"),
            format!(
                "a test must not change anything, and {} may",
                call.request.method.as_str()
            ),
            Some("use GET, or add `safe: true` if this request only reads"),
        );
    }
    if call.request.safe && matches!(call.request.method.as_str(), "DELETE" | "PUT" | "PATCH") {
        c.error(
            "V41",
            &child(&at("request"), "safe"),
            format!("{} never only reads", call.request.method.as_str()),
            None,
        );
    }
    without_credential(c, &at("request"), call);
    let written = c.tree.pointer(&format!("/{}/ok", path.replace('.', "/")));
    if written.is_some_and(|ok| ok.get("status").is_none() && ok.get("body").is_none()) {
        c.error(
            "V43",
            &at("ok"),
            "the rule of success says nothing",
            Some("write `status: 200` and a `body` path that only a success has"),
        );
    }
    let account = at("account");
    if call.account.id.is_literal() {
        c.error(
            "V47",
            &child(&account, "id"),
            "every account would have the same id",
            Some("use what the answer says: `{{ body.id }}`"),
        );
    }
    if call.account.label.is_literal() {
        c.warn(
            "V46",
            &child(&account, "label"),
            "every account would have the same label",
            Some("use a name or address from the answer"),
        );
    }
    if call
        .failures
        .iter()
        .any(|f| f.say.trim().is_empty() || f.say.chars().count() > 250)
    {
        c.error(
            "V43",
            &at("failures"),
            "each failure says one sentence of at most 250 characters",
            None,
        );
    }
}

/// V42: a test at a host that gets no credential passes with any key.
fn without_credential(c: &mut Checker<'_>, path: &str, call: &TestCall) {
    let Some(host) = call
        .request
        .path
        .source()
        .strip_prefix("https://")
        .and_then(|r| r.split(['/', '?']).next())
    else {
        return;
    };
    let Ok(host) = host.parse::<HostPattern>() else {
        return;
    };
    let bare = c.manifest.api.hosts.iter().any(|h| {
        h.credential == CredentialRef::None
            && h.host
                .source()
                .parse::<HostPattern>()
                .is_ok_and(|p| p.covers(&host))
    });
    if bare {
        c.error(
            "V42",
            &child(path, "path"),
            format!("no credential is sent to `{host}`, so any key would pass"),
            Some("test at a host that gets the credential"),
        );
    }
}
