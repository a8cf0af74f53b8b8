//! Apps whose folder has source: built again when it changes, installed by whoever is asked first, and held to their types.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use keyport_tests::binary::{repository, said};

use crate::plugins::{copy, lend_node, output, text, with_tools, works};

/// A copy of an app in JavaScript without its component. `None`: skipped, which was said.
fn source(temp: &Path) -> Option<PathBuf> {
    let app = temp.join("todoist");
    copy(&repository().join("providers/todoist"), &app);
    lend_node(&app)?;
    Some(app)
}

#[test]
fn an_app_that_has_its_source_alone_is_built_and_installed_once_somebody_agreed() {
    let temp = tempfile::tempdir().unwrap();
    let Some(app) = source(temp.path()) else {
        return;
    };
    // Its own build step is a program like any other: it must not run before somebody has agreed, nor when it is only looked at.
    let package = app.join("component/package.json");
    let before = std::fs::read_to_string(&package).unwrap();
    let ran = temp.path().join("ran");
    let step = format!("\"build\": \"env > {}\", \"test\"", text(&ran));
    let with_step = before.replacen("\"test\"", &step, 1);
    assert_ne!(with_step, before);
    std::fs::write(&package, with_step).unwrap();
    // What this program is told in its environment is no business of what it runs.
    let secret = "of-the-environment-0123";
    let data = temp.path().join("data");
    let (data_text, app_text) = (text(&data), text(&app));
    let install = |more: &[&str]| {
        let all = [&["app", "install", "--data", &data_text, &app_text], more].concat();
        let mut command = with_tools(&all);
        command.env("KEYPORT_STORE_PASSWORD", secret);
        output(command)
    };

    let unasked = install(&[]);
    assert!(!unasked.status.success(), "{}", said(&unasked));
    let told = said(&unasked);
    for expected in ["outside of the sandbox", "nobody is there to be asked"] {
        assert!(told.contains(expected), "{expected} is not in:\n{told}");
    }
    for looks in [
        &["validate", &app_text][..],
        &["test", &app_text],
        &["build", "--kit", &app_text],
        &["render", &app_text],
    ] {
        output(with_tools(looks));
    }
    assert!(
        !ran.exists() && !app.join("component.wasm").exists(),
        "nothing was run"
    );

    let agreed = install(&["--yes"]);
    assert!(agreed.status.success(), "{}", said(&agreed));
    assert!(
        ran.exists() && said(&agreed).contains("sha256 "),
        "{}",
        said(&agreed)
    );
    let seen = std::fs::read_to_string(&ran).unwrap();
    assert!(seen.contains("PATH="), "{seen}");
    assert!(
        !seen.contains("KEYPORT_") && !seen.contains(secret),
        "{seen}"
    );
    let listed = works(&["app", "list", "--data", &data_text]);
    assert!(listed.contains("todoist"), "{listed}");
    // What is installed is the component and not what it was made of.
    let installed = data.join("apps/todoist");
    assert!(installed.join("component.wasm").is_file() && !installed.join("component").exists());
}

#[test]
fn a_source_that_changes_is_built_again_and_one_that_does_not_build_leaves_the_last_component() {
    let temp = tempfile::tempdir().unwrap();
    let Some(app) = source(temp.path()) else {
        return;
    };
    // Somebody who watches from the beginning of the work, when nothing builds yet.
    let provider = app.join("component/provider.js");
    let good = std::fs::read_to_string(&provider).unwrap();
    let broken = "export const provider = {";
    std::fs::write(&provider, broken).unwrap();
    let built = || std::fs::read(app.join("component.wasm")).ok();
    let watching = with_tools(&["build", "--watch", &text(&app)])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::inherit())
        .spawn()
        .unwrap();
    let mut watching = Watching(watching);
    let mut lines = std::io::BufReader::new(watching.0.stdout.take().unwrap()).lines();
    let mut until = |wanted: &str| {
        let found = lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains(wanted));
        found.unwrap_or_else(|| panic!("`{wanted}` was never said"))
    };
    until("Watching");
    assert!(built().is_none());
    std::fs::write(&provider, &good).unwrap();
    until("component.wasm again: ");
    let first = built();
    assert!(first.is_some());
    std::fs::write(&provider, broken).unwrap();
    until("The last component stays.");
    assert_eq!(built(), first);
    std::fs::write(
        &provider,
        good.replace("did not say whose token", "kept to itself whose token"),
    )
    .unwrap();
    until("component.wasm again: ");
    assert_ne!(built(), first);
}

/// A process that ends with the test, whatever becomes of that.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The types that editors and `tsc` have of the SDK and the contract are those of its code.
#[test]
fn the_types_of_the_javascript_sdk_hold() {
    let temp = tempfile::tempdir().unwrap();
    let Some(app) = source(temp.path()) else {
        return;
    };
    works(&["build", "--kit", &text(&app)]);
    let tsc = |more: &[&str]| {
        let fixed = [
            "--noEmit",
            "--strict",
            "--target",
            "ES2023",
            "--module",
            "ESNext",
            "--moduleResolution",
            "bundler",
            "--lib",
            "ES2023",
        ];
        let output = Command::new(app.join("component/node_modules/.bin/tsc"))
            .args(fixed)
            .args(more)
            .current_dir(app.join("component"))
            .output()
            .unwrap();
        (output.status.success(), said(&output))
    };
    let uses = app.join("component/uses.ts");
    let module = "import { component } from \"./keyport/component.js\";\n\
                  import { FakeHost } from \"./keyport/testing.js\";\n\
                  import { Failure, type Provider, path } from \"./keyport/index.js\";\n\
                  import { encode } from \"./keyport/utf8.js\";\n\
                  const provider: Provider = { check: (host) => ({ id: path(\"/x\", { a: 1 }), label: host.required(\"x\") }) };\n\
                  export const { connection, actions, triggers, lifecycle, exchange } = component(provider);\n\
                  export const page: { more: boolean } = triggers.poll(\"t\", \"{}\", null);\n\
                  export const bytes: Uint8Array = encode(\"x\");\n\
                  export const account = provider.check(new FakeHost({ values: { x: \"y\" } }).answer(200, {}));\n\
                  export const failure = new Failure(\"rate-limited\", \"later\", { retryAfterMs: 1 });\n";
    std::fs::write(&uses, module).unwrap();
    let (ok, told) = tsc(&[
        "uses.ts",
        "keyport/contract.d.ts",
        "keyport/index.d.ts",
        "keyport/component.d.ts",
        "keyport/testing.d.ts",
    ]);
    assert!(ok, "{told}");
    // And what is wrong is told.
    std::fs::write(
        &uses,
        module
            .replace("rate-limited", "angry")
            .replace("label:", "name:"),
    )
    .unwrap();
    let (ok, told) = tsc(&["uses.ts"]);
    assert!(
        !ok && told.contains("angry") && told.contains("label"),
        "{told}"
    );
}
