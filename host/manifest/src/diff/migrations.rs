//! V88, and what migrations do: how values of an older version become those of the new one.
//!
//! A migration is applied to a connection whenever the host finds it made with an older version; after a crash it may be
//! applied again. So it must name what exists, cover the version it is for, and change nothing the second time.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::example::{self, Connection};
use crate::model::{Manifest, Migration};

use super::{Change, quoted};

/// What happens to the values of a connection that was made with the old version.
#[derive(Debug, Default)]
pub(super) struct Plan {
    steps: Vec<Migration>,
    /// People sign in again, and why.
    pub(super) reconnect: Option<String>,
}

impl Plan {
    /// The migrations of the new version that are for connections of the old one, in their order.
    pub(super) fn of(old: &Manifest, new: &Manifest) -> Self {
        let steps: Vec<Migration> = new
            .migrations
            .iter()
            .filter(|m| m.from.matches(&old.version))
            .cloned()
            .collect();
        Self {
            reconnect: steps.iter().find_map(|m| m.reconnect.clone()),
            steps,
        }
    }

    /// What an old field is called now.
    pub(super) fn renamed<'a>(&'a self, id: &'a str) -> &'a str {
        self.steps.iter().fold(id, |id, step| {
            step.rename.get(id).map_or(id, String::as_str)
        })
    }

    /// Whether an old field's values are thrown away on purpose.
    pub(super) fn removes(&self, id: &str) -> bool {
        let mut name = id;
        for step in &self.steps {
            if step.remove.iter().any(|gone| gone == name) {
                return true;
            }
            name = step.rename.get(name).map_or(name, String::as_str);
        }
        false
    }

    /// Whether older connections are given a value for a new field.
    pub(super) fn sets(&self, id: &str) -> bool {
        self.steps.iter().any(|step| {
            step.set
                .keys()
                .any(|name| name == id || self.renamed(name) == id)
        })
    }

    /// The values of a connection after all steps, by id.
    pub(super) fn migrated(&self, made: &Connection) -> Map<String, Value> {
        let mut values = Map::new();
        for group in [&made.fields, &made.credentials, &made.capture] {
            values.extend(group.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        self.apply(values)
    }

    fn apply(&self, values: Map<String, Value>) -> Map<String, Value> {
        let steps: Vec<&Migration> = self.steps.iter().collect();
        let mut values: IndexMap<String, Value> = values.into_iter().collect();
        Migration::apply(&steps, &mut values, |text| Value::String(text.to_owned()));
        values.into_iter().collect()
    }
}

pub(super) fn check(old: &Manifest, new: &Manifest, plan: &Plan, changes: &mut Vec<Change>) {
    let declared: Vec<&str> = new
        .fields
        .iter()
        .chain(new.auth.values().flat_map(|m| m.fields()))
        .map(|f| f.id.as_str())
        .collect();
    for (at, step) in new.migrations.iter().enumerate() {
        one(&format!("migrations[{at}]"), step, &declared, changes);
        let is_new = !old.migrations.contains(step);
        if is_new && !step.from.matches(&old.version) {
            changes.push(
                Change::warning(
                    "V88",
                    format!("migrations[{at}].from"),
                    format!(
                        "this migration is new, but `{}` leaves out {}, the version before; its connections stay as they are",
                        step.from, old.version
                    ),
                )
                .fix(format!("write `from: \"<{}\"`", new.version)),
            );
        }
    }
    for step in &old.migrations {
        if !new.migrations.contains(step) {
            changes.push(
                Change::warning(
                    "V88",
                    "migrations",
                    format!(
                        "the migration for `{}` is gone or was changed; connections that are older than {} may still need it",
                        step.from, old.version
                    ),
                )
                .fix("keep old migrations and add new ones after them"),
            );
        }
    }
    let made = old
        .auth
        .keys()
        .filter_map(|id| example::connections(old, id, 1).into_iter().next());
    for connection in made {
        let once = plan.migrated(&connection);
        if plan.apply(once.clone()) != once {
            changes.push(
                Change::warning(
                    "V88",
                    "migrations",
                    "applied twice, the migrations give something else than applied once; a host that was interrupted applies \
                     them again"
                        .to_owned(),
                )
                .fix("do not rename to a name that another migration renames or removes"),
            );
            return;
        }
    }
}

fn one(at: &str, step: &Migration, declared: &[&str], changes: &mut Vec<Change>) {
    let unknown = |names: Vec<&str>| -> Vec<String> {
        names
            .into_iter()
            .filter(|name| !declared.contains(name))
            .map(str::to_owned)
            .collect()
    };
    let targets = unknown(step.rename.values().map(String::as_str).collect());
    if !targets.is_empty() {
        changes.push(
            Change::warning(
                "V88",
                format!("{at}.rename"),
                format!(
                    "values are brought to {}, which no field is called",
                    quoted(targets.iter().map(String::as_str))
                ),
            )
            .fix("name a field of this version"),
        );
    }
    let set = unknown(step.set.keys().map(String::as_str).collect());
    if !set.is_empty() {
        changes.push(
            Change::warning(
                "V88",
                format!("{at}.set"),
                format!(
                    "a value is set for {}, which no field is called",
                    quoted(set.iter().map(String::as_str))
                ),
            )
            .fix("name a field of this version"),
        );
    }
    let alive: Vec<&str> = step
        .remove
        .iter()
        .map(String::as_str)
        .filter(|id| declared.contains(id))
        .collect();
    if !alive.is_empty() {
        changes.push(
            Change::warning(
                "V88",
                format!("{at}.remove"),
                format!(
                    "the values of {} are thrown away, but the form still asks for them",
                    quoted(alive.iter().copied())
                ),
            )
            .fix("leave it out of `remove`, or take the field out of the form"),
        );
    }
}
