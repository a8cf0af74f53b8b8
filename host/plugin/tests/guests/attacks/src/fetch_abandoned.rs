//! Gives up a request that hangs, before or after the head of its answer, and goes on. The app answers `/hold-until-one` when a request hangs
//! there, and `/hold-until-none` when none does any more.

use keyport_sdk::{Failure, Host, Value, json};

use crate::outgoing::{self, Method};

pub fn run(_host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let path = input.as_str().unwrap_or_default();
    let request = outgoing::to_app(&Method::Get, path, &Vec::new());
    let future = request.and_then(|request| outgoing::send(request, None));
    let future = future.map_err(Failure::other)?;
    let seen = outgoing::get("/hold-until-one");
    drop(future);
    Ok(json!([seen["status"], outgoing::get("/hold-until-none")["status"]]))
}
