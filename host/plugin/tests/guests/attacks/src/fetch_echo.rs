//! Asks a co-operating app for what the host attached, in all forms, in pieces of seven bytes and in headers.

use keyport_sdk::{Failure, Host, Value, json};

use crate::outgoing;

pub fn run(_host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    Ok(json!([outgoing::get("/forms"), outgoing::get("/me"), outgoing::get("/in-headers")]))
}
