//! The arrows between the rooms are those that were drawn, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use keyport_tests::binary::repository;
use serde_json::Value;

/// Who may use whom. The binary may use all; tests drive binaries and use nobody.
const ARROWS: &[(&str, &[&str])] = &[
    ("keyport-manifest", &[]),
    ("keyport-vault", &[]),
    ("keyport-sandbox", &[]),
    ("keyport-egress", &["keyport-manifest"]),
    ("keyport-plugin", &["keyport-manifest", "keyport-egress"]),
    (
        "keyport-connect",
        &[
            "keyport-manifest",
            "keyport-vault",
            "keyport-egress",
            "keyport-plugin",
        ],
    ),
    ("keyport-server", &["keyport-connect"]),
    (
        "keyport",
        &[
            "keyport-manifest",
            "keyport-vault",
            "keyport-egress",
            "keyport-plugin",
            "keyport-connect",
            "keyport-server",
            "keyport-sandbox",
        ],
    ),
    ("keyport-sdk", &[]),
    ("keyport-rest", &["keyport-sdk", "keyport-manifest"]),
    ("keyport-provider-sandbox-signed", &["keyport-sdk"]),
    ("keyport-tests", &[]),
];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
            "--locked",
        ])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// package → the packages of this workspace that it uses, tests' own dependencies left out.
fn drawn(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata["packages"].as_array().unwrap();
    let own: BTreeSet<&str> = packages
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    packages
        .iter()
        .map(|package| {
            let uses = package["dependencies"].as_array().unwrap().iter();
            let uses = uses
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| dependency["name"].as_str().unwrap())
                .filter(|name| own.contains(name))
                .map(str::to_owned);
            (package["name"].as_str().unwrap().to_owned(), uses.collect())
        })
        .collect()
}

#[test]
fn the_rooms_use_each_other_as_drawn() {
    let drawn = drawn(&metadata());
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = drawn.keys().map(String::as_str).collect();
    // Guests that exist only for tests are nobody's room.
    let strangers: Vec<_> = found
        .difference(&known)
        .filter(|name| !name.starts_with("hostile-") && !name.starts_with("guest-"))
        .collect();
    assert!(
        strangers.is_empty(),
        "a package without a place in the drawing: {strangers:?}"
    );
    for (name, allowed) in ARROWS {
        let uses = drawn
            .get(*name)
            .unwrap_or_else(|| panic!("{name} is gone; correct the drawing"));
        let undrawn: Vec<_> = uses
            .iter()
            .filter(|used| !allowed.contains(&used.as_str()))
            .collect();
        assert!(
            undrawn.is_empty(),
            "{name} uses {undrawn:?}, an arrow that was not drawn"
        );
    }
}

#[test]
fn only_the_egress_connects_to_the_world() {
    let lock = std::fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    for other_way_out in ["reqwest", "native-tls", "openssl", "isahc", "curl", "surf"] {
        assert!(
            !lock.contains(&format!("\nname = \"{other_way_out}\"\n")),
            "{other_way_out} is in the tree"
        );
    }
}
