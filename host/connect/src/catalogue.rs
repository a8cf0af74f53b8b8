//! The apps this host knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyport_manifest::Manifest;

use crate::error::ConnectError;

/// One app as it comes in: an installed folder or an embedded one.
#[derive(Clone)]
pub struct AppSource {
    /// Where the manifest is from, for messages.
    pub origin: String,
    /// `manifest.yaml`.
    pub manifest_yaml: String,
    /// `logo.svg`.
    pub logo_svg: Option<bytes::Bytes>,
    /// The component that serves it: the app's own, or `rest`.
    pub component: Arc<[u8]>,
}

/// The apps, by id.
#[derive(Clone, Default)]
pub struct Catalogue {
    pub(crate) apps: BTreeMap<String, Arc<AppEntry>>,
}

pub(crate) struct AppEntry {
    pub(crate) manifest: Manifest,
    pub(crate) logo: Option<bytes::Bytes>,
    pub(crate) component: Arc<[u8]>,
}

impl Catalogue {
    /// Reads every source. Every manifest with an error is told, not only the first.
    ///
    /// # Errors
    ///
    /// The findings of all manifests that do not hold, and apps that are there twice.
    pub fn load(sources: Vec<AppSource>) -> Result<Catalogue, CatalogueError> {
        let mut apps = BTreeMap::new();
        let mut problems = Vec::new();
        for source in sources {
            match keyport_manifest::parse(&source.origin, &source.manifest_yaml) {
                Ok(manifest) => {
                    let id = manifest.id.to_string();
                    let entry = AppEntry { manifest, logo: source.logo_svg, component: source.component };
                    if apps.insert(id.clone(), Arc::new(entry)).is_some() {
                        problems.push(format!("{}: there is another app with the id {id}", source.origin));
                    }
                }
                Err(findings) => problems.extend(findings.iter().map(|finding| format!("{}: {}", source.origin, finding.message))),
            }
        }
        if problems.is_empty() { Ok(Catalogue { apps }) } else { Err(CatalogueError { problems }) }
    }

    /// How many apps there are.
    pub fn len(&self) -> usize {
        self.apps.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }
}

/// Manifests that do not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct CatalogueError {
    /// One line each.
    pub problems: Vec<String>,
}

impl From<CatalogueError> for ConnectError {
    fn from(error: CatalogueError) -> Self {
        ConnectError::misconfigured("bad_manifest", error.to_string())
    }
}
