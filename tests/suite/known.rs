//! The names of all tests of this repository, for the tables that say what proves what.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keyport_tests::binary::repository;

/// The names of all tests: functions behind a test attribute, cases of quirks, scenarios of the browser.
pub fn known() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut sources = Vec::new();
    for room in ["host", "providers", "tests"] {
        walk(&repository().join(room), &mut sources);
    }
    for path in sources {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let parent = path
            .parent()
            .unwrap()
            .file_name()
            .unwrap()
            .to_string_lossy();
        if name == "case.yaml" {
            // One that waits proves nothing yet.
            let text = std::fs::read_to_string(&path).unwrap();
            if !text.lines().any(|line| line.starts_with("waits:")) {
                found.insert(format!("case/{parent}"));
            }
        } else if parent == "browser" && name.ends_with(".mjs") {
            found.insert(format!("browser/{}", name.trim_end_matches(".mjs")));
        } else if name.ends_with(".rs") {
            tests_of(&std::fs::read_to_string(&path).unwrap(), &mut found);
        }
    }
    found
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(
                name.as_str(),
                "node_modules" | ".venv" | "target" | "artefacts"
            ) {
                walk(&path, into);
            }
        } else {
            into.push(path);
        }
    }
}

fn tests_of(source: &str, found: &mut BTreeSet<String>) {
    let mut attribute = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
            attribute = true;
        } else if attribute && let Some((before, after)) = line.split_once("fn ") {
            if matches!(before, "" | "async " | "pub async ") {
                let name: String = after
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                found.insert(name);
            }
            attribute = false;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            attribute = false;
        }
    }
    // Tests inside `proptest!` stand behind the same attribute and are found alike.
}
