//! Builds the components in `providers/` and puts them, with all manifests and logos, into the binary.
//!
//! `KEYPORT_COMPONENTS` names a folder with ready components (`rest.wasm`, …) and skips building them. What this writes is
//! read by `src/embedded.rs`. Manifests are not judged here: the program reads them as it reads any other, and a test says
//! whether they hold.

#[path = "../../providers/components.rs"]
mod components;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    if let Err(why) = run() {
        eprintln!("{why}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let here = folder("CARGO_MANIFEST_DIR")?;
    let root = here.parent().and_then(Path::parent).ok_or("host/keyport is not where it was")?.to_owned();
    let out = folder("OUT_DIR")?;
    for watched in ["providers", "wit", "manifests", "host/manifest/src", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=KEYPORT_COMPONENTS");
    println!("cargo:rerun-if-env-changed=CARGO_NET_OFFLINE");

    let ready = ready_components(&root, &out)?;
    let names: BTreeSet<&str> = ready.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = String::from("// Written by build.rs.\n\nconst COMPONENTS: &[(&str, &[u8])] = &[\n");
    for (name, path) in &ready {
        writeln!(text, "    ({name:?}, include_bytes!({path:?})),").map_err(|e| e.to_string())?;
    }
    text.push_str("];\n\nconst APPS: &[Source] = &[\n");
    for app in apps(&root.join("manifests"))? {
        if !names.contains(app.component.as_str()) {
            return Err(format!(
                "manifests/{}/manifest.yaml: `component: {}` is neither `rest` nor a folder of providers/",
                app.id, app.component
            ));
        }
        let logo = app.logo.map_or_else(|| "None".to_owned(), |path| format!("Some(include_str!({path:?}))"));
        writeln!(
            text,
            "    Source {{ id: {:?}, manifest: include_str!({:?}), logo: {logo}, component: {:?} }},",
            app.id, app.manifest, app.component
        )
        .map_err(|e| e.to_string())?;
    }
    text.push_str("];\n");
    write_if_changed(&out.join("embedded.rs"), text.as_bytes())
}

fn folder(variable: &str) -> Result<PathBuf, String> {
    env::var_os(variable).map(PathBuf::from).ok_or_else(|| format!("{variable} is not set; build with cargo"))
}

/// Name and place of every component: ready ones, or built now.
fn ready_components(root: &Path, out: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let prebuilt = env::var_os("KEYPORT_COMPONENTS").map(PathBuf::from);
    if let Some(folder) = &prebuilt {
        println!("cargo:rerun-if-changed={}", folder.display());
    } else {
        components::ensure_target()?;
    }
    let kept = out.join("components");
    fs::create_dir_all(&kept).map_err(|error| format!("{}: {error}", kept.display()))?;
    let mut ready = Vec::new();
    for (name, package) in providers(&root.join("providers"))? {
        let built = match &prebuilt {
            Some(folder) => folder.join(format!("{name}.wasm")),
            None => components::build(root, &package, &out.join("guests"))?,
        };
        let bytes = fs::read(&built).map_err(|error| format!("{}: {error}", built.display()))?;
        let path = kept.join(format!("{name}.wasm"));
        write_if_changed(&path, &bytes)?;
        ready.push((name, path));
    }
    Ok(ready)
}

/// Folder and package name of every provider: a folder with a crate that is not the SDK.
fn providers(folder: &Path) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for (name, path) in folders(folder)? {
        let manifest = path.join("Cargo.toml");
        if name == "sdk" || !manifest.is_file() {
            continue;
        }
        let text = fs::read_to_string(&manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
        let package = text
            .lines()
            .find_map(|line| line.strip_prefix("name = "))
            .map(|value| value.trim().trim_matches('"').to_owned())
            .ok_or_else(|| format!("{} has no line `name = \"…\"`", manifest.display()))?;
        found.push((name, package));
    }
    Ok(found)
}

struct App {
    id: String,
    manifest: PathBuf,
    logo: Option<PathBuf>,
    component: String,
}

fn apps(folder: &Path) -> Result<Vec<App>, String> {
    let mut found = Vec::new();
    for (id, path) in folders(folder)? {
        let manifest = path.join("manifest.yaml");
        if !manifest.is_file() {
            continue;
        }
        let text = fs::read_to_string(&manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
        // Only the one top-level line is needed here; the whole is read with a YAML reader when the program starts.
        let component = text
            .lines()
            .find_map(|line| line.strip_prefix("component:"))
            .and_then(|rest| rest.split('#').next())
            .map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
            .ok_or_else(|| format!("{} has no line `component: …`", manifest.display()))?;
        let logo = Some(path.join("logo.svg")).filter(|logo| logo.is_file());
        found.push(App { id, manifest, logo, component });
    }
    Ok(found)
}

/// The folders in a folder, sorted; none where there is no such folder.
fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if let (true, Some(name)) = (path.is_dir(), path.file_name().and_then(|name| name.to_str())) {
            found.push((name.to_owned(), path.clone()));
        }
    }
    found.sort();
    Ok(found)
}

/// Leaves a file's time alone where nothing changed, so that the binary is not linked again.
fn write_if_changed(path: &Path, content: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::write(path, content).map_err(|error| format!("{}: {error}", path.display()))
}
