//! Makes components of crates in this workspace. Not a crate: the build script of `keyport` and the tests of the plugin
//! host include it by path, so that both build guests in the same way.
//!
//! The traps it steps around: a guest that is a `cdylib` member would break the native build, so the crate type is given
//! here; a shared target folder deadlocks a release build within a release build, so there is one of its own; and what the
//! outer build was told (flags, wrappers, clippy's own) would leak into the inner one through the environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What components are compiled for.
const TARGET: &str = "wasm32-wasip2";

/// Variables by which an outer build would change the inner one. Small components: they are embedded and downloaded.
const CLEARED: [&str; 11] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_PRIMARY_PACKAGE",
];

/// Optimised for size; a trap is the only panic that a component knows.
const PROFILE: [(&str, &str); 5] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "true"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
];

/// Builds one crate of the workspace as a component; returns where it is.
///
/// # Errors
/// One sentence with what to do, or what cargo said.
pub fn build(workspace: &Path, package: &str, target_dir: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .current_dir(workspace)
        .args(["rustc", "--lib", "--crate-type", "cdylib", "--release", "--locked", "--target", TARGET, "--package", package])
        .arg("--target-dir")
        .arg(target_dir)
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if CLEARED.contains(&text.as_ref())
            || text.starts_with("CARGO_ENCODED_")
            || text.starts_with("CLIPPY_")
            || text.starts_with("CARGO_PROFILE_")
            || text.starts_with("CARGO_TARGET_")
        {
            command.env_remove(&name);
        }
    }
    command.envs(PROFILE);
    if std::env::var_os("CARGO_NET_OFFLINE").is_some_and(|value| value != "false" && value != "0") {
        command.arg("--offline");
    }
    let output = command.output().map_err(|error| format!("cargo could not be started to build {package}: {error}"))?;
    if !output.status.success() {
        return Err(format!("the component {package} was not built:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    let file = format!("{}.wasm", package.replace('-', "_"));
    Ok(target_dir.join(TARGET).join("release").join(file))
}

/// Sees to it that the compiler can make components; adds the target where rustup manages the toolchain.
///
/// # Errors
/// The one command to run.
pub fn ensure_target() -> Result<(), String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    if has_target(&rustc) {
        return Ok(());
    }
    let mut add = Command::new("rustup");
    add.args(["target", "add", TARGET]);
    if let Some(toolchain) = std::env::var_os("RUSTUP_TOOLCHAIN") {
        add.arg("--toolchain").arg(toolchain);
    }
    let added = add.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success());
    if added && has_target(&rustc) {
        return Ok(());
    }
    Err(format!("components need the compiler's target {TARGET}; run `rustup target add {TARGET}` and build again"))
}

fn has_target(rustc: &OsString) -> bool {
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    output.is_ok_and(|output| {
        let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success() && Path::new(&path).is_dir()
    })
}
