//! Builds the components of the apps in `manifests/` and puts them, the manifests and the logos into the binary.
//!
//! `KEYPORT_COMPONENTS=<folder>` names a folder with `<name>.wasm` for each, built elsewhere; nothing is built then.
//! Without the feature `host` there is nobody to run a component: manifests alone are put in, and nothing is built.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[path = "../plugin/guest_build.rs"]
mod guest_build;

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            // Each line becomes a line of cargo's own report.
            for line in sentence.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

struct App {
    id: String,
    folder: PathBuf,
    component: String,
}

fn embed() -> Result<(), String> {
    let variable = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .ok_or(format!("cargo set no {name}"))
    };
    let out = variable("OUT_DIR")?;
    let workspace = variable("CARGO_MANIFEST_DIR")?;
    let workspace = workspace
        .ancestors()
        .nth(2)
        .ok_or("this crate has left its workspace")?
        .to_owned();
    println!("cargo::rerun-if-env-changed=KEYPORT_COMPONENTS");
    // Relative to this package: a target folder that several checkouts share must not watch another one's files.
    for watched in [
        "manifests",
        "wit",
        "providers/sdk",
        "host/manifest/src",
        "host/manifest/Cargo.toml",
        "host/plugin/guest_build.rs",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed=../../{watched}");
    }
    let apps = apps(&workspace.join("manifests"))?;
    let host = std::env::var_os("CARGO_FEATURE_HOST").is_some();
    let names: BTreeSet<&str> = apps
        .iter()
        .filter(|_| host)
        .map(|app| app.component.as_str())
        .chain(host.then_some("rest"))
        .collect();
    let mut components = Vec::new();
    for name in names {
        // Not all of providers/: what builds leave in an app's folder there is nothing to this binary.
        println!("cargo::rerun-if-changed=../../providers/{name}");
        components.push((name, component(&workspace, name, &out)?));
    }
    let text = table(&apps, &components).map_err(|error| error.to_string())?;
    std::fs::write(out.join("embedded.rs"), text)
        .map_err(|error| format!("{}: {error}", out.display()))
}

/// The apps, by id. A folder without a manifest is none.
fn apps(folder: &Path) -> Result<Vec<App>, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut apps = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let app = entry.map_err(unreadable)?.path();
        if !app.join("manifest.yaml").is_file() {
            continue;
        }
        let id = app
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        apps.push(App {
            component: component_of(folder, &id)?,
            id,
            folder: app,
        });
    }
    apps.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(apps)
}

/// What an app's manifest names as its component, or the manifest that it extends.
fn component_of(folder: &Path, id: &str) -> Result<String, String> {
    // As deep as the manifest language lets one app build on another.
    const CHAIN: usize = 4;
    let mut id = id.to_owned();
    for _ in 0..=CHAIN {
        let file = folder.join(&id).join("manifest.yaml");
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        if let Some(component) = line(&text, "component:") {
            return if component.is_empty() || component.contains(['/', '.']) {
                Err(format!(
                    "{}: `component` must be `rest` or the name of a folder in providers/",
                    file.display()
                ))
            } else {
                Ok(component)
            };
        }
        id = line(&text, "extends:")
            .ok_or_else(|| format!("{}: there is no line `component: …`", file.display()))?;
    }
    Err(format!("manifests/{id} extends too many others"))
}

/// The text after a top-level key, without its comment.
fn line(text: &str, key: &str) -> Option<String> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    let rest = rest.split('#').next().unwrap_or_default().trim();
    Some(rest.trim_matches(['"', '\'']).to_owned())
}

fn component(workspace: &Path, name: &str, out: &Path) -> Result<PathBuf, String> {
    if let Some(folder) = std::env::var_os("KEYPORT_COMPONENTS") {
        let file = workspace.join(folder).join(format!("{name}.wasm"));
        println!("cargo::rerun-if-changed={}", file.display());
        return if file.is_file() {
            Ok(file)
        } else {
            Err(format!(
                "KEYPORT_COMPONENTS is set, but there is no {}",
                file.display()
            ))
        };
    }
    guest_build::ensure_target()?;
    let package = if name == "rest" {
        "keyport-rest".to_owned()
    } else {
        format!("keyport-provider-{name}")
    };
    guest_build::build(workspace, &package, &guests(out))
}

/// One target folder for guests beside those of the profiles: what they are does not depend on the outer profile, and the
/// outer build holds no lock on it. `out` is `<target>/<profile>/build/<package>/out`.
fn guests(out: &Path) -> PathBuf {
    out.ancestors().nth(4).unwrap_or(out).join("guests")
}

fn table(apps: &[App], components: &[(&str, PathBuf)]) -> Result<String, std::fmt::Error> {
    let mut text = String::from("pub static APPS: &[EmbeddedApp] = &[\n");
    for app in apps {
        let file = |name: &str| app.folder.join(name);
        let logo = file("logo.svg");
        write!(
            text,
            "    EmbeddedApp {{ id: {:?}, manifest: include_str!({:?}), logo: ",
            app.id,
            file("manifest.yaml")
        )?;
        if logo.is_file() {
            write!(text, "Some(include_str!({logo:?}))")?;
        } else {
            write!(text, "None")?;
        }
        writeln!(text, ", component: {:?} }},", app.component)?;
    }
    writeln!(text, "];\npub static COMPONENTS: &[(&str, &[u8])] = &[")?;
    for (name, path) in components {
        writeln!(text, "    ({name:?}, include_bytes!({path:?})),")?;
    }
    writeln!(text, "];")?;
    Ok(text)
}
