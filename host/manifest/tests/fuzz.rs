//! Fuzz targets as plain functions: whatever strangers write, it ends in a value or in findings.
//!
//! Each target runs for about a second under `cargo test`, and for ten minutes with `KEYPORT_PROOF=full`. Inputs come from a
//! generator with a seed (`KEYPORT_SEED`, else fixed), so a run can be repeated; a failure prints the seed and the input. An input
//! that once failed is kept in `corpus/` and tried first, with every other file there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use keyport_manifest::{FolderFacts, HostPattern, JsonPath, Template, check, parse, yaml::print};
use serde_json::{Map, Value, json};

/// xorshift64*: small, quick, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % (n.max(1) as u64)).unwrap_or(0)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

fn corpus() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    all.sort();
    all.iter()
        .map(|p| String::from_utf8_lossy(&fs::read(p).unwrap()).into_owned())
        .collect()
}

fn manifests() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
    let mut all: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|e| e.unwrap().path().join("manifest.yaml"))
        .collect();
    all.retain(|p| p.is_file());
    all.sort();
    all.iter().map(|p| fs::read_to_string(p).unwrap()).collect()
}

/// Runs a target over the corpus, and then over what is made, until the time is up.
fn run(make: impl Fn(&mut Dice) -> String, target: impl Fn(&str)) {
    let full = std::env::var("KEYPORT_PROOF").is_ok_and(|v| v == "full");
    let time = Duration::from_secs(if full { 600 } else { 1 });
    let first = std::env::var("KEYPORT_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(1u64);
    let start = Instant::now();
    let mut tried = 0u64;
    let attempt = |seed: Option<u64>, input: &str| {
        if let Err(cause) = catch_unwind(AssertUnwindSafe(|| target(input))) {
            eprintln!("KEYPORT_SEED={seed:?} fails; keep this in tests/corpus:\n{input:?}");
            std::panic::resume_unwind(cause);
        }
    };
    for input in corpus() {
        attempt(None, &input);
    }
    for seed in first.. {
        let input = make(&mut Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
        attempt(Some(seed), &input);
        tried += 1;
        if start.elapsed() > time {
            break;
        }
    }
    assert!(tried > 0);
}

fn bytes(dice: &mut Dice) -> String {
    const PIECES: &[&str] = &[
        "manifest: 1\n",
        "auth:",
        "\n  ",
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "|\n",
        ">",
        "&a ",
        "*a",
        "!!str ",
        "%",
        "#",
        "---\n",
        "...\n",
        "? ",
        "\t",
        "\u{feff}",
        "\u{85}",
        "{{ ",
        " }}",
        "$.",
        "é",
        "\u{0}",
        "~",
        "0x1F",
        "1e999",
        "<<",
    ];
    let mut out = Vec::new();
    for _ in 0..dice.below(60) {
        if dice.below(3) == 0 {
            out.push(dice.roll().to_le_bytes()[0]);
        } else {
            out.extend_from_slice(dice.of(PIECES).as_bytes());
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn tree(dice: &mut Dice, depth: usize) -> Value {
    const KEYS: &[&str] = &[
        "manifest", "id", "name", "version", "auth", "type", "fields", "label", "test", "request",
        "path", "ok", "status", "body", "json", "api", "base_url", "hosts", "actions", "input",
        "scopes", "default", "revoke", "none", "pkce", "x y", "",
    ];
    match dice.below(if depth == 0 { 6 } else { 9 }) {
        0 => json!(null),
        1 => json!(dice.below(2) == 0),
        2 => json!(dice.roll()),
        3 => json!(f64::from(u32::try_from(dice.below(1000)).unwrap()) / 8.0),
        4 => json!(*dice.of(&[
            "oauth2",
            "bearer",
            "GET",
            "{{ fields.a }}",
            "https://a.example",
            "no",
            "1.0.0",
            "$.a",
            "{{"
        ])),
        5 => json!(bytes(dice)),
        6 => (0..dice.below(4)).map(|_| tree(dice, depth - 1)).collect(),
        _ => {
            let mut map = Map::new();
            for _ in 0..dice.below(7) {
                let key = (*dice.of(KEYS)).to_owned();
                map.insert(key, tree(dice, depth - 1));
            }
            Value::Object(map)
        }
    }
}

/// Replaces, removes or moves a value somewhere in a tree.
fn mutate(value: &mut Value, dice: &mut Dice) {
    let count = match value {
        Value::Object(map) => map.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    if count == 0 || dice.below(6) == 0 {
        *value = tree(dice, 2);
        return;
    }
    let at = dice.below(count);
    match value {
        Value::Object(map) => {
            let key = map.keys().nth(at).unwrap().clone();
            match dice.below(8) {
                0 => drop(map.shift_remove(&key)),
                1 => {
                    let was = map.shift_remove(&key).unwrap();
                    map.insert(format!("{key}x"), was);
                }
                _ => mutate(&mut map[&key], dice),
            }
        }
        Value::Array(items) => mutate(&mut items[at], dice),
        _ => {}
    }
}

/// The whole check; the report can be shown; what was accepted can be written and read as the same.
fn whole(yaml: &str) {
    let report = check("m.yaml", yaml, None);
    assert!(report.manifest.is_some() || report.has_errors());
    assert_eq!(
        report.render(yaml, false).is_empty(),
        report.findings.is_empty()
    );
    assert!(report.findings.len() <= 201, "more than anybody reads");
    if let Ok(manifest) = parse("m.yaml", yaml) {
        let written = print(&manifest);
        let again = parse("again.yaml", &written).unwrap_or_else(|f| panic!("{f:?}\n{written}"));
        assert_eq!(again, manifest);
    }
}

#[test]
fn any_bytes_end_in_findings() {
    run(bytes, whole);
}

#[test]
fn any_tree_ends_in_findings() {
    run(|dice| tree(dice, 5).to_string(), whole);
}

#[test]
fn any_change_of_a_manifest_ends_in_findings_or_in_one_that_survives_being_printed() {
    let trees: Vec<Value> = manifests()
        .iter()
        .map(|m| serde_yaml::from_str(m).unwrap())
        .collect();
    let make = |dice: &mut Dice| {
        let mut value = dice.of(&trees).clone();
        for _ in 0..=dice.below(3) {
            mutate(&mut value, dice);
        }
        serde_json::to_string_pretty(&value).unwrap()
    };
    run(make, whole);
}

#[test]
fn any_change_of_the_text_of_a_manifest_ends_in_findings() {
    let texts = manifests();
    let make = |dice: &mut Dice| {
        let mut chars: Vec<char> = dice.of(&texts).chars().collect();
        for _ in 0..=dice.below(4) {
            let (from, len) = (dice.below(chars.len()), dice.below(12));
            let to = (from + len).min(chars.len());
            let put: Vec<char> = bytes(dice).chars().take(8).collect();
            chars.splice(from..to, put);
        }
        chars.into_iter().collect()
    };
    run(make, whole);
}

/// A JSON Schema, or nearly: references lead anywhere, also back.
fn schema(dice: &mut Dice, depth: usize) -> Value {
    const KEYS: &[&str] = &[
        "type",
        "properties",
        "items",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "$ref",
        "$defs",
        "$id",
        "$dynamicRef",
        "enum",
        "const",
        "required",
        "pattern",
        "patternProperties",
        "format",
        "additionalProperties",
        "propertyNames",
        "prefixItems",
        "contains",
        "uniqueItems",
        "minLength",
        "maximum",
        "default",
    ];
    const WORDS: &[&str] = &[
        "object",
        "array",
        "string",
        "null",
        "#",
        "#/$defs/a",
        "#/$defs/b",
        "#/properties/a",
        "#/default",
        "#/allOf/0",
        "https://a.test/x",
        "a",
        "^(a+)+$",
        "date-time",
        "uri",
    ];
    if depth == 0 || dice.below(5) == 0 {
        return match dice.below(4) {
            0 => json!(dice.below(2) == 0),
            1 => json!(dice.below(9)),
            2 => json!([*dice.of(WORDS)]),
            _ => json!(*dice.of(WORDS)),
        };
    }
    let mut map = Map::new();
    for _ in 0..=dice.below(4) {
        let key = *dice.of(KEYS);
        let value = match key {
            "type" | "$ref" | "$id" | "$dynamicRef" | "pattern" | "format" => {
                json!(*dice.of(WORDS))
            }
            "properties" | "patternProperties" | "$defs" => {
                json!({"a": schema(dice, depth - 1), "b": schema(dice, depth - 1)})
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                json!([schema(dice, depth - 1), schema(dice, depth - 1)])
            }
            _ => schema(dice, depth - 1),
        };
        map.insert(key.to_owned(), value);
    }
    Value::Object(map)
}

#[test]
fn any_schema_and_any_sample_end_in_findings() {
    let base: Value = serde_yaml::from_str(keyport_manifest::yaml::book::base().0).unwrap();
    let make = |dice: &mut Dice| {
        let mut whole = base.clone();
        let action = whole.pointer_mut("/actions/list_tickets").unwrap();
        action["output"] = schema(dice, 6);
        let mut sample = tree(dice, 2);
        for _ in 0..dice.below(50) {
            sample = json!({"a": sample, "b": [1, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"]});
        }
        action["sample"] = sample;
        whole.to_string()
    };
    run(make, whole);
}

#[test]
fn any_change_of_a_fixture_ends_in_findings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
    let mut apps: Vec<(String, FolderFacts)> = fs::read_dir(root)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.join("manifest.yaml").is_file())
        .map(|p| {
            let yaml = fs::read_to_string(p.join("manifest.yaml")).unwrap();
            (yaml, FolderFacts::read(&p))
        })
        .filter(|(_, facts)| !facts.fixtures.is_empty())
        .collect();
    apps.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    let trees: Vec<Vec<Value>> = apps
        .iter()
        .map(|(_, facts)| {
            let read = |(_, text): &(String, String)| serde_yaml::from_str(text).unwrap();
            facts.fixtures.iter().map(read).collect()
        })
        .collect();
    // The first line says whose fixture it is.
    let make = |dice: &mut Dice| {
        let app = dice.below(apps.len());
        let mut value = dice.of(&trees[app]).clone();
        for _ in 0..=dice.below(3) {
            mutate(&mut value, dice);
        }
        format!("# {app}\n{value}")
    };
    run(make, |text| {
        let number = text.lines().next().unwrap_or_default();
        let app = number.trim_start_matches('#').trim().parse().unwrap_or(0);
        let (yaml, facts) = apps.get(app).unwrap_or(&apps[0]);
        let facts = FolderFacts {
            fixtures: vec![("changed.yaml".to_owned(), text.to_owned())],
            ..facts.clone()
        };
        let report = check("m.yaml", yaml, Some(&facts));
        assert!(
            report.manifest.is_some(),
            "a fixture cannot break a manifest"
        );
    });
}

#[test]
fn any_text_is_a_template_that_reads_back_or_an_error() {
    let make = |dice: &mut Dice| format!("{}{{{{ {} }}}}{}", bytes(dice), bytes(dice), bytes(dice));
    run(make, |text| {
        if let Ok(template) = Template::parse(text) {
            assert_eq!(Template::parse(template.source()).unwrap(), template);
            let _ = template.refs();
        }
    });
}

#[test]
fn any_text_is_a_path_or_an_error() {
    const PIECES: &[&str] = &[
        "$", ".", "..", "a", "[", "]", "*", "?", "@", "'", "==", "&&", "0", "-1", ":", "(", ")",
        "length",
    ];
    let make = |dice: &mut Dice| {
        let count = dice.below(30);
        let mut out = String::from("$");
        for _ in 0..count {
            out.push_str(dice.of::<&str>(PIECES));
        }
        out
    };
    let body = json!({"a": [{"a": 1}, [2, "x"], null], "length": {"a": "a"}});
    run(make, |text| {
        if let Ok(path) = JsonPath::parse(text) {
            let _ = path.select(&body);
        }
    });
}

#[test]
fn any_text_is_a_host_pattern_that_reads_back_or_an_error() {
    const PIECES: &[&str] = &[
        "*",
        ".",
        "a",
        "example",
        "com",
        ":",
        "443",
        "-",
        "xn--",
        "[::1]",
        "é",
        "@",
        "/",
        "127.0.0.1",
        "A",
    ];
    let make = |dice: &mut Dice| {
        let count = dice.below(9);
        (0..count).map(|_| *dice.of(PIECES)).collect()
    };
    run(make, |text| {
        if let Ok(pattern) = text.parse::<HostPattern>() {
            assert_eq!(pattern.to_string().parse::<HostPattern>().unwrap(), pattern);
        }
    });
}
