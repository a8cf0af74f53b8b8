//! What the tests share: built guests, an upstream on the loopback, and calls.

#[path = "../../guest_build.rs"]
mod guest_build;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use keyport_egress::{
    Credential, Egress, EgressConfig, Injection, Origins, Pass, Place, Purpose, Secret,
};
use keyport_manifest::{AllowedHosts, Scope};
use keyport_plugin::{
    Call, CallError, CallLimits, LoadedApp, LogLine, PluginConfig, PluginHost, SecretKit,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The connection's secret; must never be seen by a guest.
pub const TOKEN: &str = "canary-token/7f3a+91&c";
/// A secret that the manifest lets the guest place.
pub const KEY: &str = "canary-key/91bc2d+4e&f";

/// Builds a guest once per test binary; cargo itself keeps it between runs.
pub fn wasm(package: &str) -> Vec<u8> {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests");
    guest_build::ensure_target().unwrap();
    std::fs::read(guest_build::build(root, package, &target).unwrap()).unwrap()
}

/// Small limits, so that tests reach them soon; of time there is plenty, so that a busy machine reaches none of it. A test of a
/// limit of time makes that one short.
pub fn limits() -> CallLimits {
    CallLimits {
        memory_bytes: 32 << 20,
        cpu: Duration::from_secs(30),
        wall: Duration::from_secs(120),
        hostcall_bytes: 4 << 20,
        log_lines: 20,
        request_bytes: 1 << 20,
        response_bytes: 1 << 20,
        ..CallLimits::default()
    }
}

pub fn host() -> PluginHost {
    PluginHost::new(PluginConfig {
        cache: None,
        max_concurrent: 4,
        limits: limits(),
    })
    .unwrap()
}

/// A guest in a host of its own, where a call may compute for half a second.
pub async fn brief(app: &'static str, package: &'static str) -> LoadedApp {
    let wasm = tokio::task::spawn_blocking(move || wasm(package))
        .await
        .unwrap();
    let host = PluginHost::new(PluginConfig {
        cache: None,
        max_concurrent: 4,
        limits: CallLimits {
            cpu: Duration::from_millis(500),
            ..limits()
        },
    });
    host.unwrap().load(app, &wasm).await.unwrap()
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
    load_into(&host(), package).await
}

pub async fn load_into(host: &PluginHost, package: &'static str) -> LoadedApp {
    let wasm = tokio::task::spawn_blocking(move || wasm(package))
        .await
        .unwrap();
    host.load(package, &wasm).await.unwrap()
}

/// The host that hostile and well-behaved guests share.
pub fn shared() -> &'static PluginHost {
    static HOST: std::sync::LazyLock<PluginHost> = std::sync::LazyLock::new(|| {
        PluginHost::new(PluginConfig {
            cache: None,
            max_concurrent: 12,
            limits: limits(),
        })
        .unwrap()
    });
    &HOST
}

/// The hostile programs.
pub async fn attacks() -> &'static LoadedApp {
    static APP: OnceCell<LoadedApp> = OnceCell::const_new();
    APP.get_or_init(|| async {
        let wasm = tokio::task::spawn_blocking(|| wasm("hostile-attacks"))
            .await
            .unwrap();
        shared().load("attacks", &wasm).await.unwrap()
    })
    .await
}

/// The guest that does everything and nothing wrong, beside the hostile ones.
pub async fn whole() -> &'static LoadedApp {
    static APP: OnceCell<LoadedApp> = OnceCell::const_new();
    APP.get_or_init(|| async {
        let wasm = tokio::task::spawn_blocking(|| wasm("hostile-whole"))
            .await
            .unwrap();
        shared().load("whole", &wasm).await.unwrap()
    })
    .await
}

/// Runs an attack while another owner's well-behaved calls go on in the same host, and says how long those took, before the
/// attack and beside it. Not one of them may fail; how long one takes is printed and not held to a number, as that is the
/// machine's load as well.
pub async fn beside<T>(what: &str, attack: impl Future<Output = T>) -> T {
    let good = whole().await;
    let upstream = Upstream::start().await;
    let mut good_call = call(&upstream).0;
    good_call.pass.owner = "owner-2".to_owned();
    let mut before = Vec::new();
    for _ in 0..30 {
        before.push(well_behaved(good, good_call.clone()).await);
    }
    let done = Arc::new(AtomicBool::new(false));
    let calls = {
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            let mut times = Vec::new();
            while !done.load(Ordering::Relaxed) || times.len() < 30 {
                times.push(well_behaved(good, good_call.clone()).await);
            }
            times
        })
    };
    let result = attack.await;
    done.store(true, Ordering::Relaxed);
    let mut beside = calls.await.unwrap();
    let at = |times: &mut Vec<Duration>, part: usize| {
        times.sort();
        times[(times.len() * part / 100).min(times.len() - 1)]
    };
    let (middle, most) = (at(&mut beside, 50), at(&mut beside, 99));
    // Not by `eprintln!`, which the test harness keeps to itself where a test passes: it is a result.
    let _ = writeln!(
        std::io::stderr(),
        "{what}: {} well-behaved calls beside it, p50 {middle:.1?}, p99 {most:.1?}; before it p50 {:.1?}, p99 {:.1?}",
        beside.len(),
        at(&mut before, 50),
        at(&mut before, 99)
    );
    result
}

async fn well_behaved(app: &LoadedApp, call: Call) -> Duration {
    let begun = Instant::now();
    let account = app.check(call).await.expect("a well-behaved call works");
    assert_eq!(account.label, "Ann");
    begun.elapsed()
}

/// Runs one hostile program as an action, with well-behaved calls beside it.
pub async fn attack(program: &str, call: Call, input: &Value) -> Result<Value, CallError> {
    let app = attacks().await;
    beside(program, app.action(call, program, input)).await
}

/// The limit that a program ran into; it must name the app.
#[track_caller]
pub fn limit(result: Result<Value, CallError>) -> &'static str {
    match result {
        Err(error @ CallError::Limit { limit, .. }) => {
            assert_eq!(
                error.to_string(),
                format!("the component of attacks went over its limit of {limit}")
            );
            limit
        }
        other => panic!("expected a limit, got {other:?}"),
    }
}

/// A secret as an app sends it back: as it is, in an address, in JSON, and in base64, alone and behind a name.
fn echoed(secret: &str) -> Vec<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut all = vec![
        secret.to_owned(),
        encoded.to_lowercase(),
        encoded,
        json!(secret).to_string(),
    ];
    for lead in ["", "u", "us", "user:"] {
        let text = format!("{lead}{secret}");
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            all.push(engine.encode(&text));
        }
    }
    all
}

/// What of it must never be seen: of base64 the inner part, for the ends depend on what stands beside it.
pub fn forms(secret: &str) -> Vec<String> {
    let plain = |form: &String| !form.starts_with('"');
    let cut = |form: String| match form.contains(['/', '%', '+']) && form.contains('-') {
        true => form,
        false => form[4..form.len() - 6].to_owned(),
    };
    echoed(secret).into_iter().filter(plain).map(cut).collect()
}

/// Whether a text holds the secret in one of its forms.
pub fn holds(text: &str, secret: &str) -> bool {
    forms(secret)
        .iter()
        .any(|form| text.contains(form.as_str()))
}

/// What arrived at the upstream: method, path with query, headers and body.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// How many requests hang at the upstream.
#[derive(Clone, Default)]
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An app on the loopback that answers with what it got, secrets included, or does worse.
pub struct Upstream {
    pub origin: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    waiting: Arc<AtomicUsize>,
}

impl Upstream {
    pub async fn start() -> Self {
        let arrived: Arc<Mutex<Vec<Arrived>>> = Arc::default();
        let waiting: Arc<AtomicUsize> = Arc::default();
        let (seen, hanging) = (Arc::clone(&arrived), Arc::clone(&waiting));
        let router = axum::Router::new().fallback(move |request: Request| {
            answer(request, Arc::clone(&seen), Arc::clone(&hanging))
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            origin,
            arrived,
            waiting,
        }
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    /// Requests that wait for an answer that does not come. One that was given up is not among them.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}

async fn answer(
    request: Request,
    seen: Arc<Mutex<Vec<Arrived>>>,
    hanging: Arc<AtomicUsize>,
) -> Response {
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
    let path = request.uri().path().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 64 << 20)
        .await
        .unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let echo = json!({ "name": "Ann", "line": line, "headers": headers, "body": body });
    seen.lock().unwrap().push(Arrived {
        line,
        headers: headers.clone(),
        body: body.clone(),
    });
    let stream = |pieces: Vec<Vec<u8>>| {
        let pieces = futures_util::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        Body::from_stream(pieces)
    };
    match path.as_str() {
        "/endless" => {
            let piece = || Ok::<_, std::io::Error>(vec![b'x'; 4096]);
            Body::from_stream(futures_util::stream::repeat_with(piece)).into_response()
        }
        "/large" => vec![b'x'; 900 << 10].into_response(),
        "/silent" => {
            hanging.fetch_add(1, Ordering::SeqCst);
            let _until_given_up = Waiting(hanging);
            std::future::pending().await
        }
        // As `/silent`, after a head and a first piece.
        "/half" => {
            hanging.fetch_add(1, Ordering::SeqCst);
            let until_given_up = Waiting(hanging);
            let first = futures_util::stream::iter([Ok::<_, std::io::Error>(vec![b'x'; 4096])]);
            let rest = futures_util::stream::once(async move {
                let _until_given_up = until_given_up;
                std::future::pending().await
            });
            Body::from_stream(futures_util::StreamExt::chain(first, rest)).into_response()
        }
        "/hold-until-one" | "/hold-until-none" => {
            let none = path.ends_with("none");
            while (hanging.load(Ordering::SeqCst) == 0) != none {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            StatusCode::OK.into_response()
        }
        // Both say the secret of a request that arrives after their own: in all of the answer, or in the rest of it.
        "/late-key" | "/late-key-after-head" => {
            hanging.fetch_add(1, Ordering::SeqCst);
            let until_told = Waiting(hanging);
            let key = async move {
                let _until_told = until_told;
                loop {
                    let arrived = seen.lock().unwrap().clone();
                    if let Some(key) = arrived.iter().find_map(|one| one.headers.get("x-key")) {
                        return key.clone();
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            if path.ends_with("head") {
                let first =
                    futures_util::stream::iter([Ok::<_, std::io::Error>(b"first".to_vec())]);
                let rest = futures_util::stream::once(async move {
                    Ok(echoed(&key.await).concat().into_bytes())
                });
                return Body::from_stream(futures_util::StreamExt::chain(first, rest))
                    .into_response();
            }
            let key = key.await;
            ([("x-echo", key.clone())], echoed(&key).concat()).into_response()
        }
        "/in-headers" => {
            let echo = headers.get("authorization").cloned().unwrap_or_default();
            (
                [("x-echo", echo.clone()), ("etag", format!("\"{echo}\""))],
                "",
            )
                .into_response()
        }
        "/redirect" => (
            StatusCode::FOUND,
            [("location", "https://elsewhere.hostile.test/steal")],
        )
            .into_response(),
        "/forms" => {
            let mut text = String::new();
            for value in headers.values() {
                let bare = value.strip_prefix("Bearer ").unwrap_or(value);
                if bare.len() >= 12 {
                    for form in echoed(bare) {
                        text.push_str(&format!("<{form}>"));
                    }
                    text.push_str(&format!("<user:{bare}>"));
                }
            }
            stream(text.into_bytes().chunks(7).map(<[u8]>::to_vec).collect()).into_response()
        }
        "/token" if body.contains("bad-code") => (
            StatusCode::BAD_REQUEST,
            Json(json!({ "error": "invalid_grant" })),
        )
            .into_response(),
        "/token" => {
            let token = json!({ "access_token": NEW_TOKEN, "refresh_token": NEW_REFRESH, "expires_in": 3600,
                "again": format!("see https://api.hostile.test/?t={NEW_TOKEN}"), "asked": body });
            ([("x-token", NEW_TOKEN)], Json(token)).into_response()
        }
        _ => (
            StatusCode::OK,
            [("set-cookie", "session=1"), ("x-plain", "kept")],
            Json(echo),
        )
            .into_response(),
    }
}

/// What the token endpoint gives.
pub const NEW_TOKEN: &str = "canary-new-token/5d1+e";
pub const NEW_REFRESH: &str = "canary-new-refresh/77a+b";

/// Lines that a call logged.
pub type Log = Arc<Mutex<Vec<LogLine>>>;

/// A call for a connection to `https://api.hostile.test`, which is the upstream.
pub fn call(upstream: &Upstream) -> (Call, Log) {
    let target = upstream.origin.as_str();
    let origins = Origins::parse(
        ["api", "id", "elsewhere"]
            .map(|name| (format!("https://{name}.hostile.test"), target))
            .iter()
            .map(|(from, to)| (from.as_str(), *to)),
    )
    .unwrap();
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
        deadline: Duration::from_secs(120),
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
