//! V82: values that connections hold, and that the new version does not take, or wants and does not find.

use crate::model::{Field, Format, Manifest};

use super::migrations::Plan;
use super::{Change, quoted};

/// Where a field is declared: the app itself (`None`) or one way to sign in.
type Home<'m> = Option<&'m str>;

pub(super) fn compare(old: &Manifest, new: &Manifest, plan: &Plan, changes: &mut Vec<Change>) {
    one_home(None, &old.fields, &new.fields, new, plan, changes);
    for (id, method) in &old.auth {
        // A way to sign in that is gone is said once, by V83.
        if let Some(now) = new.auth.get(id) {
            one_home(Some(id), method.fields(), now.fields(), new, plan, changes);
        }
    }
}

fn one_home(
    home: Home<'_>,
    old: &[Field],
    new: &[Field],
    manifest: &Manifest,
    plan: &Plan,
    changes: &mut Vec<Change>,
) {
    let mut found: Vec<Change> = Vec::new();
    // New fields that look like an old one under another name: said once, as that.
    let mut renamed: Vec<&str> = Vec::new();
    for field in old {
        if plan.removes(&field.id) {
            continue;
        }
        let name = plan.renamed(&field.id);
        match new.iter().find(|f| f.id == name) {
            Some(now) => {
                let at = path(home, &now.id, new);
                retyped(home, field, now, &at, plan, &mut found);
            }
            None if declared_elsewhere(name, manifest) => {}
            None => {
                let likely = likely(field, old, new);
                renamed.extend(likely.map(|f| f.id.as_str()));
                found.push(gone(home, field, likely, manifest));
            }
        }
    }
    for field in new.iter().filter(|f| f.required && f.default.is_none()) {
        let known = old.iter().any(|f| plan.renamed(&f.id) == field.id);
        if !known && !plan.sets(&field.id) && !renamed.contains(&field.id.as_str()) {
            found.push(
                Change::error(
                    "V82",
                    path(home, &field.id, new),
                    format!(
                        "{} is new and must be given; existing connections{} have no value for it and stop working until \
                         each person fills it in",
                        named(field),
                        of(home)
                    ),
                )
                .fix(format!(
                    "give it a `default`, make it `required: false`, or set it for older connections: `migrations: [{{ from: \
                     \"<{}\", set: {{ {}: … }} }}]`",
                    manifest.version, field.id
                )),
            );
        }
    }
    if let Some(reason) = &plan.reconnect {
        for change in &mut found {
            change.severity = crate::yaml::Severity::Note;
            change.message = format!(
                "{}; a migration has people sign in again: {reason}",
                change.message
            );
            change.fix = None;
        }
    }
    changes.append(&mut found);
}

/// The new field that seems to be the old one under another name.
fn likely<'m>(field: &Field, old: &[Field], new: &'m [Field]) -> Option<&'m Field> {
    new.iter()
        .filter(|f| !old.iter().any(|o| o.id == f.id))
        .find(|f| f.label == field.label || alike(f, field))
}

fn gone(home: Home<'_>, field: &Field, likely: Option<&Field>, manifest: &Manifest) -> Change {
    let from = &manifest.version;
    let (message, fix) = match likely {
        Some(now) => (
            format!(
                "{} seems to be called `{}` now; existing connections{} hold their value under the old name, which nothing reads",
                named(field),
                now.id,
                of(home)
            ),
            format!(
                "keep the name, or carry the values over: `migrations: [{{ from: \"<{from}\", rename: {{ {}: {} }} }}]`",
                field.id, now.id
            ),
        ),
        None => (
            format!(
                "{} is gone; existing connections{} hold a value for it that nothing reads any more",
                named(field),
                of(home)
            ),
            format!(
                "keep it, or say that its values go: `migrations: [{{ from: \"<{from}\", remove: [{}] }}]`",
                field.id
            ),
        ),
    };
    Change::error("V82", around(home), message).fix(fix)
}

fn alike(a: &Field, b: &Field) -> bool {
    a.format == b.format && a.secret == b.secret && strsim::jaro_winkler(&a.id, &b.id) > 0.75
}

fn retyped(
    home: Home<'_>,
    old: &Field,
    new: &Field,
    at: &str,
    plan: &Plan,
    found: &mut Vec<Change>,
) {
    let mut say = |message: String, fix: &str| {
        found.push(Change::error("V82", at, message).fix(fix));
    };
    if old.secret && !new.secret {
        say(
            format!(
                "{} was secret and is not any more; what people typed as a secret would be shown",
                named(new)
            ),
            "keep `secret: true`, or use a new field",
        );
    }
    // Text takes everything; whatever else changes leaves values of the old form.
    if old.format != new.format && new.format != Format::Text && !plan.sets(&new.id) {
        say(
            format!(
                "{} was of the format `{}` and is `{}`; values that people typed may not fit",
                named(new),
                old.format.name(),
                new.format.name()
            ),
            "keep the format, or use a new field with a migration",
        );
    }
    let lost: Vec<&str> = old
        .choices
        .iter()
        .map(|c| c.value.as_str())
        .filter(|value| !new.choices.is_empty() && !new.choices.iter().any(|c| c.value == *value))
        .collect();
    if !lost.is_empty() && !plan.sets(&new.id) {
        say(
            format!(
                "{} cannot be {} any more; connections that chose it stop working",
                named(new),
                quoted(lost.iter().copied())
            ),
            "keep the choice (its label may say that it is going), or have those people sign in again by a migration",
        );
    }
    if !old.required
        && old.default.is_none()
        && new.required
        && new.default.is_none()
        && !plan.sets(&new.id)
    {
        say(
            format!(
                "{} could be left empty and must be given now; connections{} without it stop working",
                named(new),
                of(home)
            ),
            "leave it `required: false`, give it a `default`, or set it by a migration",
        );
    }
}

/// A field that moved between the app and a way to sign in is still filled by the same values.
fn declared_elsewhere(id: &str, manifest: &Manifest) -> bool {
    manifest.fields.iter().any(|f| f.id == id)
        || manifest
            .auth
            .values()
            .any(|m| m.fields().iter().any(|f| f.id == id))
}

fn named(field: &Field) -> String {
    format!("the field `{}` ({})", field.id, field.label)
}

fn of(home: Home<'_>) -> String {
    home.map(|id| format!(" by `{id}`")).unwrap_or_default()
}

fn around(home: Home<'_>) -> String {
    match home {
        None => "fields".to_owned(),
        Some(id) => format!("auth.{id}.fields"),
    }
}

fn path(home: Home<'_>, id: &str, new: &[Field]) -> String {
    let at = new.iter().position(|f| f.id == id).unwrap_or(0);
    format!("{}[{at}]", around(home))
}
