//! Calls itself without an end.

use std::hint::black_box;

use keyport_sdk::{Failure, Host, Value, json};

pub fn run(_host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    Ok(json!(deeper(1)))
}

#[expect(unconditional_recursion, reason = "that is the attack")]
fn deeper(n: u64) -> u64 {
    black_box(deeper(black_box(n + 1))) + 1
}
