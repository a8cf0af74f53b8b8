//! Returns what is small as text and large when it is read: lists of nothing.

use keyport_sdk::{Failure, Host, Value, json};

pub fn run(_host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    Ok(vec![json!(0); 300_000].into())
}
