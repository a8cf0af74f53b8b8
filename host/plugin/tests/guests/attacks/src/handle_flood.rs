//! Holds on to ever more resources of the host.

use keyport_sdk::{Failure, Host, Value, json};

use crate::bindings::wasi;

pub fn run(_host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    let mut all = Vec::new();
    loop {
        all.push(wasi::clocks::monotonic_clock::subscribe_duration(1_000_000_000_000));
        if all.len() > 1_000_000 {
            return Ok(json!("never stopped"));
        }
    }
}
