//! What a check has to say: rule, place, message, fix.

use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::{AppId, Manifest};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The manifest is not accepted.
    Error,
    /// It is accepted, but should be bettered.
    Warning,
    /// Nothing is wrong; worth knowing.
    Note,
}

impl Severity {
    /// Its name in every format: `error`, `warning`, `note`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable id of the rule: `V03`.
    pub rule: &'static str,
    /// The file beside the manifest that it is about (`logo.svg`, `fixtures/test.yaml`); `None` for the manifest itself.
    pub file: Option<String>,
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
    /// What to write instead, in words.
    pub fix: Option<String>,
    /// The same as a change to the text, where it is safe to make without asking. Checks leave it empty: it is worked out in
    /// one place, from the rule and the place.
    pub edit: Option<Edit>,
}

/// A replacement of a part of the file that a finding is about. An empty range inserts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// First byte that goes.
    pub start: usize,
    /// First byte after it that stays.
    pub end: usize,
    /// What stands there instead.
    pub text: String,
}

/// A finding that a comment in the file allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suppressed {
    /// What would have been said.
    pub finding: Finding,
    /// Why the author lets it stand.
    pub reason: String,
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
    /// The manifests that this one is built on, from the folders beside it.
    pub bases: Vec<(AppId, String)>,
}

impl FolderFacts {
    /// Longest file that is read, in bytes; what is longer is cut and then refused by its own check.
    const MAX_BYTES: u64 = 2 * 1024 * 1024;

    /// Reads what lies beside a manifest. What cannot be read counts as absent: the checks say what is missing.
    #[must_use]
    pub fn read(folder: &Path) -> Self {
        // `.` and `..` have no name of their own.
        let named = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let name = named
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let mut fixtures: Vec<(String, String)> = std::fs::read_dir(folder.join("fixtures"))
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "yaml"))
            .filter_map(|entry| {
                Some((
                    entry.file_name().to_string_lossy().into_owned(),
                    text(&entry.path())?,
                ))
            })
            .collect();
        fixtures.sort();
        Self {
            name,
            logo: text(&folder.join("logo.svg")),
            fixtures,
            bases: super::extends::beside(folder, text),
        }
    }
}

fn text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .ok()?
        .take(FolderFacts::MAX_BYTES)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
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
    /// What comments of the form `# allow V27: reason` keep out of `findings`.
    pub suppressed: Vec<Suppressed>,
}

impl Report {
    /// Whether there is an error among the findings.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many findings of a severity there are; suppressed ones do not count.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|f| f.severity == severity)
            .count()
    }

    /// The file that a finding is about: the manifest, or what lies beside it.
    #[must_use]
    pub fn file_of(&self, finding: &Finding) -> String {
        match (&finding.file, self.file.rsplit_once('/')) {
            (None, _) => self.file.clone(),
            (Some(beside), Some((folder, _))) => format!("{folder}/{beside}"),
            (Some(beside), None) => beside.clone(),
        }
    }
}

/// Most findings that are told of one file.
const MAX_TOLD: usize = 200;

/// Cuts a list that nobody would read to its end, and says so.
pub(super) fn cap(findings: &mut Vec<Finding>) {
    let more = findings.len().saturating_sub(MAX_TOLD);
    if more == 0 {
        return;
    }
    let severity = findings
        .iter()
        .skip(MAX_TOLD)
        .map(|f| f.severity)
        .min()
        .unwrap_or(Severity::Note);
    let last = findings
        .get(MAX_TOLD - 1)
        .map_or((1, 1), |f| (f.line, f.column));
    findings.truncate(MAX_TOLD);
    findings.push(Finding {
        rule: "V04",
        file: None,
        severity,
        message: format!("and {more} more"),
        path: String::new(),
        line: last.0,
        column: last.1,
        fix: Some("mend these first".to_owned()),
        edit: None,
    });
}
