//! Answers that fit a vendor's OpenAPI document: its own examples, else the plainest values that its schemas allow.

use std::path::Path;

use keyport_manifest::PlainResponse;
use serde_json::{Map, Value, json};

use crate::author::new::openapi::document::{Document, Operation};
use crate::command::Failure;

/// Deepest nesting that is made: schemas of vendors refer to themselves.
const MAX_DEPTH: usize = 6;
/// The longest document that is read; the largest that vendors publish has some 50 MB.
const MAX_DOCUMENT: u64 = 128 << 20;

/// A vendor, as its document describes it.
pub struct Vendor {
    document: Document,
    /// What paths begin with, by the document's servers.
    bases: Vec<String>,
}

impl Vendor {
    /// Reads a document.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        use std::io::Read as _;
        let file = |source| Failure::File {
            path: path.to_owned(),
            source,
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|open| open.take(MAX_DOCUMENT).read_to_string(&mut text))
            .map_err(file)?;
        Self::of(&text).map_err(|error| Failure::Said(format!("{}: {error}", path.display())))
    }

    fn of(text: &str) -> Result<Self, String> {
        let document = Document::read(text).map_err(|error| error.to_string())?;
        let servers = document.at("/servers").and_then(Value::as_array);
        let mut bases: Vec<String> = servers
            .into_iter()
            .flatten()
            .filter_map(|server| server.get("url")?.as_str())
            .map(|url| {
                let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
                rest.find('/')
                    .and_then(|at| rest.get(at..))
                    .unwrap_or("")
                    .trim_end_matches('/')
                    .to_owned()
            })
            .chain(
                document
                    .text("/basePath")
                    .map(|it| it.trim_end_matches('/').to_owned()),
            )
            .collect();
        bases.push(String::new());
        bases.dedup();
        Ok(Self { document, bases })
    }

    /// The answer to a request, or what the document has instead: `no GET /x`.
    pub fn answer(&self, method: &str, target: &str) -> Result<PlainResponse, String> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let operation = self
            .find(method, path)
            .ok_or_else(|| format!("no {method} {path}"))?;
        let known = self.document.parameters(operation);
        let names: Vec<&str> = known
            .iter()
            .filter(|p| p.place == "query")
            .map(|p| p.name)
            .collect();
        for (name, _) in url::form_urlencoded::parse(query.as_bytes()) {
            // `filter[name]` and `ids[]` are written in many ways.
            let bare = name.split('[').next().unwrap_or_default();
            if !names
                .iter()
                .any(|known| known.split('[').next() == Some(bare))
            {
                return Err(format!(
                    "no query parameter `{name}` at {method} {}",
                    operation.path
                ));
            }
        }
        let missing = known.iter().find(|p| {
            p.place == "query"
                && p.required
                && !url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == p.name)
        });
        if let Some(missing) = missing {
            return Err(format!(
                "a required query parameter `{}` at {method} {}, which was not sent",
                missing.name, operation.path
            ));
        }
        let Some(success) = self.document.success(operation) else {
            return Err(format!("no answer to {method} {}", operation.path));
        };
        let body = match (success.example, success.schema) {
            (Some(example), _) => Some(example.clone()),
            (None, Some(schema)) => Some(self.value(schema, "value", 0)),
            (None, None) => None,
        };
        Ok(PlainResponse {
            status: success.status,
            headers: Vec::new(),
            body: body
                .map(|it| it.to_string().into_bytes())
                .unwrap_or_default(),
        })
    }

    /// The operation of a path: of several that fit, the one with the most that is written out.
    fn find(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let operations = self.document.operations();
        let mut best: Option<(usize, Operation<'_>)> = None;
        for operation in operations {
            if !operation.method.eq_ignore_ascii_case(method) {
                continue;
            }
            let fit = self
                .bases
                .iter()
                .filter_map(|base| fits(&format!("{base}{}", operation.path), path))
                .max();
            if let Some(fit) = fit
                && best.as_ref().is_none_or(|(known, _)| fit > *known)
            {
                best = Some((fit, operation));
            }
        }
        best.map(|(_, operation)| operation)
    }

    /// A value that a schema allows.
    fn value(&self, schema: &Value, name: &str, depth: usize) -> Value {
        let schema = self.document.follow(schema);
        let first = |key: &str| schema.get(key).and_then(Value::as_array)?.first().cloned();
        if let Some(said) = schema
            .get("example")
            .or_else(|| schema.get("const"))
            .or_else(|| schema.get("default").filter(|it| !it.is_null()))
            .cloned()
            .or_else(|| first("examples"))
            .or_else(|| first("enum"))
        {
            return said;
        }
        if depth > MAX_DEPTH {
            return Value::Null;
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            let mut merged = Map::new();
            for part in all.iter().chain(schema.get("properties").map(|_| schema)) {
                let part = if std::ptr::eq(part, schema) {
                    self.object(part, depth)
                } else {
                    self.value(part, name, depth + 1)
                };
                match part {
                    Value::Object(part) => merged.extend(part),
                    other if merged.is_empty() && all.len() == 1 => return other,
                    _ => {}
                }
            }
            return Value::Object(merged);
        }
        if let Some(one) = first("oneOf").or_else(|| first("anyOf")) {
            return self.value(&one, name, depth + 1);
        }
        let kind = match schema.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(Value::Array(kinds)) => kinds
                .iter()
                .filter_map(Value::as_str)
                .find(|kind| *kind != "null")
                .unwrap_or("null"),
            _ if schema.get("properties").is_some() => "object",
            _ if schema.get("items").is_some() => "array",
            _ => "string",
        };
        match kind {
            "object" => self.object(schema, depth),
            "array" => match schema.get("items") {
                Some(items) => json!([self.value(items, name, depth + 1)]),
                None => json!([]),
            },
            "integer" | "number" => schema
                .get("minimum")
                .filter(|it| it.is_number())
                .cloned()
                .unwrap_or(json!(1)),
            "boolean" => json!(true),
            "null" => Value::Null,
            _ => match schema.get("format").and_then(Value::as_str) {
                Some("date-time") => json!("2026-01-31T12:00:00Z"),
                Some("date") => json!("2026-01-31"),
                Some("email") => json!("ada@example.com"),
                Some("uri" | "url") => json!("https://example.com/"),
                Some("uuid") => json!("123e4567-e89b-12d3-a456-426614174000"),
                _ => json!(name),
            },
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object);
        Value::Object(
            properties
                .into_iter()
                .flatten()
                .map(|(name, inner)| (name.clone(), self.value(inner, name, depth + 1)))
                .collect(),
        )
    }
}

/// How many segments of a template are written out, if it fits the path.
fn fits(template: &str, path: &str) -> Option<usize> {
    let (template, path): (Vec<&str>, Vec<&str>) = (
        template.trim_matches('/').split('/').collect(),
        path.trim_matches('/').split('/').collect(),
    );
    if template.len() != path.len() {
        return None;
    }
    let mut written = 0;
    for (wanted, got) in template.iter().zip(&path) {
        if wanted == got {
            written += 1;
        } else if !wanted.contains('{') || got.is_empty() {
            return None;
        }
    }
    Some(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
openapi: 3.1.0
info: {title: Notes}
servers: [{url: 'https://api.notes.test/v1'}]
components:
  schemas:
    Note: {type: object, properties: {id: {type: string, example: n_1}, at: {type: string, format: date-time}, parent: {$ref: '#/components/schemas/Note'}}}
paths:
  /me: {get: {responses: {'200': {description: x, content: {application/json: {example: {id: u_1}}}}}}}
  /notes/{id}: {get: {responses: {'200': {description: x, content: {application/json: {schema: {$ref: '#/components/schemas/Note'}}}}}}}
  /notes/latest: {get: {parameters: [{name: limit, in: query, required: true}], responses: {'200': {description: x, content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Note'}}}}}}}}
";

    fn body(target: &str) -> Result<Value, String> {
        let vendor = Vendor::of(DOCUMENT).unwrap();
        vendor
            .answer("GET", target)
            .map(|it| serde_json::from_slice(&it.body).unwrap())
    }

    #[test]
    fn answers_are_the_documents_examples_or_fit_its_schemas() {
        assert_eq!(body("/v1/me").unwrap(), json!({"id": "u_1"}));
        let note = body("/v1/notes/7").unwrap();
        assert_eq!(
            (&note["id"], &note["at"]),
            (&json!("n_1"), &json!("2026-01-31T12:00:00Z"))
        );
        // A schema that refers to itself ends, and the path that is written out goes first.
        assert!(body("/v1/notes/latest?limit=3").unwrap().is_array());
    }

    #[test]
    fn what_the_document_does_not_have_is_told() {
        assert_eq!(body("/v1/you").unwrap_err(), "no GET /v1/you");
        assert!(body("/v1/notes/latest").unwrap_err().contains("`limit`"));
        assert!(body("/v1/me?page=2").unwrap_err().contains("`page`"));
    }
}
