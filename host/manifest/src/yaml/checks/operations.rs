//! Actions and triggers.
//!
//! V33 what has no code has a request · V41 an action that reads uses a method that reads · V65 samples exist and fit their
//! schema · V66 events have a key that the sample has.

use serde_json::Value;

use super::Checker;
use super::schema;
use crate::model::{Action, Component, Effect, Trigger};
use crate::scope::Scope;
use crate::template::Slot;
use crate::yaml::places::child;

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    for (id, action) in &m.actions {
        self::action(c, &child("actions", id), action);
    }
    for (id, trigger) in &m.triggers {
        self::trigger(c, &child("triggers", id), trigger);
    }
}

fn action(c: &mut Checker<'_>, path: &str, a: &Action) {
    served(c, path, a.request.is_some(), a.code);
    if let Some(request) = &a.request
        && a.effect == Effect::Read
        && !request.method.is_safe()
        && !request.safe
    {
        c.error(
            "V41",
            &format!("{path}.request.method"),
            format!(
                "the action says that it reads, and {} may change things",
                request.method.as_str()
            ),
            Some("write `effect: write`, or `safe: true` if this request only reads"),
        );
    }
    if a.input.get("type") != Some(&Value::from("object")) {
        c.error(
            "V65",
            &child(path, "input"),
            "an input is an object",
            Some("write `{ type: object, properties: {} }`"),
        );
    }
    sample(c, path, &a.output, a.sample.as_ref());
}

fn trigger(c: &mut Checker<'_>, path: &str, t: &Trigger) {
    served(c, path, t.request.is_some(), t.code);
    if let Some(request) = &t.request
        && !request.method.is_safe()
        && !request.safe
    {
        c.error(
            "V41",
            &format!("{path}.request.method"),
            "a trigger only reads",
            Some("use GET, or add `safe: true`"),
        );
    }
    sample(c, path, &t.output, t.sample.as_ref());
    let Some(dedupe) = &t.dedupe else {
        c.error(
            "V66",
            path,
            "nothing tells one event from another",
            Some("add `dedupe: \"{{ item.id }}\"`"),
        );
        return;
    };
    if let Some(event) = &t.sample {
        let scope = Scope::new().with("item", event.clone());
        let reads_item_only = dedupe.refs().iter().all(|r| r.root == "item");
        if reads_item_only && dedupe.render(&scope, Slot::Raw).is_err() {
            c.error(
                "V66",
                &child(path, "dedupe"),
                "the sample has no such key, or it is not text or a number",
                None,
            );
        }
    }
}

fn served(c: &mut Checker<'_>, path: &str, request: bool, code: bool) {
    match (request, code) {
        (false, false) => c.error(
            "V33",
            path,
            "nothing says how this is done",
            Some("add `request:`, or `code: true` if the component does it"),
        ),
        (true, true) => c.error(
            "V33",
            path,
            "both `request` and `code` claim to do this",
            Some("keep one of them"),
        ),
        (false, true) if c.manifest.component == Component::Rest => {
            c.error(
                "V33",
                &child(path, "code"),
                "the component `rest` has no code of this app's",
                Some("add `request:`"),
            );
        }
        _ => {}
    }
}

fn sample(c: &mut Checker<'_>, path: &str, output: &Value, sample: Option<&Value>) {
    let says_nothing = output.as_object().is_some_and(serde_json::Map::is_empty);
    match sample {
        None if says_nothing => {}
        None => c.error(
            "V65",
            path,
            "there is no sample",
            Some("add `sample:` with an example of the output"),
        ),
        Some(sample) => {
            let mut misfits = Vec::new();
            schema::misfits(output, sample, "", &mut misfits);
            for (at, message) in misfits {
                let place = format!("{}{at}", child(path, "sample"));
                c.error(
                    "V65",
                    &place,
                    format!("the sample does not fit the output schema: {message}"),
                    None,
                );
            }
        }
    }
}
