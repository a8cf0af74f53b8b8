//! V12 for the blanks that `keyport new` leaves: a comment `# TODO(keyport): …` over what is to be filled in.
//!
//! The comment is the mark, not the value: a guessed path looks like any other. Where the value was found to be a placeholder
//! too, that finding says what belongs there instead of there being two.

use super::finding::{Finding, Severity};

/// What a blank's comment begins with.
const MARK: &str = "# TODO(keyport):";

/// Tells each blank of a manifest's text, at the line that it is about.
pub(super) fn find(text: &str, findings: &mut Vec<Finding>) {
    if !text.contains(MARK) {
        return;
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (i, todo) in lines
        .iter()
        .enumerate()
        .filter_map(|(i, line)| Some((i, line.strip_prefix(MARK)?.trim())))
    {
        let below = lines
            .iter()
            .enumerate()
            .skip(i + 1)
            .find(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let line = below.map_or(i, |(at, _)| at) + 1;
        let fix = format!("{todo}; then remove the comment");
        let mut known = findings
            .iter_mut()
            .filter(|f| f.rule == "V12" && f.file.is_none() && f.line == line);
        if let Some(first) = known.next() {
            first.fix = Some(fix);
            continue;
        }
        let raw = text.lines().nth(line - 1).unwrap_or_default();
        let column = raw.len() - raw.trim_start().len() + 1;
        findings.push(Finding {
            rule: "V12",
            file: None,
            severity: Severity::Warning,
            message: "this is a blank that `keyport new` left".to_owned(),
            path: String::new(),
            line,
            column,
            fix: Some(fix),
            edit: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(usize, usize, Option<String>)> {
        let mut findings = Vec::new();
        find(text, &mut findings);
        findings
            .into_iter()
            .map(|f| (f.line, f.column, f.fix))
            .collect()
    }

    #[test]
    fn a_blank_is_told_at_the_line_below_its_comment() {
        let text = "a: 1\n  # TODO(keyport): say b\n  # why\n  b: x\n# TODO: not ours\n";
        let fix = Some("say b; then remove the comment".to_owned());
        assert_eq!(told(text), [(4, 3, fix)]);
        assert_eq!(told("# TODO(keyport): x").len(), 1);
    }
}
