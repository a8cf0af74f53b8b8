//! How long `validate` takes: prints the time for a thousand manifests on one core, against serde_yaml alone reading the same
//! texts into untyped trees. `cargo bench -p keyport-manifest`
//!
//! The manifests of this repository, with their fixtures, over and over until there are a thousand. The hostile documents are as
//! large as one may be and larger.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement, run by hand"
)]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use keyport_manifest::{FolderFacts, check};

const MANIFESTS: usize = 1000;
const ROUNDS: usize = 5;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn time(mut run: impl FnMut()) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        run();
        begun.elapsed()
    });
    median(times.collect())
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
    let apps: Vec<(FolderFacts, String)> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("manifest.yaml").is_file())
        .map(|path| {
            let yaml = fs::read_to_string(path.join("manifest.yaml")).unwrap();
            (FolderFacts::read(&path), yaml)
        })
        .collect();
    let thousand = || apps.iter().cycle().take(MANIFESTS);
    let bytes: usize = thousand().map(|(_, yaml)| yaml.len()).sum();

    let floor = time(|| {
        for (_, yaml) in thousand() {
            black_box(serde_yaml::from_str::<serde_json::Value>(yaml).unwrap());
        }
    });
    let alone = time(|| {
        for (_, yaml) in thousand() {
            black_box(check("manifest.yaml", yaml, None));
        }
    });
    let whole = time(|| {
        for (folder, yaml) in thousand() {
            black_box(check("manifest.yaml", yaml, Some(folder)));
        }
    });
    println!(
        "{MANIFESTS} manifests of {} different apps, {} KB",
        apps.len(),
        bytes / 1024
    );
    let ratio = |time: Duration| time.as_secs_f64() / floor.as_secs_f64();
    println!("serde_yaml alone         {floor:>10.1?}");
    println!(
        "check                    {alone:>10.1?}  {:.1} times that",
        ratio(alone)
    );
    println!(
        "check with its fixtures  {whole:>10.1?}  {:.1} times that",
        ratio(whole)
    );

    let mega = 1024 * 1024;
    let hostile: [(&str, String); 6] = [
        ("10 MB of text", "x: ".to_owned() + &"y".repeat(10 * mega)),
        ("1 MB of nested lists", "[".repeat(mega - 1)),
        (
            "1 MB of keys",
            (0..mega / 12).map(|i| format!("key{i}: 1\n")).collect(),
        ),
        ("1 MB of list items", "- a\n".repeat(mega / 4 - 1)),
        (
            "1 MB of anchors",
            "a: &a [x]\n".to_owned() + &"b: *a\n".repeat(mega / 8),
        ),
        (
            "1 MB of fields",
            "manifest: 1\nfields:\n".to_owned() + &"  - { idd: 1 }\n".repeat(mega / 16),
        ),
    ];
    for (name, yaml) in hostile {
        let mut findings = 0;
        let took = time(|| {
            findings = black_box(check("manifest.yaml", &yaml, None))
                .findings
                .len()
        });
        println!("{name:<24} {took:>10.1?}  {findings} findings");
    }
}
