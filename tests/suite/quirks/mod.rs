//! What providers do beside the standards, row by row: the catalogue of `tests/cases/quirks/README.md`, each row a case.
//!
//! A case is data: the app's manifest (the one that ships, where there is one), what the provider is asked and answers, and
//! what must come out. One host serves them all; it is the built binary, and reaches the provider by origin overrides.
//! `KEYPORT_TEST_CASE=<folder>` runs one of them. `rows.yaml` has all rows, and each of them is run by some case.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use keyport_tests::authority::{Authority, rsa_key};
use keyport_tests::binary::repository;
use keyport_tests::host::{Host, Setup};
use keyport_tests::http::origin;
use keyport_tests::script::{Provider, text};
use serde_json::Value;

mod run;

use run::Run;

/// Rows of the catalogue.
const ROWS: std::ops::RangeInclusive<u64> = 1..=64;

struct Case {
    name: String,
    folder: PathBuf,
    data: Value,
}

fn folder() -> PathBuf {
    repository().join("tests/cases/quirks")
}

fn yaml(path: &std::path::Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn cases() -> Vec<Case> {
    let mut found: Vec<Case> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("case.yaml").is_file())
        .map(|folder| Case {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            data: yaml(&folder.join("case.yaml")),
            folder,
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Every origin that a case's requests and redirects name.
fn origins(case: &Value, found: &mut BTreeSet<String>) {
    match case {
        Value::Object(map) => {
            for (key, value) in map {
                if key == "url"
                    && let Some(url) = value.as_str()
                {
                    found.insert(origin(url));
                }
                origins(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| origins(item, found)),
        _ => {}
    }
}

/// Every row is run, or says where else it is shown; what it says is there for whoever looks for it.
#[test]
fn each_row_of_the_catalogue_has_a_case() {
    let rows = yaml(&folder().join("rows.yaml"));
    let rows = rows.as_object().expect("rows by their number");
    let mut by: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in cases() {
        for row in case.data["rows"].as_array().expect("a case names its rows") {
            by.entry(text(row)).or_default().push(case.name.clone());
        }
    }
    let mut wrong = Vec::new();
    for row in ROWS.map(|row| row.to_string()) {
        let Some(said) = rows.get(&row) else {
            wrong.push(format!("rows.yaml lacks row {row}"));
            continue;
        };
        for key in ["provider", "fact"] {
            if said[key].as_str().is_none_or(str::is_empty) {
                wrong.push(format!("row {row} says no `{key}`"));
            }
        }
        match (by.get(&row), said["elsewhere"].as_str()) {
            (None, None) => wrong.push(format!("row {row} has no case")),
            (Some(by), Some(_)) => wrong.push(format!("row {row} is run here: {by:?}")),
            (None, Some(reason)) if reason.len() < 20 => {
                wrong.push(format!("row {row} does not say where it is shown"));
            }
            _ => {}
        }
    }
    for unknown in rows.keys().chain(by.keys()) {
        let known = unknown.parse().is_ok_and(|row: u64| ROWS.contains(&row));
        if !known {
            wrong.push(format!("there is no row {unknown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A case shows an app that people can use; only where none shows the quirk it has a manifest of its own, and says why.
#[test]
fn a_case_says_where_its_answers_come_from_and_why_it_has_an_app_of_its_own() {
    let mut wrong = Vec::new();
    for case in cases() {
        let says = |key: &str| case.data[key].as_str().is_some_and(|text| text.len() > 20);
        let own = case.folder.join("manifest.yaml").is_file();
        if !says("origin") {
            wrong.push(format!("{}: `origin` is missing", case.name));
        }
        if own != says("own") {
            wrong.push(format!(
                "{}: `own` goes with a manifest of its own",
                case.name
            ));
        }
        if own == case.data["manifest"].is_string() {
            wrong.push(format!("{}: one manifest, not two and not none", case.name));
        }
        let known = [
            "rows",
            "quirk",
            "origin",
            "own",
            "manifest",
            "guest",
            "method",
            "configuration",
            "certificates",
            "script",
        ];
        for key in case.data.as_object().expect("keys").keys() {
            if !known.contains(&key.as_str()) {
                wrong.push(format!("{}: there is no key `{key}`", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_quirk_comes_out_as_it_should() {
    let only = std::env::var("KEYPORT_TEST_CASE").ok();
    let cases: Vec<Case> = cases()
        .into_iter()
        .filter(|case| only.as_ref().is_none_or(|only| *only == case.name))
        .collect();
    assert!(!cases.is_empty(), "there is no such case");
    let (mut all, mut certified) = (BTreeSet::new(), BTreeSet::new());
    for case in &cases {
        origins(&case.data, &mut all);
        if case.data["certificates"] == true {
            origins(&case.data, &mut certified);
        }
    }
    let authority = Authority::default();
    let certified: Vec<String> = certified.into_iter().collect();
    let provider = Provider::start_certified(all, &certified, &authority);
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), authority.pem()).unwrap();
    let (certificate, certificate_key) = authority.client();
    let made = [
        ("{certificate}", certificate),
        ("{certificate_key}", certificate_key),
        ("{rsa_key}", rsa_key()),
        ("{in_an_hour}", (unix_now() + 3600).to_string()),
    ];
    let built = tempfile::tempdir().unwrap();
    let mut host = Host::start(Setup {
        origins: provider.overrides(),
        apps: cases
            .iter()
            .filter(|case| case.folder.join("manifest.yaml").is_file())
            .map(|case| with_guest(case, built.path()))
            .collect(),
        more: format!("egress.extra_roots = [{:?}]", roots.path()),
        ..Setup::default()
    });
    let platform = host.platform();
    let mut wrong = Vec::new();
    for case in &cases {
        let mut run = Run {
            case,
            host: &host,
            platform: &platform,
            provider: &provider,
            made: &made,
            config: None,
            connection: None,
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.all()));
        if let Err(reason) = result {
            // What is left of it must not disturb the next one.
            let (complaints, _) = provider.finish();
            let said = reason
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| reason.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                .unwrap_or_default();
            wrong.push(format!(
                "{}: {said}\n    {}",
                case.name,
                complaints.join("\n    ")
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}\n--- the host said:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n"),
        if only.is_some() {
            host.log()
        } else {
            "(run one case to see it)".to_owned()
        }
    );
}

/// The app's folder; a copy of it with its component, where the case names a guest.
fn with_guest(case: &Case, built: &std::path::Path) -> PathBuf {
    let Some(guest) = case.data["guest"].as_str() else {
        return case.folder.clone();
    };
    let folder = built.join(&case.name);
    std::fs::create_dir(&folder).unwrap();
    for (from, to) in [
        (case.folder.join("manifest.yaml"), "manifest.yaml"),
        (keyport_tests::guest::build(guest), "component.wasm"),
    ] {
        std::fs::copy(from, folder.join(to)).unwrap();
    }
    folder
}

/// The same with values in place of placeholders, in texts at any depth.
fn filled(value: &Value, with: &[(&str, String)]) -> Value {
    match value {
        Value::String(text) => {
            Value::String(with.iter().fold(text.clone(), |text, (name, value)| {
                text.replace(name, value)
            }))
        }
        Value::Array(items) => items.iter().map(|item| filled(item, with)).collect(),
        Value::Object(map) => {
            let all = map.iter();
            all.map(|(name, value)| (name.clone(), filled(value, with)))
                .collect()
        }
        other => other.clone(),
    }
}

/// Seconds until a time such as `2026-01-31T12:00:00Z`.
pub fn seconds_from_now(at: &str) -> i64 {
    let number = |from: usize, to: usize| at[from..to].parse::<i64>().unwrap();
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    // Days since 1970 by the civil calendar (Howard Hinnant's algorithm).
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * 86_400 + number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19);
    seconds - unix_now()
}

fn unix_now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_secs()).unwrap()
}
