//! What is asked for, and whether it is enough.
//!
//! V39 no scope is asked for twice, and an operation needs no scope that is never asked for · V45 the test call gets by with what is
//! always asked for · V48 who somebody is can only be read with the scopes for it.
//!
//! A separator need not be written: RFC 6749 says what it is, and the vendors' exceptions differ from it.

use std::collections::HashSet;

use serde_json::Value;

use super::Checker;
use crate::model::{Oauth2, Oauth2Grant};
use crate::template::Template;
use crate::yaml::places::{child, item};

/// Scopes, or parts of them, with which servers tell who somebody is (OpenID Connect Core, 5.4, and vendors' own).
const IDENTITY: &[&str] = &[
    "openid",
    "userinfo",
    "profile",
    "email",
    "identity",
    "login",
    "User.Read",
    "read:me",
];

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    for (method, auth) in &m.auth {
        let Some(oauth) = auth.oauth2() else { continue };
        let path = child("auth", method);
        twice(c, &path, oauth);
        if asks(oauth) {
            identity(c, &path, method, oauth);
        }
    }
    let test = c.tree.pointer("/test/scopes");
    needed(c, "test.scopes", test, false);
    for (method, _) in &m.auth {
        let own = c.tree.pointer(&format!("/auth/{method}/test/scopes"));
        needed(
            c,
            &format!("{}.test.scopes", child("auth", method)),
            own,
            false,
        );
    }
    for (kind, ids) in [
        ("actions", m.actions.keys().collect::<Vec<_>>()),
        ("triggers", m.triggers.keys().collect()),
    ] {
        for id in ids {
            let scopes = c
                .tree
                .get(kind)
                .and_then(|k| k.get(id))
                .and_then(|o| o.get("scopes"));
            needed(c, &format!("{}.scopes", child(kind, id)), scopes, true);
        }
    }
}

/// Whether scopes are asked of somebody. Without a person, a client or an assertion gets what was granted beforehand
/// (Microsoft's `.default`, the scopes of a Google service account's assertion).
fn asks(o: &Oauth2) -> bool {
    matches!(
        o.grant,
        Oauth2Grant::AuthorizationCode | Oauth2Grant::Device
    )
}

/// V39: each scope once.
fn twice(c: &mut Checker<'_>, path: &str, o: &Oauth2) {
    let mut seen = HashSet::new();
    for (key, list) in [
        ("default", &o.scopes.default),
        ("optional", &o.scopes.optional),
    ] {
        for (i, scope) in list.iter().enumerate() {
            let scope = scope.source();
            if !seen.insert(scope) {
                c.warn(
                    "V39",
                    &item(&format!("{path}.scopes.{key}"), i),
                    format!("the scope `{scope}` is asked for twice"),
                    Some("remove one of them"),
                );
            }
        }
    }
}

/// V39, V45: scopes that something needs are asked for by every OAuth way to sign in; `optional` ones suffice for operations.
fn needed(c: &mut Checker<'_>, path: &str, scopes: Option<&Value>, optional: bool) {
    let m = c.manifest;
    for (i, scope) in scopes
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let Some(scope) = scope.as_str() else {
            continue;
        };
        let asked = m
            .auth
            .iter()
            .filter_map(|(id, a)| Some((id, a.oauth2()?)))
            .filter(|(_, o)| asks(o));
        for (method, oauth) in asked {
            let has = |list: &[Template]| list.iter().any(|s| s.source() == scope);
            let at = item(path, i);
            if has(&oauth.scopes.default) || (optional && has(&oauth.scopes.optional)) {
                continue;
            }
            if optional {
                c.warn(
                    "V39",
                    &at,
                    format!("`{method}` never asks for the scope `{scope}`"),
                    Some("add it to `scopes.optional`"),
                );
            } else {
                c.warn(
                    "V45",
                    &at,
                    format!("`{method}` does not always ask for `{scope}`, so the test fails for sound connections"),
                    Some("test with less, or declare `any_of` calls"),
                );
            }
        }
    }
}

/// V48: a userinfo endpoint or the claims of an id_token say nothing without `openid` or what the vendor has in its place.
fn identity(c: &mut Checker<'_>, path: &str, method: &str, o: &Oauth2) {
    let asked = o
        .scopes
        .default
        .iter()
        .any(|s| IDENTITY.iter().any(|i| s.source().contains(i)));
    if asked {
        return;
    }
    let own = format!("/auth/{method}/test/request/path");
    let tested = c
        .tree
        .pointer(&own)
        .or_else(|| c.tree.pointer("/test/request/path"))
        .and_then(Value::as_str)
        .is_some_and(|p| p.trim_end_matches('/').ends_with("/userinfo"));
    let claimed = c
        .tree
        .pointer(&format!("/auth/{method}/capture"))
        .and_then(Value::as_object)
        .is_some_and(|captures| captures.values().any(|v| v.get("claim").is_some()));
    if tested || claimed {
        c.warn(
            "V48",
            &child(path, "scopes"),
            "without the scope `openid` the server does not say who signed in",
            Some("add `openid` (and `email`, `profile` for what is shown) to `scopes.default`"),
        );
    }
}
