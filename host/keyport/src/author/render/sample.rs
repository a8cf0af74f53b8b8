//! An input that fits an operation's JSON Schema: what its author gives as example, default or choice, else the plainest
//! value of its type.

use serde_json::{Map, Value, json};

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 8;

/// An input for this schema. Optional properties without an example are left out, as most callers leave them out.
pub fn input(schema: &Value) -> Value {
    value("input", schema, 0)
}

fn value(name: &str, schema: &Value, depth: usize) -> Value {
    let first = |key: &str| schema.get(key).and_then(Value::as_array)?.first().cloned();
    if let Some(given) = schema
        .get("const")
        .or_else(|| schema.get("default"))
        .cloned()
        .or_else(|| first("examples"))
        .or_else(|| first("enum"))
    {
        return given;
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("string"),
        _ if schema.get("properties").is_some() => "object",
        _ => "string",
    };
    match kind {
        "object" => {
            let needed: Vec<&str> = schema
                .get("required")
                .and_then(Value::as_array)
                .map(|names| names.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            let mut object = Map::new();
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, inner) in properties.into_iter().flatten() {
                let said = ["const", "default", "examples"]
                    .iter()
                    .any(|k| inner.get(k).is_some());
                if depth < MAX_DEPTH && (said || needed.contains(&name.as_str())) {
                    object.insert(name.clone(), value(name, inner, depth + 1));
                }
            }
            Value::Object(object)
        }
        "array" => match schema.get("items") {
            Some(items) if depth < MAX_DEPTH => json!([value(name, items, depth + 1)]),
            _ => json!([]),
        },
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => match schema.get("format").and_then(Value::as_str) {
            Some("email") => json!("ada@example.com"),
            Some("date") => json!("2026-01-31"),
            Some("date-time") => json!("2026-01-31T12:00:00Z"),
            Some("uri") => json!("https://example.com/"),
            _ => json!(name),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::input;
    use serde_json::json;

    #[test]
    fn an_input_has_what_is_required_and_what_has_an_example() {
        let schema = json!({"type": "object", "required": ["title", "n"], "properties": {
            "title": {"type": "string"}, "n": {"type": "integer", "minimum": 3},
            "colour": {"enum": ["red", "blue"]}, "lang": {"default": "en"}, "when": {"type": "string", "examples": ["now"]}}});
        assert_eq!(
            input(&schema),
            json!({"title": "title", "n": 3, "lang": "en", "when": "now"})
        );
        assert_eq!(input(&json!({})), json!("input"));
        assert_eq!(
            input(&json!({"type": "array", "items": {"enum": ["a"]}})),
            json!(["a"])
        );
    }
}
