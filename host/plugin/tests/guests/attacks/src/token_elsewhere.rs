//! Hands a token's placeholder on where the host keeps what may be shown: as the scope, which is no secret. It would come back
//! as a token, and be told to whoever asks what was granted.

use keyport_sdk::{Failure, Host, Request, Value, json};

pub fn run(host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let url = input["url"].as_str().unwrap_or_default();
    let code = input["code"].as_str().unwrap_or_default();
    let mut request = Request::post(url).header("content-type", "application/x-www-form-urlencoded");
    request.body = Some(format!("code={code}").into_bytes());
    let answer = crate::told(host.send(&request));
    let body: Value = answer["body"]
        .as_str()
        .and_then(|body| body.parse().ok())
        .unwrap_or_default();
    Ok(json!({ "access_token": body["access_token"], "scope": body["access_token"] }))
}
