//! Writing a manifest as YAML that every reader reads alike.
//!
//! Any general writer leaves `2022-11-28` or `no` without quotes, because its own reader takes them for text; others do not (V07). Here
//! a text is written plain only if it is plainly one. What is written reads back as the same manifest: a test holds it to that.

use serde_json::Value;

use super::traps;
use crate::model::Manifest;

/// Writes a manifest. Keys are in the order of the model; what is as usual is left out.
#[must_use]
pub fn print(manifest: &Manifest) -> String {
    let mut out = String::new();
    print_value(
        &serde_json::to_value(manifest).unwrap_or_default(),
        &mut out,
    );
    out
}

/// Writes any tree as a YAML document.
pub(crate) fn print_value(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => entries(value, 0, out),
        Value::Array(items) if !items.is_empty() => entries(value, 0, out),
        flat => {
            out.push_str(&scalar(flat));
            out.push('\n');
        }
    }
}

fn entries(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                out.push_str(&pad);
                out.push_str(&text(key));
                out.push(':');
                inside(inner, indent + 2, out);
            }
        }
        Value::Array(items) => {
            for inner in items {
                out.push_str(&pad);
                out.push('-');
                inside(inner, indent + 2, out);
            }
        }
        _ => {}
    }
}

fn inside(value: &Value, indent: usize, out: &mut String) {
    let flat = match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    if flat {
        out.push(' ');
        out.push_str(&scalar(value));
        out.push('\n');
    } else {
        out.push('\n');
        entries(value, indent, out);
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(s) => text(s),
        other => other.to_string(),
    }
}

/// A text: plain where nothing in it means anything to YAML, else as JSON writes it (which YAML reads).
fn text(text: &str) -> String {
    let plain = text.len() <= 100
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '$'))
        && !text.ends_with(' ')
        && text.chars().all(|c| {
            c.is_ascii_alphanumeric()
                || matches!(c, ' ' | '.' | '_' | '-' | '/' | '$' | '(' | ')' | '+' | ';')
        })
        && !text.contains(" -")
        && !traps::is_word(text);
    if plain {
        return text.to_owned();
    }
    // Control characters that JSON leaves as they are, and YAML does not allow.
    let mut out = String::new();
    for c in Value::from(text).to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        let tree = json!({
            "no": "off", "a": "2022-11-28", "b": ["1.10", "012", "~", "", " x", "x ", "true", "null"],
            "c": {"d": [], "e": {}, "f": [[1, 2.5], {"g": null}]}, "h": "a: b # c", "i": "- x", "j": "line\nline",
            "k\"l": "\u{85}\u{7f}\u{feff}\t\\", "m": "$.a.b[0]", "n": "{{ x }}", "o": "ü → ß", "p": -0.5,
        });
        let mut out = String::new();
        print_value(&tree, &mut out);
        assert_eq!(serde_yaml::from_str::<Value>(&out).unwrap(), tree, "{out}");
        assert!(out.contains("a: \"2022-11-28\""), "{out}");
    }
}
