//! The values that templates may see during one rendering.
//!
//! A scope lives for one call. It is handed only the roots that exist by then, so a template that reads something too
//! early fails instead of rendering a blank. It can hold secrets: no `Debug`, no `Serialize`, and its own texts are wiped
//! when it is dropped. An expression is given only the roots that it names; the engine's short-lived copies are not wiped.

use serde_json::{Map, Value};
use zeroize::Zeroize as _;

use crate::message::{Decode, PlainResponse};
use crate::template::Ref;

/// Values by root (`fields`, `credentials`, `token`, `capture`, `input`, …).
#[derive(Clone, Default)]
pub struct Scope {
    roots: Map<String, Value>,
}

impl Scope {
    /// An empty scope: every hole is missing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a whole root, replacing what was there.
    pub fn set(&mut self, root: &str, value: Value) -> &mut Self {
        self.roots.insert(root.to_owned(), value);
        self
    }

    /// Sets one value of a root; makes the root if need be.
    pub fn set_value(&mut self, root: &str, name: &str, value: Value) -> &mut Self {
        let entry = self
            .roots
            .entry(root.to_owned())
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(map) = entry {
            map.insert(name.to_owned(), value);
        } else {
            *entry = Value::Object(Map::from_iter([(name.to_owned(), value)]));
        }
        self
    }

    /// Builder form of [`Scope::set`].
    #[must_use]
    pub fn with(mut self, root: &str, value: Value) -> Self {
        self.set(root, value);
        self
    }

    /// This scope plus an answer: `status`, `headers` (lower-case names) and `body`.
    #[must_use]
    pub fn with_response(&self, response: &PlainResponse, decode: Decode) -> Self {
        self.clone()
            .with("status", Value::from(response.status))
            .with("headers", response.headers_value())
            .with("body", response.decoded(decode))
    }

    /// One value of a root.
    #[must_use]
    pub fn get(&self, root: &str, name: &str) -> Option<&Value> {
        self.roots.get(root)?.get(name)
    }

    /// What an expression with these references gets to see.
    pub(crate) fn context(&self, refs: &[Ref]) -> minijinja::Value {
        let mut seen = std::collections::BTreeMap::new();
        for r in refs {
            if let Some(value) = self.roots.get(&r.root) {
                seen.entry(r.root.clone())
                    .or_insert_with(|| minijinja::Value::from(minijinja::value::Serde(value)));
            }
        }
        minijinja::Value::from(seen)
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.roots.values_mut().for_each(wipe);
    }
}

/// Overwrites every text in a JSON tree.
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(s) => s.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
