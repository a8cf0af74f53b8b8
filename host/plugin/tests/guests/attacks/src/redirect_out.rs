//! Has a server of its own send it elsewhere.

use keyport_sdk::{Failure, Host, Request, Value};

pub fn run(host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    Ok(crate::told(host.send(&Request::get("/redirect"))))
}
