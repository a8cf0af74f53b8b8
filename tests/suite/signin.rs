//! What sign-in must hold and what attackers try, each held against the test that proves it: `tests/cases/signin/README.md`.
//!
//! The table is data; this sees that it is whole, that each test it names exists, and that each attack names the line of
//! code that stands in its way. With `KEYPORT_PROOF=full` ten of those lines are taken out, and the named tests must fail.

use std::collections::BTreeMap;

use keyport_tests::binary::{self, repository, said};
use serde_json::Value;

use crate::known::known;
use crate::removal::{self, Went};

/// Requirements that this version does not run: PAR, JAR, DPoP (R31 to R37) and token exchange (R42).
const NOT_RUN: &[u64] = &[31, 32, 33, 34, 35, 36, 37, 42];
/// Attacks that are proven elsewhere.
const ELSEWHERE: &[u64] = &[];
/// How many lines a full run takes out.
const SAMPLE: usize = 10;

fn table(name: &str) -> BTreeMap<String, Value> {
    let path = repository().join("tests/cases/signin").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn names(row: &Value) -> Vec<String> {
    row["by"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

fn check(table: &BTreeMap<String, Value>, letter: char, all: u64, except: &[u64]) {
    let known = known();
    let mut wrong = Vec::new();
    for number in (1..=all).filter(|number| !except.contains(number)) {
        let id = format!("{letter}{number}");
        let Some(row) = table.get(&id) else {
            wrong.push(format!("{id} has no row"));
            continue;
        };
        let by = names(row);
        if by.is_empty() {
            wrong.push(format!("{id} names no test"));
        }
        if !row["later"].is_null() {
            wrong.push(format!("{id} is put off: no row may be"));
        }
        for name in by.iter().filter(|name| !known.contains(*name)) {
            wrong.push(format!("{id}: there is no test {name}"));
        }
    }
    for id in table.keys() {
        let number: u64 = id[1..].parse().unwrap();
        if number > all || except.contains(&number) {
            wrong.push(format!("{id} is not a row of this table"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_requirement_of_sign_in_names_the_tests_that_prove_it() {
    check(&table("requirements.yaml"), 'R', 64, NOT_RUN);
}

#[test]
fn each_attack_names_its_tests_and_the_line_that_stands_in_the_way() {
    let attacks = table("attacks.yaml");
    check(&attacks, 'A', 42, ELSEWHERE);
    let mut wrong = Vec::new();
    for (id, row) in &attacks {
        let line = &row["line"];
        let file = line["file"].as_str().unwrap_or_default();
        let Ok(source) = std::fs::read_to_string(repository().join(file)) else {
            wrong.push(format!("{id}: there is no file {file:?}"));
            continue;
        };
        let count = source.matches(line["code"].as_str().unwrap()).count();
        if count != 1 {
            wrong.push(format!("{id}: its line is {count} times in {file}"));
        }
        if !known().contains(row["test"]["name"].as_str().unwrap()) {
            wrong.push(format!("{id}: there is no test {}", row["test"]["name"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Takes ten of the lines out, one after the other, in a copy of the repository; each time the named test must fail.
/// `KEYPORT_REMOVE` names others (`A1,A36`), or `all`.
#[test]
fn without_its_line_each_of_ten_defences_is_seen_to_be_missing() {
    if std::env::var("KEYPORT_PROOF").as_deref() != Ok("full") {
        eprintln!("SKIPPED: takes many builds; runs with KEYPORT_PROOF=full");
        return;
    }
    let wanted = std::env::var("KEYPORT_REMOVE").unwrap_or_default();
    let attacks = table("attacks.yaml");
    let mut sample: Vec<(&String, &Value)> = attacks
        .iter()
        .filter(|(_, row)| row["line"].is_object())
        .collect();
    if wanted.is_empty() {
        // Spread over the table, the same ones each time.
        let step = (sample.len() / SAMPLE).max(1);
        sample = sample.into_iter().step_by(step).take(SAMPLE).collect();
        assert_eq!(sample.len(), SAMPLE);
    } else if wanted != "all" {
        let wanted: Vec<&str> = wanted.split(',').collect();
        sample.retain(|(id, _)| wanted.contains(&id.as_str()));
        assert_eq!(sample.len(), wanted.len(), "there is no such line");
    }
    let copy = removal::Copy::make();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut wrong = Vec::new();
    // A test that fails anyhow proves nothing.
    for (id, row) in &sample {
        match copy.test(&text(&row["test"]["package"]), &text(&row["test"]["name"])) {
            Went::Passed => {}
            Went::Failed => wrong.push(format!("{id}: its test fails with its line there")),
            Went::NotRun(why) => wrong.push(format!("{id}: its test did not run:\n{why}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (id, row) in &sample {
        let line = &row["line"];
        let (file, code) = (text(&line["file"]), text(&line["code"]));
        let (package, test) = (text(&row["test"]["package"]), text(&row["test"]["name"]));
        match copy.without(&file, &code, &text(&line["instead"]), &package, &test) {
            Went::Failed => eprintln!("{id}: without its line in {file}, {test} fails"),
            Went::Passed => wrong.push(format!("{id}: {test} passes without {code:?}")),
            Went::NotRun(why) => wrong.push(format!("{id}: without {code:?}:\n{why}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What `keyport validate` says of the case manifest of the OAuth server with one piece exchanged.
fn judged(piece: &str, instead: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = repository().join("tests/apps/oidc/manifest.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(piece));
    let file = folder.path().join("manifest.yaml");
    std::fs::write(&file, text.replacen(piece, instead, 1)).unwrap();
    let output = binary::run(&["validate", &file.display().to_string()]);
    (output.status.success(), said(&output))
}

/// R14: there is no way to write either down.
#[test]
fn neither_a_password_nor_an_implicit_grant_can_be_written() {
    for grant in ["password", "implicit"] {
        let (accepted, said) = judged(
            "    type: oauth2\n",
            &format!("    type: oauth2\n    grant: {grant}\n"),
        );
        assert!(!accepted && said.contains("grant"), "{grant}: {said}");
    }
}

/// A25: what the flow itself sets, no manifest sets.
#[test]
fn the_flows_own_parameters_cannot_be_set_by_a_manifest() {
    for name in [
        "state",
        "redirect_uri",
        "client_id",
        "code_challenge",
        "response_type",
        "nonce",
    ] {
        let added = format!("    client_auth: basic\n    authorize_params: {{ {name}: other }}\n");
        let (accepted, said) = judged("    client_auth: basic\n", &added);
        assert!(!accepted && said.contains(name), "{name}: {said}");
    }
}
