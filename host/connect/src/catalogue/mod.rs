//! The apps this host knows: read once at start, then only looked at.
//!
//! A manifest that does not hold stops the start with all its findings; nothing of it is run in hope. Components are
//! loaded when the engine is put together, so that nothing is compiled inside a request.

mod component;
mod describe;

pub(crate) use describe::{is_three_legged, logo_url};

use std::collections::BTreeMap;
use std::sync::Arc;

use keyport_manifest::{AuthMethod, Manifest, Oauth2, Severity};

use component::Component;

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
    apps: BTreeMap<String, Arc<AppEntry>>,
}

/// One app, ready to be used.
pub(crate) struct AppEntry {
    pub(crate) manifest: Manifest,
    /// What a component gets to see of the manifest, by way to sign in: each may have a test of its own.
    guest_views: BTreeMap<String, Arc<str>>,
    pub(crate) logo: Option<bytes::Bytes>,
    component: Arc<[u8]>,
    /// Set when the engine is put together.
    loaded: std::sync::OnceLock<Component>,
}

impl AppEntry {
    pub(crate) fn id(&self) -> &str {
        self.manifest.id.as_str()
    }

    pub(crate) fn method(&self, id: &str) -> Result<&AuthMethod, ConnectError> {
        self.manifest.auth.get(id).ok_or_else(|| {
            let known: Vec<&str> = self.manifest.auth.keys().map(String::as_str).collect();
            ConnectError::invalid(
                "method",
                format!(
                    "{} has no such way to sign in; it has {}",
                    self.manifest.name,
                    known.join(", ")
                ),
            )
        })
    }

    pub(crate) fn oauth(&self, id: &str) -> Result<&Oauth2, ConnectError> {
        match self.method(id)? {
            AuthMethod::Oauth2(oauth) => Ok(oauth),
            _ => Err(ConnectError::invalid(
                "method",
                "this way to sign in takes a form, not the app's own page",
            )),
        }
    }

    /// What a component gets to see of the manifest, in a call of a connection that signed in by `method`.
    pub(crate) fn guest_view(&self, method: &str) -> Arc<str> {
        self.guest_views
            .get(method)
            .cloned()
            .unwrap_or_else(|| "{}".into())
    }

    pub(crate) fn component(&self) -> Result<&Component, ConnectError> {
        self.loaded.get().ok_or_else(|| {
            ConnectError::internal(
                "not_loaded",
                format!("the component of {} was not loaded", self.manifest.name),
            )
        })
    }
}

impl Catalogue {
    /// Reads every source. Every finding of every manifest is told, not only the first.
    ///
    /// # Errors
    ///
    /// The findings of all manifests that do not hold, and apps that are there twice.
    pub fn load(sources: Vec<AppSource>) -> Result<Catalogue, CatalogueError> {
        let mut apps = BTreeMap::new();
        let mut problems = Vec::new();
        let texts: Vec<String> = sources.iter().map(|it| it.manifest_yaml.clone()).collect();
        let bases = |id: &keyport_manifest::AppId| {
            keyport_manifest::base_among(id, texts.iter().map(String::as_str))
        };
        for source in sources {
            match keyport_manifest::parse_with(&source.origin, &source.manifest_yaml, &bases) {
                Ok(manifest) => {
                    let id = manifest.id.to_string();
                    let entry = AppEntry {
                        guest_views: guest_views(&manifest),
                        manifest,
                        logo: source.logo_svg,
                        component: source.component,
                        loaded: std::sync::OnceLock::new(),
                    };
                    if apps.insert(id.clone(), Arc::new(entry)).is_some() {
                        problems.push(format!(
                            "{}: there is another app with the id {id}",
                            source.origin
                        ));
                    }
                }
                Err(findings) => problems.extend(
                    findings
                        .iter()
                        .filter(|finding| finding.severity == Severity::Error)
                        .map(|f| {
                            format!("{}:{}:{}: {}", source.origin, f.line, f.column, f.message)
                        }),
                ),
            }
        }
        if problems.is_empty() {
            Ok(Catalogue { apps })
        } else {
            Err(CatalogueError { problems })
        }
    }

    /// How many apps there are.
    pub fn len(&self) -> usize {
        self.apps.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }

    pub(crate) fn get(&self, app: &str) -> Result<&Arc<AppEntry>, ConnectError> {
        self.apps.get(app).ok_or(ConnectError::not_found("app"))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<AppEntry>> {
        self.apps.values()
    }

    /// Loads every component: compiled, linked and instantiated once.
    pub(crate) async fn load_components(
        &self,
        plugins: &keyport_plugin::PluginHost,
    ) -> Result<(), ConnectError> {
        for entry in self.apps.values() {
            if entry.loaded.get().is_some() {
                continue;
            }
            let loaded = plugins
                .load(entry.id(), &entry.component)
                .await
                .map_err(|error| {
                    ConnectError::misconfigured(
                        "bad_component",
                        format!("the component of {}: {error}", entry.id()),
                    )
                })?;
            // Two engines over one catalogue: the first one's is as good.
            let _ = entry.loaded.set(Component::Sandboxed(loaded));
        }
        Ok(())
    }

    /// Puts the manifest's rules, run natively, in the place of every component.
    #[cfg(test)]
    pub(crate) fn native(self) -> Self {
        for entry in self.apps.values() {
            let _ = entry.loaded.set(Component::Native);
        }
        self
    }
}

fn guest_views(manifest: &Manifest) -> BTreeMap<String, Arc<str>> {
    manifest
        .auth
        .keys()
        .map(|method| {
            (
                method.clone(),
                keyport_manifest::guest_view_for(manifest, method)
                    .to_string()
                    .into(),
            )
        })
        .collect()
}

/// Manifests that do not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct CatalogueError {
    /// One line each: where, and what to do.
    pub problems: Vec<String>,
}

impl From<CatalogueError> for ConnectError {
    fn from(error: CatalogueError) -> Self {
        ConnectError::misconfigured("bad_manifest", error.to_string())
    }
}
