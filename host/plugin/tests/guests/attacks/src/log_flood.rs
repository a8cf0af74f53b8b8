//! Logs and prints without an end, long lines that forge others.

use keyport_sdk::{Failure, Host, Level, Value, json};

pub fn run(host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    let line = "x".repeat(8_000);
    for n in 0..5_000 {
        host.log(Level::Error, &format!("{n}\r\nERROR forged\u{1b}[2J {line}"), &json!({ "n": line }));
        println!("{n} {line}");
        eprintln!("{n} {line}");
    }
    Ok(json!("done"))
}
