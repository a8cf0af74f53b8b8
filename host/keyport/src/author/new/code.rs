//! A draft with code of its own (`--lang`): the files of `component/`, from the templates in `providers/templates/`.
//!
//! What comes out builds, passes the tests of its language and `keyport test`: where an answer has the account's id and label
//! is taken from the draft's own templates, and what is expected is read from the draft's example by the same paths.

use serde_json::{Value, json};

use super::draft::Draft;
use crate::author::build::Lang;

/// The template of one file: its path in `component/`, and its text.
type Files = &'static [(&'static str, &'static str)];

macro_rules! template {
    ($($path:literal: $file:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../../providers/templates/", $file)))),*]
    };
}

const RUST: Files = template!("Cargo.toml": "rust/Cargo.toml.txt", "Cargo.lock": "rust/Cargo.lock.txt", "src/lib.rs": "rust/src/lib.rs", ".gitignore": "gitignore");
const JS: Files = template!(
    "package.json": "js/package.json", "package-lock.json": "js/package-lock.json", "app.js": "js/app.js",
    "provider.js": "js/provider.js", "provider.test.js": "js/provider.test.js", ".gitignore": "gitignore");
const TS: Files = template!(
    "package.json": "ts/package.json", "package-lock.json": "ts/package-lock.json", "tsconfig.json": "ts/tsconfig.json",
    "src/app.ts": "ts/src/app.ts", "src/provider.ts": "ts/src/provider.ts", "provider.test.js": "ts/provider.test.js",
    ".gitignore": "gitignore");
const PYTHON: Files = template!(
    "requirements.txt": "python/requirements.txt", "app.py": "python/app.py", "provider.py": "python/provider.py",
    "test_provider.py": "python/test_provider.py", ".gitignore": "gitignore");

/// What the code reads of the test call's answer.
pub struct Reads {
    ids: Vec<Vec<String>>,
    labels: Vec<Vec<String>>,
    /// The answer.
    pub body: Value,
    /// The account's id in it.
    pub id: String,
    /// Its label in it.
    pub label: String,
}

impl Reads {
    /// By the draft's own templates.
    pub fn of(draft: &Draft) -> Self {
        let or = |found: Vec<Vec<String>>, name: &str| match found.is_empty() {
            true => vec![vec![name.to_owned()]],
            false => found,
        };
        let ids = or(paths(&draft.test.account_id.text), "id");
        let labels = or(paths(&draft.test.account_label.text), "name");
        let mut body = match &draft.test.body {
            Value::Object(object) => Value::Object(object.clone()),
            _ => json!({}),
        };
        if first(&body, &ids).is_none()
            && let Some(path) = ids.first()
        {
            super::openapi::answer::put(&mut body, path, json!("1"));
        }
        let id = first(&body, &ids).unwrap_or_else(|| "1".to_owned());
        let label = first(&body, &labels).unwrap_or_else(|| id.clone());
        Self {
            ids,
            labels,
            body,
            id,
            label,
        }
    }
}

/// The files of `component/`.
pub fn files(draft: &Draft, lang: Lang) -> Vec<(String, String)> {
    let reads = Reads::of(draft);
    let templates = match lang {
        Lang::Rust => RUST,
        Lang::Js => JS,
        Lang::Ts => TS,
        Lang::Python => PYTHON,
    };
    let list = |paths: &[Vec<String>]| match lang {
        Lang::Rust => {
            let each: Vec<String> = paths
                .iter()
                .map(|path| format!("&{}", json!(path)))
                .collect();
            format!("[{}]", each.join(", "))
        }
        Lang::Js | Lang::Ts | Lang::Python => json!(paths).to_string(),
    };
    let mut url = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &draft.test.query {
        url.append_pair(name, value);
    }
    let query = url.finish();
    let path = match query.is_empty() {
        true => draft.test.path.text.clone(),
        false => format!("{}?{query}", draft.test.path.text),
    };
    let words = [
        ("ID", draft.id.clone()),
        ("NAME", bare(&draft.name)),
        ("TEST_PATH", bare(&path)),
        ("ID_PATHS", list(&reads.ids)),
        ("LABEL_PATHS", list(&reads.labels)),
        ("BODY", reads.body.to_string()),
        ("EXPECT_ID", json!(reads.id).to_string()),
        ("EXPECT_LABEL", json!(reads.label).to_string()),
    ];
    templates
        .iter()
        .map(|(path, text)| {
            let text = words
                .iter()
                .fold((*text).to_owned(), |text, (word, value)| {
                    text.replace(&format!("@@{word}@@"), value)
                });
            ((*path).to_owned(), text)
        })
        .collect()
}

/// A text that stands between quotes in each of the languages.
fn bare(text: &str) -> String {
    let quoted = json!(text).to_string();
    let inner = quoted.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}

/// Every path below `body` that a template reads, in its order: `{{ body.user.id | default(body.id) }}` reads two.
fn paths(template: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for rest in template.split("body.").skip(1) {
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
            .unwrap_or(rest.len());
        let path: Vec<String> = rest
            .get(..end)
            .unwrap_or_default()
            .split('.')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        if !path.is_empty() && !all.contains(&path) {
            all.push(path);
        }
    }
    all
}

/// As the templates read it.
fn first(body: &Value, paths: &[Vec<String>]) -> Option<String> {
    paths.iter().find_map(|path| {
        let found = path.iter().try_fold(body, |at, name| at.get(name))?;
        match found {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_that_the_template_reads() {
        let all = paths("{{ body.user.id | default(body.id) }}:{{ fields.site }}");
        assert_eq!(all, [vec!["user", "id"], vec!["id"]]);
        assert!(paths("{{ fields.domain }}").is_empty());
        assert_eq!(first(&json!({"user": {"id": 7}}), &all).unwrap(), "7");
    }

    #[test]
    fn what_a_vendor_calls_itself_stays_one_text() {
        assert_eq!(bare("A \"quoted\" name\n"), "A \\\"quoted\\\" name\\n");
        assert_eq!(bare("Pier \"East\""), "Pier \\\"East\\\"");
    }
}
