//! Actions and triggers.
//!
//! V33 what has no code has a request · V41 an action that reads uses a method that reads · V65 an input is an object · V66 events
//! have a key that the sample has.

use indexmap::IndexMap;
use serde_json::Value;

use super::Checker;
use crate::model::{Action, ChoicesFrom, Component, Effect, Method, Trigger};
use crate::scope::Scope;
use crate::template::Slot;
use crate::yaml::places::child;

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    for (id, action) in &m.actions {
        let path = child("actions", id);
        self::action(c, &path, action);
        destroys(c, &path, id, action);
    }
    for (id, trigger) in &m.triggers {
        self::trigger(c, &child("triggers", id), trigger);
    }
}

/// V62: the choices of an input come from an action that is there, only reads and needs no input.
fn choices(
    c: &mut Checker<'_>,
    path: &str,
    input: &Value,
    choices_from: &IndexMap<String, ChoicesFrom>,
) {
    for (property, from) in choices_from {
        let path = child(&child(path, "choices_from"), property);
        if input
            .get("properties")
            .and_then(|p| p.get(property))
            .is_none()
        {
            c.error(
                "V62",
                &path,
                format!("the input has no property `{property}`"),
                None,
            );
        }
        let at = child(&path, "action");
        match c.manifest.actions.get(&from.action) {
            None => c.error(
                "V62",
                &at,
                format!("there is no action `{}`", from.action),
                None,
            ),
            Some(list) if list.effect != Effect::Read => c.error(
                "V62",
                &at,
                format!("`{}` changes things; choices are only read", from.action),
                None,
            ),
            Some(list) => {
                let required = list.input.get("required").and_then(Value::as_array);
                if required.is_some_and(|r| !r.is_empty()) {
                    c.error(
                        "V62",
                        &at,
                        format!(
                            "`{}` needs an input, so it cannot list choices",
                            from.action
                        ),
                        None,
                    );
                }
            }
        }
    }
}

/// V70: what destroys says so.
fn destroys(c: &mut Checker<'_>, path: &str, id: &str, a: &Action) {
    const WORDS: &[&str] = &["delete", "destroy", "purge", "erase", "wipe"];
    let named = id
        .split('_')
        .next()
        .is_some_and(|word| WORDS.contains(&word));
    let deletes = a
        .request
        .as_ref()
        .is_some_and(|r| r.method == Method::Delete);
    if a.effect == Effect::Write && !a.destructive && (named || deletes) {
        c.warn(
            "V70",
            path,
            "this looks as if it destroys something, and does not say so",
            Some("add `destructive: true`"),
        );
    }
    if a.effect == Effect::Read && a.destructive {
        c.warn(
            "V70",
            &child(path, "destructive"),
            "an action that only reads destroys nothing",
            Some("write `effect: write`, or remove `destructive`"),
        );
    }
}

fn action(c: &mut Checker<'_>, path: &str, a: &Action) {
    choices(c, path, &a.input, &a.choices_from);
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
}

fn trigger(c: &mut Checker<'_>, path: &str, t: &Trigger) {
    choices(c, path, &t.input, &t.choices_from);
    // Events of a webhook come by themselves; a request beside it only shows what they look like.
    if !t.kind.is_webhook() || t.code {
        served(c, path, t.request.is_some(), t.code);
    }
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
