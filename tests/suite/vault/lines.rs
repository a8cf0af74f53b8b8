//! What the vault has to hold (`host/vault/tests/cases/lines.yaml`), line by line and backend by backend, against the tests there are;
//! and the procedures that the vault's README tells of.

use std::collections::BTreeMap;

use keyport_tests::binary::repository;
use serde_json::Value;

use crate::known::known;

const LINES: u64 = 40;
const BACKENDS: [&str; 3] = ["memory", "sled", "postgres"];

fn table() -> BTreeMap<String, Value> {
    let path = repository().join("host/vault/tests/cases/lines.yaml");
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn names(value: &Value) -> Vec<String> {
    let all = value.as_array().into_iter().flatten();
    all.map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_line_names_its_tests_for_every_backend_or_says_why_it_does_not_apply() {
    let (table, known) = (table(), known());
    let mut wrong = Vec::new();
    for number in 1..=LINES {
        let id = format!("L{number:02}");
        let Some(row) = table.get(&id) else {
            wrong.push(format!("{id} has no row"));
            continue;
        };
        // What has nothing to do with where things are stored.
        let everywhere = names(&row["by"]);
        let mut all = everywhere.clone();
        for backend in BACKENDS {
            let own = names(&row[backend]);
            let why = row["without"][backend].as_str().or(row["without"].as_str());
            match (own.is_empty() && everywhere.is_empty(), why) {
                (true, None) => wrong.push(format!("{id}: nothing for {backend}, and no reason")),
                (false, Some(_)) => {
                    wrong.push(format!("{id}: {backend} has tests and says why not"));
                }
                _ => {}
            }
            all.extend(own);
        }
        let prefix = format!("line_{number:02}");
        let named = |name: &String| {
            name.starts_with(&prefix)
                || name.starts_with("line_01_and_10") && number == 10
                || name.starts_with("lines_17_and_18") && matches!(number, 17 | 18)
        };
        if !all.is_empty() && !all.iter().any(named) {
            wrong.push(format!("{id}: no test bears its number"));
        }
        for name in all.iter().filter(|name| !known.contains(*name)) {
            wrong.push(format!("{id}: there is no test {name}"));
        }
    }
    for id in table.keys() {
        if !(1..=LINES).any(|number| *id == format!("L{number:02}")) {
            wrong.push(format!("{id} is no line"));
        }
    }
    // And the other way round: whoever names a test after a line, puts it in.
    let text = std::fs::read_to_string(repository().join("host/vault/tests/cases/lines.yaml"));
    let text = text.unwrap();
    let numbered = |name: &str| {
        let number = name
            .strip_prefix("line_")
            .or_else(|| name.strip_prefix("lines_"));
        number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    };
    for name in known {
        if numbered(&name) && !text.contains(&name) {
            wrong.push(format!("{name} is in no line"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_procedure_of_the_vaults_readme_names_a_test_that_runs_it() {
    let text = std::fs::read_to_string(repository().join("host/vault/README.md")).unwrap();
    let known = known();
    let section = text.split("\n## Procedures\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| to |"))
        .collect();
    let mut wrong = Vec::new();
    for wanted in [
        "rotate",
        "back up",
        "restore",
        "move to PostgreSQL",
        "lost root key",
    ] {
        if !rows.iter().any(|row| row.contains(wanted)) {
            wrong.push(format!("no procedure says {wanted:?}"));
        }
    }
    for row in rows {
        let tests = row.rsplit('|').nth(1).unwrap_or_default();
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            wrong.push(format!("names no test: {row}"));
        }
        for name in named.into_iter().filter(|name| !known.contains(*name)) {
            wrong.push(format!("there is no test {name}: {row}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
