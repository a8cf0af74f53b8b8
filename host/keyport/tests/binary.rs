//! The binary is there and says what it is. (That this package has a test of its own kind also makes `cargo test` build
//! the binary that the tests of the whole program drive.)
#![allow(clippy::unwrap_used, reason = "tests may be blunt")]

use std::process::{Command, Output};

const OF_A_HOST: [&str; 5] = ["dev", "serve", "key", "app", "store"];

fn keyport(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keyport"))
        .args(arguments)
        .output()
        .unwrap()
}

fn names(help: &str, command: &str) -> bool {
    help.lines()
        .any(|line| line.split_whitespace().next() == Some(command))
}

#[test]
fn the_binary_names_its_commands() {
    let output = keyport(&["--help"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(names(&text, "validate"), "{text}");
    for command in OF_A_HOST {
        assert_eq!(
            names(&text, command),
            cfg!(feature = "host"),
            "{command} in\n{text}"
        );
    }
}

#[cfg(not(feature = "host"))]
#[test]
fn a_command_that_is_not_in_this_build_says_so() {
    for command in OF_A_HOST {
        for flags in [&[][..], &["--help"], &["--data", "x", "list"]] {
            let output = keyport(&[&[command], flags].concat());
            assert_eq!(output.status.code(), Some(2), "{command}");
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(
                said.contains(&format!("`{command}` is not in this build")),
                "{said}"
            );
        }
    }
}
