//! The reference page: each section of the manifest with its keys, from the schema.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

/// The reference page as Markdown. Sections stand in the order in which the manifest first names them.
#[must_use]
pub fn reference() -> String {
    let schema = super::json_schema();
    let mut page = Page {
        text: String::new(),
        told: BTreeSet::new(),
        waiting: Vec::new(),
    };
    page.text.push_str(
        "# The manifest, key by key\n\n\
         Made by `keyport schema --reference` from the types that read a manifest; a test holds the two together. Examples\n\
         are in [README.md](README.md) and in every folder here. A key without \"required\" may be left out.\n",
    );
    page.section("manifest.yaml", &schema);
    while let Some(name) = page.waiting.first().cloned() {
        page.waiting.remove(0);
        if let Some(section) = schema.get("$defs").and_then(|d| d.get(&name)) {
            page.section(&name, section);
        }
    }
    page.text
}

struct Page {
    text: String,
    told: BTreeSet<String>,
    waiting: Vec<String>,
}

impl Page {
    fn section(&mut self, name: &str, section: &Value) {
        let _ = write!(self.text, "\n## {name}\n");
        if let Some(about) = section.get("description").and_then(Value::as_str) {
            let _ = write!(self.text, "\n{}\n", one_line(about));
        }
        self.words(section);
        self.keys(section);
        for form in forms(section) {
            if form.get("properties").is_some() {
                if let Some(about) = form.get("description").and_then(Value::as_str) {
                    let _ = write!(
                        self.text,
                        "\n**{}**\n",
                        one_line(about).trim_end_matches('.')
                    );
                } else {
                    self.text.push_str("\nWritten as:\n");
                }
                self.keys(form);
            } else if form.get("$ref").is_some() {
                let kind = self.kind(form);
                let _ = write!(self.text, "\nWritten as {kind}.\n");
            }
        }
    }

    /// The values of a section that is a list of words, each with what it means.
    fn words(&mut self, section: &Value) {
        let words: Vec<(&str, &str)> = forms(section)
            .filter_map(|form| {
                let word = form.get("const").and_then(Value::as_str)?;
                let about = form.get("description").and_then(Value::as_str);
                Some((word, about.unwrap_or_default()))
            })
            .collect();
        let plain = section
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let plain: Vec<(&str, &str)> = plain.filter_map(|w| Some((w.as_str()?, ""))).collect();
        if words.is_empty() && plain.is_empty() {
            return;
        }
        self.text.push_str("\n| value | meaning |\n|---|---|\n");
        for (word, about) in plain.into_iter().chain(words) {
            let _ = writeln!(self.text, "| `{word}` | {} |", cell(about));
        }
    }

    fn keys(&mut self, section: &Value) {
        let Some(properties) = section.get("properties").and_then(Value::as_object) else {
            return;
        };
        if properties.is_empty() {
            return;
        }
        let required: BTreeSet<&str> = section
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        self.text
            .push_str("\n| key | value | meaning |\n|---|---|---|\n");
        for (key, value) in properties {
            let kind = self.kind(value);
            let about = value
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let needed = if required.contains(key.as_str()) {
                " Required."
            } else {
                ""
            };
            let _ = writeln!(self.text, "| `{key}` | {kind} | {}{needed} |", cell(about));
        }
    }

    /// What kind of value it is, in words; sections that it names are told later.
    fn kind(&mut self, value: &Value) -> String {
        if let Some(at) = value.get("$ref").and_then(Value::as_str) {
            let name = at.rsplit('/').next().unwrap_or_default().to_owned();
            if self.told.insert(name.clone()) {
                self.waiting.push(name.clone());
            }
            return format!("[{name}](#{})", name.to_lowercase());
        }
        if let Some(word) = value.get("const") {
            return format!("`{word}`");
        }
        let all = forms(value)
            .filter(|form| form.get("type").is_none_or(|t| t != "null"))
            .map(|form| self.kind(form))
            .collect::<Vec<_>>();
        if !all.is_empty() {
            return all.join(" or ");
        }
        let types: Vec<&str> = match value.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many
                .iter()
                .filter_map(Value::as_str)
                .filter(|t| *t != "null")
                .collect(),
            _ => return "any value".to_owned(),
        };
        let words = types.iter().map(|one| match *one {
            "array" => {
                let items = value.get("items").map(|items| self.kind(items));
                format!(
                    "list of {}",
                    items.unwrap_or_else(|| "any value".to_owned())
                )
            }
            "object" => match value.get("additionalProperties") {
                Some(items @ Value::Object(_)) => format!("map of {}", self.kind(items)),
                _ => "map".to_owned(),
            },
            "string" => "text".to_owned(),
            "boolean" => "true or false".to_owned(),
            "integer" => "whole number".to_owned(),
            other => other.to_owned(),
        });
        words.collect::<Vec<_>>().join(" or ")
    }
}

/// The forms that a value can have.
fn forms(value: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"]
        .into_iter()
        .filter_map(|key| value.get(key).and_then(Value::as_array))
        .flatten()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}
