//! All texts of the document with their paths, for rules that look at texts wherever they stand.

use serde_json::Value;

use crate::yaml::places::{child, item};

/// Every text, in the order of the file.
pub(super) fn all(tree: &Value) -> Vec<(String, &str)> {
    let mut out = Vec::new();
    walk(tree, String::new(), &mut out);
    out
}

fn walk<'v>(value: &'v Value, path: String, out: &mut Vec<(String, &'v str)>) {
    match value {
        Value::String(text) => out.push((path, text)),
        Value::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                walk(inner, item(&path, i), out);
            }
        }
        Value::Object(map) => {
            for (key, inner) in map {
                walk(inner, child(&path, key), out);
            }
        }
        _ => {}
    }
}

/// The last key of a path, without list positions: `fields[0].help` gives `help`.
pub(super) fn last_key(path: &str) -> &str {
    let path = path.rsplit('.').next().unwrap_or_default();
    path.split('[').next().unwrap_or_default()
}

/// Whether a path lies in an example of data: what stands there is the vendor's, not the author's.
pub(super) fn in_sample(path: &str) -> bool {
    let mut parts = path.split(['.', '[']);
    matches!(parts.next(), Some("actions" | "triggers"))
        && matches!(parts.nth(1), Some("sample" | "output"))
}
