//! The page of the contract tells the truth: what it shows in Rust is built as a component, as authors build theirs.

use std::process::Command;

use keyport_tests::binary::{repository, said};

/// What an example takes for granted.
const HEAD: &str = "#![allow(unused)]\n\nuse keyport_sdk::{Account, Failure, Host, Level, Page, Provider, Request, Value, json};\n\n";

/// The examples in Rust, in their order.
fn examples() -> Vec<String> {
    let page = std::fs::read_to_string(repository().join("wit/README.md")).unwrap();
    let blocks = page.split("```rust\n").skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// One program of all examples: a whole provider as it stands, a function of one as the function of another, statements in a
/// function that has what a call has.
fn program(examples: &[String]) -> String {
    let mut program = HEAD.to_owned();
    for (n, example) in examples.iter().enumerate() {
        let first = example.lines().next().unwrap_or_default();
        if first.starts_with("impl Provider for ") {
            let name = first.split(' ').nth(3).unwrap();
            program += &format!("pub struct {name};\n\n{example}\n");
        } else if first.starts_with("fn ") {
            program += &format!(
                "pub struct Part{n};\n\nimpl Provider for Part{n} {{\nfn check(_host: &dyn Host) -> Result<Account, Failure> {{ Err(Failure::other(\"not here\")) }}\n{example}}}\n\n"
            );
        } else {
            program += &format!(
                "pub fn part_{n}(host: &dyn Host, body: &[u8], given: &str) -> Result<(), Failure> {{\n{example}Ok(())\n}}\n\n"
            );
        }
    }
    program
}

#[test]
fn every_example_of_the_contracts_page_builds_as_a_component() {
    let examples = examples();
    assert!(examples.len() >= 6, "the page shows how: {examples:?}");
    let whole = examples
        .iter()
        .filter(|it| it.contains("keyport_sdk::export!"));
    assert_eq!(whole.count(), 1, "one of them is a whole component");
    let folder = tempfile::tempdir().unwrap();
    let sdk = repository().join("providers/sdk");
    let manifest = format!(
        "[package]\nname = \"wit-page\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[lib]\ncrate-type = [\"rlib\"]\n\n[dependencies]\nkeyport-sdk = {{ path = {:?} }}\n",
        sdk.display().to_string()
    );
    std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    std::fs::write(folder.path().join("src/lib.rs"), program(&examples)).unwrap();
    // The versions that everything here is built with; what this one does not need is taken out of the list.
    std::fs::copy(
        repository().join("Cargo.lock"),
        folder.path().join("Cargo.lock"),
    )
    .unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let listed = Command::new(cargo)
        .args(["metadata", "--offline", "--format-version", "1"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", said(&listed));
    match keyport_tests::guest::build_at(folder.path(), "wit-page") {
        Ok(component) => assert!(component.is_file()),
        Err(why) => panic!("{why}\n{}", program(&examples)),
    }
}
