//! Waits in a request when it is cancelled, and would go on after it.

use keyport_sdk::{Failure, Host, Request, Value, json};

pub fn run(host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    let first = crate::told(host.send(&Request::get("/silent")));
    let second = crate::told(host.send(&Request::get("/after")));
    Ok(json!([first, second]))
}
