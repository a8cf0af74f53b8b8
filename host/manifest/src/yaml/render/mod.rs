//! Reports as text: for a person, for a program, for code scanning, for a pull request.
//!
//! Pure functions from reports to text; who prints them, and whether the terminal has colours, is the caller's matter. What
//! a stranger wrote is escaped for where it lands: control characters never reach a terminal, and a message cannot end a
//! workflow command or a JSON string.

mod github;
mod human;
mod json;
mod sarif;
mod summary;

use std::str::FromStr;

use super::finding::{Report, Severity};
pub use summary::summary;

/// How findings are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For a person at a terminal.
    #[default]
    Human,
    /// One JSON document; its shape is documented in `rules/README.md`.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Workflow commands of GitHub Actions, which become annotations of a pull request.
    Github,
}

impl Format {
    /// The names that `--format` takes.
    pub const NAMES: &[&str] = &["human", "json", "sarif", "github"];
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            "sarif" => Ok(Self::Sarif),
            "github" => Ok(Self::Github),
            _ => Err(format!(
                "there is no format `{name}`; it is one of: {}",
                Self::NAMES.join(", ")
            )),
        }
    }
}

/// A report and the text that it is about.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// What was found.
    pub report: &'a Report,
    /// The manifest's text.
    pub source: &'a str,
}

/// All reports as one text. `colour` only matters to people.
#[must_use]
pub fn render(format: Format, reports: &[Told<'_>], colour: bool) -> String {
    match format {
        Format::Human => human::all(reports, colour),
        Format::Json => json::all(reports),
        Format::Sarif => sarif::all(reports),
        Format::Github => github::all(reports),
    }
}

/// What all reports come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Manifests that were checked.
    pub manifests: usize,
    /// Errors in all of them.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
    /// Findings that a comment allows.
    pub suppressed: usize,
}

impl Totals {
    /// Counts.
    #[must_use]
    pub fn of(reports: &[Told<'_>]) -> Self {
        reports.iter().fold(Self::default(), |t, told| Self {
            manifests: t.manifests + 1,
            errors: t.errors + told.report.count(Severity::Error),
            warnings: t.warnings + told.report.count(Severity::Warning),
            notes: t.notes + told.report.count(Severity::Note),
            suppressed: t.suppressed + told.report.suppressed.len(),
        })
    }

    /// Whether the call has failed; with `strict`, warnings count as errors.
    #[must_use]
    pub fn failed(&self, strict: bool) -> bool {
        self.errors > 0 || (strict && self.warnings > 0)
    }

    /// One line: `3 manifests checked: 1 error, 2 warnings`.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!(
            "{} checked: {}, {}",
            counted(self.manifests, "manifest"),
            counted(self.errors, "error"),
            counted(self.warnings, "warning")
        );
        if self.notes > 0 {
            line += &format!(", {}", counted(self.notes, "note"));
        }
        if self.suppressed > 0 {
            line += &format!(", {} allowed by a comment", self.suppressed);
        }
        line
    }
}

pub(super) fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Most characters that a finding is said to be about: a file of one line is told of a hundred times over.
const MAX_WIDTH: usize = 1_000;

/// How many characters a finding is about: to the end of a quoted text, or of the word.
fn width(line: &str, column: usize) -> usize {
    let rest: Vec<char> = line
        .chars()
        .skip(column.saturating_sub(1))
        .take(MAX_WIDTH)
        .collect();
    let length = match rest.first() {
        Some(quote @ ('"' | '\'')) => rest
            .iter()
            .skip(1)
            .position(|c| c == quote)
            .map_or(rest.len(), |p| p + 2),
        Some('#') => rest.len(),
        // A template is one thing, blanks included.
        Some(_) if rest.starts_with(&['{', '{']) => rest
            .windows(2)
            .position(|w| w == ['}', '}'])
            .map_or(rest.len(), |p| p + 2),
        Some(_) => rest
            .iter()
            .enumerate()
            .position(|(i, c)| {
                let ends = rest.get(i + 1).is_none_or(|next| next.is_whitespace());
                c.is_whitespace() || matches!(c, ',' | '}' | ']') || (*c == ':' && ends)
            })
            .unwrap_or(rest.len()),
        None => 1,
    };
    length.max(1)
}

/// The line of a source that a finding is about; `None` if it is about another file, or if the line holds a secret (V19):
/// reports end up in logs.
fn line_of<'a>(told: &Told<'a>, finding: &super::Finding) -> Option<&'a str> {
    if finding.file.is_some() || finding.rule == "V19" {
        return None;
    }
    told.source.lines().nth(finding.line.saturating_sub(1))
}
