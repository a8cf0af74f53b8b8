//! Numbers that must fit the host's.
//!
//! V11 this host is one that the app can be served by · V59 what a manifest says of time leaves room for the flow · V60 what is repeated
//! changes nothing twice.
//!
//! Time-outs, sizes, retries and back-off are the host's own and the same for every app: no manifest can widen them, so there is
//! nothing to check. What an author can still get wrong is here.

use serde_json::Value;

use super::Checker;
use crate::model::{BodySpec, Effect, Method};
use crate::yaml::places::child;

/// Longest lead of a renewal, in seconds. Tokens that live for days need no more.
const MAX_EARLY: u64 = 24 * 60 * 60;

pub(super) fn check(c: &mut Checker<'_>) {
    host(c);
    refresh(c);
    repeats(c);
}

/// V11.
fn host(c: &mut Checker<'_>) {
    let Some(wanted) = c.manifest.requires.as_ref().and_then(|r| r.host.as_ref()) else {
        return;
    };
    let Ok(here) = semver::Version::parse(env!("CARGO_PKG_VERSION")) else {
        return;
    };
    if !wanted.matches(&here) {
        c.error(
            "V11",
            "requires.host",
            format!("the app needs Keyport {wanted}, and this is {here}"),
            Some("update Keyport, or widen the range"),
        );
    }
}

/// V59: a token that is renewed before it was ever usable is renewed at each use.
fn refresh(c: &mut Checker<'_>) {
    let m = c.manifest;
    for (method, oauth) in m.auth.iter().filter_map(|(id, a)| Some((id, a.oauth2()?))) {
        let Some(early) = oauth.refresh.early else {
            continue;
        };
        let path = format!("{}.refresh.early", child("auth", method));
        let lives = oauth.response.default_ttl;
        if early > MAX_EARLY {
            c.warn(
                "V59",
                &path,
                "a token is renewed at most a day before it ends",
                Some("write the seconds that the vendor needs, or leave it out"),
            );
        } else if let Some(lives) = lives.filter(|lives| early >= *lives) {
            c.warn(
                "V59",
                &path,
                format!("tokens that live {lives} seconds would be renewed at each use"),
                Some("write less, or leave it out"),
            );
        }
    }
}

/// V60: whoever says that an action may be repeated shows how the vendor tells the second call from another one.
fn repeats(c: &mut Checker<'_>) {
    let m = c.manifest;
    for (id, action) in &m.actions {
        let says = c
            .tree
            .get("actions")
            .and_then(|a| a.get(id))
            .and_then(|a| a.get("idempotent"))
            == Some(&Value::Bool(true));
        let Some(request) = &action.request else {
            continue;
        };
        let adds = matches!(request.method, Method::Post | Method::Patch);
        if !says || action.effect == Effect::Read || request.safe || !adds {
            continue;
        }
        let is_key = |name: &str| {
            let name = name.to_ascii_lowercase();
            [
                "idempoten",
                "request-id",
                "request_id",
                "requestid",
                "dedup",
                "client_token",
                "external_id",
            ]
            .iter()
            .any(|word| name.contains(word))
        };
        let in_body = match &request.body {
            Some(BodySpec::Form(map)) => map.keys().any(|k| is_key(k)),
            Some(BodySpec::Json(crate::model::JsonTemplate::Object(map))) => {
                map.keys().any(|k| is_key(k))
            }
            _ => false,
        };
        if !in_body
            && !request
                .headers
                .keys()
                .chain(request.query.keys())
                .any(|k| is_key(k))
        {
            c.error(
                "V60",
                &child(&child("actions", id), "idempotent"),
                format!("a repeated {} does it twice", request.method.as_str()),
                Some("send an idempotency key, or remove `idempotent: true`"),
            );
        }
    }
}
