//! `--fix`: what is changed, what is left alone, and that nothing that was right is ever broken.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may be blunt"
)]

use std::fs;
use std::path::Path;

use keyport_manifest::yaml::book;
use keyport_manifest::{Severity, check, fix};
use proptest::prelude::*;

const GOOD: &str = "# Northpier's own
manifest: 1
id: northpier
name: Northpier   # as on the sign
version: 1.0.0
summary: Berths and moorings of a harbour that does not exist at all.
categories: [support]
component: rest
fields:
  - id: subdomain
    label: Subdomain   # the first part
    format: dns-label
    help: The first part of the address of your harbour.
api: { base_url: \"https://{{ fields.subdomain }}.northpier.test\" }
auth:
  oauth:
    type: oauth2
    label: Sign in with Northpier
    authorize_url: https://{{ fields.subdomain }}.northpier.test/authorize
    token_url: https://{{ fields.subdomain }}.northpier.test/token
    refresh: { rotates: always }
    revoke: { none: Grants end in the settings of the account. }
  key:
    type: api_key
    label: API key
    fields:
      # Two parts, both needed.
      - id: login
        label: Login
      - { id: api_token, label: API token, secret: true, help_url: \"https://www.northpier.test/key\" }
    inject: [{ header: Authorization, value: \"Key {{ credentials.login }}:{{ credentials.api_token }}\" }]
test:
  request: { path: /me }
  ok: { status: 200, body: $.id }
  account: { id: \"{{ body.id }}\", label: \"{{ body.name | default('Northpier') }}\" }
";

/// A break, and whether the fix gives back the text as it was.
const BREAKS: &[(&str, &str, bool)] = &[
    ("label: Subdomain   #", "lable: Subdomain   #", true),
    ("token_url:", "tokn_url:", true),
    ("rotates: always", "rotates: alway", true),
    ("rotates: always", "rotates: 'alwys'", true),
    (
        "component: rest\n",
        "component: rest\ncomponent: rest\n",
        true,
    ),
    (", secret: true, help_url", ", help_url", false),
    ("type: oauth2", "type: oauth", true),
    ("format: dns-label", "format: dns_label", true),
    ("        label: Login\n", "        lable: Login\n", true),
];

fn errors(text: &str) -> usize {
    check("northpier.yaml", text, None).count(Severity::Error)
}

#[test]
fn what_was_right_is_left_as_it_is() {
    assert_eq!(errors(GOOD), 0);
    assert_eq!(fix("northpier.yaml", GOOD, None).text, GOOD);
    let (base, folder) = book::base();
    assert_eq!(fix("m.yaml", base, Some(&folder)).text, base);
}

#[test]
fn slips_are_put_right_and_comments_and_layout_stay() {
    for (from, to, same) in BREAKS {
        let broken = GOOD.replacen(from, to, 1);
        assert_ne!(broken, GOOD, "{from}");
        assert!(errors(&broken) > 0, "{to}");
        let fixed = fix("northpier.yaml", &broken, None);
        assert_eq!(
            fixed.report.count(Severity::Error),
            0,
            "{to}: {:?}",
            fixed.report.findings
        );
        assert!(!fixed.applied.is_empty());
        if *same {
            assert_eq!(fixed.text, GOOD, "{to}");
        }
    }
}

#[test]
fn several_slips_are_put_right_together() {
    let broken = GOOD
        .replace("lable", "label")
        .replace("label: Subdomain", "lable: Subdomain")
        .replace("token_url", "tokenurl")
        .replace("rotates: always", "rotates: allways")
        .replace(", secret: true, help", ", help");
    let fixed = fix("northpier.yaml", &broken, None);
    insta::assert_snapshot!("fixed", fixed.text);
    assert!(fixed.applied.len() >= 4, "{:?}", fixed.applied);
    assert_eq!(fixed.report.count(Severity::Error), 0);
}

#[test]
fn a_secret_is_marked_in_the_fields_own_layout() {
    let block = GOOD
        .replace(
            "- id: login\n        label: Login\n",
            "- id: pass_token   # ours\n        label: Pass token\n",
        )
        .replace("credentials.login", "credentials.pass_token");
    let fixed = fix("northpier.yaml", &block, None);
    assert!(
        fixed.text.contains(
            "- id: pass_token   # ours\n        secret: true\n        label: Pass token\n"
        ),
        "{}",
        fixed.text
    );
    let windows = block.replace('\n', "\r\n");
    let fixed = fix("northpier.yaml", &windows, None);
    assert!(fixed.text.contains("# ours\r\n        secret: true\r\n"));
}

#[test]
fn what_may_be_meant_differently_is_not_touched() {
    for (from, to) in [
        // Both keys are there: which of them is meant?
        (
            "label: Subdomain   #",
            "lable: Pier\n    label: Subdomain   #",
        ),
        // Two lines of one key that say different things.
        ("component: rest\n", "component: rest\ncomponent: harbour\n"),
        (
            "https://{{ fields.subdomain }}.northpier.test/token",
            "http://{{ fields.subdomain }}.northpier.test/token",
        ),
        // Read as its likeliest neighbour it would be another way to sign in, without what that needs.
        ("    type: api_key\n", "    type: oauth\n"),
    ] {
        let broken = GOOD.replacen(from, to, 1);
        assert_ne!(broken, GOOD);
        let fixed = fix("northpier.yaml", &broken, None);
        assert_eq!(fixed.text, broken);
        assert!(fixed.report.has_errors());
    }
}

#[test]
fn fixing_twice_changes_nothing_more_for_every_bad_example() {
    for rule in book::rules() {
        for example in rule.bad.iter().chain(&rule.good) {
            let (text, folder) = (example.manifest().unwrap(), example.folder());
            let once = fix("m.yaml", &text, folder.as_ref());
            let twice = fix("m.yaml", &once.text, folder.as_ref());
            assert_eq!(once.text, twice.text, "{}", rule.id);
            assert!(twice.applied.is_empty(), "{}", rule.id);
            let before = check("m.yaml", &text, folder.as_ref());
            assert!(once.report.count(Severity::Error) <= before.count(Severity::Error));
        }
    }
}

#[test]
fn no_manifest_of_the_repository_is_changed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        if let Ok(text) = fs::read_to_string(entry.path().join("manifest.yaml")) {
            assert_eq!(fix("manifest.yaml", &text, None).text, text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_fix_ends_never_panics_and_never_adds_errors(
        edits in prop::collection::vec((0usize..40, prop_oneof![
            Just("lable: x".to_owned()),
            Just("    secret: treu".to_owned()),
            Just("  - { id: token, label: Token }".to_owned()),
            Just("    type: oauth".to_owned()),
            Just("version: 1.10 # \u{e9}".to_owned()),
            Just("# allow V15: for the sake of it".to_owned()),
            "[ -~]{0,20}",
            "\\PC{0,12}",
        ]), 1..5)
    ) {
        let mut lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
        for (at, text) in edits {
            let count = lines.len();
            if let Some(line) = lines.get_mut(at % count) {
                *line = text;
            }
        }
        let text = lines.join("\n");
        let before = check("m.yaml", &text, None);
        let once = fix("m.yaml", &text, None);
        prop_assert!(once.report.count(Severity::Error) <= before.count(Severity::Error));
        prop_assert!(once.report.manifest.is_some() || before.manifest.is_none());
        let twice = fix("m.yaml", &once.text, None);
        prop_assert_eq!(&once.text, &twice.text);
    }
}
