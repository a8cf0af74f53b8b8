//! Starts requests and waits for none of them.

use keyport_sdk::{Failure, Host, Value};

use crate::outgoing::{self, Method};

pub fn run(_host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let mut under_way = Vec::new();
    let path = input["path"].as_str().unwrap_or("/me");
    for _ in 0..input["times"].as_u64().unwrap_or(1_000) {
        let request = outgoing::to_app(&Method::Get, path, &Vec::new());
        under_way.push(request.and_then(|request| outgoing::send(request, None)));
    }
    let told = under_way
        .into_iter()
        .map(|sent| sent.and_then(|future| outgoing::answered(&outgoing::wait(&future)?)))
        .map(|told| outgoing::told(told)["status"].clone());
    Ok(told.collect())
}
