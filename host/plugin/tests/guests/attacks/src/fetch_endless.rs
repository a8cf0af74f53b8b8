//! Asks for an answer that never ends; and for many that end, and lets go of none.

use keyport_sdk::{Failure, Host, Value, json};

use crate::outgoing::{self, Method};

pub fn run(_host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let path = input["path"].as_str().unwrap_or("/endless");
    let mut kept = Vec::new();
    let tried = (0..input["times"].as_u64().unwrap_or(1)).map(|_| {
        let mut read = || -> Result<u16, String> {
            let request = outgoing::to_app(&Method::Get, path, &Vec::new())?;
            let answer = outgoing::wait(&outgoing::send(request, None)?)?;
            let status = answer.status();
            kept.push(answer);
            Ok(status)
        };
        read().map_or_else(|error| json!(error), |status| json!(status))
    });
    Ok(tried.collect())
}
