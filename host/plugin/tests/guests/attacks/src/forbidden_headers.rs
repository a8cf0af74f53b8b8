//! Sets headers that are the host's, in every spelling that it is given.

use keyport_sdk::{Failure, Host, Request, Value, json};

pub fn run(host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let names = input.as_array().cloned().unwrap_or_default();
    let tried = names.iter().filter_map(Value::as_str).map(|name| {
        let sent = host.send(&Request::get("/me").header(name, "mine"));
        json!([name, crate::told(sent)["refused"]])
    });
    Ok(tried.collect())
}
