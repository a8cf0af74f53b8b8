//! Findings as workflow commands of GitHub Actions: `::error file=…,line=…,col=…,title=…::message`.
//!
//! A command is one line; what a stranger wrote is escaped as the runner's own toolkit escapes it, so that it can neither
//! end the command nor begin another.

use std::fmt::Write as _;

use super::{Told, Totals, line_of, width};
use crate::yaml::book::rule;
use crate::yaml::finding::Severity;

/// One line per finding, and a closing line for the log.
pub(super) fn all(reports: &[Told<'_>]) -> String {
    let mut out = String::new();
    for told in reports {
        for f in &told.report.findings {
            let command = match f.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "notice",
            };
            let title = rule(f.rule).map_or(String::new(), |r| format!(": {}", r.title));
            let end = f.column + line_of(told, f).map_or(1, |line| width(line, f.column));
            let fix = f
                .fix
                .as_ref()
                .map_or(String::new(), |fix| format!("\n{fix}"));
            let _ = writeln!(
                out,
                "::{command} file={},line={},col={},endColumn={end},title={}::{}",
                property(&told.report.file_of(f)),
                f.line,
                f.column,
                property(&format!("{}{title}", f.rule)),
                data(&format!("{}{fix}", f.message)),
            );
        }
    }
    let _ = writeln!(out, "{}", Totals::of(reports).line());
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
