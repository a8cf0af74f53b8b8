//! The manifests of this repository: they pass every check, fixtures included, and survive being written out again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may be blunt"
)]

use std::fs;
use std::path::{Path, PathBuf};

use keyport_manifest::{AppId, FolderFacts, Manifest, Severity, check, parse, parse_with};

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
    let mut all: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    all.sort();
    assert!(all.len() >= 10, "the repository has its apps");
    all
}

#[test]
fn every_app_here_passes_every_check() {
    let mut found = String::new();
    for folder in folders() {
        let yaml = fs::read_to_string(folder.join("manifest.yaml")).unwrap();
        let facts = FolderFacts::read(&folder);
        let file = format!("{}/manifest.yaml", facts.name);
        let mut report = check(&file, &yaml, Some(&facts));
        // Notes are worth knowing, and nothing is wrong.
        report.findings.retain(|f| f.severity != Severity::Note);
        found += &report.render(&yaml, false);
    }
    assert!(found.is_empty(), "\n{found}");
}

/// What an app here is built on: the manifest in the folder of that name.
fn neighbours(id: &AppId) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
    fs::read_to_string(root.join(id.as_str()).join("manifest.yaml")).ok()
}

#[test]
fn a_manifest_survives_being_written_out_and_read_again() {
    for folder in folders() {
        let yaml = fs::read_to_string(folder.join("manifest.yaml")).unwrap();
        let manifest = parse_with("manifest.yaml", &yaml, &neighbours)
            .unwrap_or_else(|f| panic!("{}: {f:?}", folder.display()));
        let written = keyport_manifest::yaml::print(&manifest);
        let again = parse("again.yaml", &written)
            .unwrap_or_else(|f| panic!("{}: {f:?}\n{written}", folder.display()));
        assert_eq!(again, manifest, "{}", folder.display());
        let through_json: Manifest =
            serde_json::from_str(&serde_json::to_string(&manifest).unwrap()).unwrap();
        assert_eq!(through_json, manifest);
    }
}

#[test]
fn what_a_guest_sees_says_nothing_of_signing_in() {
    for folder in folders() {
        let yaml = fs::read_to_string(folder.join("manifest.yaml")).unwrap();
        let manifest = parse_with("m.yaml", &yaml, &neighbours).unwrap();
        for method in manifest.auth.keys() {
            let view = keyport_manifest::guest_view_for(&manifest, method);
            let keys: Vec<&String> = view.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["api", "test", "actions", "triggers"]);
            let typed: keyport_manifest::GuestView = serde_json::from_value(view.clone()).unwrap();
            assert_eq!(serde_json::to_value(typed).unwrap(), view);
        }
    }
}
