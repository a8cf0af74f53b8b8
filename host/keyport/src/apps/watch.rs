//! `dev`: an app that changed on the disk is loaded again, while everything runs.
//!
//! Folders are looked at twice a second: it takes no part of the system that some file systems lack, and there are few of them.
//! A change counts once it has been the same for one more look, so that a file that is being written is left alone. A new
//! version that does not hold leaves the last good one in place, and is told once, with all that is wrong with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use keyport_connect::{Catalogue, LeftOut, ReadApp};
use keyport_manifest::AppId;
use keyport_plugin::PluginHost;

use super::installed::Installed;
use super::{base, folder};
use crate::folders::{MANIFEST, app_folders};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);

/// A file as far as it tells that it changed.
type Print = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// What one look found, by folder.
type Seen = BTreeMap<PathBuf, Print>;

/// Folders of apps, and what was in them before they were loaded: what changes while they are is a change.
pub struct Folders {
    installed: Installed,
    further: Vec<PathBuf>,
    seen: Seen,
}

/// The folders that are watched.
pub struct Watch {
    folders: Folders,
    catalogue: Catalogue,
    plugins: PluginHost,
    /// The app that each folder holds, as far as it was ever good.
    ids: BTreeMap<PathBuf, String>,
}

impl Folders {
    /// The installed apps of `data` and those in the `further` folders, as they are now.
    pub fn new(data: &Path, further: &[PathBuf]) -> Self {
        let mut folders = Self {
            installed: Installed::of(data),
            further: further.to_vec(),
            seen: Seen::new(),
        };
        folders.seen = folders.look();
        folders
    }

    fn apps(&self) -> Vec<PathBuf> {
        let mut all = self.installed.folders();
        for folder in &self.further {
            // One that is gone for a moment is looked at again soon.
            all.extend(app_folders(folder).unwrap_or_default());
        }
        all
    }

    fn look(&self) -> Seen {
        self.apps()
            .into_iter()
            .map(|app| {
                let print = print(&app);
                (app, print)
            })
            .collect()
    }
}

impl Watch {
    /// Watches folders whose apps are loaded by now.
    pub fn new(folders: Folders, catalogue: Catalogue, plugins: PluginHost) -> Self {
        let mut watch = Self {
            folders,
            catalogue,
            plugins,
            ids: BTreeMap::new(),
        };
        for app in watch.folders.apps() {
            if let Some(id) = watch.id_of(&app) {
                watch.ids.insert(app, id);
            }
        }
        watch
    }

    /// Looks until it is dropped, and tells what it did.
    pub async fn run(mut self, tell: impl Fn(&str) + Send) {
        let mut loaded = std::mem::take(&mut self.folders.seen);
        let mut before = loaded.clone();
        loop {
            tokio::time::sleep(EVERY).await;
            let now = self.folders.look();
            let settled = now == before;
            before.clone_from(&now);
            if !settled || now == loaded {
                continue;
            }
            let gone = loaded.keys().filter(|app| !now.contains_key(*app));
            for app in gone {
                if let Some(id) = self.ids.remove(app)
                    && self.catalogue.withdraw(&id)
                {
                    tell(&format!("{id} is gone: {} was removed", app.display()));
                }
            }
            let changed: Vec<PathBuf> = now
                .iter()
                .filter(|(app, print)| {
                    loaded.get(*app) != Some(*print) || self.builds_on_another(app)
                })
                .map(|(app, _)| app.clone())
                .collect();
            for app in changed {
                self.load(&app, &tell).await;
            }
            loaded = now;
        }
    }

    async fn load(&mut self, app: &Path, tell: &(impl Fn(&str) + Send)) {
        let put = match self.read(app) {
            Ok(read) => {
                let id = read.id().to_owned();
                self.put(app, read).await.map(|()| id)
            }
            Err(error) => Err(error),
        };
        match put {
            Ok(id) => {
                tell(&format!("{id} was loaded again from {}", app.display()));
                self.ids.insert(app.to_owned(), id);
            }
            Err(error) => {
                let stays = match self.ids.get(app) {
                    Some(id) => format!("{id} stays as it was"),
                    None => "it is left out".to_owned(),
                };
                tell(&format!(
                    "{} does not hold; {stays}:\n{error}",
                    app.display()
                ));
            }
        }
    }

    fn read(&self, app: &Path) -> Result<ReadApp, LeftOut> {
        let installed = &self.folders.installed;
        let source = if installed.folders().iter().any(|one| one == app) {
            installed.source(app)
        } else {
            folder::source(app)
        };
        let source = source.map_err(|error| LeftOut {
            origin: app.display().to_string(),
            problems: vec![error.to_string()],
        })?;
        ReadApp::read(source, &|id: &AppId| base(Some(app), id))
    }

    async fn put(&self, app: &Path, read: ReadApp) -> Result<(), LeftOut> {
        let taken = self.catalogue.ids().iter().any(|known| known == read.id())
            && self.ids.get(app).map(String::as_str) != Some(read.id());
        if taken {
            return Err(LeftOut {
                problems: vec![format!("there is another app with the id {}", read.id())],
                origin: app.display().to_string(),
            });
        }
        self.catalogue.replace(read, &self.plugins).await
    }

    fn id_of(&self, app: &Path) -> Option<String> {
        let text = std::fs::read_to_string(app.join(MANIFEST)).ok()?;
        let id = keyport_manifest::app_id(&text)?.to_string();
        self.catalogue.ids().contains(&id).then_some(id)
    }

    /// Whether the app may be another one although nothing of its own changed.
    fn builds_on_another(&self, app: &Path) -> bool {
        std::fs::read_to_string(app.join(MANIFEST))
            .is_ok_and(|text| text.lines().any(|line| line.starts_with("extends:")))
    }
}

/// The manifest, the logo and every component of an app's folder.
fn print(app: &Path) -> Print {
    let wasm = std::fs::read_dir(app)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "wasm"));
    let mut files: Vec<PathBuf> = [MANIFEST, folder::LOGO, "installed.json"]
        .iter()
        .map(|name| app.join(name))
        .chain(wasm)
        .collect();
    files.extend(named(app));
    files.sort();
    files.dedup();
    files
        .into_iter()
        .filter_map(|path| {
            let about = std::fs::metadata(&path).ok()?;
            Some((path, about.len(), about.modified().ok()))
        })
        .collect()
}

/// The component's file, where it does not lie in the folder itself.
fn named(app: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(app.join(MANIFEST)).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("component:"))?;
    let name = line.split('#').next()?.trim().trim_matches(['"', '\'']);
    let component = keyport_manifest::Component::try_from(name.to_owned()).ok()?;
    folder::component_file(app, &component)
}
