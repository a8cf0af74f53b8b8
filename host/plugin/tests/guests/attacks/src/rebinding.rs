//! Asks for its own host again and again while the name changes its address.

use keyport_sdk::{Failure, Host, Request, Value};

pub fn run(host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    let tried = (0..4).map(|_| crate::told(host.send(&Request::get("/me")))["refused"].clone());
    Ok(tried.collect())
}
