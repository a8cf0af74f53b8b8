//! The book of rules: each has its form, its bad example fires it and its good one does not, and what a person is told about
//! the bad one is a snapshot.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may be blunt"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use keyport_manifest::diff::compare;
use keyport_manifest::yaml::book::{self, Example, Layer, Rule, rules};
use keyport_manifest::{Finding, Report, check, explain, parse};

/// Rules whose checks are not there yet. Whoever adds one takes it out of here and accepts its snapshot.
#[rustfmt::skip]
const NOT_YET: &[&str] = &[
];

/// Rules that are promises of validate itself, and never reported.
const NEVER_REPORTED: &[&str] = &["V04", "V96"];

fn report(example: &Example) -> (String, Report) {
    let text = example.manifest().unwrap();
    let folder = example.folder();
    let mut report = check("harbordesk/manifest.yaml", &text, folder.as_ref());
    if let Some(old) = example.older() {
        let old = parse("old.yaml", &old.unwrap()).unwrap();
        let new = report.manifest.as_ref().unwrap();
        let changes = compare(&old, new);
        report.remark(&text, changes);
    }
    (text, report)
}

fn of<'r>(rule: &Rule, report: &'r Report) -> Vec<&'r Finding> {
    report
        .findings
        .iter()
        .filter(|f| f.rule == rule.id)
        .collect()
}

fn fires(rule: &Rule) -> bool {
    let example = rule.bad.as_ref().unwrap();
    let (_, report) = report(example);
    of(rule, &report).iter().any(|f| {
        example.at.as_ref().is_none_or(|at| f.path == *at)
            && example
                .says
                .as_ref()
                .is_none_or(|says| f.message.contains(says.as_str()))
    })
}

/// Rules whose examples are run: over the manifest and its folder, or over two versions of it.
fn with_examples() -> impl Iterator<Item = &'static Rule> {
    rules().filter(|r| {
        matches!(r.layer, Layer::Offline | Layer::Diff) && !NEVER_REPORTED.contains(&r.id.as_str())
    })
}

#[test]
fn every_page_can_be_read_and_the_ids_are_v01_to_v98() {
    assert_eq!(book::unreadable(), []);
    let ids: Vec<&str> = rules().map(|r| r.id.as_str()).collect();
    let wanted: Vec<String> = (1..=98).map(|n| format!("V{n:02}")).collect();
    assert_eq!(ids, wanted);
}

#[test]
fn every_page_says_what_and_why_in_words_of_its_own() {
    let mut titles = BTreeSet::new();
    for rule in rules() {
        let id = &rule.id;
        assert!(
            titles.insert(&rule.title),
            "{id}: two rules have this title"
        );
        assert!(rule.title.len() <= 110, "{id}: the title is not one line");
        assert!(!rule.title.ends_with('.'), "{id}: a title has no full stop");
        assert!(
            rule.why.trim().ends_with('.'),
            "{id}: the reason is a sentence"
        );
        assert!(
            (40..=300).contains(&rule.why.trim().chars().count()),
            "{id}: {}",
            rule.why
        );
        assert_eq!(
            rule.bad.is_some(),
            rule.good.is_some(),
            "{id}: a bad and a good example"
        );
    }
}

#[test]
fn the_base_of_the_examples_is_clean() {
    let (text, folder) = book::base();
    let report = check("harbordesk/manifest.yaml", text, Some(&folder));
    assert_eq!(report.render(text, false), "");
}

#[test]
fn every_bad_example_fires_its_rule() {
    let silent: Vec<&str> = with_examples()
        .filter(|r| !fires(r))
        .map(|r| r.id.as_str())
        .collect();
    assert_eq!(
        silent, NOT_YET,
        "left: rules whose bad example is not found fault with; right: NOT_YET, which says for which of them that is known"
    );
}

#[test]
fn no_good_example_fires_its_rule_or_any_error() {
    let mut wrong = String::new();
    for rule in with_examples().filter(|r| !NOT_YET.contains(&r.id.as_str())) {
        let (text, report) = report(rule.good.as_ref().unwrap());
        let fired = !of(rule, &report).is_empty();
        let broken = rule.good.as_ref().unwrap().patch.is_some() && report.has_errors();
        if fired || broken {
            wrong += &format!("== {}\n{}", rule.id, report.render(&text, false));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn further_examples_fire_their_rule_until_they_are_put_right() {
    let mut pairs = 0;
    for rule in rules() {
        for more in &rule.further {
            let (text, found) = report(&more.bad);
            let at = more
                .bad
                .at
                .as_deref()
                .expect("a further example says where");
            assert!(
                of(rule, &found).iter().any(|f| f.path == at),
                "{}, {}:\n{}",
                rule.id,
                more.about,
                found.render(&text, false)
            );
            let (text, found) = report(&more.good);
            assert!(
                of(rule, &found).is_empty() && !found.has_errors(),
                "{}, {}:\n{}",
                rule.id,
                more.about,
                found.render(&text, false)
            );
            pairs += 1;
        }
    }
    assert!(pairs > 0);
}

#[test]
fn the_examples_of_rules_about_components_are_manifests_in_themselves() {
    for rule in rules().filter(|r| r.layer == Layer::Component) {
        let bad = rule.bad.as_ref().unwrap();
        for example in [bad, rule.good.as_ref().unwrap()] {
            let (text, report) = report(example);
            assert!(!report.has_errors(), "{}", report.render(&text, false));
            assert!(example.component.is_some(), "{}", rule.id);
        }
    }
}

/// What they come to is tested where there is a way out: `keyport/tests/net.rs`.
#[test]
fn the_examples_of_rules_about_the_network_are_manifests_without_errors() {
    for rule in rules().filter(|r| r.layer == Layer::Net) {
        for example in [rule.bad.as_ref().unwrap(), rule.good.as_ref().unwrap()] {
            let (text, report) = report(example);
            assert!(!report.has_errors(), "{}", report.render(&text, false));
            assert!(example.peer.is_some(), "{}", rule.id);
        }
    }
}

#[test]
fn several_mistakes_are_told_in_one_run() {
    let (_, report) = report(book::rule("V04").unwrap().bad.as_ref().unwrap());
    let rules: BTreeSet<&str> = report.findings.iter().map(|f| f.rule).collect();
    assert!(
        rules.is_superset(&["V02", "V03", "V09"].into()),
        "{rules:?}"
    );
}

#[test]
fn what_is_said_about_every_bad_example_is_known() {
    for rule in with_examples().filter(|r| !NOT_YET.contains(&r.id.as_str())) {
        let (text, mut report) = report(rule.bad.as_ref().unwrap());
        report.findings.retain(|f| f.rule == rule.id);
        insta::with_settings!({ snapshot_path => "snapshots/rules", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(rule.id.as_str(), report.render(&text, false));
        });
    }
}

#[test]
fn explaining_a_rule_shows_why_and_both_examples() {
    insta::assert_snapshot!("explain_v31", explain("v31"));
    insta::assert_snapshot!("explain_v95", explain("95"));
    insta::assert_snapshot!("explain_v82", explain("V82"));
    assert!(explain("V99").starts_with("There is no rule `V99`"));
    for rule in rules() {
        assert!(explain(&rule.id).contains(rule.title.as_str()));
    }
}

#[test]
fn every_rule_that_a_check_names_is_in_the_book() {
    let mut named = BTreeSet::new();
    ids_in(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut named,
    );
    assert!(named.len() > 30);
    let known: BTreeSet<String> = rules().map(|r| r.id.clone()).collect();
    assert_eq!(
        named.difference(&known).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
}

/// Every `"Vnn"` in the sources.
fn ids_in(folder: &Path, named: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            ids_in(&entry.path(), named);
            continue;
        }
        for part in fs::read_to_string(entry.path()).unwrap().split('"') {
            let bytes = part.as_bytes();
            if bytes.len() == 3
                && bytes.starts_with(b"V")
                && bytes.iter().skip(1).all(u8::is_ascii_digit)
            {
                named.insert(part.to_owned());
            }
        }
    }
}
