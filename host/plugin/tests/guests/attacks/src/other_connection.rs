//! Looks for another connection: in the host's answers, under its names, and in what memory is left.

use std::hint::black_box;
use std::sync::Mutex;

use keyport_sdk::{Failure, Host, Request, Value, json};

static LEFT: Mutex<String> = Mutex::new(String::new());

pub fn run(host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let seen: Vec<Option<String>> = ["owner", "token", "secret", "account.id", "../other", "fields.token", "credentials.key", ""]
        .iter()
        .map(|name| host.value(name))
        .collect();
    let handles: Vec<String> = ["other", "", "key\0", "credentials.key", "../key"]
        .iter()
        .map(|name| host.handle(name).unwrap_or_else(|refusal| refusal.code))
        .collect();
    let left = LEFT.lock().map(|mut left| std::mem::replace(&mut *left, input.to_string()));
    // Memory that was somebody's before would not be zero.
    let fresh: Vec<u8> = vec![0; 4 << 20];
    let dirty = black_box(&fresh).iter().filter(|byte| **byte != 0).count();
    Ok(json!({ "values": seen, "handles": handles, "left": left.unwrap_or_default(), "dirty": dirty,
        "manifest": host.manifest_json(), "me": crate::told(host.send(&Request::get("/me"))) }))
}
