use std::fmt::Write as _;

use super::*;
use crate::yaml::{Report, book, check};

/// The base of the book of rules with a patch on either side: what `compare` says, one line each.
fn said(old: &str, new: &str) -> Vec<Change> {
    let read = |patch: &str| {
        let example = book::Example {
            patch: Some(patch.to_owned()),
            ..book::Example::default()
        };
        let report = check("manifest.yaml", &example.manifest().unwrap(), None);
        let Report {
            manifest, findings, ..
        } = report;
        manifest.unwrap_or_else(|| panic!("{findings:?}"))
    };
    compare(&read(old), &read(new))
}

fn lines(changes: &[Change]) -> String {
    let mut out = String::new();
    for c in changes {
        let _ = writeln!(
            out,
            "{} {} {}: {}",
            c.rule,
            c.severity.as_str(),
            c.path,
            c.message
        );
        if let Some(fix) = &c.fix {
            let _ = writeln!(out, "    = {fix}");
        }
    }
    out
}

#[test]
fn each_page_of_the_book_about_two_versions_fires_on_its_bad_example_and_not_on_its_good_one() {
    let mut seen = 0;
    for rule in book::rules().filter(|r| r.layer == book::Layer::Diff) {
        for (example, fires) in [(&rule.bad, true), (&rule.good, false)] {
            let example = example.as_ref().unwrap();
            let read = |text: String| check("manifest.yaml", &text, None).manifest.unwrap();
            let old = read(example.older().unwrap().unwrap());
            let new = read(example.manifest().unwrap());
            let changes = compare(&old, &new);
            let told = changes
                .iter()
                .any(|c| c.rule == rule.id && c.severity == rule.severity);
            assert_eq!(told, fires, "{}:\n{}", rule.id, lines(&changes));
            seen += 1;
        }
    }
    assert_eq!(seen, 14, "V82 to V88, both ways");
}

#[test]
fn a_manifest_that_means_the_same_has_nothing_said_about_it() {
    assert!(said("", "").is_empty());
    let order = said(
        "links: { home: https://a.test, docs: https://b.test }",
        "links: { docs: https://b.test, home: https://a.test }",
    );
    assert!(order.is_empty(), "{}", lines(&order));
}

#[test]
fn a_change_without_a_new_version_is_an_error_that_names_the_next_one() {
    let changes = said(
        "",
        "summary: Another sentence about the same app that is long enough.",
    );
    assert_eq!(changes.len(), 1, "{}", lines(&changes));
    assert_eq!(changes[0].rule, "V10");
    assert!(changes[0].fix.as_ref().unwrap().contains("1.3.0"));
}

/// Version 1 of an app with one text field, and what its successor makes of it.
fn field(old: &str, new: &str, rest: &str) -> String {
    let with = |field: &str, version: &str, rest: &str| {
        format!(
            "version: {version}\nfields:\n  - {{ id: subdomain, label: Subdomain, format: dns-label, example: acme }}\n{field}\n{rest}"
        )
    };
    lines(&said(&with(old, "1.2.0", ""), &with(new, "2.0.0", rest)))
}

#[test]
fn what_becomes_of_values_that_connections_hold_is_told_in_words() {
    let queue = "  - { id: queue, label: Queue, example: a }";
    let mut out = String::new();
    for (name, old, new, rest) in [
        ("gone", queue, "", ""),
        (
            "gone, and said so",
            queue,
            "",
            "migrations: [{ from: '<2.0.0', remove: [queue] }]",
        ),
        (
            "renamed",
            queue,
            "  - { id: line, label: Queue, example: a }",
            "",
        ),
        (
            "renamed, and said so",
            queue,
            "  - { id: line, label: Queue, example: a }",
            "migrations: [{ from: '<2.0.0', rename: { queue: line } }]",
        ),
        ("new and needed", "", queue, ""),
        (
            "new and set",
            "",
            queue,
            "migrations: [{ from: '<2.0.0', set: { queue: a } }]",
        ),
        (
            "another format",
            queue,
            "  - { id: queue, label: Queue, format: digits }",
            "",
        ),
        (
            "a choice less",
            "  - { id: queue, label: Queue, choices: [a, b] }",
            "  - { id: queue, label: Queue, choices: [a] }",
            "",
        ),
        (
            "no longer optional",
            "  - { id: queue, label: Queue, required: false }",
            queue,
            "",
        ),
        (
            "no longer secret",
            "  - { id: queue, label: Queue, secret: true }",
            queue,
            "",
        ),
        (
            "people sign in again",
            queue,
            "",
            "migrations: [{ from: '<2.0.0', reconnect: The vendor retired these keys. }]",
        ),
    ] {
        let _ = writeln!(out, "# {name}\n{}", field(old, new, rest));
    }
    insta::assert_snapshot!("fields", out);
}

#[test]
fn where_requests_and_secrets_go_is_told_in_words() {
    let mut out = String::new();
    for (name, old, new) in [
        (
            "another base",
            "",
            "version: 1.3.0\napi: { base_url: 'https://api.harbordesk.example' }",
        ),
        (
            "another token host",
            "",
            "version: 1.3.0\nauth: { oauth: { token_url: 'https://login.elsewhere.test/token' } }",
        ),
        (
            "any host",
            "fields: [{ id: subdomain, label: Subdomain, format: host, suffixes: [.a.test] }]\napi: { base_url: 'https://{{ fields.subdomain }}' }",
            "version: 1.3.0\nfields: [{ id: subdomain, label: Subdomain, format: host, suffixes: [.a.test, .b.test] }]\napi: { base_url: 'https://{{ fields.subdomain }}' }",
        ),
        (
            "a variant elsewhere",
            "variants: { label: Region, choices: { eu: { label: EU, values: { api: eu.a.test } } } }\napi: { base_url: 'https://{{ variant.api }}' }",
            "version: 1.3.0\nvariants: { label: Region, choices: { eu: { label: EU, values: { api: eu.b.test } }, us: { label: US, values: { api: us.a.test } } } }\napi: { base_url: 'https://{{ variant.api }}' }",
        ),
        (
            "raw credentials",
            "",
            "version: 1.3.0\nrequires: { grants: { raw_credentials: The vendor signs in a way that nobody else does. } }",
        ),
    ] {
        let mut changes = said(old, new);
        changes.retain(|c| c.rule == "V85");
        let _ = writeln!(out, "# {name}\n{}", lines(&changes));
    }
    insta::assert_snapshot!("reach", out);
}

#[test]
fn a_new_major_version_may_drop_operations_and_still_says_which() {
    let gone = "actions: { create_ticket: null }";
    let minor = said("", &format!("version: 1.3.0\n{gone}"));
    let major = said("", &format!("version: 2.0.0\n{gone}"));
    let of = |changes: &[Change]| -> Vec<Severity> {
        changes
            .iter()
            .filter(|c| c.rule == "V86")
            .map(|c| c.severity)
            .collect()
    };
    assert_eq!(of(&minor), [Severity::Error]);
    assert_eq!(of(&major), [Severity::Note]);
}

#[test]
fn remarks_are_brought_to_their_line() {
    let source = "manifest: 1\nid: a\nversion: 1.0.0\n";
    let mut report = check("manifest.yaml", source, None);
    report.findings.clear();
    report.remark(
        source,
        vec![
            Change::error("V10", "version", "x"),
            Change::error("V10", "id", "y"),
        ],
    );
    let at: Vec<_> = report
        .findings
        .iter()
        .map(|f| (f.line, f.message.as_str()))
        .collect();
    assert_eq!(at, [(2, "y"), (3, "x")]);
}
