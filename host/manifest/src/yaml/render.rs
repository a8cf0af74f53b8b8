//! Findings for a person at a terminal: rule, message, the line with a caret, and what to write instead.

use std::fmt::Write as _;

use super::finding::{Finding, Report, Severity};

const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const BLUE: &str = "\u{1b}[1;34m";
const PLAIN: &str = "\u{1b}[0m";

impl Report {
    /// All findings as text, with the lines of `source` (the manifest) that they are about, and a closing count. Empty if
    /// there are none. `colour` adds terminal colours.
    #[must_use]
    pub fn render(&self, source: &str, colour: bool) -> String {
        let lines: Vec<&str> = source.lines().collect();
        let mut out = String::new();
        for finding in &self.findings {
            self.one(&mut out, finding, &lines, colour);
        }
        if !self.findings.is_empty() {
            let number = |s| self.findings.iter().filter(|f| f.severity == s).count();
            let _ = writeln!(
                out,
                "{}: {}, {}",
                self.file,
                count(number(Severity::Error), "error"),
                count(number(Severity::Warning), "warning")
            );
        }
        out
    }

    /// Whether there is an error among the findings.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Error)
    }

    fn one(&self, out: &mut String, f: &Finding, lines: &[&str], colour: bool) {
        let paint = |code: &'static str| if colour { (code, PLAIN) } else { ("", "") };
        let (kind, (on, off)) = match f.severity {
            Severity::Error => ("error", paint(RED)),
            Severity::Warning => ("warning", paint(YELLOW)),
            Severity::Note => ("note", paint(BLUE)),
        };
        let _ = writeln!(
            out,
            "{on}{kind}[{}]{off}: {}",
            f.rule,
            printable(&f.message)
        );
        let number = f.line.to_string();
        let pad = " ".repeat(number.len());
        let _ = writeln!(out, "{pad}--> {}:{}:{}", self.file_of(f), f.line, f.column);
        let line = lines
            .get(f.line.saturating_sub(1))
            .filter(|l| f.file.is_none() && !l.trim().is_empty());
        if let Some(line) = line {
            let shown = printable(line);
            let before: String = shown
                .chars()
                .take(f.column.saturating_sub(1))
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            let caret = "^".repeat(width(line, f.column));
            let _ = writeln!(
                out,
                "{pad} |\n{number} | {shown}\n{pad} | {before}{on}{caret}{off}"
            );
        }
        if let Some(fix) = &f.fix {
            let _ = writeln!(out, "{pad} = {}", printable(fix));
        }
        out.push('\n');
    }

    /// The manifest's name, or that of the file beside it.
    fn file_of(&self, f: &Finding) -> String {
        match (&f.file, self.file.rsplit_once('/')) {
            (None, _) => self.file.clone(),
            (Some(beside), Some((folder, _))) => format!("{folder}/{beside}"),
            (Some(beside), None) => beside.clone(),
        }
    }
}

/// Control characters of a stranger's file are not sent to the terminal; tabs keep their width under the caret.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\t' { ' ' } else { c })
        .collect()
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// How far the caret reaches: to the end of a quoted text or of the word.
fn width(line: &str, column: usize) -> usize {
    let rest: Vec<char> = line.chars().skip(column.saturating_sub(1)).collect();
    let length = match rest.first() {
        Some(q @ ('"' | '\'')) => rest
            .iter()
            .skip(1)
            .position(|c| c == q)
            .map_or(1, |p| p + 2),
        Some(_) => rest
            .iter()
            .position(|c| c.is_whitespace() || matches!(c, ':' | ',' | '}' | ']'))
            .unwrap_or(rest.len()),
        None => 1,
    };
    length.max(1)
}
