//! The binary is there and says what it is. (That this package has a test of its own kind also makes `cargo test` build
//! the binary that the tests of the whole program drive.)

use std::process::Command;

#[test]
fn the_binary_names_its_commands() {
    let output = Command::new(env!("CARGO_BIN_EXE_keyport"))
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for command in ["dev", "serve", "validate", "key", "app"] {
        assert!(
            text.lines()
                .any(|line| line.trim_start().starts_with(command)),
            "{text}"
        );
    }
}
