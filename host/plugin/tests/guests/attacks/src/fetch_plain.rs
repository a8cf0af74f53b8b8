//! Well-behaved: what `wasi:http` is for. A method, a path, headers and a body are the input's.

use keyport_sdk::{Failure, Host, Value};

use crate::outgoing::{self, Headers, Method};

pub fn run(host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    let mut headers: Headers = input["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().into()))
        .collect();
    if input["handle"].is_string() {
        let handle = host.handle(text("handle"))?;
        headers.push((text("handle_in").to_owned(), handle.into_bytes()));
    }
    let method = Method::Other(text("method").to_owned());
    let body = input["body"].as_str().map(str::as_bytes);
    let request = outgoing::to_app(&method, text("path"), &headers);
    Ok(outgoing::told(request.and_then(|request| outgoing::whole(request, body))))
}
