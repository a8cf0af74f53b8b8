//! `build --watch`: the component is built again whenever its source changes, and `keyport dev` beside it loads it again.
//!
//! Files are looked at twice a second, as `dev` does, and a change counts once it has been the same for one more look. What builds
//! themselves write is not looked at. A source that does not build is told, and the last component stays.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Built, SOURCE, build, kit, manifest};
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

/// Builds at every change, until it is stopped. `tell` is given what to print.
pub fn run(folder: &Path, tell: impl Fn(&str)) -> ! {
    let mut built = look(folder);
    let mut before = built.clone();
    tell(&format!("Watching {}; stop with ctrl-c.", folder.display()));
    loop {
        std::thread::sleep(EVERY);
        let now = look(folder);
        let settled = now == before;
        before.clone_from(&now);
        if settled && now != built {
            tell(&match again(folder) {
                Ok(it) => format!(
                    "built {} again: {} KB",
                    it.file.display(),
                    it.bytes.len().div_ceil(1024)
                ),
                Err(error) => format!("{error}\nThe last component stays."),
            });
            built = now;
        }
    }
}

fn again(folder: &Path) -> Result<Built, Failure> {
    let source = Source::one(folder)?;
    let manifest = manifest(&source)?;
    build(folder, &manifest)
}

/// The manifest and the source.
fn look(folder: &Path) -> Print {
    let mut print = Vec::new();
    note(&folder.join(crate::folders::MANIFEST), &mut print);
    walk(&folder.join(SOURCE), 0, &mut print);
    print.sort();
    print
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
            // A link leads out of the folder; cargo writes the lock file itself.
            Ok(kind) if kind.is_file() && name != "Cargo.lock" => note(&path, print),
            _ => {}
        }
    }
}

fn note(path: &Path, print: &mut Print) {
    if let Ok(about) = std::fs::metadata(path) {
        print.push((path.to_owned(), about.len(), about.modified().ok()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_builds_write_is_not_looked_at() {
        let temp = tempfile::tempdir().unwrap();
        let source = temp.path().join(SOURCE);
        for file in [
            "src/lib.rs",
            "keyport/index.js",
            "target/x",
            "node_modules/a/b.js",
            "Cargo.lock",
            "Cargo.toml",
        ] {
            let path = source.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::fs::write(temp.path().join("manifest.yaml"), "x").unwrap();
        std::fs::write(temp.path().join("component.wasm"), "x").unwrap();
        let seen = look(temp.path());
        let names: Vec<_> = seen
            .iter()
            .map(|(path, ..)| {
                path.strip_prefix(temp.path())
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect();
        assert_eq!(
            names,
            [
                "component/Cargo.toml",
                "component/src/lib.rs",
                "manifest.yaml"
            ]
        );
        std::fs::write(source.join("src/lib.rs"), "another").unwrap();
        assert_ne!(look(temp.path()), seen);
    }
}
