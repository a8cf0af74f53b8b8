//! Components that only tests need, built as the binary's own are.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::binary;

#[path = "../../host/plugin/guest_build.rs"]
mod guest_build;

/// Builds a guest of this workspace; the path of its component. Cargo keeps it between runs.
pub fn build(package: &str) -> PathBuf {
    build_at(&binary::repository(), package).expect("the guest builds")
}

/// Builds a guest whose `Cargo.toml` and `Cargo.lock` lie in this folder; what the compiler said where it does not build.
///
/// # Errors
///
/// What the compiler said.
pub fn build_at(workspace: &Path, package: &str) -> Result<PathBuf, String> {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    guest_build::ensure_target().expect("the target for guests");
    let own = std::env::current_exe().expect("a test knows its own path");
    let target = own
        .ancestors()
        .nth(3)
        .expect("a test lives in target/<profile>/deps")
        .join("guests");
    guest_build::build(workspace, package, &target)
}
