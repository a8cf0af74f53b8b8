//! YAML text: lines with an indent, scalars quoted where it matters, blanks counted.
//!
//! A plain scalar is written plain only if every reader takes it for that very text: `no`, `1.10` and `012` are quoted, as is
//! whatever begins like something else. Sources: YAML 1.2.2 (5.7 escapes, 7.3 flow scalars) and what YAML 1.1 made of words.

use serde_json::Value;

use super::draft::Said;

/// Text in the making.
#[derive(Default)]
pub struct Writer {
    out: String,
    lines: usize,
    blanks: Vec<(usize, String)>,
}

/// What marks a blank.
const MARK: &str = "# TODO(keyport): ";

impl Writer {
    /// One line at an indent of so many levels.
    pub fn line(&mut self, level: usize, text: &str) {
        for _ in 0..level {
            self.out.push_str("  ");
        }
        self.out.push_str(text);
        self.out.push('\n');
        self.lines += 1;
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.out.push('\n');
        self.lines += 1;
    }

    /// A comment.
    pub fn comment(&mut self, level: usize, text: &str) {
        self.line(level, &format!("# {}", one_line(text)));
    }

    /// A blank's comment; the blank is the next line.
    pub fn todo(&mut self, level: usize, text: &str) {
        let text = one_line(text);
        self.line(level, &format!("{MARK}{text}"));
        self.blanks.push((self.lines + 1, text));
    }

    /// `key: value`.
    pub fn pair(&mut self, level: usize, key: &str, value: &str) {
        self.line(level, &format!("{}: {}", flow(key), block(value)));
    }

    /// `key: value`, with its comment if it is a blank.
    pub fn said(&mut self, level: usize, key: &str, value: &Said) {
        if let Some(todo) = &value.todo {
            self.todo(level, todo);
        }
        self.pair(level, key, &value.text);
    }

    /// `key: [a, b]`, over several lines if it is long.
    pub fn list(&mut self, level: usize, key: &str, items: &[String]) {
        let items: Vec<String> = items.iter().map(|i| flow(i)).collect();
        let short = format!("{key}: [{}]", items.join(", "));
        if short.chars().count() + 2 * level <= 120 {
            self.line(level, &short);
            return;
        }
        self.line(level, &format!("{key}:"));
        for item in items {
            self.line(level + 1, &format!("- {item}"));
        }
    }

    /// `key: {a: b}`, over several lines if it is long.
    pub fn map(&mut self, level: usize, key: &str, items: &[(String, String)]) {
        let short = format!("{key}: {}", inline(items));
        if short.chars().count() + 2 * level <= 120 {
            self.line(level, &short);
            return;
        }
        self.line(level, &format!("{key}:"));
        for (name, value) in items {
            self.pair(level + 1, name, value);
        }
    }

    /// `key:` and a JSON tree below it.
    pub fn tree(&mut self, level: usize, key: &str, value: &Value) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                self.line(level, &format!("{}:", flow(key)));
                for (name, inner) in map {
                    self.tree(level + 1, name, inner);
                }
            }
            leaf => self.line(level, &format!("{}: {}", flow(key), compact(leaf))),
        }
    }

    /// What was written, and its blanks: the line of each and what belongs there.
    pub fn finish(self) -> (String, Vec<(usize, String)>) {
        (self.out, self.blanks)
    }
}

/// `{ a: b, c: d }`.
pub fn inline(items: &[(String, String)]) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|(name, value)| format!("{}: {}", flow(name), flow(value)))
        .collect();
    if items.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", items.join(", "))
    }
}

/// A JSON tree on one line.
fn compact(value: &Value) -> String {
    match value {
        Value::String(text) => flow(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(compact).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let items: Vec<String> = map
                .iter()
                .map(|(name, inner)| format!("{}: {}", flow(name), compact(inner)))
                .collect();
            format!("{{ {} }}", items.join(", "))
        }
        other => other.to_string(),
    }
}

/// A scalar as a value of its own line.
pub fn block(text: &str) -> String {
    scalar(text, &[])
}

/// A scalar within brackets, or as a key.
pub fn flow(text: &str) -> String {
    scalar(text, &[',', '[', ']', '{', '}', ':', '?'])
}

/// Words that YAML 1.1 or 1.2 takes for something else than text.
const WORDS: &[&str] = &["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

fn scalar(text: &str, forbidden: &[char]) -> String {
    let begins_well = text
        .chars()
        .next()
        .is_some_and(|c| c.is_alphabetic() || matches!(c, '/' | '$' | '_'));
    let plain = begins_well
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains(forbidden)
        && !text.chars().any(needs_escape)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// Whether a character may not stand as itself: controls, and what looks like nothing.
fn needs_escape(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if needs_escape(c) => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Text without line breaks and controls, for a comment.
fn one_line(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if needs_escape(c) { ' ' } else { c })
        .collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_is_read_back_as_the_text_that_was_written() {
        for text in [
            "",
            " ",
            "no",
            "On",
            "1.10",
            "012",
            "a: b",
            "a #b",
            "a:",
            "- a",
            "{{ x }}",
            "\"",
            "\\",
            "'",
            "x'y",
            "line\nbreak",
            "tab\there",
            "\u{85}",
            "\u{feff}",
            "\u{202e}evil",
            "@me",
            "`x`",
            "%a",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "null",
            "~",
            "2026-01-01",
            "[a]",
            "a, b",
            "{a",
            "é",
            "🦀",
            "https://{{ fields.a }}.example.com",
            "a?b",
            "=",
            "<<",
            "\u{7f}",
            "\r",
            "key: [x]",
            "...",
            "---",
        ] {
            let document = format!(
                "a: {}\nb: [{}, x]\n{}: 1\n",
                block(text),
                flow(text),
                flow(text)
            );
            let read: Value =
                serde_yaml::from_str(&document).unwrap_or_else(|e| panic!("{document}: {e}"));
            assert_eq!(read["a"], text, "{document}");
            assert_eq!(read["b"][0], text, "{document}");
            if !text.is_empty() && text != "a" && text != "b" {
                assert_eq!(read[text], 1, "{document}");
            }
        }
    }

    #[test]
    fn blanks_are_counted_with_the_line_that_they_are_on() {
        let mut writer = Writer::default();
        writer.pair(0, "a", "b");
        writer.said(1, "c", &Said::blank("TODO", "say\nwhat"));
        let (text, blanks) = writer.finish();
        assert_eq!(text, "a: b\n  # TODO(keyport): say what\n  c: TODO\n");
        assert_eq!(blanks, [(3, "say what".to_owned())]);
    }

    #[test]
    fn a_tree_is_written_in_its_own_order() {
        let mut writer = Writer::default();
        let tree = serde_json::json!({"b": {"z": 1, "a": "no"}, "a": [1, {"x": null}], "e": {}});
        writer.tree(0, "body", &tree);
        let (text, _) = writer.finish();
        assert_eq!(serde_yaml::from_str::<Value>(&text).unwrap()["body"], tree);
        assert!(
            text.starts_with("body:\n  b:\n    z: 1\n    a: \"no\"\n"),
            "{text}"
        );
    }
}
