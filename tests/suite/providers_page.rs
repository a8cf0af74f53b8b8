//! The page for authors of code tells the truth: its commands are run in its order, in three languages.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use keyport_tests::binary::{repository, said};
use keyport_tests::host::Dev;
use keyport_tests::http::Client;
use keyport_tests::peer::venv;
use keyport_tests::platform::Platform;
use serde_json::json;

use crate::plugins::{lend_node, program, tools};

/// How the page writes the program.
const PROGRAM: &str = "cargo run --release --";
/// Where the page has a key of the reader's own.
const OWN_KEY: &str = "=…";
/// Where `keyport dev` puts the pretend vendor if nobody says otherwise.
const VENDOR: &str = "http://127.0.0.1:4702";

/// How it writes the id of a connection of the reader's own.
const A_CONNECTION: &str = "con_…";

const DOCUMENT: &str = "\
openapi: 3.1.0
info: {title: Pier}
servers: [{url: 'https://vendor.keyport.test/api'}]
paths: {/me: {get: {responses: {'200': {description: x, content: {application/json: {example: {id: p_7}}}}}}}}
";

fn commands() -> Vec<String> {
    let page = std::fs::read_to_string(repository().join("providers/README.md")).unwrap();
    page.split("```sh\n")
        .skip(1)
        .flat_map(|rest| rest.split("```").next().unwrap().lines())
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Runs a command of the page; what it said.
fn run(command: &str, folder: &Path) -> String {
    let mut shell = Command::new("bash");
    shell.args([
        "-c",
        &command.replace(PROGRAM, &program().display().to_string()),
    ]);
    for (name, _) in std::env::vars() {
        if name.starts_with("KEYPORT_")
            || name.starts_with("__CARGO")
            || (name.starts_with("CARGO_") && name != "CARGO_HOME")
        {
            shell.env_remove(name);
        }
    }
    shell.envs(tools());
    let output = shell
        .current_dir(folder)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}\n{}", said(&output));
    said(&output)
}

/// The command for an account that `dev` has connected: the reader's own, on the ports that this one has.
fn connected(dev: &Dev, folder: &Path, command: &str, key: &str) -> String {
    let app = folder.join("my-apps/pier");
    let data = dev.folder().display().to_string();
    let install = [
        "app",
        "install",
        "--yes",
        "--data",
        &data,
        &app.display().to_string(),
    ]
    .map(str::to_owned)
    .join(" ");
    run(&format!("{PROGRAM} {install}"), folder);
    let key_file = dev.folder().join("platform.key");
    let platform_key = std::fs::read_to_string(&key_file).unwrap();
    let platform = Platform::new(dev.keyport.clone(), platform_key.trim().to_owned());
    // It is loaded as soon as `dev` has seen it.
    let end = Instant::now() + Duration::from_secs(120);
    while platform.call("GET", "/v1/apps/pier", None).status != 200 {
        assert!(Instant::now() < end, "{}", dev.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let import =
        json!({ "owner": "me", "app": "pier", "method": "api_key", "fields": { "api_key": key } });
    let made = platform.post("/v1/connections", &import).expect(201).json();
    let here = format!("--host {} --key-file {}", dev.keyport, key_file.display());
    command
        .replace(A_CONNECTION, made["id"].as_str().unwrap())
        .replace("--live", &format!("--live {here}"))
}

#[test]
fn every_command_of_the_page_works_in_its_order() {
    if venv("componentize-py").is_none() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path();
    std::fs::write(folder.join("vendor.yaml"), DOCUMENT).unwrap();
    let dev = Dev::start(&[]);
    let all = Client::new()
        .get(&format!("{}/control/credentials", dev.vendor), &[])
        .expect(200)
        .json();
    let key = all["credentials"][0]["api_key"].as_str().unwrap();
    let all = commands();
    for command in &all {
        let mut command = command
            .replace(OWN_KEY, &format!("={key}"))
            .replace(VENDOR, &dev.vendor);
        if command.contains(A_CONNECTION) {
            command = connected(&dev, folder, &command, key);
        }
        let told = run(&command, folder);
        assert!(!told.contains(key), "{command} shows the key");
        if command.contains("--lang js") && lend_node(&folder.join("my-apps/pier")).is_none() {
            return;
        }
        if command.contains("-- test ") {
            assert!(told.contains(", 0 not as expected"), "{command}\n{told}");
        }
    }
    for step in [
        "--lang rust",
        "--lang js",
        "--lang python",
        "-- build ",
        "-- test ",
        "--live",
        "app install",
    ] {
        assert!(
            all.iter().any(|command| command.contains(step)),
            "{step} is not on the page"
        );
    }
}
