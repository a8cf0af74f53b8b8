//! The demo backend's calls to Keyport: JSON over `/v1` with a platform key, as any customer's backend makes them.
//!
//! It reaches Keyport's own loopback address only, so it has a plain HTTP client of its own and does not go
//! through the egress door, which is for what Keyport itself sends to the world.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// Keyport, seen from a platform's backend.
pub struct Keyport {
    http: Client<HttpConnector, Full<Bytes>>,
    /// Where to connect, `http://127.0.0.1:4700`.
    address: String,
    /// What Keyport calls itself: the `Host` that it answers to.
    host: HeaderValue,
    /// `Bearer <platform key>`, marked sensitive.
    authorization: HeaderValue,
}

/// Keyport refused, or could not be reached: an HTTP status and a problem document to hand to the page.
pub struct Refused {
    /// The status to answer with.
    pub status: u16,
    /// RFC 9457 problem details.
    pub problem: Value,
}

impl Keyport {
    /// `address` is where to connect, `host` what Keyport calls itself. Fails if one can't stand in a header.
    pub fn new(
        address: String,
        host: &str,
        platform_key: &str,
    ) -> Result<Self, http::header::InvalidHeaderValue> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {platform_key}"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            http: Client::builder(TokioExecutor::new()).build_http(),
            address,
            host: HeaderValue::from_str(host)?,
            authorization,
        })
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Result<Value, Refused> {
        self.call(Method::GET, path, None).await
    }

    /// `POST path` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Result<Value, Refused> {
        self.call(Method::DELETE, path, None).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Refused> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .header(HOST, self.host.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(
                body.map(|body| Bytes::from(body.to_string()))
                    .unwrap_or_default(),
            ))
            .map_err(|_| unreachable_problem("the address of Keyport is not usable"))?;
        let answer = self
            .http
            .request(request)
            .await
            .map_err(|_| unreachable_problem("Keyport does not answer; is it running?"))?;
        let status = answer.status();
        let bytes = answer
            .into_body()
            .collect()
            .await
            .map_err(|_| unreachable_problem("Keyport broke off its answer; try again"))?
            .to_bytes();
        let document = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            Ok(document)
        } else {
            Err(Refused {
                status: status.as_u16(),
                problem: document,
            })
        }
    }
}

fn unreachable_problem(detail: &str) -> Refused {
    Refused {
        status: 502,
        problem: json!({ "title": "Keyport can't be reached", "status": 502, "detail": detail }),
    }
}
