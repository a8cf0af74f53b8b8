//! Findings for a person at a terminal: rule, message, the line with a caret, and what to write instead.

use std::fmt::Write as _;

use super::finding::{Report, Severity};

impl Report {
    /// All findings as text, with the lines of `source` that they are about, and a closing count. Empty if there are none.
    #[must_use]
    pub fn render(&self, source: &str) -> String {
        let lines: Vec<&str> = source.lines().collect();
        let mut out = String::new();
        for f in &self.findings {
            let kind = match f.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let _ = writeln!(out, "{kind}[{}]: {}", f.rule, f.message);
            let number = f.line.to_string();
            let pad = " ".repeat(number.len());
            let _ = writeln!(out, "{pad}--> {}:{}:{}", self.file, f.line, f.column);
            if let Some(line) = lines.get(f.line.saturating_sub(1)).filter(|l| !l.trim().is_empty()) {
                // Tabs keep their width under the caret, control characters are not sent to the terminal.
                let shown: String = line.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect();
                let before: String =
                    shown.chars().take(f.column.saturating_sub(1)).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                let _ = writeln!(out, "{pad} |\n{number} | {shown}\n{pad} | {before}{}", "^".repeat(width(line, f.column)));
            }
            if let Some(fix) = &f.fix {
                let _ = writeln!(out, "{pad} = {fix}");
            }
            out.push('\n');
        }
        if !self.findings.is_empty() {
            let errors = self.findings.iter().filter(|f| f.severity == Severity::Error).count();
            let warnings = self.findings.len() - errors;
            let _ = writeln!(out, "{}: {}, {}", self.file, count(errors, "error"), count(warnings, "warning"));
        }
        out
    }

    /// Whether there is an error among the findings.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Error)
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// How far the caret reaches: to the end of a quoted text or of the word.
fn width(line: &str, column: usize) -> usize {
    let rest: Vec<char> = line.chars().skip(column.saturating_sub(1)).collect();
    let length = match rest.first() {
        Some(q @ ('"' | '\'')) => rest.iter().skip(1).position(|c| c == q).map_or(1, |p| p + 2),
        Some(_) => rest.iter().position(|c| c.is_whitespace() || matches!(c, ':' | ',' | '}' | ']')).unwrap_or(rest.len()),
        None => 1,
    };
    length.max(1)
}
