//! The page for authors tells the truth: its commands are run in its order, with its manifest, up to a connection.

use std::path::Path;
use std::process::Command;

use keyport_tests::binary::{self, repository, said};
use keyport_tests::host::Dev;
use keyport_tests::http::Client;
use keyport_tests::platform::Platform;
use serde_json::json;

/// How the page writes the program.
const PROGRAM: &str = "cargo run --release --";

/// The app that the page makes.
const APP: &str = "acme-notes";

/// The contents of all blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(repository().join("manifests/README.md")).unwrap();
    let fence = format!("```{language}\n");
    page.split(fence.as_str())
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

fn commands() -> Vec<String> {
    let blocks = blocks("sh");
    let lines = blocks.iter().flat_map(|block| block.lines());
    lines
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Runs a command of the page in a folder of its own; what it said.
fn run(command: &str, folder: &Path) -> String {
    let command = command.replace(PROGRAM, &binary::path().display().to_string());
    let mut shell = Command::new("bash");
    shell.args(["-c", &command]).current_dir(folder);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KEYPORT_")) {
        shell.env_remove(name);
    }
    let output = shell.stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command}\n{}", said(&output));
    said(&output)
}

/// A vendor's document, for the command that starts from one.
const DOCUMENT: &str = "\
openapi: 3.1.0
info: {title: Harbour API, description: Berths and boats of a harbour.}
servers: [{url: 'https://api.harbour.net/v1'}]
components: {securitySchemes: {key: {type: http, scheme: bearer}}}
security: [{key: []}]
paths: {/me: {get: {responses: {'200': {description: x}}}}}
";

/// Follows the page up to where a host is needed; the app's folder.
fn follow(folder: &Path) -> std::path::PathBuf {
    std::fs::write(folder.join("vendor.yaml"), DOCUMENT).unwrap();
    let app = folder.join("my-apps").join(APP);
    let manifests = blocks("yaml");
    assert!(
        manifests[0].contains(&format!("id: {APP}\n")),
        "the whole manifest comes first"
    );
    let mut ran = 0;
    for command in commands() {
        if command.ends_with("-- dev") {
            assert!(
                command.starts_with(&format!("KEYPORT_APPS=my-apps/{APP} ")),
                "{command}"
            );
            continue;
        }
        // The blanks are filled in before warnings count.
        if command.contains("--strict") {
            std::fs::write(app.join("manifest.yaml"), &manifests[0]).unwrap();
        }
        let told = run(&command, folder);
        assert!(!told.trim().is_empty(), "{command} says nothing");
        if command.contains(" new ") {
            assert!(
                told.contains("manifest.yaml:"),
                "it lists the blanks: {told}"
            );
        }
        ran += 1;
    }
    assert!(ran >= 4, "the page shows the way: {:?}", commands());
    assert!(folder.join("my-apps/harbour/manifest.yaml").is_file());
    app
}

#[test]
fn every_command_of_the_authors_page_works_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let app = follow(folder.path());
    assert!(app.join("fixtures/test.yaml").is_file());
}

#[test]
fn the_app_of_the_authors_page_connects() {
    let folder = tempfile::tempdir().unwrap();
    let app = follow(folder.path());
    let config = folder.path().join("keyport.toml");
    std::fs::write(
        &config,
        format!("apps = [{:?}]\n", app.display().to_string()),
    )
    .unwrap();
    let mut dev = Dev::start(&["--config", &config.display().to_string()]);
    let key = std::fs::read_to_string(dev.folder().join("platform.key")).unwrap();
    let platform = Platform::new(dev.keyport.clone(), key.trim().to_owned());
    let all = Client::new()
        .get(&format!("{}/control/credentials", dev.vendor), &[])
        .expect(200)
        .json();
    let ada = &all["credentials"][0];
    let import = |api_key: &serde_json::Value| {
        let fields = json!({ "api_key": api_key });
        let body = json!({ "owner": "owner-1", "app": APP, "method": "api_key", "fields": fields });
        platform.post("/v1/connections", &body)
    };
    let refused = import(&json!("vkey_not_the_right_one_000000000000"));
    assert!(refused.status >= 400, "{}", refused.text());
    let connection = import(&ada["api_key"]).expect(201).json();
    assert_eq!(connection["state"], "connected");
    assert_eq!(connection["account"]["label"], ada["email"], "{connection}");
    assert!(dev.stop(), "dev stops well");
}
