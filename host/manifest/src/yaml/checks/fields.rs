//! What people are asked for.
//!
//! V20 a field that looks secret is secret · V22 ids are names, unique and not reserved · V23 type, default and choices agree ·
//! V25 example and default are values that the field takes.

use std::collections::HashSet;

use super::Checker;
use super::identity::is_name;
use crate::model::{Field, Format};
use crate::yaml::places::{child, item};

/// Names that flows use themselves.
const RESERVED: &[&str] = &[
    "client_id",
    "client_secret",
    "access_token",
    "refresh_token",
    "redirect_uri",
    "state",
    "code",
    "scope",
];

/// Words in an id or label that tell of a secret.
const SECRET_WORDS: &[&str] = &[
    "secret",
    "password",
    "passphrase",
    "token",
    "apikey",
    "key",
    "credential",
    "credentials",
    "pin",
];

/// Last words that tell of a name of a secret, not the secret.
const NAME_WORDS: &[&str] = &["id", "sid", "name", "url", "host", "type", "email", "user"];

pub(super) fn check(c: &mut Checker<'_>) {
    let manifest = c.manifest;
    let mut app = HashSet::new();
    for (i, field) in manifest.fields.iter().enumerate() {
        one(c, &item("fields", i), field, &mut app);
        showing(c, &item("fields", i), field, manifest.app_fields());
    }
    for (method, auth) in &manifest.auth {
        let path = child("auth", method);
        let mut seen = app.clone();
        for (i, field) in auth.fields().iter().enumerate() {
            let at = item(&child(&path, "fields"), i);
            one(c, &at, field, &mut seen);
            showing(c, &at, field, manifest.fields_for(method));
        }
        for (id, _) in auth.captures() {
            let path = child(&child(&path, "capture"), id);
            name(c, &path, id, &mut seen);
        }
        let steps = manifest.discovery.iter().enumerate();
        for (i, step) in steps.filter(|(_, step)| step.is_for(method)) {
            for id in step.capture.keys() {
                let path = child(&child(&item("discovery", i), "capture"), id);
                name(c, &path, id, &mut seen);
            }
        }
    }
}

fn name<'a>(c: &mut Checker<'_>, path: &str, id: &'a str, seen: &mut HashSet<&'a str>) {
    if !is_name(id) {
        c.error(
            "V22",
            path,
            format!("`{id}` is not an id"),
            Some("use lower-case letters, digits and underscores, starting with a letter"),
        );
    }
    if RESERVED.contains(&id) {
        c.error(
            "V22",
            path,
            format!("`{id}` is a name that flows use themselves"),
            Some("choose another id"),
        );
    }
    if !seen.insert(id) {
        c.error(
            "V22",
            path,
            format!("`{id}` is asked for twice"),
            Some("ids must differ between fields and captures that are used together"),
        );
    }
}

fn one<'a>(c: &mut Checker<'_>, path: &str, field: &'a Field, seen: &mut HashSet<&'a str>) {
    let id_path = child(path, "id");
    name(c, &id_path, &field.id, seen);
    if looks_secret(field) {
        c.error(
            "V20",
            path,
            format!(
                "`{}` looks like a secret, but is not marked as one",
                field.id
            ),
            Some("add `secret: true`"),
        );
    }
    if !field.suffixes.is_empty()
        && !matches!(
            field.format,
            Format::Host | Format::Origin | Format::BaseUrl
        )
    {
        c.error(
            "V23",
            &child(path, "suffixes"),
            "suffixes only mean something for `format: host`, `origin` and `base-url`",
            None,
        );
    }
    let mut values = HashSet::new();
    for (i, choice) in field.choices.iter().enumerate() {
        if !values.insert(choice.value.as_str()) {
            c.error(
                "V23",
                &item(&child(path, "choices"), i),
                format!("the choice `{}` is there twice", choice.value),
                None,
            );
        }
    }
    if let Some(default) = &field.default
        && !field.choices.is_empty()
        && !values.contains(default.as_str())
    {
        c.error(
            "V23",
            &child(path, "default"),
            format!("the default `{default}` is not one of the choices"),
            None,
        );
    } else {
        sample(c, path, field, "default", field.default.as_deref());
    }
    sample(c, path, field, "example", field.example.as_deref());
    if field.secret && field.default.is_some() {
        c.error(
            "V25",
            &child(path, "default"),
            "a secret cannot have a default",
            Some("remove it"),
        );
    }
}

/// V23, V62: what is never shown has its value in the manifest, and what is shown now and then depends on a field that is there.
fn showing<'a>(
    c: &mut Checker<'_>,
    path: &str,
    field: &Field,
    beside: impl Iterator<Item = &'a Field>,
) {
    if field.hidden && field.default.is_none() {
        c.error(
            "V23",
            &child(path, "hidden"),
            "a field that is never shown needs a default",
            Some("add `default:`"),
        );
    }
    if field.hidden && field.shown_when.is_some() {
        c.error(
            "V23",
            &child(path, "shown_when"),
            "a field is either never shown or shown now and then",
            Some("remove `hidden` or `shown_when`"),
        );
    }
    let Some(shown) = &field.shown_when else {
        return;
    };
    let at = child(path, "shown_when");
    let mut beside = beside.filter(|other| other.id != field.id);
    let Some(other) = beside.find(|other| other.id == shown.field) else {
        c.error(
            "V62",
            &child(&at, "field"),
            format!("there is no other field `{}` beside this one", shown.field),
            None,
        );
        return;
    };
    for value in &shown.values {
        let possible = other.parse(value).is_ok_and(|parsed| parsed == *value);
        if !possible && !other.hidden {
            c.error(
                "V23",
                &at,
                format!("the field `{}` can never be `{value}`", other.id),
                Some("use one of its values as it is stored"),
            );
        }
    }
}

fn sample(c: &mut Checker<'_>, path: &str, field: &Field, key: &str, value: Option<&str>) {
    if let Some(value) = value
        && let Err(e) = field.parse(value)
    {
        c.error(
            "V25",
            &child(path, key),
            format!("the field would not take its own {key}: {e}"),
            None,
        );
    }
}

fn looks_secret(field: &Field) -> bool {
    if field.secret || field.format.is_host_safe() || !field.choices.is_empty() {
        return false;
    }
    let words = |text: &str| -> Vec<String> {
        text.to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let secret = |words: &[String]| {
        words.iter().any(|w| SECRET_WORDS.contains(&w.as_str()))
            && !words
                .last()
                .is_some_and(|w| NAME_WORDS.contains(&w.as_str()))
    };
    secret(&words(&field.id))
        || (!words(&field.id)
            .last()
            .is_some_and(|w| NAME_WORDS.contains(&w.as_str()))
            && secret(&words(&field.label)))
}
