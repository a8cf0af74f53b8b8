//! Sends a header that is the host's where no check of headers looks: behind the body.

use keyport_sdk::{Failure, Host, Value, json};

use crate::outgoing::{self, Fields, Method};

pub fn run(_host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    let sent = || -> Result<Value, String> {
        let request = outgoing::to_app(&Method::Post, "/me", &Vec::new())?;
        let body = request.body().map_err(|()| "no body".to_owned())?;
        let future = outgoing::send(request, None)?;
        let trailers = Fields::from_list(&[("authorization".to_owned(), b"mine".to_vec())]);
        let trailers = trailers.map_err(outgoing::word)?;
        outgoing::write(body, b"text", Some(trailers))?;
        outgoing::answered(&outgoing::wait(&future)?)
    };
    Ok(json!(outgoing::told(sent())))
}
