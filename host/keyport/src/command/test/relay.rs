//! `--connection`: a live account without its credentials. A host that runs on this machine has connected it; what the component
//! sends goes through that host's own proxy, which attaches the credential and refreshes it.
//!
//! The component is run here, for a connection with marked secrets as with fixtures. The relay takes off what was attached here
//! and hands the rest on, so that neither this process nor a recording ever has a real secret, and a way to sign in that needs a
//! browser (OAuth) is as good as a key.
//!
//! The threat: a platform key that leaves this machine in the clear, so only loopback is taken. Left out: apps that place secrets
//! in bodies or by handles and recipes (the host's proxy attaches what the manifest injects, and nothing else), and hosts beside
//! the base URL (the proxy has no other).

use std::path::Path;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use keyport_manifest::{Manifest, PlainResponse};
use serde_json::Value;
use url::{Host, Url};

use super::play::declared;
use crate::command::Failure;

/// On every answer of the app: its status. An answer without it is the host's own.
const UPSTREAM_STATUS: &str = "keyport-upstream-status";
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 32 << 20;
/// About this hop, and what the two hosts settle between themselves.
const HOP: &[HeaderName] = &[HOST, CONNECTION, CONTENT_LENGTH, ACCEPT_ENCODING];

/// A connection of a running host.
pub struct Relay {
    http: Client<HttpConnector, Full<Bytes>>,
    host: String,
    authorization: HeaderValue,
    id: String,
    /// Its way to sign in.
    pub method: String,
    /// Whose it is: id and label.
    pub account: Option<(String, String)>,
    headers: Vec<String>,
    query: Vec<String>,
    base_path: String,
}

impl Relay {
    /// Asks the host about the connection.
    ///
    /// # Errors
    /// A host that is not here or says no, another app's connection, or an app that cannot be called this way.
    pub async fn open(
        manifest: &Manifest,
        host: &str,
        key_file: &Path,
        id: &str,
    ) -> Result<Self, Failure> {
        let host = loopback(host)?;
        let key = std::fs::read_to_string(key_file).map_err(|error| {
            Failure::Said(format!(
                "{}: {error}; `keyport dev` writes its platform key there, and `--key-file` names another",
                key_file.display()
            ))
        })?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", key.trim()))
            .map_err(|_| Failure::Said(format!("{} holds no key", key_file.display())))?;
        authorization.set_sensitive(true);
        if !id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        {
            return Err(Failure::Said(format!("`{id}` is no connection's id")));
        }
        let mut relay = Self {
            http: Client::builder(TokioExecutor::new()).build_http(),
            host,
            authorization,
            id: id.to_owned(),
            method: String::new(),
            account: None,
            headers: Vec::new(),
            query: Vec::new(),
            base_path: String::new(),
        };
        let path = format!("/v1/connections/{id}");
        let (status, _, body) = relay
            .send(Method::GET, &path, HeaderMap::new(), Bytes::new())
            .await
            .map_err(Failure::Said)?;
        let view: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if !status.is_success() {
            return Err(Failure::Said(format!(
                "{} says: {}",
                relay.host,
                problem(&view)
            )));
        }
        let text = |path: &str| view.pointer(path).and_then(Value::as_str);
        if text("/app") != Some(manifest.id.as_str()) {
            return Err(Failure::Said(format!(
                "{id} is a connection of {}, not of {}",
                text("/app").unwrap_or("another app"),
                manifest.id
            )));
        }
        relay.method = text("/method").unwrap_or_default().to_owned();
        relay.account = text("/account/id").map(|id| {
            (
                id.to_owned(),
                text("/account/label").unwrap_or(id).to_owned(),
            )
        });
        let (headers, query, in_body) = declared(manifest, &relay.method);
        if in_body || !manifest.handles.is_empty() || !manifest.recipes.is_empty() {
            return Err(Failure::Said(format!(
                "{} places secrets in bodies or by handles, which needs them here: use `--live` with the account's own credentials",
                manifest.id
            )));
        }
        (relay.headers, relay.query) = (headers, query);
        Ok(relay)
    }

    /// What paths begin with before the host's own base URL comes in their place.
    pub fn stands_at(&mut self, base: &Url) {
        base.path()
            .trim_end_matches('/')
            .clone_into(&mut self.base_path);
    }

    /// The app's answer to a request that the component made, or why there is none.
    pub async fn answer(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<PlainResponse, String> {
        let path = self.path(target)?;
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let attached = self.headers.iter().any(|it| it.eq_ignore_ascii_case(name));
            if let (false, Ok(name), Ok(value)) = (
                attached,
                HeaderName::try_from(name.as_str()),
                HeaderValue::try_from(value.as_str()),
            ) && !HOP.contains(&name)
            {
                sent.append(name, value);
            }
        }
        let method = Method::try_from(method).map_err(|_| format!("no method {method}"))?;
        let (status, headers, body) = self.send(method, &path, sent, body.into()).await?;
        if !headers.contains_key(UPSTREAM_STATUS) {
            let view = serde_json::from_slice(&body).unwrap_or(Value::Null);
            return Err(format!("the host refused it: {}", problem(&view)));
        }
        Ok(PlainResponse {
            status: status.as_u16(),
            headers: headers
                .iter()
                .filter(|(name, _)| !HOP.contains(name) && !name.as_str().starts_with("keyport-"))
                .filter(|(name, _)| name.as_str() != "transfer-encoding")
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect(),
            body: body.to_vec(),
        })
    }

    /// The host's path for one of the app: without what its own base URL has, and without what was attached here.
    fn path(&self, target: &str) -> Result<String, String> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let rest = path
            .strip_prefix(&self.base_path)
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .ok_or_else(|| {
                format!("{path} is not under the base URL, and a connection reaches nothing else")
            })?;
        let kept: Vec<&str> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .filter(|pair| {
                let name = pair.split('=').next().unwrap_or_default();
                !self.query.iter().any(|known| known == name)
            })
            .collect();
        let query = match kept.is_empty() {
            true => String::new(),
            false => format!("?{}", kept.join("&")),
        };
        Ok(format!(
            "/v1/connections/{}/proxy/{}{query}",
            self.id,
            rest.trim_start_matches('/')
        ))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.host))
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        *request.headers_mut() = headers;
        request
            .headers_mut()
            .insert(AUTHORIZATION, self.authorization.clone());
        let answer =
            self.http.request(request).await.map_err(|_| {
                format!("{} does not answer; start it with `keyport dev`", self.host)
            })?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER)
            .collect()
            .await
            .map_err(|_| format!("{} broke off its answer, or it is too long", self.host))?
            .to_bytes();
        Ok((parts.status, parts.headers, body))
    }
}

/// The address of a host on this machine, without a slash at its end.
fn loopback(text: &str) -> Result<String, Failure> {
    let here = Url::parse(text)
        .ok()
        .filter(|url| {
            url.scheme() == "http"
                && match url.host() {
                    Some(Host::Domain(name)) => name == "localhost",
                    Some(Host::Ipv4(address)) => address.is_loopback(),
                    Some(Host::Ipv6(address)) => address.is_loopback(),
                    None => false,
                }
        })
        .map(|url| url.origin().ascii_serialization());
    here.ok_or_else(|| {
        Failure::Said(format!(
            "`--host {text}`: a connection is used through a host on this machine, such as http://localhost:4700"
        ))
    })
}

/// What a problem document says.
fn problem(view: &Value) -> String {
    let text = |key: &str| view.get(key).and_then(Value::as_str);
    text("detail")
        .or_else(|| text("title"))
        .unwrap_or("something that is no problem document; is it Keyport?")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_key_never_leaves_this_machine() {
        for here in [
            "http://localhost:4700/",
            "http://127.0.0.1:1",
            "http://[::1]:4700",
        ] {
            assert!(loopback(here).is_ok(), "{here}");
        }
        for elsewhere in [
            "http://10.0.0.1:4700",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "https://keyport.example",
            "http://user@evil.example#localhost",
            "localhost:4700",
            "file:///etc/passwd",
        ] {
            assert!(loopback(elsewhere).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn what_was_attached_here_is_taken_off_and_the_hosts_own_base_comes_in() {
        let relay = Relay {
            http: Client::builder(TokioExecutor::new()).build_http(),
            host: "http://localhost:1".to_owned(),
            authorization: HeaderValue::from_static("Bearer x"),
            id: "con_1".to_owned(),
            method: "key".to_owned(),
            account: None,
            headers: vec!["x-api-key".to_owned()],
            query: vec!["key".to_owned()],
            base_path: "/api/v1".to_owned(),
        };
        let path = |target: &str| relay.path(target);
        assert_eq!(
            path("/api/v1/me?a=%20b&key=kpmarked&c").unwrap(),
            "/v1/connections/con_1/proxy/me?a=%20b&c"
        );
        assert_eq!(path("/api/v1").unwrap(), "/v1/connections/con_1/proxy/");
        assert_eq!(
            path("/api/v1//evil.example/x").unwrap(),
            "/v1/connections/con_1/proxy/evil.example/x"
        );
        assert!(path("/api/v10/me").is_err());
        assert!(path("/other").is_err());
    }
}
