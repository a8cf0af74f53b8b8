//! Has the host compute signatures without an end.

use keyport_sdk::{Failure, Host, Value, json};

pub fn run(host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    for n in 0..1_000_000 {
        let _ = host.derive("sign", &[("message", &n.to_string())]);
    }
    Ok(json!("never stopped"))
}
