//! Whether a JSON Schema is one.
//!
//! V64 the input and output of actions and triggers are schemas of the subset that forms, editors and samples here understand, whole in
//! themselves · V63 (note) an input that takes an id could offer a list of them.
//!
//! The subset is checked here by hand: a general validator, as `sample` uses one, accepts every unknown key (`propertys`). A `$ref` leads to `#/$defs/…` or `#/definitions/…` of the same schema: a schema that is fetched could change.

use serde_json::{Map, Value};

use super::Checker;
use crate::pattern::Pattern;
use crate::template::nearest;
use crate::yaml::places::{child, item};

/// Keys of the subset.
pub(crate) const KEYS: &[&str] = &[
    "$schema",
    "$id",
    "$ref",
    "$defs",
    "definitions",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "items",
    "prefixItems",
    "contains",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "contentEncoding",
    "contentMediaType",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
];

const TYPES: &[&str] = &[
    "object", "array", "string", "number", "integer", "boolean", "null",
];

/// Keys that hold a count.
const COUNTS: &[&str] = &[
    "minProperties",
    "maxProperties",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
];
/// Keys that hold a number.
const NUMBERS: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
];
/// Lower and upper bounds of the same thing.
const BOUNDS: &[(&str, &str)] = &[
    ("minimum", "maximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
];

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    let actions = m
        .actions
        .iter()
        .map(|(id, a)| ("actions", id, &a.input, &a.output));
    let triggers = m
        .triggers
        .iter()
        .map(|(id, t)| ("triggers", id, &t.input, &t.output));
    for (kind, id, input, output) in actions.chain(triggers) {
        let path = child(kind, id);
        for (key, schema) in [("input", input), ("output", output)] {
            let at = child(&path, key);
            let mut walk = Walk {
                c: &mut *c,
                root: schema,
            };
            walk.schema(schema, &at);
        }
        ids(c, &path, input);
    }
}

struct Walk<'a, 'c> {
    c: &'a mut Checker<'c>,
    root: &'a Value,
}

impl Walk<'_, '_> {
    fn say(&mut self, path: &str, message: impl Into<String>, fix: Option<&str>) {
        self.c.error("V64", path, message, fix);
    }

    fn schema(&mut self, schema: &Value, path: &str) {
        let map = match schema {
            Value::Bool(_) => return,
            Value::Object(map) => map,
            _ => return self.say(path, "a schema is a map of keys", None),
        };
        for (key, value) in map {
            let at = child(path, key);
            self.key(key, value, &at);
        }
        for (low, high) in BOUNDS {
            let number = |key: &str| map.get(key).and_then(Value::as_f64);
            if let (Some(a), Some(b)) = (number(low), number(high))
                && a > b
            {
                self.say(
                    &child(path, low),
                    format!("`{low}` is above `{high}`"),
                    None,
                );
            }
        }
        self.required(map, path);
    }

    fn key(&mut self, key: &str, value: &Value, at: &str) {
        match key {
            "type" => self.types(value, at),
            "properties" | "patternProperties" | "$defs" | "definitions" => match value {
                Value::Object(map) => {
                    for (name, inner) in map {
                        self.schema(inner, &child(at, name));
                    }
                }
                _ => self.say(at, format!("`{key}` is a map of schemas"), None),
            },
            "items"
            | "additionalProperties"
            | "propertyNames"
            | "contains"
            | "not"
            | "if"
            | "then"
            | "else" => {
                self.schema(value, at);
            }
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => match value {
                Value::Array(all) if !all.is_empty() => {
                    for (i, inner) in all.iter().enumerate() {
                        self.schema(inner, &item(at, i));
                    }
                }
                _ => self.say(at, format!("`{key}` is a list of schemas"), None),
            },
            "enum" => match value {
                Value::Array(all) if all.is_empty() => {
                    self.say(at, "an empty `enum` takes nothing", None)
                }
                Value::Array(all) => {
                    if let Some(i) =
                        (1..all.len()).find(|i| all.iter().take(*i).any(|v| all.get(*i) == Some(v)))
                    {
                        self.say(
                            &item(at, i),
                            "this value is there twice",
                            Some("remove one of them"),
                        );
                    }
                }
                _ => self.say(at, "`enum` is a list of values", None),
            },
            "pattern" => match value.as_str().map(Pattern::parse) {
                Some(Ok(_)) => {}
                Some(Err(e)) => self.say(at, e, None),
                None => self.say(at, "`pattern` is a text", None),
            },
            "$ref" => self.reference(value, at),
            _ if COUNTS.contains(&key) => {
                if value.as_u64().is_none() {
                    self.say(at, format!("`{key}` is a whole number from 0"), None);
                }
            }
            _ if NUMBERS.contains(&key) => {
                if !value.is_number() {
                    self.say(at, format!("`{key}` is a number"), None);
                }
            }
            "title" | "description" | "format" => {
                if !value.is_string() {
                    self.say(at, format!("`{key}` is a text"), None);
                }
            }
            _ if KEYS.contains(&key) || key.starts_with("x-") => {}
            _ => {
                let fix = nearest(key, KEYS).map(|near| format!("did you mean `{near}`?"));
                self.say(at, format!("schemas here have no `{key}`"), fix.as_deref());
            }
        }
    }

    fn types(&mut self, value: &Value, at: &str) {
        let names: Vec<&Value> = match value {
            Value::Array(all) => all.iter().collect(),
            one => vec![one],
        };
        if names.is_empty() {
            self.say(at, "an empty list of types takes nothing", None);
        }
        for name in names {
            match name.as_str() {
                Some(name) if TYPES.contains(&name) => {}
                Some(name) => {
                    let fix = nearest(name, TYPES).map(|near| format!("write `{near}`"));
                    let message = format!(
                        "there is no type `{name}`; it is one of: {}",
                        TYPES.join(", ")
                    );
                    self.say(at, message, fix.as_deref());
                }
                None => self.say(
                    at,
                    "a type is a text",
                    Some("of null, write \"null\" in quotes"),
                ),
            }
        }
    }

    fn required(&mut self, map: &Map<String, Value>, path: &str) {
        let Some(required) = map.get("required") else {
            return;
        };
        let at = child(path, "required");
        let Value::Array(names) = required else {
            return self.say(
                &at,
                "`required` is a list of names",
                Some("write `required: [name]` beside `properties`"),
            );
        };
        let properties = map.get("properties").and_then(Value::as_object);
        for (i, name) in names.iter().enumerate() {
            let at = item(&at, i);
            let Some(text) = name.as_str() else {
                self.say(&at, "a name is a text", None);
                continue;
            };
            if names.iter().take(i).any(|n| n == name) {
                self.say(
                    &at,
                    format!("`{text}` is there twice"),
                    Some("remove one of them"),
                );
            }
            if properties.is_some_and(|p| !p.contains_key(text)) {
                let known: Vec<&str> = properties
                    .into_iter()
                    .flat_map(|p| p.keys().map(String::as_str))
                    .collect();
                let fix = nearest(text, &known).map(|near| format!("did you mean `{near}`?"));
                self.say(
                    &at,
                    format!("`{text}` is required, but not among the properties"),
                    fix.as_deref(),
                );
            }
        }
    }

    fn reference(&mut self, value: &Value, at: &str) {
        let Some(target) = value.as_str() else {
            return self.say(at, "`$ref` is a text", None);
        };
        let Some(pointer) = target.strip_prefix('#') else {
            return self.say(
                at,
                "a schema is whole in itself, and this one leads elsewhere",
                Some("put it under `$defs` and write `#/$defs/…`"),
            );
        };
        if self.root.pointer(pointer).is_none() {
            self.say(at, format!("there is nothing at `{target}`"), None);
        }
    }
}

/// V63: names of inputs that take the id of something.
fn ids(c: &mut Checker<'_>, path: &str, input: &Value) {
    let Some(properties) = input.get("properties").and_then(Value::as_object) else {
        return;
    };
    let parts: Vec<&str> = path.splitn(2, '.').collect();
    let listed = match parts.as_slice() {
        [kind, id] => c
            .tree
            .get(*kind)
            .and_then(|k| k.get(*id))
            .and_then(|o| o.get("choices_from")),
        _ => None,
    };
    for (name, schema) in properties {
        let offered = ["enum", "const", "oneOf", "anyOf"]
            .iter()
            .any(|key| schema.get(*key).is_some())
            || listed.is_some_and(|l| l.get(name).is_some());
        if name.ends_with("_id") && !offered {
            c.note(
                "V63",
                &child(&child(&child(path, "input"), "properties"), name),
                format!("people would have to look `{name}` up; `choices_from` can offer a list"),
            );
        }
    }
}
