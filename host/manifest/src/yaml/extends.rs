//! One app built on another (`extends`): the trees are merged before anything is typed, so everything after this sees one
//! manifest and no rule has to know of two.
//!
//! Maps merge by key, lists and single values replace, null removes a key. Who the app is (`id`, `name`, `version`,
//! `summary`) and its `migrations`, which count its own versions, are never inherited. V62: the base exists, can be read,
//! does not lead back here, and the chain has at most four bases.
//!
//! Threat: a base in the operator's folder could carry what a manifest may not (aliases, depth, size). Each base is scanned
//! like any manifest before it is merged, and what is wrong in an inherited part is told at the `extends:` line.

use std::path::Path;

use serde_json::{Map, Value};

use super::places::child;
use crate::model::AppId;

/// Most bases that one manifest may stand on.
const MAX_BASES: usize = 4;

/// Keys that are always an app's own.
const OWN: &[&str] = &["id", "name", "version", "summary", "migrations", "extends"];

/// Finds the text of a base by its id.
pub type Bases<'b> = dyn Fn(&AppId) -> Option<String> + 'b;

/// A tree with its bases merged in, and what came from which.
pub(super) struct Merged {
    pub(super) tree: Value,
    inherited: Vec<(String, AppId)>,
}

impl Merged {
    /// The base that the value at a path comes from; `None` for what the manifest says itself.
    pub(super) fn base_of(&self, path: &str) -> Option<&AppId> {
        self.inherited.iter().find_map(|(start, base)| {
            let rest = path.strip_prefix(start.as_str())?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then_some(base)
        })
    }
}

/// Merges the bases of a tree into it.
///
/// # Errors
/// A sentence, if a base is missing, cannot be read or leads back here.
pub(super) fn merge(tree: Value, bases: &Bases<'_>) -> Result<Merged, String> {
    let Some(first) = base_id(&tree) else {
        // Nothing is said, or not an id; the shape tells that.
        return Ok(Merged {
            tree,
            inherited: Vec::new(),
        });
    };
    let mut seen: Vec<String> = tree
        .get("id")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .into_iter()
        .collect();
    let mut chain: Vec<(AppId, Value)> = Vec::new();
    let mut next = Some(first);
    while let Some(id) = next {
        if seen.iter().any(|s| s == id.as_str()) {
            return Err(format!(
                "`{id}` is built on itself: {} → {id}",
                seen.join(" → ")
            ));
        }
        if chain.len() == MAX_BASES {
            return Err(format!(
                "more than {MAX_BASES} apps are built on each other: {} → {id}",
                seen.join(" → ")
            ));
        }
        let text = bases(&id).ok_or_else(|| format!("there is no app `{id}` to build on"))?;
        let base = read_base(&id, &text)?;
        next = base_id(&base);
        seen.push(id.to_string());
        chain.push((id, base));
    }
    let mut merged = Map::new();
    for (_, base) in chain.iter_mut().rev() {
        if let Value::Object(map) = base {
            map.retain(|key, _| !OWN.contains(&key.as_str()));
            lay(&mut merged, map);
        }
    }
    if let Value::Object(map) = &tree {
        lay(&mut merged, map);
    }
    merged.shift_remove("extends");
    let mut inherited = Vec::new();
    let bases: Vec<(&AppId, &Value)> = chain.iter().map(|(id, base)| (id, base)).collect();
    origins(&merged, &tree, &bases, "", &mut inherited);
    Ok(Merged {
        tree: Value::Object(merged),
        inherited,
    })
}

/// Lays a map over another: maps merge, null removes, anything else replaces.
fn lay(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (_, Value::Null) => {
                under.shift_remove(key);
            }
            (Some(Value::Object(under)), Value::Object(over)) => lay(under, over),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Notes the paths that the manifest does not say itself, each with the nearest base that does.
fn origins(
    merged: &Map<String, Value>,
    own: &Value,
    bases: &[(&AppId, &Value)],
    path: &str,
    out: &mut Vec<(String, AppId)>,
) {
    for (key, value) in merged {
        let path = child(path, key);
        let below: Vec<(&AppId, &Value)> = bases
            .iter()
            .filter_map(|(id, base)| Some((*id, base.get(key)?)))
            .collect();
        match (own.get(key), value) {
            (None, _) => out.extend(below.first().map(|(id, _)| (path, (*id).clone()))),
            (Some(own @ Value::Object(_)), Value::Object(merged)) => {
                origins(merged, own, &below, &path, out);
            }
            (Some(_), _) => {}
        }
    }
}

/// The base that a tree names, if it names one rightly.
fn base_id(tree: &Value) -> Option<AppId> {
    tree.get("extends")?.as_str()?.parse().ok()
}

fn read_base(id: &AppId, text: &str) -> Result<Value, String> {
    let (_, tree) = super::read_tree(text).map_err(|found| {
        let first = found
            .first()
            .map(|f| f.message.as_str())
            .unwrap_or_default();
        format!("`{id}`, which this is built on, cannot be read: {first}")
    })?;
    if tree.get("manifest") != Some(&Value::from(1)) {
        return Err(format!(
            "`{id}`, which this is built on, is not a manifest of format version 1"
        ));
    }
    Ok(tree)
}

/// The id that a manifest's text gives itself, without reading the rest.
#[must_use]
pub fn app_id(yaml: &str) -> Option<AppId> {
    text_of(yaml, "id")
}

/// A single value at the top of a manifest's text.
fn text_of(yaml: &str, key: &str) -> Option<AppId> {
    let line = yaml
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let value = line.split(" #").next()?.trim();
    value.trim_matches(|c| c == '"' || c == '\'').parse().ok()
}

/// The base with an id among the texts of several manifests.
#[must_use]
pub fn base_among<'t>(id: &AppId, texts: impl IntoIterator<Item = &'t str>) -> Option<String> {
    texts
        .into_iter()
        .find(|text| app_id(text).as_ref() == Some(id))
        .map(str::to_owned)
}

/// The texts of the bases of a manifest that lies in `folder`: those of the folders beside it, as far as they are there.
pub(super) fn beside(
    folder: &Path,
    read: impl Fn(&Path) -> Option<String>,
) -> Vec<(AppId, String)> {
    let mut found: Vec<(AppId, String)> = Vec::new();
    let parent = folder.join("..");
    let mut next = read(&folder.join("manifest.yaml")).and_then(|text| text_of(&text, "extends"));
    while let Some(id) = next {
        // One more than is allowed, so that the check can say that it is one too many.
        if found.len() > MAX_BASES || found.iter().any(|(known, _)| *known == id) {
            break;
        }
        // The id is letters, digits and hyphens: it cannot lead elsewhere.
        let Some(text) = read(&parent.join(id.as_str()).join("manifest.yaml")) else {
            break;
        };
        next = text_of(&text, "extends");
        found.push((id, text));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(child: Value, bases: &[(&str, Value)]) -> Result<Merged, String> {
        let find = |id: &AppId| {
            bases
                .iter()
                .find(|(known, _)| *known == id.as_str())
                .map(|(_, tree)| serde_yaml::to_string(tree).unwrap())
        };
        merge(child, &find)
    }

    fn base(more: Value) -> Value {
        let mut tree = json!({"manifest": 1, "id": "base", "name": "Base", "version": "9.0.0", "summary": "B.",
            "migrations": [{"from": "<2"}]});
        tree.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        tree
    }

    #[test]
    fn maps_merge_lists_and_values_replace_and_null_removes() {
        let merged = with(
            json!({"manifest": 1, "id": "kid", "extends": "base",
                "api": {"headers": {"b": "2"}}, "categories": ["z"], "test": null,
                "actions": {"mine": {"sample": {"kept": null}}, "theirs": null}, "links": "x"}),
            &[("base", base(json!({
                "api": {"base_url": "https://x", "headers": {"a": "1"}}, "categories": ["a", "b"],
                "test": {"none": "why"}, "actions": {"theirs": {}, "other": {"title": "T"}}, "links": {"home": "h"}})))],
        )
        .unwrap();
        assert_eq!(
            merged.tree,
            json!({"manifest": 1, "api": {"base_url": "https://x", "headers": {"a": "1", "b": "2"}},
                "categories": ["z"], "actions": {"other": {"title": "T"}, "mine": {"sample": {"kept": null}}},
                "links": "x", "id": "kid"})
        );
        for (path, inherited) in [
            ("api.base_url", true),
            ("api.headers.a", true),
            ("api.headers.b", false),
            ("api", false),
            ("actions.other.title", true),
            ("actions.mine.title", false),
            ("actions.others", false),
            ("categories[0]", false),
        ] {
            assert_eq!(merged.base_of(path).is_some(), inherited, "{path}");
        }
    }

    #[test]
    fn a_chain_is_merged_from_its_far_end_and_each_part_knows_its_base() {
        let merged = with(
            json!({"manifest": 1, "id": "c", "extends": "b"}),
            &[
                (
                    "b",
                    base(json!({"extends": "a", "api": {"x": 2, "y": null}})),
                ),
                (
                    "a",
                    base(json!({"api": {"x": 1, "y": 1, "z": 1}, "component": "rest"})),
                ),
            ],
        )
        .unwrap();
        assert_eq!(
            merged.tree,
            json!({"manifest": 1, "api": {"x": 2, "z": 1}, "component": "rest", "id": "c"})
        );
        assert_eq!(merged.base_of("component").unwrap().as_str(), "a");
        assert_eq!(merged.base_of("api.x").unwrap().as_str(), "b");
    }

    #[test]
    fn a_base_that_is_missing_broken_or_leads_back_is_told() {
        let chain: Vec<(String, Value)> = (0..6)
            .map(|i| {
                (
                    format!("b{i}"),
                    base(json!({"extends": format!("b{}", i + 1)})),
                )
            })
            .collect();
        let mut bases: Vec<(&str, Value)> = chain
            .iter()
            .map(|(id, t)| (id.as_str(), t.clone()))
            .collect();
        bases.push(("loop", base(json!({"extends": "kid"}))));
        bases.push(("self", base(json!({"extends": "self"}))));
        bases.push(("old", json!({"manifest": 0})));
        for (extends, want) in [
            ("none", "there is no app `none`"),
            ("kid", "`kid` is built on itself"),
            ("loop", "`kid` is built on itself: kid → loop → kid"),
            ("self", "`self` is built on itself"),
            ("b0", "more than 4 apps"),
            ("old", "format version 1"),
        ] {
            let told = with(
                json!({"manifest": 1, "id": "kid", "extends": extends}),
                &bases,
            )
            .err()
            .unwrap();
            assert!(told.contains(want), "{extends}: {told}");
        }
        let anchors = merge(json!({"id": "kid", "extends": "bomb"}), &|_: &AppId| {
            Some("a: &a 1\nb: *a".to_owned())
        });
        assert!(anchors.err().unwrap().contains("cannot be read"));
    }

    #[test]
    fn ids_are_found_without_reading_the_rest() {
        for (yaml, id) in [
            ("manifest: 1\nid: acme # x\n", Some("acme")),
            ("id: \"acme\"", Some("acme")),
            ("  id: acme", None),
            ("ids: acme", None),
            ("id: [acme]", None),
        ] {
            assert_eq!(app_id(yaml).map(String::from).as_deref(), id, "{yaml}");
        }
    }
}
