//! The manifests of this repository: they pass every check, fixtures included, and survive being written out again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

use std::collections::BTreeMap;
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

/// A note elsewhere, for an author's own catalogue may have others; here one word stands for one thing.
#[test]
fn every_app_here_is_filed_under_categories_of_the_catalogue() {
    let mut found = String::new();
    for folder in folders() {
        let yaml = fs::read_to_string(folder.join("manifest.yaml")).unwrap();
        let mut report = check("manifest.yaml", &yaml, Some(&FolderFacts::read(&folder)));
        report
            .findings
            .retain(|f| f.rule == "V72" && f.path.starts_with("categories["));
        found += &report.render(&yaml, false);
    }
    assert!(found.is_empty(), "\n{found}");
    let text = fs::read_to_string(folders()[0].join("manifest.yaml")).unwrap();
    let line = text.lines().find(|line| line.starts_with("categories:"));
    let other = text.replace(line.unwrap(), "categories: [projects]");
    let report = check("manifest.yaml", &other, None);
    let told = report
        .findings
        .iter()
        .any(|f| f.rule == "V72" && f.message.ends_with("did you mean `project-management`?"));
    assert!(
        told,
        "the other word for it is told: {}",
        report.render(&other, false)
    );
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

#[test]
fn every_operation_of_every_app_is_shown_by_a_fixture() {
    let mut unseen = String::new();
    for folder in folders() {
        let yaml = fs::read_to_string(folder.join("manifest.yaml")).unwrap();
        let manifest = parse_with("m.yaml", &yaml, &neighbours).unwrap();
        let facts = FolderFacts::read(&folder);
        let mut fixtures = facts.fixtures;
        // What an app takes over as it is, the one that it is built on shows.
        let tree: serde_json::Value = serde_yaml::from_str(&yaml).unwrap();
        if let Some(base) = tree["extends"].as_str() {
            fixtures.extend(FolderFacts::read(&folder.with_file_name(base)).fixtures);
        }
        let mut shown = std::collections::BTreeSet::new();
        for (_, text) in &fixtures {
            let exchanges: Vec<serde_json::Value> = serde_yaml::from_str(text).unwrap();
            for about in exchanges.iter().filter_map(|x| x["for"].as_object()) {
                let one = about
                    .iter()
                    .next()
                    .map(|(kind, name)| (kind.clone(), name.clone()));
                shown.extend(one.map(|(kind, name)| format!("{kind} {}", name.as_str().unwrap())));
            }
        }
        let actions = manifest.actions.iter().filter(|(_, a)| !a.code);
        let actions = actions.map(|(id, _)| format!("action {id}"));
        let polled = manifest
            .triggers
            .iter()
            .filter(|(_, t)| t.request.is_some());
        let triggers = polled.map(|(id, _)| format!("trigger {id}"));
        for one in actions.chain(triggers).filter(|one| !shown.contains(one)) {
            unseen += &format!("{}: no fixture shows the {one}\n", facts.name);
        }
    }
    assert!(unseen.is_empty(), "\n{unseen}");
}

/// Where the exchanges of the fixtures come from; shown with `--nocapture`.
#[test]
fn every_fixture_says_where_it_comes_from_and_all_are_counted() {
    let mut totals = BTreeMap::from(
        ["recorded", "vendor-openapi", "vendor-docs", "constructed"].map(|origin| (origin, 0)),
    );
    let mut subjects: BTreeMap<String, u32> = BTreeMap::new();
    for folder in folders() {
        for (file, text) in FolderFacts::read(&folder).fixtures {
            let exchanges: Vec<serde_json::Value> = serde_yaml::from_str(&text).unwrap();
            for exchange in exchanges {
                let origin = exchange.get("origin").and_then(|o| o.as_str()).unwrap();
                let total = totals.get_mut(origin);
                *total.unwrap_or_else(|| panic!("{}/{file}: {origin}", folder.display())) += 1;
                let about = exchange.get("for").unwrap();
                let kind = about.as_object().and_then(|o| o.keys().next());
                let kind = kind.map_or("test", String::as_str).to_owned();
                *subjects.entry(kind).or_default() += 1;
            }
        }
    }
    let all: u32 = totals.values().sum();
    println!("{all} exchanges over {} apps", folders().len());
    println!("by origin: {totals:?}");
    println!("by subject: {subjects:?}");
    for kind in [
        "test",
        "token",
        "temporary",
        "refresh",
        "exchange",
        "callback",
        "session",
        "discovery",
    ] {
        assert!(
            subjects.contains_key(kind),
            "no app has a fixture for `{kind}`"
        );
    }
    // Nothing can be recorded without accounts at vendors; what stands on a vendor's own words must not dwindle.
    let vendors = totals["vendor-docs"] + totals["vendor-openapi"] + totals["recorded"];
    assert!(
        vendors * 3 >= all,
        "less than a third of the fixtures are a vendor's own: {totals:?}"
    );
}
