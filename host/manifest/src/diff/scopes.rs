//! V84: what people consented to when they connected, and what is asked for now.

use crate::model::{Manifest, Oauth2};
use crate::template::Template;

use super::{Change, quoted};

pub(super) fn compare(old: &Manifest, new: &Manifest, changes: &mut Vec<Change>) {
    for (id, now) in &new.auth {
        let before = old.auth.get(id).and_then(|m| m.oauth2());
        if let (Some(before), Some(now)) = (before, now.oauth2()) {
            method(id, before, now, changes);
        }
    }
}

fn method(id: &str, old: &Oauth2, new: &Oauth2, changes: &mut Vec<Change>) {
    let missing = |from: &[Template], among: &Oauth2, optional: bool| -> Vec<String> {
        from.iter()
            .filter(|s| {
                let known = among.scopes.default.contains(s);
                !known && (!optional || !among.scopes.optional.contains(s))
            })
            .map(|s| s.source().to_owned())
            .collect()
    };
    let names = |list: &[String]| quoted(list.iter().map(String::as_str));
    let added = missing(&new.scopes.default, old, false);
    if !added.is_empty() {
        let once_optional: Vec<String> = added
            .iter()
            .filter(|s| old.scopes.optional.iter().any(|t| t.source() == *s))
            .cloned()
            .collect();
        let mut message = format!(
            "{} now asked for by `{id}`; whoever connected before has not consented, and what needs it fails for them until they \
             sign in again",
            is_are(&added, names(&added))
        );
        if !once_optional.is_empty() {
            message.push_str(&format!(
                " (but where the operator had already asked for {})",
                names(&once_optional)
            ));
        }
        changes.push(
            Change::warning("V84", format!("auth.{id}.scopes.default"), message).fix(
                "put it under `optional` where the app works without, or have people sign in again by a migration with `reconnect`",
            ),
        );
    }
    let removed = missing(&old.scopes.default, new, true);
    if !removed.is_empty() {
        changes.push(Change::note(
            "V84",
            format!("auth.{id}.scopes"),
            format!(
                "{} not asked for by `{id}` any more; connections keep what they were granted",
                is_are(&removed, names(&removed))
            ),
        ));
    }
    let withdrawn = missing(&old.scopes.optional, new, true);
    if !withdrawn.is_empty() {
        changes.push(Change::warning(
            "V84",
            format!("auth.{id}.scopes.optional"),
            format!(
                "operators could add {} to what `{id}` asks for and cannot any more; configurations that name it are refused",
                names(&withdrawn)
            ),
        ));
    }
}

fn is_are(list: &[String], names: String) -> String {
    if list.len() == 1 {
        format!("{names} is")
    } else {
        format!("{names} are")
    }
}
