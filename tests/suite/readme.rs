//! The README tells the truth: each of its commands is run, and what it points at is there.

use std::process::Command;

use keyport_tests::binary::{self, repository};
use keyport_tests::host::Dev;
use keyport_tests::http::Client;

/// The commands of all `sh` blocks of a document, without their comments.
fn commands(document: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join(document)).unwrap();
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside && !line.trim().is_empty() {
            found.push(line.split("  #").next().unwrap().trim().to_owned());
        }
    }
    found
}

/// Runs a command as the README writes it, with this build's binary and this test's ports and folder in place.
fn run(command: &str, dev: &Dev) -> std::process::Output {
    let command = command
        .replace(
            "cargo run --release --",
            &binary::path().display().to_string(),
        )
        .replace("http://localhost:4700", &dev.keyport)
        .replace(".keyport/", &format!("{}/", dev.folder().display()));
    Command::new("bash")
        .args(["-c", &command])
        .current_dir(repository())
        .env_remove("KEYPORT_TEST_NO_SKIP")
        .output()
        .unwrap()
}

#[test]
fn every_command_of_the_readme_works() {
    let mut dev = Dev::start(&[]);
    let commands = commands("README.md");
    let mut ran = 0;
    for command in &commands {
        match command.as_str() {
            // The first is what `dev` is; the second is what runs this test.
            "cargo run --release -- dev" | "cargo test --workspace --locked" => continue,
            _ => {}
        }
        let output = run(command, &dev);
        let said = binary::said(&output);
        assert!(output.status.success(), "{command}\n{said}");
        assert!(!said.trim().is_empty(), "{command} says nothing");
        assert!(!said.contains("\"code\":"), "{command} was refused: {said}");
        if command.contains("/v1/sessions") {
            assert!(said.contains("#"), "a link: {said}");
        }
        ran += 1;
    }
    assert!(ran >= 8, "the README shows how to begin: {commands:?}");
    assert!(dev.stop(), "dev stops well");
}

#[test]
fn the_readme_shows_the_two_commands_first_and_its_links_lead_somewhere() {
    let commands = commands("README.md");
    assert_eq!(commands[0], "cargo run --release -- dev");
    assert_eq!(commands[1], "cargo test --workspace --locked");
    let text = std::fs::read_to_string(repository().join("README.md")).unwrap();
    for target in text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        if !target.contains("://") {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = repository().join(file);
            assert!(file.exists(), "{target} is not there");
            if !heading.is_empty() {
                let page = std::fs::read_to_string(file).unwrap();
                let there = page
                    .lines()
                    .filter_map(|line| line.strip_prefix("## "))
                    .any(|title| title.to_lowercase().replace(' ', "-") == heading);
                assert!(there, "{target}: there is no such heading");
            }
        }
    }
}

/// The account of sign-in methods: each line links to tests, each of them is in the file that its link names, and runs.
#[test]
fn each_way_to_sign_in_that_the_readme_lists_links_to_a_test_that_is_there() {
    let text = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, section) = text
        .split_once("## Sign-in methods that work today")
        .unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines: Vec<&str> = section
        .lines()
        .filter(|l| l.starts_with("| "))
        .skip(1)
        .collect();
    assert!(lines.len() >= 15, "{}", lines.len());
    for line in lines {
        let links: Vec<(&str, &str)> = line
            .split("[`")
            .skip(1)
            .filter_map(|rest| rest.split_once("`]("))
            .map(|(name, rest)| (name, rest.split(')').next().unwrap()))
            .collect();
        assert!(!links.is_empty(), "no test: {line}");
        for (name, file) in links {
            let source = std::fs::read_to_string(repository().join(file))
                .unwrap_or_else(|e| panic!("{file}: {e}"));
            let (before, _) = source
                .split_once(&format!("fn {name}("))
                .unwrap_or_else(|| panic!("{name} is not in {file}"));
            let attribute = before.trim_end_matches("async ").trim_end().lines().last();
            let attribute = attribute.unwrap_or_default().trim();
            assert!(
                attribute.starts_with("#[test") || attribute.starts_with("#[tokio::test"),
                "{name} in {file} is no test: {attribute}"
            );
        }
    }
}

#[test]
fn dev_prints_one_link_that_signs_in_and_leads_to_the_apps_page() {
    let mut dev = Dev::start(&[]);
    let mut browser = Client::new();
    let stranger = Client::new().get(dev.link.split("/enter").next().unwrap(), &[]);
    assert_eq!(stranger.status, 401, "without the link one is nobody");
    let entered = browser.get(&dev.link, &[]);
    let (home, page) = browser.follow(&dev.link, entered, |_| true);
    page.expect(200);
    let managed = browser.get(&format!("{}manage", home), &[]);
    let link = managed
        .header("location")
        .expect("a link to the Apps page")
        .to_owned();
    assert!(link.starts_with(&dev.keyport), "{link}");
    let mut page = keyport_tests::browser::Browser::open(&link);
    let session = page.call("GET", "/page/session", None).expect(200).json();
    assert_eq!(session["owner"], "demo", "{session}");
    // A form on another site can't make the demo platform act.
    let forged = browser.json(
        "POST",
        &format!("{home}api/sessions"),
        &[("origin", "http://evil.example")],
        &serde_json::json!({}),
    );
    assert_eq!(forged.status, 403);
    assert!(dev.stop(), "dev stops well");
}

/// CI names the release binary here: the README's main command, in the profile that it uses.
#[test]
fn the_release_binary_serves_when_there_is_one() {
    let Some(release) = std::env::var_os("KEYPORT_TEST_RELEASE") else {
        eprintln!("SKIPPED: KEYPORT_TEST_RELEASE names no release binary");
        return;
    };
    let mut dev = Dev::start_binary(std::path::Path::new(&release), &[]);
    let apps = Client::new().get(&format!("{}/healthz", dev.keyport), &[]);
    assert_eq!(apps.status, 200);
    assert!(dev.stop(), "dev stops well");
}
