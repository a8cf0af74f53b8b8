//! Computes for ever.

use std::hint::black_box;

use keyport_sdk::{Failure, Host, Value};

pub fn run(_host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    loop {
        black_box(());
    }
}
