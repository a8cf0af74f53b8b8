//! A scripted provider: every host that an app talks to, on real sockets, answering as a test says and remembering what it
//! was asked. Apps are reached by the operator's origin overrides, as a sandbox is.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::body::Body as AxumBody;
use axum::extract::Request;
use axum::response::Response;
use keyport_vault::Store;
use serde_json::Value;

use super::*;
use crate::record::Connection;

/// One request, as a host saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which host: `as`, `api`, `mcp`, `other`.
    pub(crate) host: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes())
            .into_owned()
            .collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// `METHOD host/path`, for scripts.
    pub(crate) fn line(&self) -> String {
        format!("{} {}{}", self.method, self.host, self.path)
    }
}

/// What a host answers.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

pub(crate) fn json(body: Value) -> Reply {
    status(200, body)
}

pub(crate) fn status(status: u16, body: Value) -> Reply {
    Reply {
        status,
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.to_string(),
    }
}

impl Reply {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// A header of a reply that is `never` given, or goes on `for ever`.
pub(crate) const HOW: &str = "x-test-how";

type Script = Box<dyn FnMut(&Seen) -> Option<Reply> + Send>;

/// An engine with one app, and all its hosts.
pub(crate) struct Stand {
    pub(crate) engine: Engine,
    pub(crate) config: ConfigurationView,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Mutex<Script>>,
    clock: Arc<TestClock>,
    parts: Parts,
}

#[derive(Clone)]
struct Parts {
    yaml: String,
    origins: Vec<(String, String)>,
    store: Arc<dyn Store>,
}

pub(crate) const HOSTS: [&str; 4] = ["as", "api", "mcp", "other"];

/// What every app of these tests has in common; `auth` is the method `main`, indented by four.
pub(crate) fn app(auth: &str) -> String {
    format!(
        r#"
manifest: 1
id: scripted
name: Scripted
version: 1.0.0
summary: An app that answers as a test says.
component: rest
fields:
  - {{ id: team, label: Team, required: false, format: dns-label }}
api:
  base_url: https://api.keyport.test
  hosts:
    - {{ host: other.keyport.test, credential: second }}
auth:
  main:
    type: oauth2
    label: Sign in
{auth}
test:
  request: {{ method: GET, path: /me }}
  ok: {{ status: 200, body: $.id }}
  account: {{ id: "{{{{ body.id }}}}", label: "{{{{ body.id }}}}" }}
  failures:
    - {{ status: 401, means: needs_reconnect, say: The app said no. }}
"#
    )
}

impl Stand {
    /// An app whose method is `auth`. The operator's client is `client` with the secret [`CLIENT_SECRET`].
    pub(crate) async fn new(auth: &str) -> Self {
        Self::configured(
            auth,
            NewConfiguration {
                client_id: Some("client".into()),
                client_secret: Some(CLIENT_SECRET.into()),
                ..NewConfiguration::default()
            },
        )
        .await
    }

    pub(crate) async fn configured(auth: &str, configuration: NewConfiguration) -> Self {
        Self::whole(app(auth), configuration).await
    }

    /// An app with this manifest, whose id is `scripted`.
    pub(crate) async fn whole(yaml: String, configuration: NewConfiguration) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let usual: Script = Box::new(|_| None);
        let script = Arc::new(Mutex::new(usual));
        let mut origins = Vec::new();
        for host in HOSTS {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let to = format!("http://{}", listener.local_addr().unwrap());
            origins.push((format!("https://{host}.keyport.test"), to));
            let (seen, script) = (seen.clone(), script.clone());
            let router = axum::Router::new().fallback(move |request: Request| {
                let (seen, script) = (seen.clone(), script.clone());
                async move { answer(host, request, &seen, &script).await }
            });
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        let parts = Parts {
            yaml,
            origins,
            store: Arc::new(RestlessStore::default()),
        };
        let clock = Arc::new(TestClock(AtomicI64::new(NOW * 1000)));
        let engine = engine(&parts, clock.clone()).await;
        let config = engine
            .configure(&Actor::Host, "scripted", configuration)
            .await
            .unwrap();
        Self {
            engine,
            config,
            seen,
            script,
            clock,
            parts,
        }
    }

    /// Another host over the same store, as after a restart.
    pub(crate) async fn restarted(&self) -> Engine {
        engine(&self.parts, self.clock.clone()).await
    }

    /// Another host over the same store that browsers and providers reach elsewhere.
    pub(crate) async fn public(&self, at: &str) -> Engine {
        engine_at(at, &self.parts, self.clock.clone()).await
    }

    /// Another host over the same store whose catalogue has another manifest of the app.
    pub(crate) async fn with_manifest(&self, auth: &str) -> Engine {
        let parts = Parts {
            yaml: app(auth),
            ..self.parts.clone()
        };
        engine(&parts, self.clock.clone()).await
    }

    /// Another host over the same store with this manifest.
    pub(crate) async fn with_yaml(&self, yaml: &str) -> Engine {
        let parts = Parts {
            yaml: yaml.to_owned(),
            ..self.parts.clone()
        };
        engine(&parts, self.clock.clone()).await
    }

    /// What the hosts answer from now on; where a script says nothing, `/me` of the API is ada and all else is 404.
    pub(crate) fn script(&self, script: impl FnMut(&Seen) -> Option<Reply> + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// Every request so far, but the API's.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let all = self.seen.lock().unwrap();
        all.iter().filter(|s| s.host != "api").cloned().collect()
    }

    /// Every request to the API so far.
    pub(crate) fn calls(&self, host: &str) -> Vec<Seen> {
        let all = self.seen.lock().unwrap();
        all.iter().filter(|s| s.host == host).cloned().collect()
    }

    /// The only request to `path` so far.
    pub(crate) fn only(&self, path: &str) -> Seen {
        let mut found = self.seen();
        found.retain(|s| s.path == path);
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub(crate) async fn session(&self, owner: &str) -> SessionCtx {
        let new = new_session(owner, SessionKind::Manage);
        let created = self.engine.create_session(&Actor::Host, new).await.unwrap();
        let opened = self.engine.open_session(token_of(&created.url)).await;
        let (_, cookie) = opened.unwrap();
        let by_cookie = self.engine.session_by_cookie(cookie.expose()).await;
        by_cookie.unwrap()
    }

    pub(crate) fn form(&self, fields: &[(&str, &str)]) -> FormSubmit {
        FormSubmit {
            app: "scripted".into(),
            method: "main".into(),
            config: None,
            title: None,
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            connection_id: None,
        }
    }

    pub(crate) fn start(&self, fields: &[(&str, &str)]) -> OauthStart {
        let form = self.form(fields);
        OauthStart {
            app: form.app,
            method: form.method,
            config: None,
            title: None,
            fields: form.fields,
            connection_id: None,
            mode: FlowMode::Popup,
        }
    }

    /// Starts, leaves for the app and comes back with what `back` makes of the authorization URL's parameters.
    pub(crate) async fn sign_in(
        &self,
        session: &SessionCtx,
        fields: &[(&str, &str)],
        back: impl FnOnce(&Url, &BTreeMap<String, String>) -> Vec<(String, String)>,
    ) -> FlowView {
        let started = self
            .engine
            .start_oauth(session, self.start(fields))
            .await
            .unwrap();
        let go = self.engine.go(session, &started.flow.id).await.unwrap();
        let url = Url::parse(&go.authorize_url).unwrap();
        let sent: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let params = back(&url, &sent);
        let raw = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&params)
            .finish();
        // The browser comes back to where it was told to, where the app was told that at all.
        let told = sent
            .get("redirect_uri")
            .and_then(|told| told.rsplit_once("/oauth/callback/"));
        let segment = told.map_or(self.config.id.as_str(), |(_, segment)| segment);
        self.engine
            .callback_sent(segment, params, Some(&raw), &jar(&go))
            .await;
        self.engine.flow(session, &started.flow.id).await.unwrap()
    }

    /// A whole sign-in that must work, and the connection that it made.
    pub(crate) async fn connected(&self, fields: &[(&str, &str)]) -> String {
        let session = self.session("u1").await;
        let flow = self
            .sign_in(&session, fields, |_, sent| code_for(sent))
            .await;
        assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
        flow.connection_id.unwrap()
    }

    /// Uses a connection once: GET /me through the proxy.
    pub(crate) async fn used(&self, id: &str) -> u16 {
        let request = http::Request::get("/me")
            .body(keyport_egress::Body::empty())
            .unwrap();
        match self.engine.proxy(&Actor::Host, id, request).await {
            Ok(response) => response.status().as_u16(),
            Err(error) => error.status(),
        }
    }

    pub(crate) async fn stored(&self, id: &str) -> record::Stored<Connection> {
        self.engine.load(id).await.unwrap()
    }

    pub(crate) async fn state(&self, id: &str) -> (ConnectionState, Option<String>) {
        let view = self.engine.get(&Actor::Host, id).await.unwrap();
        (view.state, view.reason.map(|reason| reason.code))
    }
}

/// What an obedient provider sends back.
pub(crate) fn code_for(sent: &BTreeMap<String, String>) -> Vec<(String, String)> {
    vec![
        ("code".into(), "c0de".into()),
        (
            "state".into(),
            sent.get("state").cloned().unwrap_or_default(),
        ),
    ]
}

/// Tokens as RFC 6749 has them.
pub(crate) fn tokens() -> Reply {
    json(serde_json::json!({
        "access_token": "access-token-1", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "refresh-token-1",
    }))
}

async fn engine(parts: &Parts, clock: Arc<TestClock>) -> Engine {
    engine_at("http://localhost:4700", parts, clock).await
}

async fn engine_at(public: &str, parts: &Parts, clock: Arc<TestClock>) -> Engine {
    let egress = Egress::new(EgressConfig {
        origins: Origins::parse(parts.origins.iter().map(|(a, b)| (a, b))).unwrap(),
        ..EgressConfig::default()
    })
    .unwrap();
    let source = AppSource {
        origin: "manifest.yaml".into(),
        manifest_yaml: parts.yaml.clone(),
        logo_svg: None,
        component: Arc::from([]),
    };
    let catalogue = match Catalogue::load(vec![source]) {
        Ok(catalogue) => catalogue.native(),
        Err(error) => panic!("{error}\n{}", parts.yaml),
    };
    let root = RootKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let vault = Vault::open(parts.store.clone(), root).await.unwrap();
    Engine::assemble(
        vault,
        egress,
        catalogue,
        Url::parse(public).unwrap(),
        (clock, Arc::new(OsEntropy)),
        Options::default(),
    )
    .unwrap()
}

async fn answer(
    host: &str,
    request: Request,
    seen: &Mutex<Vec<Seen>>,
    script: &Mutex<Script>,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let query = parts.uri.query().unwrap_or_default();
    let one = Seen {
        host: host.to_owned(),
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    seen.lock().unwrap().push(one.clone());
    let reply = (*script.lock().unwrap())(&one);
    let reply = reply.unwrap_or_else(|| match one.line().as_str() {
        "GET api/me" => json(serde_json::json!({"id": "ada"})),
        _ => status(404, serde_json::json!({})),
    });
    match reply.headers.iter().find(|(name, _)| name == HOW) {
        Some((_, how)) if how == "never" => std::future::pending::<()>().await,
        Some((_, how)) if how == "for ever" => {
            let spaces =
                || Ok::<_, std::convert::Infallible>(bytes::Bytes::from_static(&[b' '; 4096]));
            let body = AxumBody::from_stream(futures_util::stream::repeat_with(spaces));
            return Response::builder().body(body).unwrap();
        }
        _ => {}
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(AxumBody::from(reply.body)).unwrap()
}
