//! The removal run: a line that stands in an attack's way is taken out, and the test that it names must fail.
//!
//! It works on a copy of the repository beside the target folder, with a target folder of its own, so nothing in the
//! repository can be left changed, however the run ends, and no build of the repository ever meets one of a changed line.
//! What the run of the tests has built of other people's crates is linked into that target folder instead of being built
//! again. For those to be the right ones, the copy's builds unify features over the whole workspace, as a build of the
//! whole workspace does: cargo names that `resolver.feature-unification`, still unstable, and takes it from the environment.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use keyport_tests::binary::{repository, said};

/// What makes a build of one package choose the features that a build of the whole workspace has.
const UNIFIED: [(&str, &str); 3] = [
    ("__CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS", "nightly"),
    ("CARGO_UNSTABLE_FEATURE_UNIFICATION", "true"),
    ("CARGO_RESOLVER_FEATURE_UNIFICATION", "workspace"),
];

/// A copy of the repository that can be built.
pub struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

/// How a test of the copy went.
pub enum Went {
    Passed,
    Failed,
    /// It never ran, and why.
    NotRun(String),
}

impl Copy {
    /// Brings the copy up to the repository as it is.
    pub fn make() -> Self {
        let own = std::env::current_exe().unwrap();
        let profile = own.ancestors().nth(2).unwrap();
        let beside = profile.parent().unwrap().join("removal");
        let copy = Self {
            tree: beside.join("tree"),
            target: beside.join("target"),
        };
        std::fs::create_dir_all(&copy.tree).unwrap();
        let listed = git(&[
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        for file in listed.split('\0').filter(|file| !file.is_empty()) {
            let (from, to) = (repository().join(file), copy.tree.join(file));
            // A deleted file that is not committed yet, or a link: neither is source.
            let Ok(there) = std::fs::read(&from) else {
                std::fs::remove_file(&to).ok();
                continue;
            };
            // What is the same keeps its time, so that cargo does not build it again.
            if std::fs::read(&to).ok().as_deref() != Some(&there) {
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::write(to, there).unwrap();
            }
        }
        // What was moved or removed since the last run must not be built from its old place.
        let kept = listed.split('\0').map(PathBuf::from).collect();
        prune(&copy.tree, &copy.tree, &kept);
        let ours = members(&copy.tree);
        let name = profile.file_name().unwrap();
        for part in ["deps", "build", ".fingerprint"] {
            let (from, to) = (profile.join(part), copy.target.join(name).join(part));
            link(&from, &to, &ours);
        }
        copy
    }

    /// What the test does with `code` of `file` replaced by `instead`. The copy is as before afterwards.
    pub fn without(
        &self,
        file: &str,
        code: &str,
        instead: &str,
        package: &str,
        test: &str,
    ) -> Went {
        let path = self.tree.join(file);
        let whole = std::fs::read_to_string(&path).unwrap();
        assert_eq!(whole.matches(code).count(), 1, "{file}: {code}");
        std::fs::write(&path, whole.replacen(code, instead, 1)).unwrap();
        let went = self.test(package, test);
        std::fs::write(&path, whole).unwrap();
        went
    }

    /// Builds and runs one test of the copy.
    pub fn test(&self, package: &str, test: &str) -> Went {
        let run = self.cargo(package, test);
        let all = said(&run);
        // A build that fails proves nothing: the test itself must have run.
        let ran = all
            .lines()
            .any(|line| line.starts_with("test ") && line.contains(test) && line.contains(" ... "));
        match (ran, run.status.success()) {
            (true, true) => Went::Passed,
            (true, false) if all.contains("test result: FAILED") => Went::Failed,
            _ => {
                let tail: String = all.chars().rev().take(2000).collect();
                Went::NotRun(tail.chars().rev().collect())
            }
        }
    }

    fn cargo(&self, package: &str, test: &str) -> Output {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["test", "--locked", "--offline", "-p", package]);
        // Only the part of the package that has the test is built.
        match self.target_of(package, test) {
            Some(name) => cargo.arg("--test").arg(name),
            None => cargo.arg("--lib"),
        };
        for (name, value) in UNIFIED {
            cargo.env(name, value);
        }
        // What an outer cargo says of its own package is not for the inner one, nor is anything of these tests'.
        for (name, _) in std::env::vars() {
            if name.starts_with("CARGO_PKG_") || name.starts_with("KEYPORT_") {
                cargo.env_remove(name);
            }
        }
        cargo
            .arg(test)
            .env("CARGO_TARGET_DIR", &self.target)
            .current_dir(&self.tree)
            .output()
            .unwrap()
    }

    /// The integration test of a package that holds this test; `None` if it is one of the library's own.
    fn target_of(&self, package: &str, test: &str) -> Option<OsString> {
        let room = package.strip_prefix("keyport-").unwrap();
        let folder = self.tree.join("host").join(room).join("tests");
        let holds = |path: &Path| {
            std::fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("fn {test}(")))
        };
        for entry in std::fs::read_dir(folder).ok()? {
            let path = entry.unwrap().path();
            let files: Vec<PathBuf> = match std::fs::read_dir(&path) {
                Ok(inner) => inner.map(|entry| entry.unwrap().path()).collect(),
                Err(_) => vec![path.clone()],
            };
            if files.iter().any(|file| holds(file)) {
                return path.file_stem().map(OsString::from);
            }
        }
        None
    }
}

/// Removes every file of the copy that the repository does not list.
fn prune(tree: &Path, folder: &Path, kept: &BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            prune(tree, &path, kept);
        } else if !kept.contains(path.strip_prefix(tree).unwrap()) {
            std::fs::remove_file(path).unwrap();
        }
    }
}

fn git(arguments: &[&str]) -> String {
    let run = Command::new("git")
        .args(arguments)
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", said(&run));
    String::from_utf8(run.stdout).unwrap()
}

/// The names of the workspace's own crates as files of a target folder begin with them.
fn members(tree: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == "Cargo.toml") {
                let text = std::fs::read_to_string(&path).unwrap();
                let name = text.lines().find_map(|line| line.strip_prefix("name = \""));
                found.extend(
                    name.and_then(|rest| rest.split('"').next())
                        .map(str::to_owned),
                );
            }
        }
    }
    found
}

/// Links everything of `from` but what belongs to these crates. Cargo writes new files in place of old ones only for crates
/// that it builds, and it builds no others.
fn link(from: &Path, to: &Path, ours: &[String]) {
    for entry in std::fs::read_dir(from).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bare = name.strip_prefix("lib").unwrap_or(&name);
        // `keyport_connect-0123456789abcdef.d`: what stands before the last hyphen is the crate.
        let of = bare.rsplit_once('-').map_or(bare, |(of, _)| of);
        let mine = ours
            .iter()
            .any(|own| own == of || own.replace('-', "_") == of);
        // Programs of the tests are large, belong to this workspace, and have no ending.
        let program = path.is_file() && !name.contains('.');
        if !mine && !program {
            link_all(&path, &to.join(&name));
        }
    }
}

fn link_all(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            link_all(&path, &to.join(path.file_name().unwrap()));
        }
    } else if !to.exists() {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::hard_link(from, to).unwrap();
    }
}
