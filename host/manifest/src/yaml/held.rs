//! A value is held to its JSON Schema: what is wrong with it, where, in words.
//!
//! One piece of code for samples (`validate`) and for what really comes in and out of actions and triggers (the host).
//!
//! Threat: a schema of a few lines whose references double at each step, or lead back to where they came from, keeps a
//! validator busy for ever or overruns its stack. So the way that it would go is walked first, with a count, and it is handed
//! nothing but the keys that are walked ([`plain`]): `$id`, `$dynamicRef` and their like lead where the walk does not see.
//! Nothing is fetched, and patterns are run by an engine without backtracking. What is said never repeats the value: it may be
//! somebody's data.

use std::sync::LazyLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, PatternOptions, ValidationError, ValidationOptions};
use serde_json::{Map, Value};

use super::checks::SCHEMA_KEYS as KEYS;
use crate::pattern::Pattern;

/// Most pairs of a schema and a value that holding one sample to its schema may visit.
pub(crate) const SAMPLE_VISITS: usize = 20_000;
/// The same for what an app really answers: a thousand items of a hundred members.
const MAX_VISITS: usize = 2_000_000;
/// Longest way down, through schemas and values together.
const MAX_WAY: usize = 200;
/// Most misfits that are told of one value.
const MAX_TOLD: usize = 20;

/// One thing about a value that its schema does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Where in the value, as a JSON Pointer (RFC 6901); empty for the value itself.
    pub pointer: String,
    /// The member that is missing there.
    pub missing: Option<String>,
    /// What is wrong, in words; lower case, no full stop, nothing of the value.
    pub say: String,
}

impl Misfit {
    /// What it is about, as people write it: `labels.0`, `title`; empty for the value itself.
    #[must_use]
    pub fn field(&self) -> String {
        let steps = self.pointer.split('/').skip(1);
        let steps = steps.map(|step| step.replace("~1", "/").replace("~0", "~"));
        let all: Vec<String> = steps.chain(self.missing.clone()).collect();
        all.join(".")
    }
}

/// Why a value cannot be held to a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unheld {
    /// The schema is not one.
    NotASchema(String),
    /// The way through it is too long for this value.
    TooFar,
}

/// What about `value` does not fit `schema`, the first twenty; empty: it fits.
///
/// # Errors
/// When the schema cannot be applied to it.
pub fn misfits(schema: &Value, value: &Value) -> Result<Vec<Misfit>, Unheld> {
    held(schema, value, MAX_VISITS)
}

pub(crate) fn held(schema: &Value, value: &Value, visits: usize) -> Result<Vec<Misfit>, Unheld> {
    let schema = plain(schema, schema);
    let mut way = Way {
        root: &schema,
        left: visits,
    };
    if !way.ends(&schema, value, 0) {
        return Err(Unheld::TooFar);
    }
    let validator = options()
        .build(&schema)
        .map_err(|e| Unheld::NotASchema(e.masked().to_string()))?;
    Ok(validator
        .iter_errors(value)
        .take(MAX_TOLD)
        .map(|misfit| Misfit {
            pointer: misfit.instance_path().as_str().to_owned(),
            missing: missing(&misfit),
            say: said(&misfit),
        })
        .collect())
}

fn missing(misfit: &ValidationError<'_>) -> Option<String> {
    match misfit.kind() {
        ValidationErrorKind::Required { property } => property.as_str().map(str::to_owned),
        _ => None,
    }
}

/// The schema with the keys of the subset alone, and with those references alone that lead to a schema in it. What is left out
/// is told by `schema_form`.
fn plain(schema: &Value, root: &Value) -> Value {
    let Value::Object(map) = schema else {
        return schema.clone();
    };
    let mut out = Map::new();
    for (key, part) in map {
        let each = |map: &Map<String, Value>| {
            map.iter()
                .map(|(name, inner)| (name.clone(), plain(inner, root)))
                .collect()
        };
        let kept = match (key.as_str(), part) {
            ("$id" | "$schema" | "$comment" | "default" | "examples", _) => continue,
            ("$ref", Value::String(target)) if !leads_to_a_schema(target, root) => continue,
            ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(map)) => {
                Value::Object(each(map))
            }
            ("enum" | "const" | "required" | "dependentRequired" | "type", _) => part.clone(),
            (name, Value::Array(items)) if KEYS.contains(&name) => {
                items.iter().map(|inner| plain(inner, root)).collect()
            }
            (name, _) if KEYS.contains(&name) => plain(part, root),
            _ => continue,
        };
        out.insert(key.clone(), kept);
    }
    Value::Object(out)
}

fn leads_to_a_schema(target: &str, root: &Value) -> bool {
    let Some(pointer) = target.strip_prefix('#') else {
        return false;
    };
    let data = ["enum", "const", "default", "examples", "required"];
    !pointer.contains('%')
        && !pointer.split('/').any(|step| data.contains(&step))
        && root
            .pointer(pointer)
            .is_some_and(|found| found.is_object() || found.is_boolean())
}

fn options() -> ValidationOptions<'static> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .with_format("date-time", is_date_time)
        .with_pattern_options(PatternOptions::regex())
        .offline()
}

/// What is wrong, in words.
fn said(misfit: &ValidationError<'_>) -> String {
    match misfit.kind() {
        ValidationErrorKind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(one) => one.to_string(),
                TypeKind::Multiple(many) => {
                    let all: Vec<String> = many.iter().map(|one| one.to_string()).collect();
                    all.join(" or ")
                }
            };
            format!("{wanted} is wanted, not {}", kind_of(misfit.instance()))
        }
        ValidationErrorKind::Required { property } => match property.as_str() {
            Some(name) => format!("`{name}` is missing"),
            None => "something is missing".to_owned(),
        },
        ValidationErrorKind::Enum { .. } => "it is not one of the listed values".to_owned(),
        ValidationErrorKind::Format { format } if format == "date-time" => {
            "a time is written like 2026-01-02T03:04:05Z, with its zone".to_owned()
        }
        ValidationErrorKind::Format { format } => format!("it is no `{format}`"),
        ValidationErrorKind::AdditionalProperties { unexpected } => format!(
            "the schema has no {}",
            unexpected
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        ValidationErrorKind::Pattern { pattern } => format!("it does not match `{pattern}`"),
        _ => misfit.masked().to_string(),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
        Value::Number(_) => "number",
    }
}

/// RFC 3339, as far as the form goes: the zone is not left out.
fn is_date_time(text: &str) -> bool {
    static FORM: LazyLock<Result<Pattern, String>> = LazyLock::new(|| {
        Pattern::parse(
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})",
        )
    });
    FORM.as_ref().is_ok_and(|p| p.matches(text))
}

/// The way that a validator takes through a schema for one value.
struct Way<'a> {
    root: &'a Value,
    left: usize,
}

impl Way<'_> {
    /// Whether it ends within the count.
    fn ends(&mut self, schema: &Value, value: &Value, deep: usize) -> bool {
        if deep > MAX_WAY || self.left == 0 {
            return false;
        }
        self.left -= 1;
        let Value::Object(map) = schema else {
            return true;
        };
        map.iter().all(|(key, part)| match key.as_str() {
            "$ref" => {
                let target = part.as_str().and_then(|text| text.strip_prefix('#'));
                let found = target.and_then(|pointer| self.root.pointer(pointer));
                found.is_none_or(|schema| self.ends(schema, value, deep + 1))
            }
            "allOf" | "anyOf" | "oneOf" => part
                .as_array()
                .into_iter()
                .flatten()
                .all(|schema| self.ends(schema, value, deep + 1)),
            "not" | "if" | "then" | "else" => self.ends(part, value, deep + 1),
            _ => match value {
                Value::Object(entries) => self.entries(key, part, entries, deep),
                Value::Array(items) => self.items(key, part, items, deep),
                _ => true,
            },
        })
    }

    fn entries(
        &mut self,
        key: &str,
        part: &Value,
        entries: &serde_json::Map<String, Value>,
        deep: usize,
    ) -> bool {
        match key {
            "properties" => entries.iter().all(|(name, inner)| {
                part.get(name)
                    .is_none_or(|schema| self.ends(schema, inner, deep + 1))
            }),
            "patternProperties" => entries.values().all(|inner| {
                part.as_object()
                    .into_iter()
                    .flat_map(|all| all.values())
                    .all(|schema| self.ends(schema, inner, deep + 1))
            }),
            "additionalProperties" => entries
                .values()
                .all(|inner| self.ends(part, inner, deep + 1)),
            "propertyNames" => entries
                .keys()
                .all(|_| self.ends(part, &Value::Null, deep + 1)),
            _ => true,
        }
    }

    fn items(&mut self, key: &str, part: &Value, items: &[Value], deep: usize) -> bool {
        match key {
            "items" | "contains" => items.iter().all(|inner| self.ends(part, inner, deep + 1)),
            "prefixItems" => {
                let schemas = part.as_array().into_iter().flatten();
                schemas
                    .zip(items)
                    .all(|(schema, inner)| self.ends(schema, inner, deep + 1))
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ends(schema: &Value, value: &Value) -> bool {
        let mut way = Way {
            root: schema,
            left: SAMPLE_VISITS,
        };
        way.ends(schema, value, 0)
    }

    #[test]
    fn a_schema_that_leads_back_to_itself_without_going_down_never_ends() {
        for schema in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}}),
            json!({"if": {"$ref": "#"}, "then": true}),
        ] {
            assert!(!ends(&schema, &json!({})), "{schema}");
        }
    }

    #[test]
    fn references_that_double_at_each_step_are_not_followed_to_their_end() {
        let mut defs = serde_json::Map::new();
        for i in 0..40 {
            let next = json!({"$ref": format!("#/$defs/d{}", i + 1)});
            defs.insert(format!("d{i}"), json!({"allOf": [next, next]}));
        }
        defs.insert("d40".to_owned(), json!({"type": "object"}));
        assert!(!ends(
            &json!({"$ref": "#/$defs/d0", "$defs": defs}),
            &json!({})
        ));
        let down = json!({"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
        let deep = (0..40).fold(json!({}), |inner, _| json!({"a": inner}));
        assert!(!ends(&down, &deep));
    }

    #[test]
    fn a_tree_of_trees_is_an_ordinary_schema() {
        let schema = json!({"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}});
        let value = json!({"children": [{"children": [{}, {}]}, {"children": []}]});
        assert!(ends(&schema, &value));
        assert!(options().build(&schema).unwrap().is_valid(&value));
    }

    #[test]
    fn a_validator_is_not_handed_what_leads_where_the_walk_does_not_see() {
        let schema = json!({
            "$id": "https://a.test/x", "$schema": "https://a.test/meta", "$dynamicRef": "#", "unevaluatedProperties": {"$ref": "#"},
            "$defs": {"a": {"$id": "b", "$ref": "#/$defs/c"}, "c": {"$ref": "https://a.test/away"}},
            "properties": {"$id": {"type": "string"}},
            "items": {"$ref": "#/default"}, "default": {"$dynamicRef": "#"}, "const": {"$id": 1}
        });
        assert_eq!(
            plain(&schema, &schema),
            json!({
                "$defs": {"a": {"$ref": "#/$defs/c"}, "c": {}},
                "properties": {"$id": {"type": "string"}},
                "items": {}, "const": {"$id": 1}
            })
        );
    }

    #[test]
    fn a_misfit_names_its_field_and_repeats_nothing_of_the_value() {
        let schema = json!({"type": "object", "required": ["title"], "properties": {
            "title": {"type": "string"}, "labels": {"type": "array", "items": {"type": "string", "maxLength": 3}}}});
        let value = json!({"labels": ["ok", "canary-value"]});
        let found = misfits(&schema, &value).unwrap();
        let fields: Vec<String> = found.iter().map(Misfit::field).collect();
        assert!(
            fields.contains(&"title".to_owned()) && fields.contains(&"labels.1".to_owned()),
            "{fields:?}"
        );
        assert!(
            found.iter().all(|one| !one.say.contains("canary")),
            "{found:?}"
        );
        assert_eq!(misfits(&schema, &json!({"title": "x"})), Ok(Vec::new()));
    }

    #[test]
    fn times_have_a_zone() {
        assert!(is_date_time("2026-01-02T03:04:05Z"));
        assert!(is_date_time("2026-01-02T03:04:05.123+02:00"));
        assert!(!is_date_time("2026-01-02T03:04:05"));
        assert!(!is_date_time("2026-01-02"));
    }
}
