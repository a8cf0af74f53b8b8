//! The calls that a platform's backend makes, with its key.

use serde_json::{Value, json};

use crate::http::{Answer, Client};

/// A platform's backend.
#[derive(Clone)]
pub struct Platform {
    url: String,
    key: String,
}

impl Platform {
    /// `url` is Keyport's public URL.
    pub fn new(url: String, key: String) -> Self {
        Self { url, key }
    }

    /// Keyport's public URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Any call on `/v1`.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let authorization = format!("Bearer {}", self.key);
        let headers = [("authorization", authorization.as_str())];
        let url = format!("{}{path}", self.url);
        match body {
            Some(body) => Client::new().json(method, &url, &headers, body),
            None => Client::new().send(method, &url, &headers, None),
        }
    }

    /// `GET`, which must answer 200.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).expect(200).json()
    }

    /// `POST`.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(body))
    }

    /// Sets up an app's OAuth client; the configuration's id.
    #[track_caller]
    pub fn configure(&self, app: &str, body: &Value) -> String {
        let answer = self
            .post(&format!("/v1/apps/{app}/configurations"), body)
            .expect(201)
            .json();
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// A session of `kind` for `owner`: its id and its link.
    #[track_caller]
    pub fn session(&self, owner: &str, kind: &str, more: &Value) -> (String, String) {
        let mut body = json!({ "owner": owner, "kind": kind, "origins": ["http://127.0.0.1:9"] });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let made = self.post("/v1/sessions", &body).expect(201).json();
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        (text("id"), text("url"))
    }

    /// Redeems a completion code for the signed-in `owner`.
    #[track_caller]
    pub fn complete(&self, session: &str, code: &str, owner: &str) -> Answer {
        self.post(
            &format!("/v1/sessions/{session}/complete"),
            &json!({ "code": code, "owner": owner }),
        )
    }
}
