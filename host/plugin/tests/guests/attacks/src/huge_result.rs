//! Returns more than the host takes (A40: a hundred megabytes do not even fit).

use keyport_sdk::{Failure, Host, Value, json};

pub fn run(_host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    Ok(json!("x".repeat(6 << 20)))
}
