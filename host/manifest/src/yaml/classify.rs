//! Which rule a misfit breaks, told from what `serde` and the types said, and the words for its author.

use crate::model::AppId;
use crate::path::JsonPath;
use crate::pattern::Pattern;
use crate::template::{Template, nearest};

/// Rule, message and fix for what was said of a value; `text` is the value, if it is a text.
pub(super) fn classify(
    message: &str,
    text: Option<&str>,
) -> (&'static str, String, Option<String>) {
    if let Some(word) = quoted(message, "unknown variant `") {
        let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        let fix = nearest(&word, &known).map(|s| format!("write `{s}`"));
        return (
            "V05",
            format!("there is no `{word}`; it is one of: {}", known.join(", ")),
            fix,
        );
    }
    if let Some(text) = text {
        let same = |e: String| e == message;
        if Template::parse(text).is_err_and(|e| same(e.to_string())) {
            return ("V13", message.to_owned(), None);
        }
        if Pattern::parse(text).is_err_and(same) {
            return ("V24", message.to_owned(), None);
        }
        if text.parse::<AppId>().is_err_and(|e| same(e.to_string())) {
            return ("V09", message.to_owned(), None);
        }
        if JsonPath::parse(text).is_err_and(|e| same(e.to_string())) {
            return ("V58", message.to_owned(), None);
        }
    }
    if message.contains("is not a JSONPath") {
        return ("V58", message.to_owned(), None);
    }
    if let Some(text) = text
        && text
            .parse::<semver::Version>()
            .is_err_and(|e| e.to_string() == message)
    {
        return (
            "V10",
            format!("`{text}` is not a version; write it like 1.0.0"),
            None,
        );
    }
    (
        "V02",
        message.replace("invalid type: ", "wrong kind of value: "),
        None,
    )
}

/// What stands between backticks after some words.
pub(super) fn quoted(message: &str, before: &str) -> Option<String> {
    let rest = message.get(message.find(before)? + before.len()..)?;
    rest.split('`').next().map(str::to_owned)
}
