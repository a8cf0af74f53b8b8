//! Building guests: a package of this workspace becomes a component for `wasm32-wasip2`.
//!
//! Not a module of the crate: the binary's build script and the plugin host's tests include this file, so that there
//! is one way in which guests are built. Guests are workspace members of crate type `rlib`, because the linker refuses
//! a component's export names in the native build; here they are asked for as `cdylib`.
//!
//! The traps that it goes round: a target folder shared with the outer build deadlocks, so there is one of its own; the
//! outer build's flags and wrappers (clippy's, for instance) must not leak in; and a missing target is added where
//! rustup manages the toolchain.

use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// Small and fast to load: guests are embedded, hashed and compiled on the user's machine.
const PROFILE: &[(&str, &str)] = &[
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
];

/// What the outer build sets for itself.
const OUTER: &[&str] = &[
    "RUSTFLAGS",
    "RUSTC",
    "RUSTDOC",
    "RUSTC_LINKER",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_INCREMENTAL",
    "CARGO_PRIMARY_PACKAGE",
    "TARGET",
    "HOST",
    "OUT_DIR",
    "PROFILE",
    "OPT_LEVEL",
    "DEBUG",
    "NUM_JOBS",
    "CARGO_LLVM_COV",
    "LD_PRELOAD",
];
const OUTER_PREFIXES: &[&str] = &[
    "CARGO_ENCODED_",
    "CARGO_PKG_",
    "CARGO_CFG_",
    "CARGO_FEATURE_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
    "CARGO_PROFILE_",
    "DEP_",
];

/// Builds the component of `package` with a target folder of its own; the path of the `.wasm` file.
///
/// `workspace` is the folder of the workspace's `Cargo.toml`. The error is a sentence, with what the compiler said.
pub fn build(workspace: &Path, package: &str, target_folder: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args([
            "rustc",
            "--lib",
            "--crate-type",
            "cdylib",
            "--target",
            TARGET,
            "--release",
            "--locked",
            "--quiet",
        ])
        .args(["--package", package])
        .arg("--manifest-path")
        .arg(workspace.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_folder)
        .current_dir(workspace);
    if std::env::var_os("CARGO_NET_OFFLINE").is_some_and(|value| value == "true") {
        command.arg("--offline");
    }
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OUTER.contains(&text.as_ref())
            || OUTER_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command.envs(PROFILE.iter().copied());
    let output = command
        .output()
        .map_err(|error| format!("cargo could not be started to build {package}: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "the component of {package} does not build:\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let file = target_folder
        .join(TARGET)
        .join("release")
        .join(format!("{}.wasm", package.replace('-', "_")));
    if file.is_file() {
        Ok(file)
    } else {
        Err(format!("the build of {package} left no {}", file.display()))
    }
}

/// Makes sure that the toolchain in use can build guests; adds the target where rustup manages it.
pub fn ensure_target() -> Result<(), String> {
    if has_target() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]);
    if let Some(toolchain) = std::env::var_os("RUSTUP_TOOLCHAIN") {
        rustup.arg("--toolchain").arg(toolchain);
    }
    let added = rustup.output().is_ok_and(|output| output.status.success());
    if added && has_target() {
        return Ok(());
    }
    Err(format!(
        "this toolchain lacks the target {TARGET} that apps are built for; run: rustup target add {TARGET}"
    ))
}

fn has_target() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}
