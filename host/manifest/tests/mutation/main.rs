//! How much of what authors get wrong is found: every good manifest of this repository is broken in some thirty ways, and
//! each break has to be told under the right rule at the right line. The share that is found is printed and has a floor.
//!
//! A break is made in the text, as a slip of the hand would make it, at the first place of a manifest that has what it
//! breaks. Breaks that a manifest offers no place for are not counted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod breaks;
mod text;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use breaks::BREAKS;
use keyport_manifest::{FolderFacts, check};
use text::Text;

/// The least share of breaks that must be found, in percent.
const FLOOR: usize = 95;

#[test]
fn what_authors_get_wrong_is_found_under_the_right_rule_at_the_right_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
    let mut folders: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let (mut made, mut found) = (0usize, 0usize);
    let mut missed = String::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for folder in &folders {
        let yaml = fs::read_to_string(folder.join("manifest.yaml")).unwrap();
        let text = Text {
            lines: yaml.lines().collect(),
        };
        // Fixtures are another matter, and would make up most of the time.
        let facts = FolderFacts {
            fixtures: Vec::new(),
            ..FolderFacts::read(folder)
        };
        for b in BREAKS {
            let Some((broken, line)) = (b.make)(&text) else {
                continue;
            };
            assert_ne!(
                broken.trim_end(),
                yaml.trim_end(),
                "{}: {} changed nothing",
                facts.name,
                b.name
            );
            made += 1;
            *places.entry(b.name).or_default() += 1;
            let report = check("manifest.yaml", &broken, Some(&facts));
            let told = report.findings.iter().any(|f| {
                f.file.is_none() && b.rules.contains(&f.rule) && (line == 0 || f.line == line)
            });
            if told {
                found += 1;
            } else {
                let said: Vec<String> = report
                    .findings
                    .iter()
                    .map(|f| format!("{}:{}", f.rule, f.line))
                    .collect();
                writeln!(
                    missed,
                    "{}: {} (line {line}): {}",
                    facts.name,
                    b.name,
                    said.join(" ")
                )
                .unwrap();
            }
        }
    }
    let share = found * 100 / made;
    println!(
        "{found} of {made} breaks found, {share} of 100, by {} ways in {} manifests",
        places.len(),
        folders.len()
    );
    println!("{missed}");
    for b in BREAKS {
        assert!(
            places.contains_key(b.name),
            "no manifest offers a place for: {}",
            b.name
        );
    }
    assert!(
        share >= FLOOR,
        "{share} of 100 are found, {FLOOR} are needed:\n{missed}"
    );
}
