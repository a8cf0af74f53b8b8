//! What an author is told: every case in `cases/` against its snapshot. (Each rule by itself: `book.rs`.)
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may be blunt"
)]

use std::fs;
use std::path::{Path, PathBuf};

use keyport_manifest::{FolderFacts, Report, check};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut all: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    all.retain(|p| p.extension().is_some_and(|e| e == "yaml"));
    all.sort();
    all
}

#[test]
fn every_wrong_manifest_is_told_what_is_wrong_with_it() {
    for case in cases() {
        let name = case.file_stem().unwrap().to_string_lossy().into_owned();
        let yaml = fs::read_to_string(&case).unwrap();
        insta::assert_snapshot!(
            name.as_str(),
            check(&format!("{name}.yaml"), &yaml, None).render(&yaml, false)
        );
    }
}

const GOOD: &str = "manifest: 1
id: acme
name: Acme
version: 1.0.0
summary: Notes that people keep at Acme.
categories: [notes]
links: { home: https://acme.example, docs: https://acme.example/api }
component: rest
api: { base_url: https://api.acme.example }
auth:
  key: { type: bearer, label: Key }
test:
  request: { path: /me }
  ok: { status: 200, body: $.id }
  account: { id: \"{{ body.id }}\", label: \"{{ body.name }}\" }
  failures: [{ status: 401, means: needs_reconnect, say: Acme no longer takes this key. }]
";

const LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="#fff" d="M0 0"/></svg>"##;

const FIXTURES: &str = "
- name: fine
  origin: constructed
  for: test
  response: { status: 200, body: { id: 1, name: Ann } }
  expect: { account: { id: '1', label: Ann } }
- name: refused
  origin: constructed
  for: test
  response: { status: 401 }
  expect: { means: needs_reconnect }
";

fn facts() -> FolderFacts {
    FolderFacts {
        name: "acme".into(),
        logo: Some(LOGO.into()),
        fixtures: vec![("test.yaml".into(), FIXTURES.into())],
        ..FolderFacts::default()
    }
}

fn folder_report(facts: &FolderFacts) -> Report {
    check("acme/manifest.yaml", GOOD, Some(facts))
}

#[test]
fn a_good_folder_has_nothing_said_about_it() {
    assert_eq!(folder_report(&facts()).render(GOOD, false), "");
}

#[test]
fn what_lies_beside_the_manifest_is_checked_too() {
    let wrong = FolderFacts {
        name: "akme".into(),
        logo: Some(LOGO.replace("<path", "<script>alert(1)</script><path")),
        fixtures: vec![(
            "test.yaml".into(),
            FIXTURES
                .replace("label: Ann", "label: Bob")
                .replace("needs_reconnect", "rate_limited"),
        )],
        ..FolderFacts::default()
    };
    insta::assert_snapshot!("folder", folder_report(&wrong).render(GOOD, false));
}

#[test]
fn a_logo_that_does_more_than_draw_is_refused() {
    for (from, to) in [
        ("<path ", "<path onload=\"x()\" "),
        ("<path ", "<path ONCLICK='x' "),
        ("fill=\"#fff\"", "fill=\"url(https://evil.example/x)\""),
        ("<path ", "<path style=\"background:url(x)\" "),
        ("<path", "<foreignObject/><path"),
        ("<path", "<image href=\"https://evil.example\"/><path"),
        ("<path", "<use href=\"https://evil.example/#x\"/><path"),
        ("<path", "<a xlink:href=\"javascript:alert(1)\"/><path"),
        ("<path", "<style>@import 'x'</style><path"),
        ("<svg", "<!DOCTYPE svg><svg"),
        (
            "<path",
            "<set attributeName=\"href\" to=\"javascript:x\"/><path",
        ),
        ("viewBox=\"0 0 24 24\"", ""),
    ] {
        let logo = LOGO.replacen(from, to, 1);
        assert_ne!(logo, LOGO);
        let report = folder_report(&FolderFacts {
            logo: Some(logo.clone()),
            ..facts()
        });
        assert_eq!(
            report.findings.iter().map(|f| f.rule).collect::<Vec<_>>(),
            ["V71"],
            "{logo}"
        );
    }
    assert!(
        folder_report(&FolderFacts {
            logo: None,
            ..facts()
        })
        .has_errors()
    );
}

#[test]
fn a_fixture_that_is_not_one_is_told_in_its_own_file() {
    for (broken, want) in [
        ("just text", "a fixture file is a list"),
        ("- name: x", "missing field"),
        (
            &*FIXTURES.replace("origin: constructed", "origin: dreamt"),
            "unknown variant `dreamt`",
        ),
        (
            &*FIXTURES.replace("for: test", "for: { action: nope }"),
            "there is no action `nope`",
        ),
        (
            &*FIXTURES.replace("for: test", "for: { token: key }"),
            "no OAuth way to sign in `key`",
        ),
        (
            &*FIXTURES.replace("means: needs", "mean: needs"),
            "there is no `mean` to expect",
        ),
        ("- &a x\n- *a", "aliases"),
    ] {
        let report = folder_report(&FolderFacts {
            fixtures: vec![("t.yaml".into(), broken.to_owned())],
            ..facts()
        });
        assert!(
            report
                .findings
                .iter()
                .any(|f| f.rule == "V95" && f.message.contains(want)),
            "{want}: {:?}",
            report.findings
        );
    }
}

#[test]
fn a_key_in_a_fixture_is_told_without_being_repeated() {
    let key = format!("ghp_{}", "a1B2c3".repeat(6));
    let text = FIXTURES.replace("label: Ann", &format!("label: {key}"));
    let report = folder_report(&FolderFacts {
        fixtures: vec![("t.yaml".into(), text)],
        ..facts()
    });
    let found: Vec<_> = report.findings.iter().filter(|f| f.rule == "V19").collect();
    assert_eq!(found.len(), 1, "{:?}", report.findings);
    assert_eq!(found[0].file.as_deref(), Some("fixtures/t.yaml"));
    assert!(found[0].line > 0 && !format!("{found:?}").contains(&key));
}

#[test]
fn bombs_are_refused_before_they_are_read() {
    let deep = format!("manifest: {}{}", "[".repeat(100), "]".repeat(100));
    let large = format!("manifest: 1\nname: {}", "x".repeat(1024 * 1024));
    let lol = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]";
    for yaml in [deep.as_str(), large.as_str(), lol] {
        let report = check("bomb.yaml", yaml, None);
        assert!(report.manifest.is_none());
        assert!(
            report.findings.iter().any(|f| f.rule == "V08"),
            "{:?}",
            report.findings
        );
    }
}

#[test]
fn fixtures_are_run_beside_misfits_and_say_nothing_that_follows_from_one() {
    let wrong_label = FolderFacts {
        fixtures: vec![(
            "test.yaml".into(),
            FIXTURES.replace("label: Ann", "label: Bob"),
        )],
        ..facts()
    };
    let rules = |yaml: &str, facts: &FolderFacts| -> Vec<&'static str> {
        let report = check("acme/manifest.yaml", yaml, Some(facts));
        report.findings.iter().map(|f| f.rule).collect()
    };
    // A misfit elsewhere: both are told in one run.
    let elsewhere = GOOD.replace("label: Key", "lable: Key");
    assert_eq!(rules(&elsewhere, &wrong_label), ["V03", "V95"]);
    // A misfit in the test itself: what its fixture comes to is not the author's mistake.
    let inside = GOOD.replace("body: $.id", "body: id");
    assert_eq!(rules(&inside, &wrong_label), ["V58"]);
    // What is wrong with a fixture's own form does not depend on the manifest.
    let form = FolderFacts {
        fixtures: vec![("t.yaml".into(), "- name: x".into())],
        ..facts()
    };
    assert!(rules(&inside, &form).contains(&"V95"));
}

#[test]
fn a_wrong_type_of_a_way_to_sign_in_hides_nothing_else_of_it() {
    for (from, to, wanted) in [
        // The word is misspelt: the rest is read as what it looks like.
        (
            "type: bearer, label: Key",
            "type: baerer, lable: Key",
            &["V03", "V05"][..],
        ),
        // There is none: the rest is read as the type that takes it.
        (
            "type: bearer, label: Key",
            "label: Key, help: \"<b>Made in the settings of Acme.</b>\"",
            &["V02", "V30"],
        ),
        // The key is misspelt.
        ("type: bearer", "tpye: bearer", &["V03"]),
        // Nothing says what is meant: only that is told.
        ("type: bearer, label: Key", "kind: x, name: Key", &["V02"]),
    ] {
        let broken = GOOD.replace(from, to);
        assert_ne!(broken, GOOD);
        let report = check("acme/manifest.yaml", &broken, Some(&facts()));
        let mut rules: Vec<&str> = report.findings.iter().map(|f| f.rule).collect();
        rules.sort_unstable();
        assert_eq!(rules, wanted, "{}", report.render(&broken, false));
        assert!(report.manifest.is_none());
    }
}

#[test]
fn what_no_fixture_shows_is_noted_once_per_action_and_trigger() {
    let (text, folder) = keyport_manifest::yaml::book::base();
    let bare = FolderFacts {
        fixtures: folder
            .fixtures
            .into_iter()
            .filter(|(name, _)| name == "test.yaml" || name == "token.yaml")
            .collect(),
        ..keyport_manifest::yaml::book::base().1
    };
    let report = check("harbordesk/manifest.yaml", text, Some(&bare));
    let paths: Vec<&str> = report.findings.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "actions.list_tickets",
            "actions.create_ticket",
            "triggers.new_ticket"
        ]
    );
    assert!(
        report
            .findings
            .iter()
            .all(|f| f.rule == "V95" && f.severity == keyport_manifest::Severity::Note)
    );
}
