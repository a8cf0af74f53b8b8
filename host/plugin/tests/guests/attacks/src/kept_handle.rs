//! Uses a handle that an earlier call had; hands one on to the next.

use keyport_sdk::{Failure, Host, Request, Value, json};

pub fn run(host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let kept = input.as_str().unwrap_or_default();
    let sent = crate::told(host.send(&Request::get("/me").header("x-key", kept)));
    Ok(json!({ "mine": host.handle("key").unwrap_or_default(), "sent": sent }))
}
