//! V07: text that YAML takes for something else.
//!
//! `no`, `1.10`, `012`, `0x1F`, `2024-01-01`, `12:30:45`, `~` and `.inf` look like text and are not, or not for every reader
//! of YAML: an editor, a formatter or a script of another language writes them back as `false`, `1.1`, `10`, `31`, a date,
//! `45045`, nothing, infinity. In a manifest they are mostly meant as text, so they are quoted.
//!
//! In trees that are JSON (schemas, samples, bodies, `equals`, claims) numbers, booleans and null are what they are; only
//! words that would be booleans elsewhere, and infinity, which JSON does not know, are refused there. Keys are left alone: `off`
//! is a key of this very format. So are fixtures.

use super::mend::Misfit;
use super::places::Places;

/// Words that YAML 1.1 reads as booleans and YAML 1.2 as text.
const WORDS: &[&str] = &["yes", "no", "on", "off"];

/// Keys whose values are trees of JSON, wherever they stand.
const TREES: &[&str] = &["equals", "claims", "json", "set"];
/// The same, directly below an action or trigger.
const OPERATION_TREES: &[&str] = &["input", "output", "sample"];

/// Longest scalar that can be a trap, in bytes; longer ones are texts.
const MAX_TRAP: usize = 40;

/// Whether an unquoted scalar is worth keeping for [`misfits`].
pub(super) fn suspicious(raw: &str) -> bool {
    raw.len() <= MAX_TRAP
        && (raw.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | '~'))
            || raw.len() <= 5 && raw.bytes().all(|b| b.is_ascii_alphabetic()))
}

/// Whether a text, unquoted, is a boolean or null to some reader.
pub(super) fn is_word(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    WORDS.contains(&lower.as_str())
        || matches!(lower.as_str(), "y" | "n" | "true" | "false" | "null")
}

/// Adds the traps of a document to what does not fit, in place of what the types said of the same value.
pub(super) fn misfits(places: &Places, out: &mut Vec<Misfit>) {
    for (path, raw) in places.plain() {
        let said = out
            .iter()
            .position(|m| m.path == path && m.rule == "V02" && wants_text(&m.message));
        let message = match said {
            Some(_) => {
                let read = read_as(raw).unwrap_or_else(|| format!("`{raw}`"));
                Some(format!(
                    "text is meant here, and `{raw}` unquoted is {read}"
                ))
            }
            None => trap(raw, in_json(path)),
        };
        let Some(message) = message else { continue };
        let misfit = Misfit {
            rule: "V07",
            path: path.to_owned(),
            at_key: false,
            message,
            fix: Some(match raw {
                "~" => "write `null`, or leave the key out".to_owned(),
                _ => format!("quote it: \"{raw}\""),
            }),
        };
        match said.and_then(|i| out.get_mut(i)) {
            Some(slot) => *slot = misfit,
            None => out.push(misfit),
        }
    }
}

/// Whether a complaint of the types is that a number, boolean or null stands where text belongs.
fn wants_text(message: &str) -> bool {
    let found = ["integer", "floating point", "boolean", "unit value", "null"];
    message
        .strip_prefix("wrong kind of value: ")
        .is_some_and(|rest| {
            found.iter().any(|f| rest.starts_with(f))
                && ["a string", "text"].iter().any(|w| {
                    rest.split_once("expected ")
                        .is_some_and(|(_, wanted)| wanted.starts_with(w))
                })
        })
}

/// What is wrong with an unquoted scalar that the types took without a word.
fn trap(raw: &str, json: bool) -> Option<String> {
    let lower = raw.to_ascii_lowercase();
    if WORDS.contains(&lower.as_str()) || (!json && matches!(lower.as_str(), "y" | "n")) {
        return Some(format!("other readers of YAML take `{raw}` for a boolean"));
    }
    if matches!(lower.trim_start_matches(['+', '-']), ".inf" | ".nan") {
        return Some(format!("`{raw}` is a number that JSON does not have"));
    }
    if octal(raw) {
        return Some(format!(
            "other readers of YAML take `{raw}` for an octal number"
        ));
    }
    if json {
        return None;
    }
    if date(raw) {
        return Some(format!("other readers of YAML take `{raw}` for a date"));
    }
    if sexagesimal(raw) {
        return Some(format!(
            "other readers of YAML take `{raw}` for a number to the base of 60"
        ));
    }
    if raw.contains('_') && raw.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        return Some(format!("other readers of YAML take `{raw}` for a number"));
    }
    if raw == "~" {
        return Some("`~` is null, not text".to_owned());
    }
    let read = serde_yaml::from_str::<serde_yaml::Value>(raw).ok()?;
    match read {
        serde_yaml::Value::Number(n) if n.to_string() != raw => {
            Some(format!("`{raw}` is read as the number {n}"))
        }
        _ => None,
    }
}

/// What this reader makes of an unquoted scalar, if not text.
fn read_as(raw: &str) -> Option<String> {
    Some(match serde_yaml::from_str::<serde_yaml::Value>(raw).ok()? {
        serde_yaml::Value::Number(n) => format!("the number {n}"),
        serde_yaml::Value::Bool(b) => format!("the boolean {b}"),
        serde_yaml::Value::Null => "null".to_owned(),
        _ => return None,
    })
}

/// `012`, but neither `0` nor `0.5`.
fn octal(raw: &str) -> bool {
    let digits = raw.trim_start_matches(['+', '-']);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

/// `2024-01-01`, with or without a time after it.
fn date(raw: &str) -> bool {
    let day = raw.split(['T', 't', ' ']).next().unwrap_or_default();
    let parts: Vec<&str> = day.split('-').collect();
    parts.len() == 3
        && parts
            .iter()
            .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
        && parts.first().is_some_and(|year| year.len() == 4)
}

/// `12:30`, `12:30:45`.
fn sexagesimal(raw: &str) -> bool {
    let parts: Vec<&str> = raw.split(':').collect();
    parts.len() > 1
        && parts
            .iter()
            .all(|p| (1..=2).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a path lies in a tree of JSON.
fn in_json(path: &str) -> bool {
    let parts: Vec<&str> = path.split(['.', '[']).collect();
    let operation = matches!(parts.first(), Some(&("actions" | "triggers")))
        && parts
            .get(2)
            .is_some_and(|key| OPERATION_TREES.contains(key));
    operation || parts.iter().any(|key| TREES.contains(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_readers_take_for_something_else_is_a_trap() {
        for raw in [
            "no",
            "Yes",
            "ON",
            "off",
            "y",
            "N",
            "012",
            "-007",
            "1.10",
            "1e3",
            "0x1F",
            "0o17",
            "2024-01-01",
            "2024-01-01T00:00:00Z",
            "12:30:45",
            "12:30",
            "~",
            ".inf",
            "-.INF",
            ".nan",
            "1_000",
            "+1",
            "1.0e+3",
        ] {
            assert!(suspicious(raw), "{raw}");
            assert!(trap(raw, false).is_some(), "{raw}");
        }
    }

    #[test]
    fn what_every_reader_reads_alike_is_none() {
        for raw in [
            "10",
            "0",
            "-5",
            "1.5",
            "true",
            "null",
            "none",
            "north",
            "v1",
            "1.0.0",
            "/me",
            "-updated_at",
            "GET",
            "200",
            "2xx",
            "https://a.example:80",
            "10:20:30:40-x",
            "0.5",
        ] {
            assert_eq!(trap(raw, false), None, "{raw}");
        }
    }

    #[test]
    fn in_json_numbers_and_times_are_what_they_are() {
        for raw in ["1.10", "1e3", "2024-01-01", "~", "y", "12:30"] {
            assert_eq!(trap(raw, true), None, "{raw}");
        }
        for raw in ["no", "off", "012", ".inf"] {
            assert!(trap(raw, true).is_some(), "{raw}");
        }
        assert!(in_json("actions.list.input.properties.a.enum[0]"));
        assert!(in_json("test.request.body.json.on"));
        assert!(in_json("test.ok.body[0].equals"));
        assert!(!in_json("actions.list.request.query.input"));
        assert!(!in_json("fields[0].example"));
    }
}
