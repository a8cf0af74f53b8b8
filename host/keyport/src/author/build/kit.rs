//! What this program puts into a component's folder: the contract, and the SDK of its language.
//!
//! It is generated at every build and belongs into no repository. So an author's component never meets a contract other than
//! the one of the program that builds it, and a new version of Keyport brings its SDK along.

use std::path::Path;

use super::{types, world};
use crate::author::Failure;
use crate::author::component::WIT;

/// The kit's folder, in a component's.
pub const FOLDER: &str = "keyport";

/// A language that components are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Lang {
    /// `wasm32-wasip2`, with a trait and a macro.
    Rust,
    /// QuickJS, by componentize-qjs.
    Js,
    /// The same, typed: `tsc` writes the modules.
    Ts,
    /// CPython, by componentize-py.
    Python,
}

impl Lang {
    /// The language of what lies in a folder.
    pub fn of(folder: &Path) -> Option<Self> {
        [
            ("Cargo.toml", Self::Rust),
            ("tsconfig.json", Self::Ts),
            ("package.json", Self::Js),
            ("app.py", Self::Python),
        ]
        .into_iter()
        .find_map(|(file, lang)| folder.join(file).is_file().then_some(lang))
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Js => "JavaScript",
            Self::Ts => "TypeScript",
            Self::Python => "Python",
        }
    }
}

macro_rules! files {
    ($base:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../../providers/", $base, "/", $name)))),*]
    };
}

const RUST: &[(&str, &str)] = files!("sdk":
    "src/adapter.rs", "src/bindings.rs", "src/failure.rs", "src/host.rs", "src/http.rs", "src/lib.rs", "src/provider.rs", "src/recorded.rs",
    "src/testing.rs");
const JS: &[(&str, &str)] = files!("sdk-js":
    "index.js", "index.d.ts", "component.js", "component.d.ts", "testing.js", "testing.d.ts", "utf8.js", "utf8.d.ts");
const PYTHON: &[(&str, &str)] =
    files!("sdk-python/keyport": "__init__.py", "component.py", "testing.py");

/// How the JavaScript SDK comes to the interface of placeholders, which an import of what is not in the world would miss.
const JS_SECRETS: &str = "export { default } from \"keyport:provider/secrets@1.0.0\";\n";
const JS_NO_SECRETS: &str = "\
const none = () => {
  throw { code: \"no_secrets\", say: \"the manifest declares no handles and no recipes\", data: \"null\" };
};
export default { handle: none, derive: none, verify: none };
";

/// The Rust SDK as a crate by itself. In this repository it is a member of the workspace, so its own manifest does not stand
/// alone; a test holds the two to the same dependencies.
pub const RUST_MANIFEST: &str = "\
[package]
name = \"keyport-sdk\"
description = \"Write a Keyport provider in Rust: one trait, one macro\"
version = \"1.0.0\"
edition = \"2024\"
publish = false

[features]
secrets = []

[dependencies]
serde = { version = \"1\", features = [\"derive\"] }
serde_json = { version = \"1\", features = [\"preserve_order\"] }
wit-bindgen = { version = \"0.61\", default-features = false, features = [\"macros\", \"realloc\"] }

[target.'cfg(not(target_family = \"wasm\"))'.dependencies]
serde_yaml = \"0.9.34\"
";

/// The files of a kit, by their paths in its folder.
pub struct Kit {
    /// Path and text.
    pub files: Vec<(String, String)>,
}

impl Kit {
    /// The kit of a language, for a component of this world.
    ///
    /// # Errors
    /// A world that is none.
    pub fn new(lang: Lang, world: &str) -> Result<Self, Failure> {
        let mut files = Vec::new();
        let mut add = |folder: &str, all: &[(&str, &str)]| {
            for (name, text) in all {
                files.push((format!("{folder}{name}"), (*text).to_owned()));
            }
        };
        match lang {
            Lang::Rust => {
                add("wit/", WIT);
                add("rust/sdk/", RUST);
                // An app that places no secret does not import the interface either.
                let features = match world::has_secrets(world) {
                    true => "[features]\ndefault = [\"secrets\"]",
                    false => "[features]",
                };
                let manifest = RUST_MANIFEST.replacen("[features]", features, 1);
                files.push(("rust/sdk/Cargo.toml".to_owned(), manifest));
            }
            Lang::Js | Lang::Ts => {
                add("wit/deps/keyport-provider/", WIT);
                add("", JS);
                files.push(("wit/app.wit".to_owned(), world.to_owned()));
                let secrets = match world::has_secrets(world) {
                    true => JS_SECRETS,
                    false => JS_NO_SECRETS,
                };
                files.push(("secrets.js".to_owned(), secrets.to_owned()));
                let types = types::contract().ok_or_else(|| {
                    Failure::Said("the contract of this program cannot be read".to_owned())
                })?;
                files.push(("contract.d.ts".to_owned(), types));
            }
            Lang::Python => {
                add("wit/deps/keyport-provider/", WIT);
                add("", PYTHON);
                files.push(("wit/app.wit".to_owned(), world.to_owned()));
            }
        }
        if lang != Lang::Rust && !world.contains(&format!("world {} {{", world::NAME)) {
            return Err(Failure::Said(format!(
                "{} must declare `world {}`",
                world::FILE,
                world::NAME
            )));
        }
        Ok(Self { files })
    }

    /// Writes it into the folder of a component, of the app in `folder`. A file that is the same already is left alone, so that no
    /// build sees a change.
    ///
    /// # Errors
    /// A link that leads out of the app's folder, or a file that cannot be written.
    pub fn write(&self, folder: &Path, component: &Path) -> Result<(), Failure> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Failure::File { path, source }
        };
        for (name, text) in &self.files {
            let path = component.join(FOLDER).join(name);
            inside(folder, &path)?;
            if std::fs::read_to_string(&path).is_ok_and(|there| there == *text) {
                continue;
            }
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(failed(parent))?;
            }
            std::fs::write(&path, text).map_err(failed(&path))?;
        }
        Ok(())
    }
}

/// Refuses a place in an app's folder that a link leads out of it: nobody who builds an app of somebody else's means a file of
/// their own by it.
///
/// # Errors
/// Such a link, or one that leads nowhere.
pub fn inside(folder: &Path, path: &Path) -> Result<(), Failure> {
    let Ok(below) = path.strip_prefix(folder) else {
        return Ok(());
    };
    let mut at = folder.to_owned();
    for part in below.components() {
        at.push(part);
        if std::fs::symlink_metadata(&at).is_ok_and(|about| about.is_symlink()) {
            let ends = std::fs::canonicalize(folder).and_then(|folder| {
                let at = std::fs::canonicalize(&at)?;
                Ok(at.starts_with(folder))
            });
            if !ends.unwrap_or(false) {
                return Err(Failure::Said(format!(
                    "{} is a link that leads out of {} or nowhere, and nothing is written there; remove it",
                    at.display(),
                    folder.display()
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_kit_follows_no_link_out_of_the_apps_folder() {
        use std::os::unix::fs::symlink;
        let kit = Kit::new(Lang::Python, "package keyport:app;\nworld app {}\n").unwrap();
        let temp = tempfile::tempdir().unwrap();
        let elsewhere = temp.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        let own = elsewhere.join("own");
        std::fs::write(&own, "mine").unwrap();
        // The whole component, its kit, a folder in that, one file, and a file that is not there yet.
        for (number, (link, to)) in [
            ("component", elsewhere.clone()),
            ("component/keyport", elsewhere.clone()),
            ("component/keyport/wit", elsewhere.clone()),
            ("component/keyport/testing.py", own.clone()),
            ("component/keyport/testing.py", elsewhere.join("new")),
        ]
        .into_iter()
        .enumerate()
        {
            let app = temp.path().join(format!("app-{number}"));
            let link = app.join(link);
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(to, &link).unwrap();
            let told = kit.write(&app, &app.join("component")).unwrap_err();
            let told = told.to_string();
            assert!(
                told.contains(&link.display().to_string()) && told.ends_with("remove it"),
                "{told}"
            );
        }
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 1);
        assert_eq!(std::fs::read_to_string(&own).unwrap(), "mine");
        // One that stays inside is the author's own business.
        let app = temp.path().join("inside");
        std::fs::create_dir_all(app.join("component")).unwrap();
        std::fs::create_dir_all(app.join("kit")).unwrap();
        symlink("../kit", app.join("component/keyport")).unwrap();
        kit.write(&app, &app.join("component")).unwrap();
        assert!(app.join("kit/testing.py").is_file());
    }

    fn version_of<'t>(manifest: &'t str, name: &str) -> &'t str {
        let line = manifest
            .lines()
            .find(|line| line.starts_with(&format!("{name} = ")))
            .unwrap();
        let from = line
            .find("version = \"")
            .map_or(name.len() + 4, |at| at + 11);
        line[from..].split('"').next().unwrap()
    }

    #[test]
    fn the_kits_rust_sdk_asks_for_what_the_workspace_has() {
        let workspace = include_str!("../../../../../Cargo.toml");
        for name in ["serde", "serde_json", "serde_yaml", "wit-bindgen"] {
            let (own, theirs) = (version_of(RUST_MANIFEST, name), version_of(workspace, name));
            assert!(theirs.starts_with(own), "{name}: {own} and {theirs}");
        }
    }

    /// What the templates and the app in Rust pin is what the workspace was tested with, and is on a machine that has built it.
    #[test]
    fn what_authors_components_are_locked_to_is_what_the_workspace_has() {
        let packages = |lock: &str| -> std::collections::BTreeSet<(String, String)> {
            lock.split("[[package]]")
                .skip(1)
                .filter(|package| package.contains("checksum = "))
                .filter_map(|package| {
                    let of = |key: &str| {
                        let line = package.lines().find(|line| line.starts_with(key))?;
                        Some(line.split('"').nth(1)?.to_owned())
                    };
                    Some((of("name = ")?, of("version = ")?))
                })
                .collect()
        };
        let workspace = packages(include_str!("../../../../../Cargo.lock"));
        for own in [
            include_str!("../../../../../providers/templates/rust/Cargo.lock.txt"),
            include_str!("../../../../../providers/matrix/component/Cargo.lock"),
        ] {
            let own = packages(own);
            assert!(own.len() > 20);
            let others: Vec<_> = own.difference(&workspace).collect();
            assert!(others.is_empty(), "{others:?}");
        }
    }

    #[test]
    fn every_file_of_the_sdks_is_in_their_kit() {
        let providers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers");
        for (folder, files) in [
            ("sdk/src", RUST),
            ("sdk-js", JS),
            ("sdk-python/keyport", PYTHON),
        ] {
            for entry in std::fs::read_dir(providers.join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let part = !(name.contains(".test.")
                    || name.starts_with("__pycache__")
                    || name == "README.md");
                let known = files
                    .iter()
                    .any(|(known, _)| known.rsplit('/').next() == Some(name.as_str()));
                assert_eq!(known, part, "{folder}/{name}");
            }
        }
    }

    #[test]
    fn the_types_of_the_contract_say_what_a_component_exports() {
        let types = types::contract().unwrap();
        for expected in [
            "export interface Connection {",
            "check(): Account;",
            "poll(trigger: string, input: Json, cursor: Json | null): Page;",
            "{ tag: \"needs-reconnect\"; val: Note }",
            "retryAfterMs: number | null;",
            "body: Uint8Array | null;",
        ] {
            assert!(types.contains(expected), "{expected} is not in:\n{types}");
        }
    }

    #[test]
    fn a_world_must_be_the_apps() {
        assert!(Kit::new(Lang::Js, "package a:b; world other {}").is_err());
        assert!(Kit::new(Lang::Python, "package keyport:app;\nworld app {}\n").is_ok());
    }
}
