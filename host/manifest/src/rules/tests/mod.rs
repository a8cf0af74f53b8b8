//! The verdicts, one file per kind of answer. What answers look like is made here.

mod captures;
mod polls;
mod tokens;
mod verdicts;

use serde_json::{Value, json};

use super::*;
use crate::message::PlainResponse;
use crate::model::Oauth2;

fn answer(status: u16, body: &Value) -> PlainResponse {
    PlainResponse {
        status,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}

fn raw(status: u16, body: &str) -> PlainResponse {
    PlainResponse {
        status,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    }
}

fn with_header(mut response: PlainResponse, name: &str, value: &str) -> PlainResponse {
    response.headers.push((name.to_owned(), value.to_owned()));
    response
}

fn oauth(extra: Value) -> Oauth2 {
    let mut base = json!({"label": "O", "authorize_url": "https://a.example/a", "token_url": "https://a.example/t"});
    base.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    serde_json::from_value(base).unwrap()
}

fn id_token(claims: &Value) -> String {
    use base64::Engine as _;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("e30.{payload}.c2ln")
}
