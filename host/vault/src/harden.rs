//! What the process does so that its memory does not end on a disk.
//!
//! Against: a core dump with keys in it, written after a crash or taken by another process of the same user; also keeps a debugger or
//! `/proc/<pid>/mem` of that user out. Not against: root, swap (`MemorySwapMax=0`, or an encrypted swap), a snapshot of a virtual machine.

/// Switches core dumps off for this process and its children, and closes its memory to others of the same user. Called once, first thing.
///
/// # Errors
/// A sentence, when the system refuses; then `LimitCORE=0` in the unit has to do it.
#[cfg(unix)]
pub fn harden() -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)
        .map_err(|error| format!("core dumps could not be switched off: {error}"))?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(|error| format!("the process's memory could not be closed to others: {error}"))?;
    Ok(())
}

/// There is nothing to switch off here.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn harden() -> Result<(), String> {
    Ok(())
}
