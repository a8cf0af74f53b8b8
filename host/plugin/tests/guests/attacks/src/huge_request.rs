//! Sends two megabytes, then six.

use keyport_sdk::{Failure, Host, Request, Value, json};

pub fn run(host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    let mut told = Vec::new();
    for size in [2 << 20, 6 << 20] {
        let mut request = Request::post("/me");
        request.body = Some(vec![b'x'; size]);
        told.push(crate::told(host.send(&request)));
    }
    Ok(json!(told))
}
