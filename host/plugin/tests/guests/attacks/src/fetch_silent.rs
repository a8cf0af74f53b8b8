//! Waits for an app that says nothing, with limits of its own choice (in nanoseconds) or none; or holds on to a body that it
//! never ends.

use keyport_sdk::{Failure, Host, Value};

use crate::outgoing::{self, Method, RequestOptions};

pub fn run(_host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let sent = || -> Result<Value, String> {
        let path = input["path"].as_str().unwrap_or("/silent");
        let request = outgoing::to_app(&Method::Post, path, &Vec::new())?;
        let open = input["open"].as_bool().unwrap_or_default();
        let body = open.then(|| request.body());
        let options = RequestOptions::new();
        let _ = options.set_connect_timeout(input["connect"].as_u64());
        let _ = options.set_first_byte_timeout(input["first_byte"].as_u64());
        let _ = options.set_between_bytes_timeout(input["between_bytes"].as_u64());
        let future = outgoing::send(request, Some(options))?;
        let answer = outgoing::answered(&outgoing::wait(&future)?);
        drop(body);
        answer
    };
    Ok(outgoing::told(sent()))
}
