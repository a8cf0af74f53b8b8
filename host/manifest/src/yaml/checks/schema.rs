//! As much of JSON Schema as manifests use, to hold samples to it: `type`, `required`, `properties`, `items`, `enum`, `format:
//! date-time`. Other keywords are left to whoever renders forms; they are not judged here.

use std::sync::LazyLock;

use serde_json::Value;

use crate::pattern::Pattern;

/// Notes where a value does not fit a schema, as (path below the value, message).
pub(super) fn misfits(schema: &Value, value: &Value, path: &str, out: &mut Vec<(String, String)>) {
    if let Some(wanted) = schema.get("type") {
        let names: Vec<&str> = match wanted {
            Value::String(s) => vec![s],
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !names.iter().any(|n| is_of(n, value)) {
            out.push((
                path.to_owned(),
                format!("{} is wanted, not {}", names.join(" or "), kind(value)),
            ));
            return;
        }
    }
    if let Some(Value::Array(allowed)) = schema.get("enum")
        && !allowed.contains(value)
    {
        out.push((
            path.to_owned(),
            "it is not one of the listed values".to_owned(),
        ));
    }
    if schema.get("format").and_then(Value::as_str) == Some("date-time")
        && value.as_str().is_some_and(|s| !is_date_time(s))
    {
        out.push((
            path.to_owned(),
            "a time is written like 2026-01-02T03:04:05Z, with its zone".to_owned(),
        ));
    }
    match value {
        Value::Object(map) => {
            for name in schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                if !map.contains_key(name) {
                    out.push((path.to_owned(), format!("`{name}` is missing")));
                }
            }
            for (name, inner) in map {
                if let Some(schema) = schema.get("properties").and_then(|p| p.get(name)) {
                    misfits(schema, inner, &format!("{path}.{name}"), out);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (i, inner) in items.iter().enumerate() {
                    misfits(schema, inner, &format!("{path}[{i}]"), out);
                }
            }
        }
        _ => {}
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        _ => false,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
        Value::Number(_) => "number",
    }
}

/// RFC 3339, as far as the form goes.
fn is_date_time(text: &str) -> bool {
    static FORM: LazyLock<Result<Pattern, String>> = LazyLock::new(|| {
        Pattern::parse(
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})",
        )
    });
    FORM.as_ref().is_ok_and(|p| p.matches(text))
}
