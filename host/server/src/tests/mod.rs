//! The whole router over a real engine with nothing in its catalogue: what needs no vendor.
//!
//! What needs one (a sign-in, the proxy, a rename) is driven through the built program in `tests/`.

mod api;
mod document;
mod gates;
mod network;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{HeaderMap, Request, StatusCode};
use keyport_connect::view::KeyScope;
use keyport_connect::{Catalogue, Engine, EngineParts};
use keyport_egress::{Egress, EgressConfig};
use keyport_plugin::{PluginConfig, PluginHost};
use keyport_vault::{MemoryStore, RootKey, Vault};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::ServerState;

const ORIGIN: &str = "https://keyport.example";

/// A server without a socket.
struct Server {
    engine: Engine,
    state: ServerState,
    router: Router,
}

impl Server {
    async fn new() -> Self {
        let url: url::Url = ORIGIN.parse().unwrap();
        let vault = Vault::open(Arc::new(MemoryStore::new()), RootKey::generate().unwrap())
            .await
            .unwrap();
        let egress = Egress::new(EgressConfig::default()).unwrap();
        let plugins = PluginHost::new(PluginConfig {
            max_concurrent: 1,
            ..PluginConfig::default()
        })
        .unwrap();
        let parts = EngineParts::new(vault, egress, plugins, Catalogue::default(), url.clone());
        let engine = Engine::new(parts).await.unwrap();
        let state = ServerState::new(engine.clone(), &url).unwrap();
        Self {
            engine,
            router: crate::router(state.clone()),
            state,
        }
    }

    /// A fresh platform key, as an `Authorization` header.
    async fn key(&self, scopes: &[KeyScope]) -> String {
        let created = self
            .engine
            .create_key(&keyport_connect::Actor::Host, "test", scopes)
            .await
            .unwrap();
        format!("Bearer {}", created.secret)
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        Answer::read(self.router.clone().oneshot(request).await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(ask("GET", path, &[], "")).await
    }
}

/// A request to `keyport.example`.
fn ask(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "keyport.example");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// An answer that was read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 16 << 20).await.unwrap();
        Self {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Checks the shape of a problem and returns its detail.
    #[track_caller]
    fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:keyport:problem:{code}"));
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        assert!(
            !problem["request_id"].as_str().unwrap().is_empty()
                && !problem["title"].as_str().unwrap().is_empty()
        );
        problem["detail"].as_str().unwrap().to_owned()
    }
}
