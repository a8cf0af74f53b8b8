//! Has a server of its own send back what the host attached, in each form and in pieces.

use keyport_sdk::{Failure, Host, Request, Value};

pub fn run(host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    let handle = host.handle("key").unwrap_or_default();
    let request = Request::get("/forms").header("x-key", handle);
    Ok(crate::told(host.send(&request)))
}
