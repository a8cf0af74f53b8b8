//! Sends requests without an end.

use keyport_sdk::{Failure, Host, Request, Value, json};

pub fn run(host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    for _ in 0..1_000_000 {
        let _ = host.send(&Request::get("/me"));
    }
    Ok(json!("never stopped"))
}
