//! Waits for an answer that does not come.

use keyport_sdk::{Failure, Host, Request, Value};

pub fn run(host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    Ok(crate::told(host.send(&Request::get("/silent"))))
}
