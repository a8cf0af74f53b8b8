//! What the tests share: built guests, an upstream on the loopback, and calls.

#[path = "../../guest_build.rs"]
mod guest_build;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json};
use keyport_egress::{
    Credential, Egress, EgressConfig, Injection, Origins, Pass, Place, Purpose, Secret,
};
use keyport_manifest::{AllowedHosts, Scope};
use keyport_plugin::{Call, CallLimits, LoadedApp, LogLine, PluginConfig, PluginHost, SecretKit};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The connection's secret; must never be seen by a guest.
pub const TOKEN: &str = "canary-token-7f3a";
/// A secret that the manifest lets the guest place.
pub const KEY: &str = "canary-key-91bc2d";

/// Builds a guest once per test binary; cargo itself keeps it between runs.
fn wasm(package: &str) -> Vec<u8> {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests");
    guest_build::ensure_target().unwrap();
    std::fs::read(guest_build::build(root, package, &target).unwrap()).unwrap()
}

/// A host with small limits, so that tests reach them soon.
pub fn limits() -> CallLimits {
    CallLimits {
        memory_bytes: 32 << 20,
        cpu: Duration::from_millis(500),
        wall: Duration::from_secs(20),
        hostcall_bytes: 4 << 20,
        log_lines: 20,
        ..CallLimits::default()
    }
}

pub fn host() -> PluginHost {
    PluginHost::new(PluginConfig {
        cache_dir: None,
        max_concurrent: 4,
        limits: limits(),
    })
    .unwrap()
}

/// The guest that misbehaves, loaded once per test binary.
pub async fn acts() -> &'static LoadedApp {
    static APP: OnceCell<LoadedApp> = OnceCell::const_new();
    APP.get_or_init(|| async {
        let wasm = tokio::task::spawn_blocking(|| wasm("hostile-acts"))
            .await
            .unwrap();
        host().load("acts", &wasm).await.unwrap()
    })
    .await
}

pub async fn load(package: &'static str) -> LoadedApp {
    let wasm = tokio::task::spawn_blocking(move || wasm(package))
        .await
        .unwrap();
    host().load(package, &wasm).await.unwrap()
}

/// What arrived at the upstream: method, path with query, and headers.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub line: String,
    pub headers: BTreeMap<String, String>,
}

/// An app on the loopback that answers with what it got, secrets included.
pub struct Upstream {
    pub origin: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Upstream {
    pub async fn start() -> Self {
        let arrived: Arc<Mutex<Vec<Arrived>>> = Arc::default();
        let seen = Arc::clone(&arrived);
        let router = axum::Router::new().fallback(move |request: Request| {
            let seen = Arc::clone(&seen);
            async move {
                let headers: BTreeMap<String, String> = request
                    .headers()
                    .iter()
                    .map(|(name, value)| {
                        (
                            name.to_string(),
                            String::from_utf8_lossy(value.as_bytes()).into_owned(),
                        )
                    })
                    .collect();
                let line = format!("{} {}", request.method(), request.uri());
                let echo = json!({ "name": "Ann", "line": line, "headers": headers });
                seen.lock().unwrap().push(Arrived { line, headers });
                (
                    StatusCode::OK,
                    [("set-cookie", "session=1"), ("x-plain", "kept")],
                    Json(echo),
                )
                    .into_response()
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, arrived }
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }
}

/// Lines that a call logged.
pub type Log = Arc<Mutex<Vec<LogLine>>>;

/// A call for a connection to `https://api.hostile.test`, which is the upstream.
pub fn call(upstream: &Upstream) -> (Call, Log) {
    let origins = Origins::parse([("https://api.hostile.test", upstream.origin.as_str())]).unwrap();
    let egress = Egress::new(EgressConfig {
        origins,
        ..EgressConfig::default()
    })
    .unwrap();
    let hosts: AllowedHosts = "api.hostile.test".parse().unwrap();
    let mut pass = Pass::new("owner-1", Purpose::Guest, hosts.clone());
    pass.base_url = Some(url::Url::parse("https://api.hostile.test/").unwrap());
    pass.credential = Some(Credential {
        parts: vec![Injection {
            place: Place::Header,
            name: "authorization".to_owned(),
            value: Secret::new(format!("Bearer {TOKEN}")),
        }],
        scrub: vec![Secret::new(TOKEN)],
        ..Credential::new(hosts)
    });
    let log: Log = Arc::default();
    let sink = Arc::clone(&log);
    let call = Call {
        manifest: Arc::from(r#"{"api":{"base_url":"https://api.hostile.test"}}"#),
        values: BTreeMap::from([("region".to_owned(), "eu".to_owned())]),
        egress,
        pass,
        secrets: kit(),
        log: Arc::new(move |line| sink.lock().unwrap().push(line)),
        read_only: false,
        deadline: Duration::from_secs(15),
    };
    (call, log)
}

fn kit() -> SecretKit {
    let from = |value: Value| serde_json::from_value(value).unwrap();
    let mut kit = SecretKit {
        scope: Scope::new().with("credentials", json!({ "key": KEY })),
        ..SecretKit::none()
    };
    kit.recipes.insert(
        "sign".to_owned(),
        serde_json::from_value(json!({ "type": "hmac_sha256", "key": "{{ credentials.key }}", "slots": [{ "header": "X-Signature" }] }))
            .unwrap(),
    );
    kit.handles.insert(
        "key".to_owned(),
        from(json!({ "value": "{{ credentials.key }}", "slots": [{ "header": "X-Key" }] })),
    );
    kit
}

/// Runs one action of the misbehaving guest.
pub async fn act(action: &str, upstream: &Upstream) -> Result<Value, keyport_plugin::CallError> {
    acts()
        .await
        .action(call(upstream).0, action, &json!({}))
        .await
}
