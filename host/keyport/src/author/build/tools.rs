//! Running a language's own tools in a component's folder. What they print is shown where they fail, and hidden where they
//! do not; what they need is installed beside the source, in the versions that the author's own files pin.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::kit::FOLDER;
use super::world;
use crate::author::Failure;

const TARGET: &str = "wasm32-wasip2";
/// Where the component is put before it is looked at.
const OUT: &str = "target/component.wasm";

/// What an outer cargo sets for itself (`cargo run -- build …`) and the author's build must not see.
const OUTER_CARGO: &[&str] = &[
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_PROFILE_",
    "CARGO_ENCODED_",
    "RUSTFLAGS",
    "RUSTC",
    "CARGO_BUILD_",
    "CARGO_UNSTABLE_",
    "CARGO_RESOLVER_",
    "__CARGO",
];

/// What variables of this program begin with: root keys, passwords and an author's own credentials are among them, and what a
/// folder's build runs is whoever's the folder is.
const OURS: &str = "KEYPORT_";

/// Builds a crate of type `cdylib`.
pub fn rust(component: &Path) -> Result<PathBuf, Failure> {
    let mut cargo = Command::new("cargo");
    cargo.args([
        "build",
        "--release",
        "--target",
        TARGET,
        "--message-format",
        "json-render-diagnostics",
        "--quiet",
    ]);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OUTER_CARGO.iter().any(|start| text.starts_with(start)) {
            cargo.env_remove(&name);
        }
    }
    let said = run(
        component,
        &mut cargo,
        "cargo",
        "install Rust from https://rustup.rs",
    )
    .map_err(|error| match error {
        Failure::Said(text)
            if text.contains("can't find crate for `core`")
                || text.contains("may not be installed") =>
        {
            Failure::Said(format!("{text}\nrun: rustup target add {TARGET}"))
        }
        other => other,
    })?;
    let made = said
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|line| {
            let files = line.get("filenames")?.as_array()?.clone();
            files
                .iter()
                .filter_map(|file| file.as_str().map(PathBuf::from))
                .find(|file| file.extension().is_some_and(|end| end == "wasm"))
        })
        .next_back();
    made.ok_or_else(|| {
        Failure::Said(format!(
            "the build of {} left no component; Cargo.toml needs `[lib] crate-type = [\"cdylib\", \"rlib\"]`",
            component.display()
        ))
    })
}

/// The tool that brings `fetch` (which is `wasi:http`) and a larger engine; the other is QuickJS.
const WITH_FETCH: &str = "@bytecodealliance/componentize-js";

/// Builds an ES module, with the tool that package.json asks for.
pub fn js(component: &Path) -> Result<PathBuf, Failure> {
    let package = package(component)?;
    let asked = |kind: &str| package.get(kind).and_then(|all| all.get(WITH_FETCH));
    let with_fetch = asked("devDependencies").or(asked("dependencies")).is_some();
    let name = match with_fetch {
        true => "componentize-js",
        false => "componentize-qjs",
    };
    let tool = component.join("node_modules/.bin").join(name);
    if !tool.exists() {
        let how = match component.join("package-lock.json").is_file() {
            true => "ci",
            false => "install",
        };
        // Nothing that is installed runs a script of its own.
        let mut npm = Command::new("npm");
        npm.args([
            how,
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]);
        run(component, &mut npm, "npm", "install Node.js 20 or later")?;
    }
    if !tool.exists() {
        return Err(Failure::Said(format!(
            "{} asks neither for componentize-qjs nor for {WITH_FETCH}; add one of them to devDependencies",
            component.join("package.json").display()
        )));
    }
    // TypeScript, or a bundle: whatever the author's own step leaves at `main`.
    if package.pointer("/scripts/build").is_some() {
        let mut npm = Command::new("npm");
        npm.args(["run", "build", "--silent"]);
        run(component, &mut npm, "npm", "install Node.js 20 or later")?;
    }
    let entry = package
        .get("main")
        .and_then(|it| it.as_str())
        .unwrap_or("app.js");
    let out = out(component)?;
    let mut made = Command::new(std::path::absolute(&tool).unwrap_or(tool));
    let wit = format!("{FOLDER}/wit");
    if with_fetch {
        // Nothing calls a component by HTTP.
        made.args([entry, "--wit", &wit, "--world-name", world::NAME])
            .args(["--disable", "fetch-event", "--out", OUT]);
    } else {
        // `--sync`: the host does not run the asynchronous ABI, and a call is over when it returns.
        made.args(["--sync", "--minify", "--module-root", "."])
            .args(["--wit", &wit, "--world", world::NAME])
            .args(["--js", entry, "--output", OUT]);
    }
    run(
        component,
        &mut made,
        name,
        "run `npm ci` in the component's folder",
    )?;
    Ok(out)
}

fn package(component: &Path) -> Result<serde_json::Value, Failure> {
    let path = component.join("package.json");
    let text = std::fs::read_to_string(&path).map_err(|source| Failure::File {
        path: path.clone(),
        source,
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Said(format!("{}: {error}", path.display())))
}

/// Builds a module `app`.
pub fn python(component: &Path) -> Result<PathBuf, Failure> {
    let tool = componentize_py(component)?;
    let out = out(component)?;
    let mut python = Command::new(tool);
    python
        .args(["--quiet", "-d", &format!("{FOLDER}/wit"), "-w", world::NAME])
        .args(["componentize", "-p", ".", "app", "-o", OUT]);
    run(
        component,
        &mut python,
        "componentize-py",
        "run `pip install -r requirements.txt`",
    )?;
    Ok(out)
}

/// componentize-py in the version that requirements.txt pins: of the environment that is active, else of one in the folder.
fn componentize_py(component: &Path) -> Result<PathBuf, Failure> {
    let path = component.join("requirements.txt");
    let text = std::fs::read_to_string(&path).map_err(|source| Failure::File {
        path: path.clone(),
        source,
    })?;
    let wanted = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("componentize-py=="))
        .and_then(|rest| rest.split([' ', ';', '#']).next())
        .ok_or_else(|| {
            Failure::Said(format!(
                "{} does not pin componentize-py; add a line such as `componentize-py==0.25.1`",
                path.display()
            ))
        })?;
    let name = "componentize-py";
    let own = component.join(".venv/bin").join(name);
    let own = std::path::absolute(&own).unwrap_or(own);
    let active =
        std::env::var_os("VIRTUAL_ENV").map(|venv| PathBuf::from(venv).join("bin").join(name));
    let is_wanted = |tool: &PathBuf| {
        let said = private(Command::new(tool).arg("--version")).output();
        said.is_ok_and(|it| {
            String::from_utf8_lossy(&it.stdout)
                .split_whitespace()
                .last()
                == Some(wanted)
        })
    };
    if let Some(tool) = active
        .into_iter()
        .chain([own.clone(), PathBuf::from(name)])
        .find(is_wanted)
    {
        return Ok(tool);
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", ".venv"]);
    run(
        component,
        &mut venv,
        "python3",
        "install Python 3.10 or later, with venv",
    )?;
    let mut pip = Command::new(component.join(".venv/bin/pip"));
    if let Ok(absolute) = std::path::absolute(component.join(".venv/bin/pip")) {
        pip = Command::new(absolute);
    }
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        "requirements.txt",
    ]);
    run(
        component,
        &mut pip,
        "pip",
        "install Python 3.10 or later, with venv",
    )?;
    if is_wanted(&own) {
        Ok(own)
    } else {
        Err(Failure::Said(format!(
            "pip installed no componentize-py {wanted} from {}",
            path.display()
        )))
    }
}

fn out(component: &Path) -> Result<PathBuf, Failure> {
    let out = component.join(OUT);
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent).map_err(|source| Failure::File {
            path: parent.to_owned(),
            source,
        })?;
    }
    Ok(out)
}

/// The same without the variables of this program.
fn private(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        // Some systems do not tell cases apart.
        if name.to_string_lossy().to_uppercase().starts_with(OURS) {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a tool to its end; what it printed.
fn run(folder: &Path, command: &mut Command, name: &str, get: &str) -> Result<String, Failure> {
    let output = private(command)
        .current_dir(folder)
        .output()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::Said(format!("{name} is not here; {get}")),
            _ => Failure::Said(format!("{name} could not be started: {error}")),
        })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    // Cargo's own answers are JSON lines; what it says to people is on the other stream.
    let told = match text(&output.stderr) {
        told if told.is_empty() => text(&output.stdout),
        told => told,
    };
    Err(Failure::Said(format!(
        "{} does not build ({name}):\n{told}",
        folder.display()
    )))
}
