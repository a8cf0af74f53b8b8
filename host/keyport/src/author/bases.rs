//! The manifests that another may build on (`extends`): those beside it, those of further folders, those in this binary.

use std::path::PathBuf;

use keyport_manifest::AppId;

use super::source::Source;
use crate::embedded;
use crate::folders::MANIFEST;

/// A base larger than this is none.
const MAX_BYTES: u64 = 2 << 20;

/// Where bases are looked for, beside the folder around the manifest itself.
#[derive(Debug, Clone, Default)]
pub struct Bases {
    /// Folders of apps (`--apps`).
    pub folders: Vec<PathBuf>,
}

impl Bases {
    /// The text of the manifest of an app that `source` builds on: the nearest one.
    pub fn text(&self, source: &Source, id: &AppId) -> Option<String> {
        let beside = source.folder().map(|folder| folder.join(".."));
        let folders = beside.into_iter().chain(self.folders.iter().cloned());
        for folder in folders {
            // An id is letters, digits and hyphens: it cannot lead out of the folder.
            let file = folder.join(id.as_str()).join(MANIFEST);
            let small = std::fs::metadata(&file).is_ok_and(|meta| meta.len() <= MAX_BYTES);
            if small && let Ok(text) = std::fs::read_to_string(file) {
                return Some(text);
            }
        }
        embedded::apps()
            .iter()
            .find(|app| app.id == id.as_str())
            .map(|app| app.manifest.to_owned())
    }
}
