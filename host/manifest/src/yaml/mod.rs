//! Reading a manifest from YAML.

mod finding;

pub use finding::{Finding, FolderFacts, Report, Severity};

use crate::model::Manifest;

/// Reads a manifest.
///
/// # Errors
/// Every finding that is an error.
pub fn parse(file: &str, yaml: &str) -> Result<Manifest, Vec<Finding>> {
    let report = check(file, yaml, None);
    match report.manifest {
        Some(manifest) if !report.findings.iter().any(|f| f.severity == Severity::Error) => Ok(manifest),
        _ => Err(report.findings),
    }
}

/// Reads and checks a manifest.
#[must_use]
pub fn check(file: &str, yaml: &str, _folder: Option<&FolderFacts>) -> Report {
    let tree = serde_yaml::from_str::<serde_json::Value>(yaml).map_err(|e| {
        let (line, column) = e.location().map_or((1, 1), |l| (l.line(), l.column()));
        Finding { rule: "V01", severity: Severity::Error, message: e.to_string(), path: String::new(), line, column, fix: None }
    });
    let manifest = tree.and_then(|tree| {
        serde_json::from_value::<Manifest>(tree).map_err(|e| Finding {
            rule: "V02",
            severity: Severity::Error,
            message: e.to_string(),
            path: String::new(),
            line: 1,
            column: 1,
            fix: None,
        })
    });
    let (manifest, findings) = match manifest {
        Ok(manifest) => (Some(manifest), Vec::new()),
        Err(finding) => (None, vec![finding]),
    };
    Report { file: file.to_owned(), manifest, findings }
}
