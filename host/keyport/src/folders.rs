//! Where apps lie: one folder per app, or a folder of such folders.

use std::path::{Path, PathBuf};

/// The file that makes a folder an app.
pub const MANIFEST: &str = "manifest.yaml";

/// Why a folder of apps could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It can't be listed.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is nothing in it.
    #[error("{0} holds no app; an app is a folder with a manifest.yaml")]
    NoApp(PathBuf),
}

/// `folder` itself if it holds a manifest, else those of its folders that do, sorted by name.
///
/// # Errors
/// A folder that can't be listed or holds no app.
pub fn app_folders(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    if folder.join(MANIFEST).is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let unreadable = |source| FolderError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.join(MANIFEST).is_file() {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(FolderError::NoApp(folder.to_owned()));
    }
    Ok(found)
}
