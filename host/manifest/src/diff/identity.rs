//! V83: how people signed in, and whose connection it is.
//!
//! The account id tells a reconnect from somebody else's account and one account from another; where it changes, a host
//! takes the same person for a stranger.

use crate::model::{AuthMethod, Manifest, Test};

use super::migrations::Plan;
use super::{Change, quoted};

pub(super) fn compare(old: &Manifest, new: &Manifest, plan: &Plan, changes: &mut Vec<Change>) {
    let ways: Vec<&str> = new.auth.keys().map(String::as_str).collect();
    for (id, method) in &old.auth {
        let Some(now) = new.auth.get(id) else {
            changes.push(softened(
                plan,
                Change::error(
                    "V83",
                    "auth",
                    format!(
                        "the way to sign in `{id}` ({}) is gone; connections made by it cannot be used, tested or refreshed any more",
                        method.label()
                    ),
                )
                .fix(format!(
                    "keep `{id}`, or have its people sign in again by {} with a migration that has `reconnect`",
                    quoted(ways.iter().copied())
                )),
            ));
            continue;
        };
        if method.kind() != now.kind() {
            changes.push(softened(
                plan,
                Change::error(
                    "V83",
                    format!("auth.{id}.type"),
                    format!(
                        "`{id}` was `{}` and is `{}`; what connections hold is not what the new way needs",
                        method.kind(),
                        now.kind()
                    ),
                )
                .fix("add the new way beside the old one under another name, or have people sign in again by a migration with `reconnect`"),
            ));
        } else if method.label() != now.label() {
            changes.push(Change::note(
                "V83",
                format!("auth.{id}.label"),
                format!(
                    "people know this way to sign in as \"{}\" and will see \"{}\"",
                    method.label(),
                    now.label()
                ),
            ));
        }
        account(id, old, new, method, now, plan, changes);
    }
}

fn account(
    id: &str,
    old: &Manifest,
    new: &Manifest,
    method: &AuthMethod,
    now: &AuthMethod,
    plan: &Plan,
    changes: &mut Vec<Change>,
) {
    let at = if now.test().is_some() {
        format!("auth.{id}.test")
    } else {
        "test".to_owned()
    };
    // The app's own test is compared once, with the first way that uses it.
    let first = |m: &Manifest| {
        m.auth
            .iter()
            .find(|(_, a)| a.test().is_none())
            .map(|(id, _)| id.clone())
    };
    let shared = method.test().is_none() && now.test().is_none();
    if shared && first(new).as_deref() != Some(id) && first(old).as_deref() != Some(id) {
        return;
    }
    let (before, after) = (old.test_for(id), new.test_for(id));
    match (before.call(), after.call()) {
        (Some(before), Some(after)) => {
            if before.account.id != after.account.id {
                changes.push(softened(
                    plan,
                    Change::error(
                        "V83",
                        format!("{at}.account.id"),
                        format!(
                            "whose connection it is was told by `{}` and is by `{}`; a reconnect of the same person would look like \
                             somebody else's",
                            before.account.id.source(),
                            after.account.id.source()
                        ),
                    )
                    .fix("keep `account.id`, or have people sign in again by a migration with `reconnect`"),
                ));
            }
            if before.account.label != after.account.label {
                changes.push(Change::warning(
                    "V83",
                    format!("{at}.account.label"),
                    format!(
                        "connections are known as `{}` and will be as `{}` from their next test on",
                        before.account.label.source(),
                        after.account.label.source()
                    ),
                ));
            }
        }
        (Some(_), None) if matches!(after, Test::None { .. }) => changes.push(
            Change::error(
                "V83",
                at,
                format!("connections by `{id}` could be tested and cannot be any more; a host would no longer notice that they broke"),
            )
            .fix("keep a test call"),
        ),
        _ => {}
    }
}

/// What a migration has people sign in again for is known to them.
fn softened(plan: &Plan, mut change: Change) -> Change {
    if let Some(reason) = &plan.reconnect {
        change.severity = crate::yaml::Severity::Note;
        change.message = format!(
            "{}; a migration has people sign in again: {reason}",
            change.message
        );
        change.fix = None;
    }
    change
}
