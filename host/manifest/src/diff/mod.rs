//! What a new version of a manifest does to connections that were made with the old one.
//!
//! A published manifest is a promise to everybody who connected with it: their stored values, the account they proved, what
//! they consented to, and what an operator reviewed. Pure functions over two typed manifests say where the promise breaks,
//! in words for the operator who is about to install the new version.
//!
//! | rule | file | about |
//! |---|---|---|
//! | V10 | here | the version did not grow |
//! | V82 | `fields` | values that connections hold, or do not hold |
//! | V83 | `identity` | ways to sign in, and whose connection it is |
//! | V84 | `scopes` | what people consented to |
//! | V85 | `reach` | where requests, tokens and secrets go |
//! | V86 | `operations` | what automations were built on |
//! | V87 | `stored` | connections made up from the old version, tried on the new one |
//! | V88 | `migrations` | whether migrations do what they are for |
//!
//! The threat is the quiet change: an update that sends tokens to one more host, or that leaves thousands of people signed
//! out. What only an operator's store knows (how many connections there are) is left out.

mod fields;
mod identity;
mod migrations;
mod operations;
mod reach;
mod scopes;
mod stored;

use crate::model::Manifest;
use crate::yaml::{Remark as Change, Severity};

/// Everything that changes for those who used `old`, rule by rule. Empty if the two mean the same.
///
/// An error: connections or automations break, or somebody must review it. A warning: somebody has something to do. A
/// note: nothing is to be done, and somebody may wonder. Paths are those of the new manifest.
#[must_use]
pub fn compare(old: &Manifest, new: &Manifest) -> Vec<Change> {
    if old == new {
        return Vec::new();
    }
    let plan = migrations::Plan::of(old, new);
    let mut changes = Vec::new();
    version(old, new, &mut changes);
    fields::compare(old, new, &plan, &mut changes);
    identity::compare(old, new, &plan, &mut changes);
    scopes::compare(old, new, &mut changes);
    reach::compare(old, new, &mut changes);
    operations::compare(old, new, &mut changes);
    migrations::check(old, new, &plan, &mut changes);
    // A connection that is known to break needs no second witness.
    if !changes
        .iter()
        .any(|c| c.rule == "V82" && c.severity == Severity::Error)
    {
        stored::compare(old, new, &plan, &mut changes);
    }
    changes
}

fn version(old: &Manifest, new: &Manifest, changes: &mut Vec<Change>) {
    if old.id != new.id {
        changes.push(
            Change::error(
                "V10",
                "id",
                format!(
                    "the id was `{}` and is `{}`: to a host these are two apps, and connections stay with the old one",
                    old.id, new.id
                ),
            )
            .fix(format!("keep `id: {}`", old.id)),
        );
    }
    if new.version <= old.version {
        let mut next = old.version.clone();
        next.minor += 1;
        next.patch = 0;
        next.pre = semver::Prerelease::EMPTY;
        next.build = semver::BuildMetadata::EMPTY;
        changes.push(
            Change::error(
                "V10",
                "version",
                format!(
                    "the manifest changed, but its version is {} and was {}; a version that is out never changes",
                    new.version, old.version
                ),
            )
            .fix(format!(
                "write `version: {next}`, or more if something below breaks"
            )),
        );
    }
}

/// Whether the new version may break what automations were built on: its first number grew, or it is not out yet (0.x).
fn is_major(old: &Manifest, new: &Manifest) -> bool {
    new.version.major > old.version.major
        || (old.version.major == 0
            && new.version.major == 0
            && new.version.minor > old.version.minor)
}

/// `` `a`, `b` and `c` ``.
fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match all.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => all.concat(),
    }
}

#[cfg(test)]
mod tests;
