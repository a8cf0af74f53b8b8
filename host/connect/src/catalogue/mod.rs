//! The apps this host knows: read at start, and one by one again where an author works on them.
//!
//! A manifest that does not hold, and a component that does not load, leave their app out, with all that is to be said of
//! it; nothing of it is run in hope, and no app takes another one down. Components are loaded when the engine is put
//! together or an app is put in the place of another, so that nothing is compiled inside a request. What is in use when an
//! app is exchanged goes on with the one that it began with.

mod component;
mod describe;

pub(crate) use describe::{is_three_legged, logo_url};

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::StreamExt as _;
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

/// The apps, by id. Clones are the same catalogue.
#[derive(Clone, Default)]
pub struct Catalogue {
    apps: Arc<RwLock<BTreeMap<String, Arc<AppEntry>>>>,
    left_out: Arc<RwLock<Vec<LeftOut>>>,
}

/// An app that this host does not have, although it is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct LeftOut {
    /// Where it is from.
    pub origin: String,
    /// One line each: where, and what to do.
    pub problems: Vec<String>,
}

/// An app whose manifest holds, before its component is loaded.
pub struct ReadApp {
    origin: String,
    entry: AppEntry,
}

impl ReadApp {
    /// Reads one source; `bases` finds the manifest of an app that this one extends.
    ///
    /// # Errors
    ///
    /// Every error of the manifest.
    pub fn read(source: AppSource, bases: &keyport_manifest::Bases<'_>) -> Result<Self, LeftOut> {
        match keyport_manifest::parse_with(&source.origin, &source.manifest_yaml, bases) {
            Ok(manifest) => Ok(Self {
                entry: AppEntry {
                    guest_views: guest_views(&manifest),
                    manifest,
                    logo: source.logo_svg,
                    component: source.component,
                    loaded: std::sync::OnceLock::new(),
                },
                origin: source.origin,
            }),
            Err(findings) => Err(LeftOut {
                problems: findings
                    .iter()
                    .filter(|finding| finding.severity == Severity::Error)
                    .map(|f| format!("{}:{}:{}: {}", source.origin, f.line, f.column, f.message))
                    .collect(),
                origin: source.origin,
            }),
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.entry.id()
    }
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

    /// The component as the sandbox has it.
    pub(crate) fn loaded_app(&self) -> Result<keyport_plugin::LoadedApp, ConnectError> {
        match self.component()? {
            Component::Sandboxed(app) => Ok(app.clone()),
            #[cfg(test)]
            Component::Native => Err(ConnectError::internal(
                "not_loaded",
                "there is no sandbox in these tests",
            )),
        }
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
        let catalogue = Self::load_what_holds(sources);
        let problems: Vec<String> = catalogue
            .left_out()
            .into_iter()
            .flat_map(|one| one.problems)
            .collect();
        if problems.is_empty() {
            Ok(catalogue)
        } else {
            Err(CatalogueError { problems })
        }
    }

    /// Reads every source and keeps those that hold; of two with the same id the first. See [`left_out`](Self::left_out).
    pub fn load_what_holds(sources: Vec<AppSource>) -> Catalogue {
        let catalogue = Catalogue::default();
        let texts: Vec<String> = sources.iter().map(|it| it.manifest_yaml.clone()).collect();
        let bases = |id: &keyport_manifest::AppId| {
            keyport_manifest::base_among(id, texts.iter().map(String::as_str))
        };
        for source in sources {
            match ReadApp::read(source, &bases) {
                Ok(app) if catalogue.get(app.id()).is_ok() => catalogue.leave_out(LeftOut {
                    problems: vec![format!(
                        "{}: there is another app with the id {}",
                        app.origin,
                        app.id()
                    )],
                    origin: app.origin,
                }),
                Ok(app) => catalogue.put(Arc::new(app.entry)),
                Err(left_out) => catalogue.leave_out(left_out),
            }
        }
        catalogue
    }

    /// The apps that are there and are not in here, each with everything that is to be said of it.
    pub fn left_out(&self) -> Vec<LeftOut> {
        self.left_out
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Remembers an app that could not even be read.
    pub fn leave_out(&self, app: LeftOut) {
        self.left_out
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(app);
    }

    /// How many apps there are.
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of all apps.
    pub fn ids(&self) -> Vec<String> {
        self.all().iter().map(|app| app.id().to_owned()).collect()
    }

    pub(crate) fn get(&self, app: &str) -> Result<Arc<AppEntry>, ConnectError> {
        self.apps
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(app)
            .cloned()
            .ok_or(ConnectError::not_found("app"))
    }

    /// The apps as they are now.
    pub(crate) fn all(&self) -> Vec<Arc<AppEntry>> {
        self.apps
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    fn put(&self, entry: Arc<AppEntry>) {
        self.apps
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(entry.id().to_owned(), entry);
    }

    /// Takes an app out. Its connections stay, and are told that there is no such app.
    pub fn withdraw(&self, app: &str) -> bool {
        self.apps
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(app)
            .is_some()
    }

    /// Puts an app in the place of the one with its id, or beside the others. Where its component does not load, the one
    /// that was there stays.
    ///
    /// # Errors
    ///
    /// What is wrong with the component.
    pub async fn replace(
        &self,
        app: ReadApp,
        plugins: &keyport_plugin::PluginHost,
    ) -> Result<(), LeftOut> {
        load(&app.entry, plugins).await.map_err(|why| LeftOut {
            problems: vec![format!("{}: {why}", app.origin)],
            origin: app.origin,
        })?;
        self.put(Arc::new(app.entry));
        Ok(())
    }

    /// Loads every component: compiled, linked and instantiated once. An app whose component does not load is left out.
    /// As many at a time as there are processors: reading and checking compiled code is what a start waits for.
    pub(crate) async fn load_components(&self, plugins: &keyport_plugin::PluginHost) {
        let at_a_time = std::thread::available_parallelism().map_or(1, usize::from);
        let entries = self.all().into_iter();
        let mut loads = futures_util::stream::iter(entries)
            .filter(|entry| std::future::ready(entry.loaded.get().is_none()))
            .map(async |entry| (load(&entry, plugins).await, entry))
            .buffered(at_a_time);
        while let Some((loaded, entry)) = loads.next().await {
            if let Err(why) = loaded {
                self.withdraw(entry.id());
                self.leave_out(LeftOut {
                    origin: entry.id().to_owned(),
                    problems: vec![why],
                });
            }
        }
    }

    /// Puts the manifest's rules, run natively, in the place of every component.
    #[cfg(test)]
    pub(crate) fn native(self) -> Self {
        for entry in self.all() {
            let _ = entry.loaded.set(Component::Native);
        }
        self
    }
}

async fn load(entry: &AppEntry, plugins: &keyport_plugin::PluginHost) -> Result<(), String> {
    let loaded = plugins
        .load(entry.id(), &entry.component)
        .await
        .map_err(|error| format!("the component of {}: {error}", entry.id()))?;
    let lacks = loaded.exports().lacks(&entry.manifest);
    if !lacks.is_empty() {
        return Err(format!(
            "the component of {}: {}",
            entry.id(),
            lacks.join("; ")
        ));
    }
    // Two engines over one catalogue: the first one's is as good.
    let _ = entry.loaded.set(Component::Sandboxed(loaded));
    Ok(())
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
