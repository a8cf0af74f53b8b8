//! Sets headers that are the host's by `wasi:http`, in every spelling that it is given, and two lengths.

use keyport_sdk::{Failure, Host, Value, json};

use crate::outgoing::{self, Method};

pub fn run(_host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let names = input.as_array().cloned().unwrap_or_default();
    let tried = names.iter().filter_map(Value::as_str).map(|name| {
        let headers = vec![(name.to_owned(), b"mine".to_vec())];
        let request = outgoing::to_app(&Method::Get, "/me", &headers);
        let told = outgoing::told(request.and_then(|request| outgoing::whole(request, None)));
        json!([name, told["refused"]])
    });
    Ok(tried.collect())
}
