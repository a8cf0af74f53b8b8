//! Takes a gigabyte in one piece (A40).

use std::hint::black_box;

use keyport_sdk::{Failure, Host, Value, json};

pub fn run(_host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    let all = vec![1_u8; 1 << 30];
    Ok(json!(black_box(&all).len()))
}
