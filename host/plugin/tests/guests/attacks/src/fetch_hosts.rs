//! Goes where it may not by `wasi:http`: each part of the address as it is given.

use keyport_sdk::{Failure, Host, Value, json};

use crate::outgoing::{self, Method, Scheme};

pub fn run(_host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let tries = input.as_array().cloned().unwrap_or_default();
    let tried = tries.iter().map(|parts| {
        let scheme = parts[0].as_str().map(|scheme| match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => Scheme::Other(other.to_owned()),
        });
        let (authority, path) = (parts[1].as_str(), parts[2].as_str());
        let request =
            outgoing::request(&Method::Get, scheme.as_ref(), authority, path, &Vec::new());
        let told = outgoing::told(request.and_then(|request| outgoing::whole(request, None)));
        json!([parts, told["refused"]])
    });
    Ok(tried.collect())
}
