//! What layers beyond the manifest's own text have to say (an older version, the component, the network), brought to its
//! place in the text and into the report.

use super::finding::{Finding, Report, Severity};
use super::{book, places};

/// Something to say about a part of a manifest, before its line is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Stable id of the rule: `V82`.
    pub rule: &'static str,
    /// How bad it is; never worse than the book says of the rule.
    pub severity: Severity,
    /// Where in the manifest: `auth.oauth.scopes`. If there is nothing, the nearest thing around it is meant.
    pub path: String,
    /// What is wrong, lower case, no full stop.
    pub message: String,
    /// What the author can do.
    pub fix: Option<String>,
}

impl Remark {
    /// A remark without a fix.
    pub fn new(
        rule: &'static str,
        severity: Severity,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            severity: book::weigh(rule, severity),
            path: path.into(),
            message: message.into(),
            fix: None,
        }
    }

    /// An error.
    pub fn error(rule: &'static str, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(rule, Severity::Error, path, message)
    }

    /// A warning.
    pub fn warning(
        rule: &'static str,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(rule, Severity::Warning, path, message)
    }

    /// A note.
    pub fn note(rule: &'static str, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(rule, Severity::Note, path, message)
    }

    /// With what the author can do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl Report {
    /// Adds remarks, each at the line of `source` (this report's manifest) that it is about. What comments there allow goes
    /// among the suppressed.
    pub fn remark(&mut self, source: &str, remarks: Vec<Remark>) {
        let places = places::scan(source).unwrap_or_default();
        let findings = remarks
            .into_iter()
            .map(|remark| {
                let at = places.key(&remark.path);
                Finding {
                    rule: remark.rule,
                    file: None,
                    severity: remark.severity,
                    message: remark.message,
                    path: remark.path,
                    line: at.line,
                    column: at.column,
                    fix: remark.fix,
                    edit: None,
                }
            })
            .collect();
        self.take(source, findings);
    }
}
