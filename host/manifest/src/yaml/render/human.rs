//! Findings for a person at a terminal: rule, message, the line with a caret, and what to write instead.

use std::fmt::Write as _;

use super::{Told, Totals, counted, line_of, width};
use crate::yaml::finding::{Finding, Report, Severity};

const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const BLUE: &str = "\u{1b}[1;34m";
const PLAIN: &str = "\u{1b}[0m";

impl Report {
    /// All findings as text, with the lines of `source` (the manifest) that they are about, and a closing count. Empty if
    /// there are none. `colour` adds terminal colours.
    #[must_use]
    pub fn render(&self, source: &str, colour: bool) -> String {
        let told = Told {
            report: self,
            source,
        };
        let mut out = String::new();
        one(&mut out, &told, colour);
        out
    }
}

/// All reports, and what they come to.
pub(super) fn all(reports: &[Told<'_>], colour: bool) -> String {
    let mut out = String::new();
    for told in reports {
        one(&mut out, told, colour);
    }
    let _ = writeln!(out, "{}", Totals::of(reports).line());
    out
}

fn one(out: &mut String, told: &Told<'_>, colour: bool) {
    let report = told.report;
    for finding in &report.findings {
        frame(out, told, finding, colour);
    }
    if !report.findings.is_empty() {
        let _ = writeln!(
            out,
            "{}: {}, {}",
            printable(&report.file),
            counted(report.count(Severity::Error), "error"),
            counted(report.count(Severity::Warning), "warning")
        );
    }
}

fn frame(out: &mut String, told: &Told<'_>, f: &Finding, colour: bool) {
    let paint = |code: &'static str| if colour { (code, PLAIN) } else { ("", "") };
    let (on, off) = match f.severity {
        Severity::Error => paint(RED),
        Severity::Warning => paint(YELLOW),
        Severity::Note => paint(BLUE),
    };
    let kind = f.severity.as_str();
    let _ = writeln!(
        out,
        "{on}{kind}[{}]{off}: {}",
        f.rule,
        printable(&f.message)
    );
    let number = f.line.to_string();
    let pad = " ".repeat(number.len());
    let file = printable(&told.report.file_of(f));
    let _ = writeln!(out, "{pad}--> {file}:{}:{}", f.line, f.column);
    if let Some(line) = line_of(told, f).filter(|l| !l.trim().is_empty()) {
        let (line, column) = window(line, f.column);
        let shown = printable(&line);
        // Tabs and wide characters keep their width, so that the caret stands below what it means.
        let before: String = shown
            .chars()
            .take(column.saturating_sub(1))
            .map(blank)
            .collect();
        let under: String = shown
            .chars()
            .skip(column.saturating_sub(1))
            .take(width(&line, column))
            .map(|c| if is_wide(c) { "^^" } else { "^" })
            .collect();
        let caret = if under.is_empty() { "^" } else { &under };
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

/// Most characters of a line that are shown; of a longer one, what is around the place.
const SHOWN: usize = 240;
/// How many of them stand before the place.
const BEFORE: usize = 80;

/// The part of a line around a column, and the column in it. A file may be one line of a megabyte, with a hundred findings.
fn window(line: &str, column: usize) -> (String, usize) {
    if line.len() <= SHOWN {
        return (line.to_owned(), column);
    }
    let start = match column {
        column if column <= SHOWN => 0,
        column => column - BEFORE,
    };
    let mut rest = line.chars().skip(start);
    let mut shown: String = rest.by_ref().take(SHOWN + BEFORE).collect();
    if rest.next().is_some() {
        shown.push('…');
    }
    match start {
        0 => (shown, column),
        start => (format!("…{shown}"), column - start + 1),
    }
}

/// What is as wide as a character, but blank.
fn blank(c: char) -> &'static str {
    match c {
        '\t' => "\t",
        c if is_wide(c) => "  ",
        _ => " ",
    }
}

/// Whether a terminal gives a character two columns: the blocks that all terminals agree on.
fn is_wide(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd)
}

/// Control characters of a stranger's file are not sent to the terminal, nor are those that turn the direction of text and
/// make it read as what it is not; tabs keep their width under the caret.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => c,
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}
