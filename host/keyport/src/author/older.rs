//! The older version that a manifest is held against.

use std::path::{Path, PathBuf};

use keyport_manifest::{AppId, Manifest, Severity};

use super::Failure;
use super::bases::Bases;
use super::source::Source;

/// Older versions of one or more apps.
pub struct Older(Vec<Manifest>);

impl Older {
    /// Reads a manifest, an app's folder or a folder of apps.
    ///
    /// # Errors
    /// What can't be read as a manifest: nothing can be held against it.
    pub fn read(path: &Path, bases: &Bases) -> Result<Self, Failure> {
        let sources = Source::all(&[PathBuf::from(path)])?;
        let all: Result<Vec<_>, _> = sources.iter().map(|s| typed(s, bases)).collect();
        Ok(Self(all?))
    }

    /// The older version of an app; where there is only one on either side, that one.
    pub fn of(&self, id: &AppId, alone: bool) -> Option<&Manifest> {
        match self.0.as_slice() {
            [one] if alone => Some(one),
            all => all.iter().find(|manifest| manifest.id == *id),
        }
    }
}

/// The typed manifest of a source that may have findings, as long as it can be read.
///
/// # Errors
/// A sentence with the first thing that is wrong.
pub fn typed(source: &Source, bases: &Bases) -> Result<Manifest, Failure> {
    let report = source.check(bases);
    let first = report
        .findings
        .iter()
        .find(|f| f.severity == Severity::Error)
        .map(|f| format!(": {} (line {})", f.message, f.line))
        .unwrap_or_default();
    report.manifest.ok_or_else(|| {
        Failure::Said(format!(
            "{} can't be read as a manifest{first}; `keyport validate` shows everything that is wrong with it",
            source.name
        ))
    })
}
