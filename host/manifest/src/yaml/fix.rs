//! `--fix`: the changes that are safe to make without asking.
//!
//! Safe is what cannot change the meaning of what was right: a name that is one slip away from a known one, quotes around
//! what was meant as text, a mark on a secret, a line that stands there twice. Changes are made to the bytes, so that comments
//! and the author's own layout stay. Every change is tried: one after which the manifest has more errors than before, or
//! cannot be read any more, is not kept. That holds as well where it could not be read before and can now: a word that was
//! taken for its likeliest neighbour may have been meant as another (`type: oauth` over the fields of an API key).

mod edits;

use super::check;
use super::finding::{Edit, Finding, FolderFacts, Report, Severity};
pub(super) use edits::{edit_for, fixable};

/// Most rounds: a change may bring up the next thing to change.
const MAX_ROUNDS: usize = 8;

/// A text after its safe changes.
#[derive(Debug)]
pub struct Fixed {
    /// The text.
    pub text: String,
    /// What was put right.
    pub applied: Vec<Finding>,
    /// What is left.
    pub report: Report,
}

/// Makes every safe change to a manifest. What has none, or would become worse, is left as it is.
#[must_use]
pub fn fix(file: &str, yaml: &str, folder: Option<&FolderFacts>) -> Fixed {
    let mut text = yaml.to_owned();
    let mut report = check(file, &text, folder);
    let mut applied = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let wanted: Vec<Finding> = report
            .findings
            .iter()
            .filter(|f| f.edit.is_some())
            .cloned()
            .collect();
        if wanted.is_empty() {
            break;
        }
        // All at once, which is nearly always right; else one by one.
        let batch = |text: &str, findings: &[Finding]| {
            let edits: Vec<Edit> = findings.iter().filter_map(|f| f.edit.clone()).collect();
            let changed = apply(text, &edits);
            let after = check(file, &changed, folder);
            (changed, after)
        };
        let (changed, after) = batch(&text, &wanted);
        if better(&report, &after) {
            applied.extend(wanted);
            (text, report) = (changed, after);
            continue;
        }
        let mut kept = None;
        for one in wanted {
            let (changed, after) = batch(&text, std::slice::from_ref(&one));
            if better(&report, &after) {
                kept = Some((one, changed, after));
                break;
            }
        }
        let Some((one, changed, after)) = kept else {
            break;
        };
        applied.push(one);
        (text, report) = (changed, after);
    }
    Fixed {
        text,
        applied,
        report,
    }
}

/// Whether a change helped: fewer findings of the worst kind that differs, and nothing unreadable that was readable.
fn better(before: &Report, after: &Report) -> bool {
    let weight = |r: &Report| {
        [Severity::Error, Severity::Warning, Severity::Note].map(|severity| r.count(severity))
    };
    match (&before.manifest, &after.manifest) {
        // What can be read now is looked at more closely, so there may be more remarks than before, but no more errors.
        (None, Some(_)) => after.count(Severity::Error) <= before.count(Severity::Error),
        (Some(_), None) => false,
        _ => weight(after) < weight(before),
    }
}

/// Applies changes to a text. Of two that overlap, the first in the text is made; what lies outside of the text, or inside of
/// a character, is not made.
#[must_use]
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|e| (e.start, e.end));
    edits.dedup();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for edit in edits {
        let fits = edit.start >= from && text.get(edit.start..edit.end).is_some();
        if let Some(before) = text.get(from..edit.start).filter(|_| fits) {
            out.push_str(before);
            out.push_str(&edit.text);
            from = edit.end;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::{Edit, apply};

    fn edit(start: usize, end: usize, text: &str) -> Edit {
        Edit {
            start,
            end,
            text: text.into(),
        }
    }

    #[test]
    fn changes_are_made_where_they_belong_and_never_over_each_other() {
        assert_eq!(apply("abcdef", &[edit(3, 4, "X"), edit(0, 1, "")]), "bcXef");
        assert_eq!(apply("abcdef", &[edit(1, 4, "-"), edit(2, 5, "+")]), "a-ef");
        assert_eq!(apply("abc", &[edit(1, 1, "x"), edit(1, 1, "x")]), "axbc");
        assert_eq!(apply("é", &[edit(1, 2, "x"), edit(0, 9, "y")]), "é");
    }
}
