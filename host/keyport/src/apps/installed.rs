//! The apps that were installed: a folder each beside the store, with a record of what the operator agreed to.
//!
//! The record holds the digests of the manifest and of the component. They are compared at each start, so a file that was
//! exchanged afterwards is not run, and somebody who installs a new version is told what is another.
//!
//! Left out: signatures of a publisher. The digest says that it is what was installed, not whose it is.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use keyport_connect::{AppSource, LeftOut};
use keyport_manifest::{AppId, Manifest};
use serde::{Deserialize, Serialize};

use super::folder;
use crate::folders::MANIFEST;
use crate::wiring::{WiringError, private_folder};

/// What is kept of an installation, in the app's folder.
const RECORD: &str = "installed.json";
/// Folders of a half-done installation begin so; no app's id does.
const HALF_DONE: &str = ".new-";

/// What was agreed to when an app was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The app.
    pub id: AppId,
    /// Its manifest's version.
    pub version: String,
    /// SHA-256 of `manifest.yaml`, hexadecimal.
    pub manifest_sha256: String,
    /// SHA-256 of the component, if it has one of its own.
    pub component_sha256: Option<String>,
    /// Where it was installed from.
    pub from: PathBuf,
    /// When, in seconds since 1970.
    pub installed_at: u64,
}

/// The folder of the installed apps of one host.
pub struct Installed(PathBuf);

impl Installed {
    /// The installed apps beside the store in `data`.
    pub fn of(data: &Path) -> Self {
        Self(data.join("apps"))
    }

    /// Where an app lies.
    pub fn folder(&self, id: &AppId) -> PathBuf {
        self.0.join(id.as_str())
    }

    /// The record of an app, if it is installed.
    pub fn record(&self, id: &AppId) -> Result<Option<Record>, WiringError> {
        let path = self.folder(id).join(RECORD);
        if !path.is_file() {
            return Ok(None);
        }
        let text = folder::text(&path)?;
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| WiringError::Apps(format!("{}: {error}", path.display())))
    }

    /// The folders of all installed apps, by id. None where nothing was installed yet.
    pub fn folders(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .collect();
        found.sort();
        found
    }

    /// The installed apps that are what was agreed to, and what is to be said of the others.
    pub fn sources(&self) -> (Vec<AppSource>, Vec<LeftOut>) {
        let mut good = Vec::new();
        let mut bad = Vec::new();
        for app in self.folders() {
            match self.source(&app) {
                Ok(source) => good.push(source),
                Err(error) => bad.push(LeftOut {
                    origin: app.display().to_string(),
                    problems: vec![error.to_string()],
                }),
            }
        }
        (good, bad)
    }

    /// One installed app, held against its record.
    pub fn source(&self, app: &Path) -> Result<AppSource, WiringError> {
        let said = |what: String| Err(WiringError::Apps(what));
        let name = app.file_name().unwrap_or_default().to_string_lossy();
        let record = match name.parse::<AppId>() {
            Ok(id) => self.record(&id)?.filter(|record| record.id == id),
            Err(_) => None,
        };
        let Some(record) = record else {
            return said(format!(
                "{} was not put there by `keyport app install`; install it, or remove the folder",
                app.display()
            ));
        };
        let source = folder::source(app)?;
        let again = |what: &str, now: &str, then: &str| {
            said(format!(
                "the {what} of {name} is not the one that was installed (sha256 {now}, not {then}); look at it and install it again"
            ))
        };
        let now = folder::sha256(source.manifest_yaml.as_bytes());
        if now != record.manifest_sha256 {
            return again("manifest", &now, &record.manifest_sha256);
        }
        if let Some(then) = &record.component_sha256 {
            let now = folder::sha256(&source.component);
            if now != *then {
                return again("component", &now, then);
            }
        }
        Ok(source)
    }

    /// Copies an app in, in the place of the one that is there. Whoever looks meanwhile sees the old one or the new one.
    pub fn install(
        &self,
        from: &Path,
        source: &AppSource,
        manifest: &Manifest,
    ) -> Result<Record, WiringError> {
        private_folder(&self.0)?;
        let new = self.0.join(format!("{HALF_DONE}{}", manifest.id));
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| WiringError::File { path, source }
        };
        if new.exists() {
            std::fs::remove_dir_all(&new).map_err(file(&new))?;
        }
        private_folder(&new)?;
        let write = |name: &str, bytes: &[u8]| {
            let path = new.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(file(parent))?;
            }
            std::fs::write(&path, bytes).map_err(file(&path))
        };
        write(MANIFEST, source.manifest_yaml.as_bytes())?;
        if let Some(logo) = &source.logo_svg {
            write(folder::LOGO, logo)?;
        }
        let own = manifest.component.file();
        if let Some(name) = own {
            write(name, &source.component)?;
        }
        for fixture in fixtures(from) {
            let name = fixture.file_name().unwrap_or_default().to_string_lossy();
            write(
                &format!("fixtures/{name}"),
                folder::text(&fixture)?.as_bytes(),
            )?;
        }
        let record = Record {
            id: manifest.id.clone(),
            version: manifest.version.to_string(),
            manifest_sha256: folder::sha256(source.manifest_yaml.as_bytes()),
            component_sha256: own.map(|_| folder::sha256(&source.component)),
            from: std::path::absolute(from).unwrap_or_else(|_| from.to_owned()),
            installed_at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        };
        let text = serde_json::to_string_pretty(&record)
            .map_err(|error| WiringError::Apps(error.to_string()))?;
        write(RECORD, text.as_bytes())?;
        let place = self.folder(&manifest.id);
        let old = self.0.join(format!(".old-{}", manifest.id));
        if old.exists() {
            std::fs::remove_dir_all(&old).map_err(file(&old))?;
        }
        if place.exists() {
            std::fs::rename(&place, &old).map_err(file(&place))?;
        }
        std::fs::rename(&new, &place).map_err(file(&place))?;
        if old.exists() {
            std::fs::remove_dir_all(&old).map_err(file(&old))?;
        }
        Ok(record)
    }

    /// Takes an app out; whether it was there.
    pub fn remove(&self, id: &AppId) -> Result<bool, WiringError> {
        let place = self.folder(id);
        if !place.is_dir() {
            return Ok(false);
        }
        // First out of sight as a whole, then away.
        let old = self.0.join(format!(".old-{id}"));
        let file = |source| WiringError::File {
            path: place.clone(),
            source,
        };
        if old.exists() {
            std::fs::remove_dir_all(&old).map_err(file)?;
        }
        std::fs::rename(&place, &old).map_err(file)?;
        std::fs::remove_dir_all(&old).map_err(file)?;
        Ok(true)
    }
}

fn fixtures(from: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(from.join("fixtures"))
        .into_iter()
        .flatten();
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    found.sort();
    found
}
