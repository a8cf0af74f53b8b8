//! Components that only tests need, built as the binary's own are.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::binary;

#[path = "../../host/plugin/guest_build.rs"]
mod guest_build;

/// Builds a guest of this workspace; the path of its component. Cargo keeps it between runs.
pub fn build(package: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    guest_build::ensure_target().expect("the target for guests");
    let own = std::env::current_exe().expect("a test knows its own path");
    let target = own
        .ancestors()
        .nth(3)
        .expect("a test lives in target/<profile>/deps")
        .join("guests");
    guest_build::build(&binary::repository(), package, &target).expect("the guest builds")
}
