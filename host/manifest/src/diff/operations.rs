//! V86: what automations were built on: actions and triggers, what goes into them and what comes out.
//!
//! An automation holds the names of an operation and of its inputs, and picks values out of its output by the names that
//! the sample showed. All of these may only go with a new major version.

use serde_json::Value;

use crate::model::{Effect, Manifest};
use crate::yaml::Severity;

use super::{Change, is_major, quoted};

struct Operation<'m> {
    input: &'m Value,
    output: &'m Value,
    sample: Option<&'m Value>,
    writes: bool,
    /// What tells one event from another.
    dedupe: Option<&'m str>,
}

pub(super) fn compare(old: &Manifest, new: &Manifest, changes: &mut Vec<Change>) {
    let mut found = Vec::new();
    let actions = |m: &'_ Manifest| m.actions.keys().cloned().collect::<Vec<_>>();
    for id in actions(old) {
        both(
            "actions",
            "action",
            &id,
            action(old, &id),
            action(new, &id),
            &mut found,
        );
    }
    for id in old.triggers.keys() {
        both(
            "triggers",
            "trigger",
            id,
            trigger(old, id),
            trigger(new, id),
            &mut found,
        );
    }
    if is_major(old, new) {
        for change in &mut found {
            change.severity = Severity::Note;
            change.fix = None;
        }
    }
    changes.append(&mut found);
}

fn action<'m>(manifest: &'m Manifest, id: &str) -> Option<Operation<'m>> {
    manifest.actions.get(id).map(|a| Operation {
        input: &a.input,
        output: &a.output,
        sample: a.sample.as_ref(),
        writes: a.effect == Effect::Write,
        dedupe: None,
    })
}

fn trigger<'m>(manifest: &'m Manifest, id: &str) -> Option<Operation<'m>> {
    manifest.triggers.get(id).map(|t| Operation {
        input: &t.input,
        output: &t.output,
        sample: t.sample.as_ref(),
        writes: false,
        dedupe: t.dedupe.as_ref().map(|d| d.source()),
    })
}

fn both(
    group: &str,
    what: &str,
    id: &str,
    old: Option<Operation<'_>>,
    new: Option<Operation<'_>>,
    found: &mut Vec<Change>,
) {
    let Some(old) = old else { return };
    let at = format!("{group}.{id}");
    let mut say = |path: String, message: String| {
        found.push(Change::error("V86", path, message).fix(
            "keep it, or give the manifest a new major version, which operators take on purpose",
        ));
    };
    let Some(new) = new else {
        say(
            group.to_owned(),
            format!("the {what} `{id}` is gone; automations that use it stop"),
        );
        return;
    };
    let gone = missing(&properties(old.input), &properties(new.input));
    if !gone.is_empty() {
        say(
            format!("{at}.input"),
            format!(
                "{} cannot be given to `{id}` any more; automations that give it are refused or ignored",
                quoted(gone.iter().map(String::as_str))
            ),
        );
    }
    let demanded: Vec<String> = missing(&required(new.input), &required(old.input));
    if !demanded.is_empty() {
        say(
            format!("{at}.input"),
            format!(
                "{} must now be given to `{id}`; automations that do not are refused",
                quoted(demanded.iter().map(String::as_str))
            ),
        );
    }
    let lost: Vec<String> = missing(&keys("", old.sample), &keys("", new.sample));
    if old.sample.is_some() && !lost.is_empty() {
        say(
            format!("{at}.sample"),
            format!(
                "{} was in the sample of `{id}` and is not any more; automations that picked it find nothing",
                quoted(lost.iter().map(String::as_str))
            ),
        );
    }
    let output: Vec<String> = missing(&properties(old.output), &properties(new.output))
        .into_iter()
        .filter(|name| !lost.contains(name))
        .collect();
    if !output.is_empty() {
        say(
            format!("{at}.output"),
            format!(
                "{} was in what `{id}` gives and is not any more",
                quoted(output.iter().map(String::as_str))
            ),
        );
    }
    if new.writes && !old.writes {
        say(
            format!("{at}.effect"),
            format!(
                "`{id}` only read and may now change things at the app; keys and automations that may only read are refused"
            ),
        );
    }
    if old.dedupe.is_some() && old.dedupe != new.dedupe {
        say(
            format!("{at}.dedupe"),
            format!(
                "events of `{id}` are told apart in another way; events that were already seen come once more"
            ),
        );
    }
}

fn properties(schema: &Value) -> Vec<String> {
    let object = schema.get("properties").and_then(Value::as_object);
    object
        .map(|o| o.keys().cloned().collect())
        .unwrap_or_default()
}

fn required(schema: &Value) -> Vec<String> {
    let list = schema.get("required").and_then(Value::as_array);
    list.map(|names| {
        names
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    })
    .unwrap_or_default()
}

/// Every name in a sample: `user.email`; lists are looked through by their first item.
fn keys(before: &str, sample: Option<&Value>) -> Vec<String> {
    match sample {
        Some(Value::Object(map)) => map
            .iter()
            .flat_map(|(name, value)| {
                let path = if before.is_empty() {
                    name.clone()
                } else {
                    format!("{before}.{name}")
                };
                let inner = keys(&path, Some(value));
                std::iter::once(path).chain(inner).collect::<Vec<_>>()
            })
            .collect(),
        Some(Value::Array(items)) => keys(before, items.first()),
        _ => Vec::new(),
    }
}

/// What is in `these` and not in `those`. Of a name that is gone whole, what was inside is not listed.
fn missing(these: &[String], those: &[String]) -> Vec<String> {
    let mut gone: Vec<String> = Vec::new();
    for name in these.iter().filter(|name| !those.contains(name)) {
        let inside = gone.iter().any(|outer| {
            name.strip_prefix(outer.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        });
        if !inside {
            gone.push(name.clone());
        }
    }
    gone
}
