//! Parse → print → parse is the identity, for every key that there is.
//!
//! Manifests are made from the JSON Schema itself, so a new key takes part without anybody thinking of it: the test fails until
//! each key of each section has stood in a manifest that was read, printed as YAML and read again as the same. Texts are those
//! that YAML likes to read as something else.
#![cfg(feature = "schema")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

use std::collections::BTreeSet;

use keyport_manifest::Manifest;
use keyport_manifest::schema::json_schema;
use serde_json::{Map, Value, json};

/// Texts that a printer of YAML has to quote, and some that it has not.
const TEXTS: &[&str] = &[
    "plain",
    "no",
    "1.10",
    "012",
    "~",
    "a: b # c",
    "- x",
    "'\"",
    "two\nlines",
    " space ",
    "größer",
    "2026-01-02",
    "%40",
    "*star",
];
const TEMPLATES: &[&str] = &[
    "https://{{ fields.a }}.acme.com/x",
    "{{ credentials.b | base64 }}",
    "{{ capture.c }}",
    "plain",
    "Bearer {{ token.access_token }}",
    "1.10",
    "x: {{ now }} # y",
];
const PATHS: &[&str] = &["$.a", "$.a[0]['b c']", "$", "$..x[?@.id == 1]"];

/// Most manifests that are made until every key was seen.
const MOST: usize = 6_000;
/// Fewest.
const FEWEST: usize = 100;
const MAX_DEPTH: usize = 14;

struct Maker<'s> {
    schema: &'s Value,
    state: u64,
    /// Keys of the manifest that is being made, as `Section.key`.
    keys: BTreeSet<String>,
}

impl Maker<'_> {
    /// A number below `n` (xorshift, so that a failure can be made again).
    fn below(&mut self, n: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % u64::try_from(n).unwrap()).unwrap()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn text(&mut self) -> Value {
        json!(self.one(TEXTS))
    }

    fn template(&mut self) -> Value {
        json!(self.one(TEMPLATES))
    }

    fn path(&mut self) -> Value {
        json!(self.one(PATHS))
    }

    /// A value of a named section; its keys are noted.
    fn section(&mut self, name: &str, depth: usize) -> Value {
        let made = match name {
            "Template" => self.template(),
            "JsonPath" => self.path(),
            "Pattern" => json!("[a-z]{2,5}|x"),
            "HostPattern" => json!("*.acme.com"),
            "AppId" => json!("acme-2"),
            "SemVer" => json!("1.2.3-beta.1"),
            "Component" => json!(self.one(&["rest", "./component", "own"])),
            "JsonTemplate" => {
                json!({"t": self.template(), "n": 1.5, "l": [true, null, {"d": self.text()}]})
            }
            "Expiry" => {
                let path = self.path();
                let all = [
                    json!({"in": path, "unit": self.one(&["milliseconds", "minutes", "clock"])}),
                    json!({"in": path}),
                    json!({"at": path, "unit": self.one(&["rfc3339", "milliseconds"])}),
                    json!({"jwt": "access_token"}),
                    json!({"fixed": 3600}),
                    json!({"never": self.text()}),
                ];
                all[self.below(all.len())].clone()
            }
            "Inject" => {
                let place = self.one(&["header", "query", "cookie", "body"]);
                let mut map = json!({place: "X-A", "value": self.template()});
                if self.below(2) == 0 {
                    map["credential"] = json!(self.one(&["none", "user"]));
                }
                map
            }
            "ShownWhen" => match self.below(2) {
                0 => json!({"field": "a", "equals": self.text()}),
                _ => json!({"field": "a", "in": [self.text(), "1", "true"]}),
            },
            "NextPage" => {
                let all = [
                    json!({"cursor": self.path(), "query": "c"}),
                    json!({"cursor": self.path(), "body": "c"}),
                    json!({"link_header": true}),
                    json!({"url": self.path()}),
                    json!({"page": "p", "start": 0}),
                    json!({"offset": "o"}),
                ];
                all[self.below(all.len())].clone()
            }
            "Condition" => {
                let all = [
                    self.path(),
                    json!({"path": self.path(), "equals": self.text()}),
                    json!({"path": self.path(), "matches": "^a$"}),
                    json!({"header": "X-A", "exists": false}),
                    json!({"path": self.path(), "equals": null}),
                ];
                all[self.below(all.len())].clone()
            }
            "WebhookVerify" => {
                let all = [
                    json!({"type": "hmac_sha256", "key": self.template(), "header": "X", "prefix": "s=", "encoding": "base64",
                        "message": self.template(), "timestamp": self.template(), "tolerance": 300}),
                    json!({"type": "hmac_sha512", "key": self.template(), "header": "X", "signature": self.template()}),
                    json!({"type": "token", "header": "X", "value": self.template()}),
                    json!({"none": "the app signs nothing"}),
                ];
                all[self.below(all.len())].clone()
            }
            "StatusSet" => {
                let all = [json!(200), json!("2xx"), json!([200, "4xx", 302])];
                all[self.below(all.len())].clone()
            }
            _ => {
                let schema = self.schema["$defs"][name].clone();
                self.value(&schema, name, depth)
            }
        };
        if let Value::Object(map) = &made {
            let known = properties(&self.schema["$defs"][name]);
            for key in map.keys().filter(|key| known.contains(*key)) {
                self.keys.insert(format!("{name}.{key}"));
            }
        }
        made
    }

    fn value(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        if let Some(at) = schema["$ref"].as_str() {
            let name = at.rsplit('/').next().unwrap().to_owned();
            return self.section(&name, depth + 1);
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(words) = schema["enum"].as_array() {
            return words[self.below(words.len())].clone();
        }
        for key in ["oneOf", "anyOf"] {
            let forms = schema[key].as_array().into_iter().flatten();
            let forms: Vec<Value> = forms.filter(|f| f["type"] != "null").cloned().collect();
            if !forms.is_empty() {
                let form = &forms[self.below(forms.len())];
                return self.value(form, name, depth);
            }
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds[0].as_str().unwrap_or("null").to_owned(),
            Value::String(kind) => kind.clone(),
            _ => "any".to_owned(),
        };
        match kind.as_str() {
            "object" => self.object(schema, name, depth),
            "array" if depth > MAX_DEPTH => json!([]),
            "array" => {
                let count = 1 + self.below(2);
                let items = (0..count).map(|_| self.value(&schema["items"], name, depth + 1));
                Value::Array(items.collect())
            }
            "integer" => {
                let least = schema["minimum"].as_u64().unwrap_or(0);
                json!(least + 1 + u64::try_from(self.below(500)).unwrap())
            }
            "number" => json!(1.5),
            "boolean" => json!(self.below(2) == 0),
            "string" if schema["minLength"].is_number() => json!("there is a good reason"),
            "string" => self.text(),
            // JSON Schemas of operations, and samples.
            _ => {
                json!({"type": "object", "properties": {"a": {"type": "string", "title": self.text()}}})
            }
        }
    }

    fn object(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        let mut map = Map::new();
        let needed: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
            let wanted = needed.contains(&key.as_str())
                || (depth <= MAX_DEPTH && self.below(if depth < 4 { 2 } else { 4 }) == 0);
            if !wanted {
                continue;
            }
            let value = match (name, key.as_str()) {
                ("Migration", "from") => json!("<2.0.0"),
                ("Requires", "host") => json!(">=0.1, <2"),
                ("Requires", "grants") => json!({"raw_credentials": self.text()}),
                ("ByComponent", "slots") => json!({"code": [{"body": self.text()}]}),
                ("Variants", "default") => continue,
                _ => self.value(inner, name, depth + 1),
            };
            map.insert(key.clone(), value);
        }
        if let Some(items @ Value::Object(_)) = schema.get("additionalProperties") {
            for key in ["a_key", "Other-Key"] {
                let value = self.value(items, name, depth + 1);
                map.insert(key.to_owned(), value);
            }
        }
        Value::Object(map)
    }

    fn manifest(&mut self) -> Value {
        self.keys.clear();
        let schema = self.schema.clone();
        let mut made = self.value(&schema, "manifest.yaml", 0);
        made["manifest"] = json!(1);
        let known = properties(self.schema);
        for key in made.as_object().unwrap().keys() {
            if known.contains(key) {
                self.keys.insert(format!("manifest.yaml.{key}"));
            }
        }
        made
    }
}

/// The keys of a section, those of all its forms.
fn properties(schema: &Value) -> BTreeSet<String> {
    let own = schema["properties"].as_object().into_iter().flatten();
    let mut all: BTreeSet<String> = own.map(|(key, _)| key.clone()).collect();
    for key in ["oneOf", "anyOf"] {
        for form in schema[key].as_array().into_iter().flatten() {
            all.extend(properties(form));
        }
    }
    all
}

#[test]
fn a_manifest_of_any_keys_is_printed_and_read_again_as_the_same() {
    let schema = json_schema();
    let mut wanted: BTreeSet<String> = properties(&schema)
        .into_iter()
        .map(|key| format!("manifest.yaml.{key}"))
        .collect();
    for (name, section) in schema["$defs"].as_object().unwrap() {
        wanted.extend(
            properties(section)
                .iter()
                .map(|key| format!("{name}.{key}")),
        );
    }
    // Conditions and hosts have a short form, and some keys have no other place than a form that is made by hand above.
    wanted.retain(|key| !key.starts_with("OneOrMany.") && key != "Variants.default");
    let mut maker = Maker {
        schema: &schema,
        state: 0x9e37_79b9_7f4a_7c15,
        keys: BTreeSet::new(),
    };
    let (mut seen, mut read, mut refused) = (BTreeSet::new(), 0, Vec::new());
    for number in 0..MOST {
        if number >= FEWEST && wanted.is_subset(&seen) {
            break;
        }
        let tree = maker.manifest();
        let manifest: Manifest = match serde_json::from_value(tree.clone()) {
            Ok(manifest) => manifest,
            Err(error) => {
                refused.push(error.to_string());
                continue;
            }
        };
        read += 1;
        let printed = keyport_manifest::yaml::print(&manifest);
        let again: Manifest = serde_yaml::from_str::<Value>(&printed)
            .map_err(|e| e.to_string())
            .and_then(|tree| serde_json::from_value(tree).map_err(|e| e.to_string()))
            .unwrap_or_else(|e| panic!("number {number}: {e}\n{printed}"));
        assert_eq!(again, manifest, "number {number}\n{printed}");
        assert_eq!(
            keyport_manifest::yaml::print(&again),
            printed,
            "number {number}"
        );
        let json: Manifest =
            serde_json::from_str(&serde_json::to_string(&manifest).unwrap()).unwrap();
        assert_eq!(json, manifest, "number {number}");
        seen.append(&mut maker.keys);
    }
    let missing: Vec<&String> = wanted.difference(&seen).collect();
    let last = refused.last().cloned().unwrap_or_default();
    println!(
        "{read} manifests, {} of {} keys; {} made none, the last because {last}",
        seen.intersection(&wanted).count(),
        wanted.len(),
        refused.len()
    );
    assert!(
        missing.is_empty(),
        "never in a manifest that was read: {missing:?}"
    );
}
