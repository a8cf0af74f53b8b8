//! `build --watch`: the component is built again whenever its source changes, and `keyport dev` beside it loads it again.
//!
//! Files are looked at twice a second, as `dev` does, and a change counts once it has been the same for one more look. What builds
//! themselves write is not looked at. A source that does not build is told, and the last component stays.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use keyport_manifest::Manifest;

use super::{Built, build, kit, manifest};
use crate::author::Failure;
use crate::author::source::Source;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);
/// Folders that tools write into.
const TOOLS: &[&str] = &[
    kit::FOLDER,
    "node_modules",
    "target",
    "dist",
    ".venv",
    "__pycache__",
    ".git",
];
/// The deepest folder that is looked into.
const MAX_DEPTH: usize = 8;

/// A file as far as it tells that it changed.
type Print = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// What is watched, and what was seen of it.
pub struct Watch {
    folder: PathBuf,
    /// Where the source is, by the last manifest that held.
    source: Option<PathBuf>,
    /// What the last build began with.
    built: Print,
    /// What the last look found.
    before: Print,
}

impl Watch {
    /// Looks at an app for the first time: before it is built.
    pub fn new(folder: &Path, manifest: &Manifest) -> Self {
        let mut watch = Self {
            folder: folder.to_owned(),
            source: None,
            built: Print::new(),
            before: Print::new(),
        };
        watch.points_at(manifest);
        watch.built = watch.look();
        watch.before.clone_from(&watch.built);
        watch
    }

    /// Builds at every change, until it is stopped. `tell` is given what to print.
    pub fn run(mut self, tell: impl Fn(&str)) -> ! {
        tell(&format!(
            "Watching {}; stop with ctrl-c.",
            self.folder.display()
        ));
        loop {
            std::thread::sleep(EVERY);
            if self.is_due() {
                tell(&match self.again() {
                    Ok(it) => format!(
                        "built {} again: {} KB",
                        it.file.display(),
                        it.bytes.len().div_ceil(1024)
                    ),
                    Err(error) => format!("{error}\nThe last component stays."),
                });
            }
        }
    }

    /// Looks once; whether something changed since the last build began, and has come to rest.
    fn is_due(&mut self) -> bool {
        let now = self.look();
        let settled = now == self.before;
        self.before.clone_from(&now);
        let due = settled && now != self.built;
        if due {
            self.built = now;
        }
        due
    }

    fn again(&mut self) -> Result<Built, Failure> {
        let source = Source::one(&self.folder)?;
        let manifest = manifest(&source)?;
        if self.points_at(&manifest) {
            // Another folder is no change of that folder.
            self.built = self.look();
            self.before.clone_from(&self.built);
        }
        build(&self.folder, &manifest)
    }

    /// Takes the folder of source that a manifest names; whether it is another one.
    fn points_at(&mut self, manifest: &Manifest) -> bool {
        let source = manifest.component.source().map(|it| self.folder.join(it));
        let other = source != self.source;
        self.source = source;
        other
    }

    /// The manifest and the source.
    fn look(&self) -> Print {
        let mut print = Vec::new();
        note(&self.folder.join(crate::folders::MANIFEST), &mut print);
        if let Some(source) = &self.source {
            walk(source, 0, &mut print);
        }
        print.sort();
        print.dedup();
        print
    }
}

fn walk(folder: &Path, depth: usize, print: &mut Print) {
    if depth > MAX_DEPTH {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !TOOLS.iter().any(|tool| name == *tool) => {
                walk(&path, depth + 1, print);
            }
            // A link leads out of the folder.
            Ok(kind) if kind.is_file() && !is_built(&name.to_string_lossy()) => {
                note(&path, print);
            }
            _ => {}
        }
    }
}

/// Files that builds write: components, halves of them, and cargo's lock file.
fn is_built(name: &str) -> bool {
    name.ends_with(".wasm") || name.ends_with(".wasm.new") || name == "Cargo.lock"
}

fn note(path: &Path, print: &mut Print) {
    if let Ok(about) = std::fs::metadata(path) {
        print.push((path.to_owned(), about.len(), about.modified().ok()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest_of(component: &str) -> Manifest {
        serde_json::from_value(serde_json::json!({
            "manifest": 1, "id": "a", "name": "A", "version": "1.0.0", "summary": "S.", "component": component,
            "api": {"base_url": "https://api.acme.test"}, "auth": {"key": {"type": "bearer", "label": "Key"}},
            "test": {"code": true}
        }))
        .unwrap()
    }

    fn write(folder: &Path, file: &str, text: &str) {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn names(watch: &Watch) -> Vec<String> {
        let name = |path: &Path| {
            path.strip_prefix(&watch.folder)
                .unwrap()
                .display()
                .to_string()
        };
        watch.look().iter().map(|(path, ..)| name(path)).collect()
    }

    #[test]
    fn the_source_that_the_manifest_names_is_looked_at_and_what_builds_write_is_not() {
        let temp = tempfile::tempdir().unwrap();
        for source in ["component", "code"] {
            for file in [
                "src/lib.rs",
                "keyport/index.js",
                "target/x",
                "node_modules/a/b.js",
                "Cargo.lock",
                "Cargo.toml",
                "built.wasm",
                "built.wasm.new",
            ] {
                write(temp.path(), &format!("{source}/{file}"), "x");
            }
        }
        write(temp.path(), "manifest.yaml", "x");
        write(temp.path(), "component.wasm", "x");
        for (component, source) in [
            ("component.wasm", "component"),
            ("component/built.wasm", "component"),
            ("./component", "component"),
            ("./code", "code"),
        ] {
            let watch = Watch::new(temp.path(), &manifest_of(component));
            let mut expected = vec!["manifest.yaml".to_owned()];
            expected.extend(["Cargo.toml", "src/lib.rs"].map(|file| format!("{source}/{file}")));
            let mut found: Vec<String> = names(&watch)
                .into_iter()
                .map(|name| name.trim_start_matches("./").to_owned())
                .collect();
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "{component}");
        }
    }

    #[test]
    fn what_changes_during_a_build_is_built_again_once_it_rests_and_what_was_built_is_no_change() {
        let temp = tempfile::tempdir().unwrap();
        write(temp.path(), "code/app.py", "1");
        write(temp.path(), "manifest.yaml", "x");
        let mut watch = Watch::new(temp.path(), &manifest_of("./code"));
        assert!(!watch.is_due() && !watch.is_due(), "nothing changed");
        // The first build runs meanwhile.
        let mut watch = Watch::new(temp.path(), &manifest_of("./code"));
        write(temp.path(), "code/app.py", "22");
        assert!(!watch.is_due(), "it may still be written");
        assert!(watch.is_due());
        write(temp.path(), "component.wasm", "built");
        write(temp.path(), "code/component.wasm", "built");
        assert!(!watch.is_due() && !watch.is_due(), "it was built");
        // And a later one.
        write(temp.path(), "code/new.py", "3");
        assert!(!watch.is_due() && watch.is_due());
        write(temp.path(), "code/new.py", "44");
        assert!(!watch.is_due() && watch.is_due() && !watch.is_due());
    }

    #[test]
    fn a_manifest_that_names_another_folder_has_that_one_watched() {
        let temp = tempfile::tempdir().unwrap();
        write(temp.path(), "one/app.py", "1");
        write(temp.path(), "two/app.py", "1");
        let mut watch = Watch::new(temp.path(), &manifest_of("./one"));
        assert!(watch.points_at(&manifest_of("./two")));
        assert!(!watch.points_at(&manifest_of("./two")));
        assert!(names(&watch)[0].ends_with("two/app.py"));
    }
}
