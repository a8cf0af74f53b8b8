//! The apps of a host: those of the binary, those that were installed, and those in the operator's folders.
//!
//! | file | what it is for |
//! |---|---|
//! | `folder` | one app's folder: manifest, logo, component |
//! | `installed` | the apps that `keyport app install` put beside the store, each with the digests that were agreed to |
//! | `watch` | `dev`: a changed app is loaded again, the last good one stays where the new one does not hold |
//!
//! The threat: somebody else's folder. An installed app is what was shown when it was installed, or it is left out: a manifest
//! or a component whose digest is another is not run. An app that does not hold is told and left out, and takes no other down.

pub mod folder;
pub mod installed;
pub mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyport_connect::{AppSource, Catalogue, LeftOut};
use keyport_manifest::{AppId, Component, Manifest};

use crate::asks::{Code, fetches};
use crate::config::Config;
use crate::embedded;
use crate::folders::app_folders;
use crate::wiring::WiringError;
use installed::Installed;

/// Where an app is from, in lists.
pub const BUILT_IN: &str = "built in";

/// All apps that a host of this configuration has. Whatever does not hold is left out, and remembered.
///
/// # Errors
/// A folder of the configuration that cannot be listed or holds no app: that is a mistake of the operator's.
pub fn catalogue(config: &Config) -> Result<Catalogue, WiringError> {
    let mut sources = Vec::new();
    let mut left_out = Vec::new();
    for app in embedded::apps() {
        sources.push(built_in(app)?);
    }
    let (installed, bad) = Installed::of(&config.data).sources();
    sources.extend(installed);
    left_out.extend(bad);
    for app in folders(&config.apps)? {
        match folder::source(&app) {
            Ok(source) => sources.push(source),
            Err(error) => left_out.push(LeftOut {
                origin: app.display().to_string(),
                problems: vec![error.to_string()],
            }),
        }
    }
    let catalogue = Catalogue::load_what_holds(sources);
    left_out
        .into_iter()
        .for_each(|app| catalogue.leave_out(app));
    Ok(catalogue)
}

/// Tells what was left out: each problem is a line of its own.
pub fn report(catalogue: &Catalogue) {
    for app in catalogue.left_out() {
        for problem in &app.problems {
            tracing::error!(app = app.origin, "an app is left out: {problem}");
        }
    }
}

/// The app folders in these folders.
pub fn folders(folders: &[PathBuf]) -> Result<Vec<PathBuf>, WiringError> {
    let mut found = Vec::new();
    for folder in folders {
        found.extend(app_folders(folder)?);
    }
    Ok(found)
}

/// An app as commands that only look at it see it.
pub struct Known {
    /// Its manifest.
    pub manifest: Manifest,
    /// Where it is from: [`BUILT_IN`], `installed`, or a folder.
    pub from: String,
    /// Of its own component; none where `rest` or one of this binary's serves it.
    pub code: Option<Code>,
}

/// The manifests of all apps that hold, and what is to be said of those that do not.
pub fn known(data: &Path, further: &[PathBuf]) -> Result<(Vec<Known>, Vec<LeftOut>), WiringError> {
    let mut known = Vec::new();
    let mut left_out = Vec::new();
    for app in embedded::apps() {
        let source = built_in(app)?;
        match folder::manifest(&source, None) {
            Ok(manifest) => known.push(Known {
                manifest,
                from: BUILT_IN.to_owned(),
                code: None,
            }),
            Err(error) => left_out.push(error),
        }
    }
    let mut add = |source: AppSource, folder: &Path, from: String| match folder::manifest(
        &source,
        Some(folder),
    ) {
        Ok(manifest) => known.push(Known {
            code: code(&manifest, &source.component),
            manifest,
            from,
        }),
        Err(error) => left_out.push(error),
    };
    let installed = Installed::of(data);
    let (sources, mut bad) = installed.sources();
    for source in sources {
        let folder = Path::new(&source.origin).parent().map(Path::to_owned);
        add(source, &folder.unwrap_or_default(), "installed".to_owned());
    }
    for app in folders(further)? {
        match folder::source(&app) {
            Ok(source) => add(source, &app, app.display().to_string()),
            Err(error) => bad.push(LeftOut {
                origin: app.display().to_string(),
                problems: vec![error.to_string()],
            }),
        }
    }
    left_out.extend(bad);
    Ok((known, left_out))
}

/// What the component of an app says of itself, if it has one of its own.
pub fn code(manifest: &Manifest, component: &[u8]) -> Option<Code> {
    matches!(manifest.component, Component::Path(_)).then(|| Code {
        sha256: Some(folder::sha256(component)),
        fetches: fetches(component),
    })
}

fn built_in(app: &embedded::EmbeddedApp) -> Result<AppSource, WiringError> {
    Ok(AppSource {
        origin: format!("{} (built in)", app.id),
        manifest_yaml: app.manifest.to_owned(),
        logo_svg: app
            .logo
            .map(|logo| bytes::Bytes::from_static(logo.as_bytes())),
        component: embedded_component(app.component, app.id)?,
    })
}

/// A component of this binary.
fn embedded_component(name: &str, app: &str) -> Result<Arc<[u8]>, WiringError> {
    embedded::component(name).map(Arc::from).ok_or_else(|| {
        WiringError::Apps(format!("{app}: this binary has no component called `{name}`; name a file, such as component.wasm"))
    })
}

/// The manifest of an app that others may extend: from a folder beside `folder`, or this binary's.
pub fn base(folder: Option<&Path>, id: &AppId) -> Option<String> {
    // An id is letters, digits and hyphens: it cannot lead elsewhere.
    let beside = folder.map(|f| {
        f.join("..")
            .join(id.as_str())
            .join(crate::folders::MANIFEST)
    });
    beside
        .and_then(|file| std::fs::read_to_string(file).ok())
        .or_else(|| {
            let mut apps = embedded::apps().iter();
            apps.find(|app| app.id == id.as_str())
                .map(|app| app.manifest.to_owned())
        })
}
