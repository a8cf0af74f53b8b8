//! A pretend app on a real socket that sees what reaches it, for ways to sign in that are not OAuth 2.0.

use std::collections::HashMap;
use std::sync::Mutex;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use keyport_egress::Body;

use super::*;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

type Answers = dyn Fn(&Seen) -> Response + Send + Sync;

pub(super) struct App {
    pub(super) engine: Engine,
    pub(super) vault: Vault,
    clock: Arc<TestClock>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

pub(super) fn json(status: u16, body: serde_json::Value) -> Response {
    (
        axum::http::StatusCode::from_u16(status).unwrap(),
        axum::Json(body),
    )
        .into_response()
}

pub(super) fn me() -> Response {
    json(200, serde_json::json!({ "id": "u1", "name": "Ada" }))
}

/// An app whose `auth` and more is this YAML, and which answers so.
pub(super) async fn app(
    yaml: &str,
    answers: impl Fn(&Seen) -> Response + Send + Sync + 'static,
) -> App {
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let (kept, answers): (_, Arc<Answers>) = (Arc::clone(&seen), Arc::new(answers));
    let service = Router::new().fallback(move |request: Request| {
        let (kept, answers) = (Arc::clone(&kept), Arc::clone(&answers));
        async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let one = Seen {
                line: format!("{} {}", parts.method, parts.uri),
                headers: parts
                    .headers
                    .iter()
                    .map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned()))
                    .collect(),
                body: String::from_utf8_lossy(&body).into_owned(),
            };
            kept.lock().unwrap().push(one.clone());
            answers(&one)
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    let egress = Egress::new(EgressConfig {
        origins: Origins::parse([
            ("https://api.acme.test", origin.as_str()),
            ("https://files.acme.test", origin.as_str()),
            ("https://id.acme.test", origin.as_str()),
        ])
        .unwrap(),
        ..EgressConfig::default()
    })
    .unwrap();
    let manifest = format!(
        "manifest: 1\nid: acme\nname: Acme\nversion: 1.0.0\nsummary: A pretend app.\ncomponent: rest\n{yaml}\n"
    );
    let manifest = if yaml.contains("\ntest:") {
        manifest
    } else {
        format!(
            "{manifest}test:\n  request: {{ method: GET, path: /me }}\n  ok: {{ status: 200, body: $.id }}\n  account: {{ id: '{{{{ body.id }}}}', label: '{{{{ body.name }}}}' }}\n"
        )
    };
    let catalogue = Catalogue::load(vec![AppSource {
        origin: "manifest.yaml".into(),
        manifest_yaml: manifest,
        logo_svg: None,
        component: Arc::from([]),
    }])
    .unwrap_or_else(|error| panic!("{error}"))
    .native();
    let vault = Vault::open(
        Arc::new(RestlessStore::default()),
        RootKey::generate().unwrap(),
    )
    .await
    .unwrap();
    let clock = Arc::new(TestClock(AtomicI64::new(NOW * 1000)));
    let engine = Engine::assemble(
        vault.clone(),
        egress,
        catalogue,
        Url::parse("http://localhost:4700").unwrap(),
        (clock.clone(), Arc::new(OsEntropy)),
        Options::default(),
    )
    .unwrap();
    App {
        engine,
        vault,
        clock,
        seen,
    }
}

impl App {
    pub(super) async fn session(&self) -> SessionCtx {
        let created = self
            .engine
            .create_session(&Actor::Host, new_session("u1", SessionKind::Manage))
            .await
            .unwrap();
        let (_, cookie) = self
            .engine
            .open_session(token_of(&created.url))
            .await
            .unwrap();
        self.engine
            .session_by_cookie(cookie.expose())
            .await
            .unwrap()
    }

    pub(super) async fn connect(&self, fields: &[(&str, &str)]) -> FlowView {
        let form = FormSubmit {
            app: "acme".into(),
            method: "way".into(),
            config: None,
            title: None,
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            connection_id: None,
        };
        let session = self.session().await;
        self.engine.connect_with_form(&session, form).await.unwrap()
    }

    pub(super) async fn connected(&self, fields: &[(&str, &str)]) -> String {
        let flow = self.connect(fields).await;
        assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
        flow.connection_id.unwrap()
    }

    pub(super) async fn proxy(
        &self,
        id: &str,
        request: http::Request<Body>,
    ) -> Result<(u16, String), ConnectError> {
        let answer = self.engine.proxy(&Actor::Host, id, request).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect(1 << 20).await.unwrap();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    pub(super) async fn get(&self, id: &str, url: &str) -> (u16, String) {
        let request = http::Request::get(url).body(Body::empty()).unwrap();
        self.proxy(id, request).await.unwrap()
    }

    pub(super) fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn last(&self) -> Seen {
        self.all().pop().unwrap()
    }

    pub(super) fn count(&self, line: &str) -> usize {
        self.all().iter().filter(|seen| seen.line == line).count()
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}
