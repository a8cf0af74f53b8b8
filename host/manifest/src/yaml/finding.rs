//! What a check has to say: rule, place, message, fix.

use serde::Serialize;

use crate::model::Manifest;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The manifest is not accepted.
    Error,
    /// It is accepted, but should be bettered.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable id of the rule: `V03`.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, lower case, no full stop.
    pub message: String,
    /// Where in the document: `auth.oauth.scopes`.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What to write instead.
    pub fix: Option<String>,
}

/// What is known of the app's folder beside `manifest.yaml`.
#[derive(Debug, Clone, Default)]
pub struct FolderFacts {
    /// Name of the folder.
    pub name: String,
    /// The text of `logo.svg`, if there is one.
    pub logo: Option<String>,
    /// Names and texts of `fixtures/*.yaml`.
    pub fixtures: Vec<(String, String)>,
}

/// Everything that a check found, and the manifest if it could be read.
#[derive(Debug)]
pub struct Report {
    /// Name of the file, for messages.
    pub file: String,
    /// The manifest, if it fits the model.
    pub manifest: Option<Manifest>,
    /// All findings, in the order of the file.
    pub findings: Vec<Finding>,
}
