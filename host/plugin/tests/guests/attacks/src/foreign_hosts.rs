//! Goes where it may not, in every spelling that it is given.

use keyport_sdk::{Failure, Host, Request, Value, json};

pub fn run(host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let urls = input.as_array().cloned().unwrap_or_default();
    let tried = urls.iter().filter_map(Value::as_str).map(|url| {
        let sent = host.send(&Request::get(url));
        json!([url, crate::told(sent)["refused"]])
    });
    Ok(tried.collect())
}
