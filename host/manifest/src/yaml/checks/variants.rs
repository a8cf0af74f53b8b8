//! Variants and migrations.
//!
//! V22 the field `variant` is the choice's own · V23 every choice sets the same constants, the default is one of them · V62 what a
//! migration fills is there.

use super::Checker;
use super::identity::is_name;
use crate::model::VARIANT_FIELD;
use crate::yaml::places::{child, item};

pub(super) fn check(c: &mut Checker<'_>) {
    variants(c);
    migrations(c);
}

fn variants(c: &mut Checker<'_>) {
    let Some(variants) = &c.manifest.variants else {
        return;
    };
    let mut wanted: Vec<&String> = Vec::new();
    for name in variants.choices.values().flat_map(|v| v.values.keys()) {
        if !wanted.contains(&name) {
            wanted.push(name);
        }
    }
    for (key, choice) in &variants.choices {
        let path = child("variants.choices", key);
        for name in wanted.iter().filter(|n| !choice.values.contains_key(**n)) {
            c.error(
                "V23",
                &path,
                format!("the choice `{key}` does not set `{name}`, which others do"),
                Some("set the same constants in every choice"),
            );
        }
        for name in choice.values.keys().filter(|n| !is_name(n) || *n == "id") {
            c.error(
                "V22",
                &child(&child(&path, "values"), name),
                format!("`{name}` cannot be the name of a constant"),
                Some(
                    "use lower-case letters, digits and underscores; `id` is the choice's own key",
                ),
            );
        }
    }
    if let Some(default) = &variants.default
        && !variants.choices.contains_key(default)
    {
        c.error(
            "V23",
            "variants.default",
            format!("the default `{default}` is not one of the choices"),
            None,
        );
    }
    for (i, field) in c.manifest.fields.iter().enumerate() {
        if field.id == VARIANT_FIELD {
            c.error(
                "V22",
                &child(&item("fields", i), "id"),
                "`variant` is the field of the choice itself",
                Some("choose another id"),
            );
        }
    }
}

fn migrations(c: &mut Checker<'_>) {
    let m = c.manifest;
    let known = |id: &str| {
        let own = m.auth.values().flat_map(|a| a.fields());
        m.app_fields().chain(own).any(|f| f.id == id)
    };
    for (i, migration) in m.migrations.iter().enumerate() {
        let path = item("migrations", i);
        let renamed = migration
            .rename
            .iter()
            .map(|(old, new)| ("rename", old, new));
        let set = migration.set.keys().map(|new| ("set", new, new));
        for (key, at, id) in renamed.chain(set) {
            if !known(id) {
                c.error(
                    "V62",
                    &child(&child(&path, key), at),
                    format!("there is no field `{id}`"),
                    None,
                );
            }
        }
        for (id, value) in &migration.set {
            let own = m.auth.values().flat_map(|a| a.fields());
            let mut fields = m.app_fields().chain(own).filter(|f| f.id == *id);
            if let Some(Err(why)) = fields.next().map(|field| field.parse(value)) {
                c.error(
                    "V62",
                    &child(&child(&path, "set"), id),
                    format!(
                        "older connections would be given a value that the form refuses: {why}"
                    ),
                    Some("set what a person could have typed"),
                );
            }
        }
    }
}
