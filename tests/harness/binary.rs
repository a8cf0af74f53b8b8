//! The built binary: beside this test's own executable, where the same `cargo test` put it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Path of the `keyport` that this run built.
///
/// # Panics
/// If it isn't there: the tests were started in a way that builds no binaries.
pub fn path() -> PathBuf {
    if let Ok(given) = std::env::var("KEYPORT_TEST_BINARY") {
        return given.into();
    }
    let own = std::env::current_exe().expect("a test knows its own path");
    let folder = own
        .ancestors()
        .nth(2)
        .expect("a test lives in target/<profile>/deps");
    let binary = folder.join(format!("keyport{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.exists(),
        "{} is missing; run `cargo test --workspace --locked`",
        binary.display()
    );
    binary
}

/// A command line of `keyport`, with none of this process's `KEYPORT_…` variables.
pub fn command(arguments: &[&str]) -> Command {
    command_of(&path(), arguments)
}

/// The same with another build of the binary.
pub fn command_of(binary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.args(arguments);
    for (name, _) in std::env::vars() {
        if name.starts_with("KEYPORT_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `keyport` to its end.
pub fn run(arguments: &[&str]) -> Output {
    command(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("keyport starts")
}

/// Runs `keyport` to its end with `input` on its standard input.
pub fn run_with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keyport starts");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(input.as_bytes())
        .expect("keyport reads");
    child.wait_with_output().expect("keyport ends")
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is in the repository")
        .to_owned()
}

/// What it printed on both outputs, for messages of assertions.
pub fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
