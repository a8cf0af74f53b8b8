//! Which change puts a finding right: by its rule, and by what stands in the text at its place.
//!
//! The words of a fix and its change come from the same finding: where a check proposes a word, it stands in backticks in
//! `fix` ("did you mean `label`?", "write `always`") and is what the change writes.

use crate::yaml::finding::{Edit, Finding};
use crate::yaml::outline::{Form, Outline, Spot};

/// Rules that may have a change.
const FIXABLE: &[&str] = &["V01", "V03", "V05", "V07", "V20", "V74", "V98"];

/// Whether it is worth taking the text apart for a finding.
pub(in crate::yaml) fn fixable(finding: &Finding) -> bool {
    FIXABLE.contains(&finding.rule) && finding.file.is_none()
}

/// The change that puts a finding right, if it is safe.
pub(in crate::yaml) fn edit_for(f: &Finding, text: &str, outline: &Outline) -> Option<Edit> {
    if !fixable(f) {
        return None;
    }
    match f.rule {
        "V01" => twin(f, text, outline),
        "V03" => key(f, text, outline),
        "V05" => value(f, outline),
        "V07" => quotes(f, text, outline),
        "V20" => mark(f, text, outline),
        "V74" => spelling(f, text, outline),
        "V98" => comment(f, text),
        _ => None,
    }
}

fn replace(spot: &Spot, text: impl Into<String>) -> Edit {
    Edit {
        start: spot.bytes.start,
        end: spot.bytes.end,
        text: text.into(),
    }
}

/// The word that a fix proposes.
fn proposed<'f>(f: &'f Finding, before: &str) -> Option<&'f str> {
    let rest = f.fix.as_deref()?.strip_prefix(before)?;
    let word = rest.strip_prefix('`')?.split('`').next()?;
    let plain = !word.is_empty()
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    plain.then_some(word)
}

/// V03: the known key that an unknown one looks like, unless that is there already.
fn key(f: &Finding, _text: &str, outline: &Outline) -> Option<Edit> {
    let name = proposed(f, "did you mean ")?;
    let entry = outline.entry(&f.path)?;
    let around = crate::yaml::places::parent(&f.path);
    let taken = outline.entry(&crate::yaml::places::child(around, name));
    taken.is_none().then_some(())?;
    Some(replace(entry.key.as_ref()?, name))
}

/// V05: the listed value that the one in the text looks like.
fn value(f: &Finding, outline: &Outline) -> Option<Edit> {
    let name = proposed(f, "write ")?;
    let value = &outline.entry(&f.path)?.value;
    matches!(value.form, Form::Plain | Form::Quoted).then(|| replace(value, name))
}

/// V07: quotes around a text that is read as something else. Null is not meant as a text.
fn quotes(f: &Finding, text: &str, outline: &Outline) -> Option<Edit> {
    let value = &outline.entry(&f.path)?.value;
    let raw = text.get(value.bytes.clone())?;
    let safe = value.form == Form::Plain
        && !raw.is_empty()
        && raw != "~"
        && !raw.contains(['"', '\\', '\n']);
    safe.then(|| replace(value, format!("\"{raw}\"")))
}

/// V20: `secret: true` after the field's first key, in the field's own layout.
fn mark(f: &Finding, text: &str, outline: &Outline) -> Option<Edit> {
    let field = outline.entry(&f.path)?;
    let said = outline.entry(&crate::yaml::places::child(&f.path, "secret"));
    said.is_none().then_some(())?;
    if field.value.form == Form::Flow {
        let close = field.value.bytes.end.checked_sub(1)?;
        let inside = text.get(field.value.bytes.start..close)?.trim_end();
        let start = field.value.bytes.start + inside.len();
        let comma = if inside.ends_with(',') { " " } else { ", " };
        return Some(Edit {
            start,
            end: start,
            text: format!("{comma}secret: true"),
        });
    }
    let id = outline.entry(&crate::yaml::places::child(&f.path, "id"))?;
    let key = id.key.as_ref()?;
    let line = text
        .get(..key.bytes.start)?
        .rfind('\n')
        .map_or(0, |i| i + 1);
    let indent: String = text
        .get(line..key.bytes.start)?
        .chars()
        .map(|_| ' ')
        .collect();
    let end = id.value.bytes.end;
    let rest = text.get(end..)?;
    let at = end + rest.find(['\n', '\r']).unwrap_or(rest.len());
    Some(Edit {
        start: at,
        end: at,
        text: format!("{}{indent}secret: true", line_end(text)),
    })
}

/// V01: the second of two equal lines.
fn twin(f: &Finding, text: &str, outline: &Outline) -> Option<Edit> {
    let first = outline.entry(&f.path)?;
    let mut twins = outline.entries.iter().filter(|e| e.path == f.path).skip(1);
    let (second, None) = (twins.next()?, twins.next()) else {
        return None;
    };
    let of = |spot: &Spot| text.get(spot.bytes.clone());
    let key = second.key.as_ref()?;
    let scalar = |spot: &Spot| matches!(spot.form, Form::Plain | Form::Quoted);
    let same = scalar(&second.value)
        && scalar(&first.value)
        && of(&first.value) == of(&second.value)
        && !of(&second.value)?.contains('\n');
    // It must be alone on its line; a comment there would be lost.
    let start = text
        .get(..key.bytes.start)?
        .rfind('\n')
        .map_or(0, |i| i + 1);
    let lead = text.get(start..key.bytes.start)?;
    let rest = text.get(second.value.bytes.end..)?;
    let tail = rest.split('\n').next()?;
    let alone = lead.trim().is_empty() && tail.trim().is_empty();
    (same && alone).then(|| {
        let end = second.value.bytes.end + (tail.len() + 1).min(rest.len());
        Edit {
            start,
            end,
            text: String::new(),
        }
    })
}

/// V74: "`Url` is mostly spelt URL", where the word stands once and whole in the text; blanks at the ends of a text.
fn spelling(f: &Finding, text: &str, outline: &Outline) -> Option<Edit> {
    let value = &outline.entry(&f.path)?.value;
    let (wrong, right) = f
        .message
        .strip_prefix('`')?
        .split_once("` is mostly spelt ")?;
    let raw = text.get(value.bytes.clone())?;
    let whole = |at: usize| {
        let side = |c: Option<char>| {
            c.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '/')))
        };
        side(raw.get(..at).and_then(|t| t.chars().next_back()))
            && side(raw.get(at + wrong.len()..).and_then(|t| t.chars().next()))
    };
    let at = raw
        .match_indices(wrong)
        .map(|(at, _)| at)
        .find(|at| whole(*at))?;
    let start = value.bytes.start + at;
    Some(Edit {
        start,
        end: start + wrong.len(),
        text: right.to_owned(),
    })
}

/// V98: a comment that allows nothing goes; with its line, if it has one of its own.
fn comment(f: &Finding, text: &str) -> Option<Edit> {
    (f.fix.as_deref() == Some("remove the comment")).then_some(())?;
    let start: usize = text
        .split_inclusive('\n')
        .take(f.line.saturating_sub(1))
        .map(str::len)
        .sum();
    let line = text.get(start..)?.split('\n').next()?;
    let at = line
        .char_indices()
        .nth(f.column.saturating_sub(1))
        .map(|(i, _)| i)?;
    let (lead, comment) = (line.get(..at)?, line.get(at..)?);
    // One that allows several rules may still be needed for another.
    if !comment.starts_with('#') || comment.split(':').next()?.contains(',') {
        return None;
    }
    let own_line = lead.trim().is_empty();
    let kept = lead.trim_end().len();
    Some(Edit {
        start: if own_line { start } else { start + kept },
        end: if own_line {
            (start + line.len() + 1).min(text.len())
        } else {
            start + line.trim_end_matches('\r').len()
        },
        text: String::new(),
    })
}

fn line_end(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}
