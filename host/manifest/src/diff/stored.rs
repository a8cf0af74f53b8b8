//! V87: connections that people may have made with the old version, tried on the new one.
//!
//! What the other rules cannot see is seen here: a pattern that got stricter, a suffix that is gone, a template that now
//! reads a capture that older connections never made. Values are made up from what the old manifest allowed (up to a
//! hundred connections for each way to sign in), migrated, and then read, resolved and rendered as the host would do it.

use serde_json::{Map, Value, json};

use crate::example::{self, Connection};
use crate::model::{AuthMethod, Field, Manifest, VARIANT_FIELD};
use crate::resolve::ResolveError;
use crate::scope::Scope;
use crate::template::Slot;

use super::Change;
use super::migrations::Plan;

/// As many as the best of our kind generates.
const CONNECTIONS: usize = 100;

/// Stands for a secret that the old version asked for or kept.
const SECRET: &str = "KeyportPlaceholder0123456789";

pub(super) fn compare(old: &Manifest, new: &Manifest, plan: &Plan, changes: &mut Vec<Change>) {
    if plan.reconnect.is_some() {
        return;
    }
    for (id, method) in &old.auth {
        let Some(now) = new.auth.get(id) else {
            continue;
        };
        if method.kind() != now.kind() {
            continue;
        }
        let mut told: Vec<String> = Vec::new();
        for made in example::connections(old, id, CONNECTIONS) {
            if let Err(why) = still_works(&made, old, new, id, now, plan)
                && !told.contains(&why.1)
            {
                changes.push(
                    Change::error(
                        "V87",
                        why.0,
                        format!(
                            "a connection by `{id}`{} was fine and is not any more: {}",
                            values(&made),
                            why.1
                        ),
                    )
                    .fix("take what was taken before, or bring old values into the new form by a migration"),
                );
                told.push(why.1);
            }
        }
    }
}

/// Where it fails, and why.
type Broken = (String, String);

fn still_works(
    made: &Connection,
    old: &Manifest,
    new: &Manifest,
    id: &str,
    now: &AuthMethod,
    plan: &Plan,
) -> Result<(), Broken> {
    let stored = plan.migrated(made);
    let place = |around: &str, fields: &[Field], field: &str| {
        let at = fields.iter().position(|f| f.id == field).unwrap_or(0);
        format!("{around}[{at}]")
    };
    let around = format!("auth.{id}.fields");
    if let Some(variants) = &new.variants {
        let key = value(&stored, VARIANT_FIELD).or(variants.default.as_deref());
        if key.and_then(|key| variants.values(key)).is_none() {
            return Err((
                "variants.choices".to_owned(),
                format!("{} has no such choice any more", variants.label),
            ));
        }
    }
    for (home, fields) in [
        ("fields", new.fields.as_slice()),
        (around.as_str(), now.fields()),
    ] {
        for field in fields.iter().filter(|f| !f.secret) {
            let Some(text) = value(&stored, &field.id) else {
                continue;
            };
            if !text.is_empty() || field.required {
                field
                    .parse(text)
                    .map_err(|e| (place(home, fields, &field.id), e.to_string()))?;
            }
        }
    }
    let public = scope(&stored, old, new, id, false);
    let broken = |path: &str, why: String| (path.to_owned(), why);
    new.resolve_for(id, &public)
        .map_err(|e| broken("api", e.to_string()))?;
    match new.endpoints(id, &public) {
        // Other grants do without some of them; whether this one may is V34's.
        Ok(_) | Err(ResolveError::NotDeclared { .. }) => {}
        Err(e) => return Err(broken(&format!("auth.{id}"), e.to_string())),
    }
    let secret = scope(&stored, old, new, id, true);
    for injection in now.injections() {
        injection
            .value
            .render_optional(&secret, Slot::Raw)
            .map_err(|e| broken(&format!("auth.{id}.inject"), e.to_string()))?;
    }
    let mut asking = public.clone();
    asking.set("account", json!({"id": "1", "label": "Acme"}));
    for call in new.test_for(id).calls() {
        call.request
            .build(&asking)
            .map_err(|e| broken("test.request", e.to_string()))?;
    }
    Ok(())
}

/// What templates see of a migrated connection; every value under the root where the new manifest declares it.
fn scope(
    stored: &Map<String, Value>,
    old: &Manifest,
    new: &Manifest,
    id: &str,
    secrets: bool,
) -> Scope {
    let mut scope = Scope::new();
    if secrets {
        example::fill_in(&mut scope, old, id, &mut |_| SECRET.to_owned());
    }
    // What follows decides by the new manifest which of these there are.
    for root in ["fields", "credentials", "capture"] {
        scope.set(root, Value::Object(Map::new()));
    }
    if let Some(variants) = &new.variants {
        let key = value(stored, VARIANT_FIELD).or(variants.default.as_deref());
        if let Some(key) = key {
            scope.set_value("fields", VARIANT_FIELD, Value::String(key.to_owned()));
            scope.set("variant", variants.values(key).unwrap_or_default());
        }
    }
    let own = new.auth.get(id).map(|m| m.fields()).unwrap_or_default();
    for (root, fields) in [("fields", new.fields.as_slice()), ("credentials", own)] {
        for field in fields {
            let text = match stored.get(&field.id).and_then(Value::as_str) {
                Some(text) if !text.is_empty() => Some(text.to_owned()),
                _ => field.default.clone(),
            };
            if field.secret && !secrets {
                continue;
            }
            let text = text.or_else(|| field.secret.then(|| SECRET.to_owned()));
            let text = text.or_else(|| (!field.required).then(String::new));
            if let Some(text) = text {
                scope.set_value(root, &field.id, Value::String(text));
            }
        }
    }
    // Captures that the old version made; those that only the new one declares are not there.
    if let Some(before) = old.auth.get(id) {
        let found = old.discovery.iter().filter(|d| d.is_for(id));
        let found = found.flat_map(|d| d.capture.iter().map(|(id, c)| (id.as_str(), c)));
        for (name, capture) in before.captures().into_iter().chain(found) {
            let text = match stored.get(name).and_then(Value::as_str) {
                Some(text) if capture.public => Some(text.to_owned()),
                _ => (secrets && capture.required).then(|| SECRET.to_owned()),
            };
            if let Some(text) = text {
                scope.set_value("capture", name, Value::String(text));
            }
        }
    }
    scope
}

fn value<'s>(stored: &'s Map<String, Value>, id: &str) -> Option<&'s str> {
    stored.get(id)?.as_str()
}

/// ` with subdomain "acme"`: values that were made up here, so that showing them gives nothing away.
fn values(made: &Connection) -> String {
    let all: Vec<String> = [&made.fields, &made.credentials, &made.capture]
        .into_iter()
        .flatten()
        .filter_map(|(id, value)| {
            let text = value.as_str().filter(|t| !t.is_empty())?;
            let short: String = text
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(40)
                .collect();
            Some(format!("{id} \"{short}\""))
        })
        .collect();
    if all.is_empty() {
        String::new()
    } else {
        format!(" with {}", all.join(", "))
    }
}
