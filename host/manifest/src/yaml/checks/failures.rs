//! What a failed test call tells the person.
//!
//! V44 a refused sign-in is told in the app's own words.
//!
//! The host has meanings and texts of its own for 401, 403, 404, 429, 5xx, and for what never becomes an answer (DNS, TLS, time-outs),
//! so a manifest is not asked to repeat them. What only the manifest knows is how this vendor answers a credential that it does
//! not accept, which differs (401, 403, 400, 200 with an error inside), and where to get another one. So one rule that means
//! `needs_reconnect` is asked for; the rest is free.

use super::Checker;
use crate::model::{FailureRule, Test};
use crate::rules::Means;
use crate::yaml::places::child;

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
    // Of several candidates, one that says it suffices.
    let calls = test.calls();
    let told = |rule: &FailureRule| rule.means == Means::NeedsReconnect;
    // Without a credential, none can be refused.
    let nothing_to_refuse = c.manifest.auth.values().all(|a| a.kind() == "none");
    if !calls.is_empty()
        && !nothing_to_refuse
        && !calls.iter().any(|call| call.failures.iter().any(told))
    {
        c.warn(
            "V44",
            path,
            "a refused sign-in is not told in the app's own words",
            Some("add `failures:` with `{ status: 401, means: needs_reconnect, say: … }`"),
        );
    }
}
