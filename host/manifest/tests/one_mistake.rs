//! One mistake gives one finding, at its place: what only follows from it is not told.
//!
//! Each manifest of the repository is clean. Each value in it is made wrong in a few ways; if that is a mistake of shape, then
//! nothing but mistakes of shape may be said, all at or around the value. The fixtures beside it run as well, and what they come
//! to because of the mistake is not told either.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

use std::fs;
use std::path::Path;

use keyport_manifest::{Finding, FolderFacts, Severity, check};
use serde_json::{Value, json};

/// Rules that speak of shape.
const SHAPE: &[&str] = &[
    "V02", "V03", "V05", "V07", "V09", "V10", "V13", "V24", "V58",
];

fn manifests() -> Vec<(FolderFacts, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
    let mut all: Vec<(FolderFacts, Value)> = fs::read_dir(root)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .map(|p| {
            let yaml = fs::read_to_string(p.join("manifest.yaml")).unwrap();
            (FolderFacts::read(&p), serde_yaml::from_str(&yaml).unwrap())
        })
        .collect();
    all.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    all
}

/// Every JSON pointer into a tree.
fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                out.push(at.clone());
                pointers(inner, &at, out);
            }
        }
        Value::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                let at = format!("{at}/{i}");
                out.push(at.clone());
                pointers(inner, &at, out);
            }
        }
        _ => {}
    }
}

fn mistakes(value: &Value, pointer: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for wrong in [json!([1]), json!("{{ nothing"), json!({"standin_": 1})] {
        // Of a map with nothing in it that is known, much is truly missing.
        if wrong.is_object() && value.pointer(pointer).is_some_and(Value::is_object) {
            continue;
        }
        let mut tree = value.clone();
        *tree.pointer_mut(pointer).unwrap() = wrong;
        all.push(tree);
    }
    let (around, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    let mut tree = value.clone();
    if let Some(Value::Object(map)) = tree.pointer_mut(around) {
        let was = map.shift_remove(&key).unwrap();
        let mut misspelt = tree.clone();
        all.push(tree);
        if let Some(Value::Object(map)) = misspelt.pointer_mut(around) {
            map.insert(format!("{key}q"), was);
        }
        all.push(misspelt);
    }
    all
}

#[test]
fn a_mistake_of_shape_is_told_without_what_only_follows_from_it() {
    let full = std::env::var("KEYPORT_PROOF").is_ok_and(|v| v == "full");
    let (mut tried, mut told, mut wrong) = (0, 0, Vec::new());
    for (folder, tree) in manifests() {
        let name = &folder.name;
        // Written as JSON it has no comments that allow anything.
        let plain = check(
            "m.yaml",
            &serde_json::to_string_pretty(&tree).unwrap(),
            Some(&folder),
        );
        let allowed: Vec<(&str, String)> = plain
            .findings
            .into_iter()
            .map(|f| (f.rule, f.path))
            .collect();
        let mut all = Vec::new();
        pointers(&tree, "", &mut all);
        // One place in a hundred is enough to notice a rule that was forgotten.
        let some = all.iter().enumerate().filter(|(i, _)| full || i % 101 == 7);
        for (_, pointer) in some {
            for (kind, broken) in mistakes(&tree, pointer).into_iter().enumerate() {
                tried += 1;
                // JSON is YAML in which all text is quoted.
                let yaml = serde_json::to_string_pretty(&broken).unwrap();
                let found: Vec<Finding> = check("m.yaml", &yaml, Some(&folder))
                    .findings
                    .into_iter()
                    .filter(|f| f.severity != Severity::Note)
                    .filter(|f| !allowed.contains(&(f.rule, f.path.clone())))
                    .collect();
                let removed_only = found.iter().all(|f| {
                    !SHAPE.contains(&f.rule)
                        || (f.rule == "V03"
                            && f.fix.as_deref().is_none_or(|x| !x.starts_with("did you")))
                });
                if removed_only {
                    continue;
                }
                told += 1;
                for f in found {
                    if !SHAPE.contains(&f.rule)
                        || f.message.contains("standin") && !f.message.contains("standin_")
                    {
                        wrong.push(format!(
                            "{name} {pointer} ({kind}): {} {}: {}",
                            f.rule, f.path, f.message
                        ));
                    }
                }
            }
        }
    }
    println!(
        "{tried} mistakes, {told} of shape, {} with false findings",
        wrong.len()
    );
    assert!(told > 60, "{told}");
    assert!(
        wrong.is_empty(),
        "{}\n{}",
        wrong.len(),
        wrong[..wrong.len().min(60)].join("\n")
    );
}
