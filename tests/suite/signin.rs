//! What sign-in must hold and what attackers try, each held against the test that proves it: `tests/cases/signin/README.md`.
//!
//! The table is data; this sees that it is whole, that each test it names exists, and that each attack names the line of
//! code that stands in its way. With `KEYPORT_PROOF=full` ten of those lines are taken out, and the named tests must fail.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use keyport_tests::binary::{self, repository, said};
use serde_json::Value;

/// Requirements that this version does not run: PAR, JAR, DPoP (R31 to R37) and token exchange (R42).
const NOT_RUN: &[u64] = &[31, 32, 33, 34, 35, 36, 37, 42];
/// Attacks on webhooks and by guests, proven with the work on those.
const ELSEWHERE: &[u64] = &[31, 32, 40];
/// How many lines a full run takes out.
const SAMPLE: usize = 10;

fn table(name: &str) -> BTreeMap<String, Value> {
    let path = repository().join("tests/cases/signin").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The names of all tests: functions behind a test attribute, cases of quirks, scenarios of the browser.
fn known() -> BTreeSet<String> {
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
            if !matches!(name.as_str(), "node_modules" | "target" | "artefacts") {
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
            if before.is_empty() || before == "async " {
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
        match (by.is_empty(), row["later"].as_str()) {
            (true, None) => wrong.push(format!("{id} names no test")),
            (false, Some(_)) => wrong.push(format!("{id} is proven and says `later`")),
            _ => {}
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
    for (id, row) in attacks.iter().filter(|(_, row)| row["later"].is_null()) {
        if row["no_line"].is_string() {
            continue;
        }
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
#[test]
fn without_its_line_each_of_ten_defences_is_seen_to_be_missing() {
    if std::env::var("KEYPORT_PROOF").as_deref() != Ok("full") {
        eprintln!("SKIPPED: takes many builds; runs with KEYPORT_PROOF=full");
        return;
    }
    let copy = tempfile::tempdir().unwrap();
    let files = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(files.status.success(), "{}", said(&files));
    for file in String::from_utf8(files.stdout).unwrap().split('\0') {
        let from = repository().join(file);
        if file.is_empty() || !from.is_file() {
            continue;
        }
        let to = copy.path().join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    }
    let attacks = table("attacks.yaml");
    let with_line: Vec<(&String, &Value)> = attacks
        .iter()
        .filter(|(_, row)| row["line"].is_object())
        .collect();
    // Spread over the table, the same ones each time.
    let step = (with_line.len() / SAMPLE).max(1);
    let sample: Vec<_> = with_line.into_iter().step_by(step).take(SAMPLE).collect();
    assert_eq!(sample.len(), SAMPLE);
    let mut wrong = Vec::new();
    for (id, row) in sample {
        let path = copy.path().join(row["line"]["file"].as_str().unwrap());
        let whole = std::fs::read_to_string(&path).unwrap();
        let code = row["line"]["code"].as_str().unwrap();
        let instead = row["line"]["instead"].as_str().unwrap();
        std::fs::write(&path, whole.replacen(code, instead, 1)).unwrap();
        let run = Command::new(env!("CARGO"))
            .args(["test", "--locked", "--offline", "-p"])
            .arg(row["test"]["package"].as_str().unwrap())
            .arg(row["test"]["name"].as_str().unwrap())
            .current_dir(copy.path())
            .output()
            .unwrap();
        let all = said(&run);
        // A build that fails proves nothing: the test itself must have run and failed.
        if run.status.success() || !all.contains("test result: FAILED") {
            let tail: String = all.chars().rev().take(1500).collect();
            let tail: String = tail.chars().rev().collect();
            wrong.push(format!(
                "{id}: its test did not fail without {code:?}:\n{tail}"
            ));
        } else {
            eprintln!("{id}: without its line, {} fails", row["test"]["name"]);
        }
        std::fs::write(&path, whole).unwrap();
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
