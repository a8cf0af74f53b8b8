//! Manifests as an author names them: files, an app's folder, a folder of apps, standard input.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use keyport_manifest::yaml::check_with;
use keyport_manifest::{FolderFacts, Report};

use super::Failure;
use super::bases::Bases;
use crate::folders::{MANIFEST, app_folders};

/// A manifest is read up to here; the check itself then says that it is too large.
const READ_MAX_BYTES: u64 = 16 << 20;

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// The text of one manifest and where it came from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file; `None` for standard input.
    pub path: Option<PathBuf>,
    /// Its name in messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Every manifest at or below each of `paths`, in that order.
    ///
    /// # Errors
    /// What can't be read, and folders without an app.
    pub fn all(paths: &[PathBuf]) -> Result<Vec<Self>, Failure> {
        let mut all = Vec::new();
        for path in paths {
            if path == Path::new(STANDARD_INPUT) {
                all.push(Self::standard_input()?);
            } else if path.is_dir() {
                for app in app_folders(path)? {
                    all.push(Self::file(&app.join(MANIFEST))?);
                }
            } else {
                all.push(Self::file(path)?);
            }
        }
        Ok(all)
    }

    /// The one manifest that `path` is, or is the folder of.
    ///
    /// # Errors
    /// What can't be read.
    pub fn one(path: &Path) -> Result<Self, Failure> {
        if path == Path::new(STANDARD_INPUT) {
            Self::standard_input()
        } else if path.is_dir() {
            Self::file(&path.join(MANIFEST))
        } else {
            Self::file(path)
        }
    }

    fn standard_input() -> Result<Self, Failure> {
        let name = "standard input".to_owned();
        let text = read(std::io::stdin().lock(), Path::new("standard input"))?;
        Ok(Self {
            path: None,
            name,
            text,
        })
    }

    fn file(path: &Path) -> Result<Self, Failure> {
        let file = std::fs::File::open(path).map_err(|source| Failure::File {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            text: read(file, path)?,
            name: path.display().to_string(),
            path: Some(path.to_owned()),
        })
    }

    /// The app's folder, if this is a manifest in one.
    pub fn folder(&self) -> Option<&Path> {
        let path = self.path.as_deref()?;
        if path.file_name()? != MANIFEST {
            return None;
        }
        Some(match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        })
    }

    /// What lies beside the manifest.
    pub fn facts(&self) -> Option<FolderFacts> {
        self.folder().map(FolderFacts::read)
    }

    /// Everything that is wrong with it.
    pub fn check(&self, bases: &Bases) -> Report {
        check_with(&self.name, &self.text, self.facts().as_ref(), &|id| {
            bases.text(self, id)
        })
    }
}

fn read(from: impl std::io::Read, path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    from.take(READ_MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|source| Failure::File {
            path: path.to_owned(),
            source,
        })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::Said(format!(
            "{} is not UTF-8 (at byte {at}); save it as UTF-8",
            path.display()
        ))
    })
}
