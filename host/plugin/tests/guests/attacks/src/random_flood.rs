//! Asks for a gigabyte of randomness.

use keyport_sdk::{Failure, Host, Value, json};

use crate::bindings::wasi;

pub fn run(_host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    let bytes = wasi::random::random::get_random_bytes(1 << 30);
    Ok(json!(bytes.len()))
}
