//! Takes memory bit by bit, and touches it.

use std::hint::black_box;

use keyport_sdk::{Failure, Host, Value};

pub fn run(_host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    let mut all = Vec::new();
    loop {
        all.push(vec![1_u8; 1 << 20]);
        black_box(&all);
    }
}
