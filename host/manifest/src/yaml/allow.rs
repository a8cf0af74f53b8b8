//! Comments that let a finding stand: `# allow V27: every vendor host is valid here`.
//!
//! One stands on the line before what it speaks of, or at the end of its line, and gives a reason, which goes into every
//! report. V98: one without a reason, for a rule that may not be allowed or that does not exist is an error and allows
//! nothing; one that allows nothing is a warning, since it would hide the next mistake.
//!
//! A file without such a comment is not looked at any further.

use super::book::{self, Layer, rule};
use super::finding::{Finding, Severity, Suppressed};
use super::outline::Outline;

/// Shortest reason, in characters.
const MIN_REASON: usize = 10;
/// Most rules in one comment.
const MAX_RULES: usize = 20;
/// Rules that look beside the manifest: alone, nothing can be said about them.
const BESIDE: &[&str] = &["V09", "V71", "V95"];

/// Rules of which a part is looked at elsewhere: against another version, beside other apps, in the component.
const PARTLY: &[&str] = &["V09", "V10", "V73", "V79"];

/// One rule that a comment allows.
struct Allow {
    id: &'static str,
    reason: String,
    /// Line of what it speaks of.
    covers: usize,
    /// Where the comment stands.
    line: usize,
    column: usize,
    used: bool,
}

/// Whether a text can have such comments at all.
pub(super) fn any(text: &str) -> bool {
    text.contains("allow V") || text.contains("allow v")
}

/// What was looked at: an unused comment may be needed for what was not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Every check of the manifest has run.
    pub(super) whole: bool,
    /// What lies beside it was looked at.
    pub(super) folder: bool,
}

/// Takes what comments allow out of the findings.
pub(super) fn suppress(
    text: &str,
    outline: &Outline,
    findings: &mut Vec<Finding>,
    seen: Seen,
) -> Vec<Suppressed> {
    let (mut allows, wrong) = read(text, outline);
    // A finding about a section may stand at its first line; its key is where people write the comment.
    let key_line = |path: &str| {
        let key = outline.entry(path)?.key.as_ref()?;
        text.get(..key.bytes.start)
            .map(|t| t.matches('\n').count() + 1)
    };
    let mut suppressed = Vec::new();
    findings.retain(|f| {
        let Some(allow) = allows.iter_mut().find(|a| {
            a.id == f.rule
                && f.file.is_none()
                && (a.covers == f.line || Some(a.covers) == key_line(&f.path))
        }) else {
            return true;
        };
        allow.used = true;
        suppressed.push(Suppressed {
            finding: f.clone(),
            reason: allow.reason.clone(),
        });
        false
    });
    findings.extend(wrong);
    let unused = allows.iter().filter(|a| {
        seen.whole
            && !a.used
            && rule(a.id).is_some_and(|r| r.layer == Layer::Offline)
            && !PARTLY.contains(&a.id)
            && (seen.folder || !BESIDE.contains(&a.id))
    });
    for a in unused {
        findings.push(finding(
            Severity::Warning,
            (a.line, a.column),
            format!("{} is not found here, so nothing has to be allowed", a.id),
            "remove the comment",
        ));
    }
    suppressed
}

fn finding(severity: Severity, at: (usize, usize), message: String, fix: &str) -> Finding {
    Finding {
        rule: "V98",
        file: None,
        severity,
        message,
        path: String::new(),
        line: at.0,
        column: at.1,
        fix: Some(fix.to_owned()),
        edit: None,
    }
}

/// All comments that allow something, and what is wrong with those that cannot.
fn read(text: &str, outline: &Outline) -> (Vec<Allow>, Vec<Finding>) {
    let (mut allows, mut wrong) = (Vec::new(), Vec::new());
    for comment in &outline.comments(text) {
        let Some((ids, reason)) = text.get(comment.clone()).and_then(form) else {
            continue;
        };
        let before = text.get(..comment.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        let lead = before.get(start..).unwrap_or_default();
        let column = lead.trim_start_matches('\u{feff}').chars().count() + 1;
        let own_line = lead.trim_matches(['\u{feff}', ' ', '\t']).is_empty();
        let covers = if own_line { next(text, line) } else { line };
        let mut say = |message: String, fix: &str| {
            wrong.push(finding(Severity::Error, (line, column), message, fix));
        };
        if ids.len() > MAX_RULES {
            say(
                "this comment allows too much".to_owned(),
                "name the rules that are found here",
            );
            continue;
        }
        if reason.chars().count() < MIN_REASON {
            say(
                "this comment gives no reason".to_owned(),
                "write `# allow V27: <why it is right here>`",
            );
            continue;
        }
        for id in ids {
            match rule(id) {
                None => say(
                    format!("there is no rule `{id}`"),
                    "see `keyport validate --explain V27` for one that there is",
                ),
                Some(rule) if !rule.allow => say(
                    format!("{} cannot be allowed: {}", rule.id, rule.title),
                    "mend what it finds, and remove the comment",
                ),
                Some(rule) => allows.extend(book::known(&rule.id).map(|id| Allow {
                    id,
                    reason: reason.to_owned(),
                    covers,
                    line,
                    column,
                    used: false,
                })),
            }
        }
    }
    (allows, wrong)
}

/// `# allow V27, V28: reason` as its ids and its reason; `None` for every other comment.
fn form(comment: &str) -> Option<(Vec<&str>, &str)> {
    let rest = comment.trim_start_matches('#').trim_start();
    let rest = rest.strip_prefix("allow")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let (ids, reason) = rest.split_once(':').unwrap_or((rest, ""));
    let ids: Vec<&str> = ids.split([',', ' ']).filter(|id| !id.is_empty()).collect();
    // "allow Viewers to …" is a sentence.
    let looks_like_id = |id: &&str| {
        id.strip_prefix(['V', 'v'])
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    ids.first().filter(|id| looks_like_id(id))?;
    match ids.iter().all(looks_like_id) {
        true => Some((ids, reason.trim())),
        // `# allow V27 because …`: meant, but without its colon.
        false => Some((ids.into_iter().filter(looks_like_id).collect(), "")),
    }
}

/// The next line that says something.
fn next(text: &str, line: usize) -> usize {
    text.lines()
        .enumerate()
        .skip(line)
        .find(|(_, l)| !l.trim().is_empty() && !l.trim_start().starts_with('#'))
        .map_or(line, |(i, _)| i + 1)
}

#[cfg(test)]
mod tests {
    use super::form;

    #[test]
    fn only_what_names_rules_allows_something() {
        assert_eq!(
            form("# allow V27: why it is"),
            Some((vec!["V27"], "why it is"))
        );
        assert_eq!(
            form("#allow v27, V28 : why: so"),
            Some((vec!["v27", "V28"], "why: so"))
        );
        assert_eq!(form("# allow V27"), Some((vec!["V27"], "")));
        assert_eq!(
            form("# allow V27 since it is right"),
            Some((vec!["V27"], ""))
        );
        assert_eq!(form("# allow Viewers: they read"), None);
        assert_eq!(form("# allowed V27: why it is"), None);
        assert_eq!(form("# V27"), None);
    }
}
