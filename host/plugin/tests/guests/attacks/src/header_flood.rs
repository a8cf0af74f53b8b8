//! Sends headers by the ten thousand, then few that are huge.

use keyport_sdk::{Failure, Host, Request, Value, json};

pub fn run(host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    let many = (0..10_000).fold(Request::get("/me"), |request, n| {
        request.header(format!("x-{n}"), "1")
    });
    let large = (0..90).fold(Request::get("/me"), |request, n| {
        request.header(format!("x-{n}"), "y".repeat(4_000))
    });
    Ok(json!([
        crate::told(host.send(&many)),
        crate::told(host.send(&large))
    ]))
}
