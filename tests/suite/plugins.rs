//! The author's loop: `new`, `build`, `test`, `install`, in each language; and what `test` finds. (The template in Python is built by
//! `providers_page`, once: it is the one that takes long.)

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use keyport_tests::binary::{command_of, path, repository, said};
use keyport_tests::peer::{package, venv};

pub fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Copies a folder, but for what builds leave in one.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir()
            && !matches!(
                name,
                "keyport" | "node_modules" | "target" | ".venv" | "__pycache__"
            )
        {
            copy(&path, &to.join(name));
        } else if path.is_file() && name != "component.wasm" {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// The pinned tools of JavaScript stand in for what npm would put beside the source. `None`: skipped, which was said.
pub fn lend_node(app: &Path) -> Option<()> {
    let modules = package("componentize-qjs")?.parent().unwrap().to_owned();
    #[cfg(unix)]
    std::os::unix::fs::symlink(modules, app.join("component/node_modules")).unwrap();
    Some(())
}

/// The program as its users have it: the release build where this run has made one, for a language's runtime is 20 MB, which the
/// other build takes long to compile.
pub fn program() -> PathBuf {
    std::env::var_os("KEYPORT_TEST_RELEASE").map_or_else(path, PathBuf::from)
}

/// A command of `keyport` with the pinned tools of Python, and folders for what Rust and the engine compile that are kept between runs.
pub fn with_tools(arguments: &[&str]) -> Command {
    let mut command = command_of(&program(), arguments);
    for (name, value) in tools() {
        command.env(name, value);
    }
    command
}

/// The environment of such a command.
pub fn tools() -> Vec<(&'static str, PathBuf)> {
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().nth(3).unwrap().join("authors");
    let mut all = vec![
        ("XDG_CACHE_HOME", target.join("cache")),
        ("XDG_CONFIG_HOME", target.join("config")),
        ("CARGO_TARGET_DIR", target),
    ];
    let venv = repository().join("tests/peers/.venv");
    if venv.is_dir() {
        all.push(("VIRTUAL_ENV", venv));
    }
    all
}

pub fn output(mut command: Command) -> Output {
    command.stdin(std::process::Stdio::null()).output().unwrap()
}

#[track_caller]
pub fn works(arguments: &[&str]) -> String {
    let output = output(with_tools(arguments));
    assert!(output.status.success(), "{arguments:?}\n{}", said(&output));
    said(&output)
}

#[track_caller]
fn finds(arguments: &[&str], wanted: &str) {
    let output = output(with_tools(arguments));
    assert_eq!(
        output.status.code(),
        Some(1),
        "{arguments:?}\n{}",
        said(&output)
    );
    assert!(
        said(&output).contains(wanted),
        "{wanted} is not in:\n{}",
        said(&output)
    );
}

/// Builds an app of `providers/`, plays its fixtures, and installs it.
fn whole(id: &str, temp: &Path) -> Option<PathBuf> {
    let app = temp.join(id);
    copy(&repository().join("providers").join(id), &app);
    if app.join("component/package.json").is_file() {
        lend_node(&app)?;
    }
    let built = works(&["build", &text(&app)]);
    for expected in [
        "keyport:provider@1.0.0: context, http, log, types",
        "keyport:provider@1.0.0: actions, connection, triggers",
        " KB",
        "header Authorization",
    ] {
        assert!(built.contains(expected), "{expected} is not in:\n{built}");
    }
    let told = works(&["test", &text(&app)]);
    assert!(told.contains(", 0 not as expected"), "{told}");
    let data = temp.join("data");
    let installed = works(&[
        "app",
        "install",
        "--yes",
        "--data",
        &text(&data),
        &text(&app),
    ]);
    assert!(installed.contains("sha256 "), "{installed}");
    works(&["validate", &text(&app)]);
    Some(app)
}

#[test]
fn the_app_in_javascript_is_built_played_and_installed() {
    let temp = tempfile::tempdir().unwrap();
    let Some(app) = whole("todoist", temp.path()) else {
        return;
    };
    let component = app.join("component");
    own_tests(&app, &["node", "--test"]);

    // A request elsewhere, and a secret in the wrong place, are found.
    let provider = component.join("provider.js");
    let good = std::fs::read_to_string(&provider).unwrap();
    std::fs::write(
        &provider,
        good.replace(
            "host.get(\"/user\")",
            "host.get(\"https://collect.example/user\")",
        ),
    )
    .unwrap();
    works(&["build", &text(&app)]);
    finds(
        &["test", &text(&app)],
        "error[V81]: GET https://collect.example/user was refused",
    );
    // A header of the host's own is not the component's.
    let forged = good.replace(
        "host.get(\"/user\")",
        "host.send({ url: \"/user\", headers: { authorization: \"Bearer mine\" } })",
    );
    std::fs::write(&provider, forged).unwrap();
    works(&["build", &text(&app)]);
    finds(&["test", &text(&app)], "error[V81]");
    // An exception that is no failure is a bug, and is told as one.
    std::fs::write(
        &provider,
        good.replace("const user =", "throw new TypeError(\"oh\"); const user ="),
    )
    .unwrap();
    works(&["build", &text(&app)]);
    finds(&["test", &text(&app)], "FAIL  the account (test)");
    // What does not build says why.
    std::fs::write(&provider, "export const provider = {").unwrap();
    let broken = output(with_tools(&["build", &text(&app)]));
    assert_eq!(broken.status.code(), Some(2), "{}", said(&broken));
    assert!(
        said(&broken).contains("does not build"),
        "{}",
        said(&broken)
    );
}

#[test]
fn the_app_in_python_is_built_played_and_installed() {
    if venv("componentize-py").is_none() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let app = whole("mastodon", temp.path()).unwrap();
    own_tests(&app, &["python3", "-m", "unittest"]);
}

#[test]
fn the_app_in_rust_is_built_played_and_installed() {
    let temp = tempfile::tempdir().unwrap();
    let app = whole("matrix", temp.path()).unwrap();
    own_tests(&app, &["cargo", "test", "--quiet"]);
}

const ANSWERS: &str = "\
openapi: 3.1.0
info: {title: Pier}
servers: [{url: 'https://api.pier.test/v1'}]
paths: {/me: {get: {responses: {'200': {description: x, content: {application/json: {example: {id: p_7, email: ada@pier.test}}}}}}}}
";

/// Runs the tests of the component's own language.
fn own_tests(app: &Path, tests: &[&str]) {
    let mut own = Command::new(tests[0]);
    own.args(&tests[1..]).current_dir(app.join("component"));
    for (name, _) in std::env::vars() {
        if name.starts_with("__CARGO") || (name.starts_with("CARGO_") && name != "CARGO_HOME") {
            own.env_remove(name);
        }
    }
    let own = own.envs(tools()).output().unwrap();
    assert!(own.status.success(), "{tests:?}: {}", said(&own));
}

/// `new --lang`, `build`, the language's own tests, `test`, and a vendor's document in the place of fixtures.
fn scaffolded(lang: &str, tests: &[&str], temp: &Path) {
    let dir = text(temp);
    works(&[
        "new",
        "--lang",
        lang,
        "--dir",
        &dir,
        "--id",
        "pier",
        "--name",
        "Pier \"East\"",
        "--base-url",
        "https://api.pier.test/v1",
        "--auth",
        "bearer",
        "--test-path",
        "/me",
    ]);
    let app = temp.join("pier");
    if lang.ends_with('s') && lend_node(&app).is_none() {
        return;
    }
    works(&["validate", &text(&app)]);
    works(&["build", &text(&app)]);
    own_tests(&app, tests);
    let told = works(&["test", "--verbose", &text(&app)]);
    assert!(told.contains("3 played, 0 not as expected"), "{told}");
    assert!(
        told.contains("GET /me → 200") && !told.contains("kpmarked"),
        "{told}"
    );
    let document = temp.join("vendor.yaml");
    std::fs::write(&document, ANSWERS).unwrap();
    let told = works(&["test", "--openapi", &text(&document), &text(&app)]);
    assert!(told.contains("2 played, 0 not as expected"), "{told}");
    // What the document does not have is told.
    std::fs::write(&document, ANSWERS.replace("/me:", "/you:")).unwrap();
    finds(
        &["test", "--openapi", &text(&document), &text(&app)],
        "the document has no GET /v1/me",
    );
    // A fixture that says something else is told too.
    let fixtures = app.join("fixtures/test.yaml");
    let before = std::fs::read_to_string(&fixtures).unwrap();
    std::fs::write(
        &fixtures,
        before.replace("means: needs_reconnect", "means: not_found"),
    )
    .unwrap();
    finds(&["test", &text(&app)], "it failed (needs_reconnect)");
}

#[test]
fn the_template_in_rust_is_good_as_it_comes_out() {
    let temp = tempfile::tempdir().unwrap();
    scaffolded("rust", &["cargo", "test", "--quiet"], temp.path());
}

#[test]
fn the_template_in_javascript_is_good_as_it_comes_out() {
    let temp = tempfile::tempdir().unwrap();
    scaffolded("js", &["node", "--test"], temp.path());
}

#[test]
fn the_template_in_typescript_is_good_as_it_comes_out() {
    let temp = tempfile::tempdir().unwrap();
    scaffolded("ts", &["npm", "test"], temp.path());
}

/// A component whose code knows `fetch` and the contract's exports, and nothing of the SDK.
const FETCHING: &str = r#"
const API = "https://api.pier.test/v1";
const failure = (tag, say) => ({ tag, val: { code: "", say, retryAfterMs: undefined, data: "null" } });

async function account() {
  const answer = await fetch(`${API}/me`);
  if (answer.status === 401) throw failure("needs-reconnect", "sign in again");
  if (!answer.ok) throw failure("provider-down", `it answered ${answer.status}`);
  const me = await answer.json();
  const label = me.name ?? me.login ?? me.email ?? me.username ?? me.id;
  return { id: String(me.id), label: String(label) };
}

export const connection = {
  check: async () => ({ ...(await account()), extra: "{}" }),
};
export const actions = {
  run: async () => JSON.stringify(await account()),
};
"#;

#[test]
fn an_app_in_javascript_that_calls_fetch_is_built_played_and_installed() {
    let js = repository().join("host/plugin/tests/js");
    if !js.join("node_modules").is_dir() {
        let reason = "componentize-js is not installed; run `npm ci --prefix host/plugin/tests/js`";
        assert!(
            std::env::var_os("KEYPORT_TEST_NO_SKIP").is_none(),
            "may not be skipped: {reason}"
        );
        eprintln!("SKIPPED: this test needs JavaScript with fetch: {reason}");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let dir = text(temp.path());
    let new = "new --lang js --id pier --name Pier --base-url https://api.pier.test/v1 --auth bearer --test-path /me --dir";
    let mut arguments: Vec<&str> = new.split(' ').collect();
    arguments.push(&dir);
    works(&arguments);
    let app = temp.path().join("pier");
    let component = app.join("component");
    std::fs::write(component.join("app.js"), FETCHING).unwrap();
    std::fs::copy(js.join("package.json"), component.join("package.json")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(js.join("node_modules"), component.join("node_modules")).unwrap();
    let fetches = "its code sends requests by wasi:http (fetch) as well: to the same hosts, with the same credentials";
    let built = works(&["build", &text(&app)]);
    assert!(built.contains(fetches), "{built}");
    let told = works(&["test", "--verbose", &text(&app)]);
    assert!(told.contains("3 played, 0 not as expected"), "{told}");
    assert!(
        told.contains("GET https://api.pier.test/v1/me → 200") && !told.contains("kpmarked"),
        "{told}"
    );
    let data = text(&temp.path().join("data"));
    let installed = works(&["app", "install", "--yes", "--data", &data, &text(&app)]);
    assert!(installed.contains(fetches), "{installed}");
}

#[test]
fn the_apps_that_ship_are_played_to_their_component() {
    for app in ["github", "gitlab", "digitalocean", "sandbox"] {
        works(&["test", &text(&repository().join("manifests").join(app))]);
    }
}
