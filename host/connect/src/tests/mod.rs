//! The rules, tried against a vendor on a real socket: real requests, real tokens, a clock that the test moves.

pub(crate) mod native;

mod actions;
mod alive;
mod app_hooks;
mod audit;
mod callbacks;
mod certificates;
mod dance;
mod deviations;
mod devices;
mod discovery;
mod events;
mod further_tokens;
mod grants;
mod hooks;
mod id_tokens;
mod introspection;
mod keys;
mod log_ins;
mod lying_servers;
mod migrations;
mod minted;
mod oauth;
mod once;
mod outbox;
mod pretend;
pub(crate) mod provider;
mod questions;
mod races;
mod reach;
mod refresh;
mod restless;
mod servers;
mod sessions;
mod signed;
mod signers;
mod triggers;
mod typed_keys;
mod use_;
mod verbs;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use indexmap::IndexMap;
use keyport_egress::{Egress, EgressConfig, Origins};
use keyport_sandbox::{Client, Clock as VendorClock, Seed, User, Vendor, VendorConfig};
use keyport_vault::{RootKey, Store, Vault};
use tower::ServiceExt as _;
use url::Url;

use self::restless::RestlessStore;
use crate::view::*;
use crate::*;

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const KEY: &str = "ada-api-key-0123456789";
pub(crate) const GRACES_KEY: &str = "grace-api-key-0123456789";
pub(crate) const CLIENT_SECRET: &str = "operators-client-secret-0123456789";

pub(crate) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) vendor: Vendor,
    pub(crate) vault: Vault,
    pub(crate) host: Actor,
    clock: Arc<TestClock>,
    vendor_clock: VendorClock,
    /// The store as another host has it.
    store: Arc<dyn Store>,
    egress: Egress,
    catalogue: Catalogue,
    options: Options,
}

fn root_key() -> RootKey {
    use base64::Engine as _;
    RootKey::from_base64(
        &base64::engine::general_purpose::STANDARD.encode(b"a root key that only tests know!"),
    )
    .unwrap()
}

pub(crate) const SELF_HOSTED: &str = r#"
manifest: 1
id: selfhosted
name: Selfhosted
version: 1.0.0
summary: A pretend app that people run themselves.
component: rest
self_hosted: true
fields:
  - { id: origin, label: Address, format: origin }
api:
  base_url: "{{ fields.origin }}"
auth:
  oauth:
    type: oauth2
    label: Sign in
    authorize_url: "{{ fields.origin }}/oauth/authorize"
    token_url: "{{ fields.origin }}/oauth/token"
    client:
      owner: { id: "{{ credentials.own_id }}", secret: "{{ credentials.own_secret }}" }
    refresh: { rotates: maybe }
    revoke: { none: The pretend app has no such call. }
    fields:
      - { id: own_id, label: Client id, required: false }
      - { id: own_secret, label: Client secret, secret: true, required: false }
  token:
    type: bearer
    label: Token
test:
  request: { method: GET, path: /api/me }
  ok: { status: 200, body: $.id }
  account: { id: "{{ body.id }}", label: "{{ body.name }}" }
"#;

pub(crate) async fn world() -> World {
    world_with(Options::default()).await
}

pub(crate) async fn world_with(options: Options) -> World {
    world_where(options, Duration::from_secs(3600)).await
}

/// A world whose vendor gives out access tokens that live so long.
pub(crate) async fn world_where(options: Options, access_token: Duration) -> World {
    let store: Arc<dyn Store> = Arc::new(RestlessStore::default());
    world_on([store.clone(), store], options, access_token).await
}

/// A world on this store, which is given as two hosts have it.
pub(crate) async fn world_on(
    [store, other]: [Arc<dyn Store>; 2],
    options: Options,
    access_token: Duration,
) -> World {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let vendor_clock = VendorClock::manual(NOW);
    let mut config = VendorConfig::new(&origin);
    config.clock = vendor_clock.clone();
    config.access_token_ttl = access_token;
    let mut client = Client::new("keyport", CLIENT_SECRET);
    client.redirect_prefixes = vec!["http://localhost:4700/oauth/callback/".into()];
    config.clients = vec![client];
    let seed = |key: &str, token: &str| Seed {
        api_key: Some(key.into()),
        personal_token: Some(token.into()),
        ..Seed::default()
    };
    config.users = vec![
        User {
            seed: seed(KEY, "ada-personal-token-1"),
            ..User::ada()
        },
        User {
            seed: seed(GRACES_KEY, "grace-personal-token-1"),
            ..User::grace()
        },
    ];
    let vendor = Vendor::new(config).unwrap();
    vendor.auto_consent(Some("u_ada")).unwrap();
    tokio::spawn(keyport_sandbox::serve(
        listener,
        vendor.clone(),
        std::future::pending(),
    ));

    let egress = Egress::new(EgressConfig {
        origins: Origins::parse([("https://vendor.keyport.test", &origin)]).unwrap(),
        ..EgressConfig::default()
    })
    .unwrap();
    let sandbox = include_str!("../../../../manifests/sandbox/manifest.yaml");
    let source = |yaml: &str| AppSource {
        origin: "manifest.yaml".into(),
        manifest_yaml: yaml.into(),
        logo_svg: None,
        component: Arc::from([]),
    };
    let catalogue = Catalogue::load(vec![source(sandbox), source(SELF_HOSTED)])
        .unwrap()
        .native();
    let vault = Vault::open(store, root_key()).await.unwrap();
    let clock = Arc::new(TestClock(AtomicI64::new(NOW * 1000)));
    let engine = Engine::assemble(
        vault.clone(),
        egress.clone(),
        catalogue.clone(),
        Url::parse("http://localhost:4700").unwrap(),
        (clock.clone(), Arc::new(OsEntropy)),
        options.clone(),
    )
    .unwrap();
    World {
        engine,
        vendor,
        vault,
        host: Actor::Host,
        clock,
        vendor_clock,
        store: other,
        egress,
        catalogue,
        options,
    }
}

impl World {
    /// Another host on the same store: nothing in memory is shared.
    pub(crate) async fn second_engine(&self) -> Engine {
        let vault = Vault::open(self.store.clone(), root_key()).await.unwrap();
        Engine::assemble(
            vault,
            self.egress.clone(),
            self.catalogue.clone(),
            Url::parse("http://localhost:4700").unwrap(),
            (self.clock.clone(), Arc::new(OsEntropy)),
            self.options.clone(),
        )
        .unwrap()
    }

    /// Moves everybody's clock.
    pub(crate) fn pass(&self, seconds: u64) {
        self.clock
            .0
            .fetch_add(i64::try_from(seconds).unwrap() * 1000, Ordering::SeqCst);
        self.vendor_clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) async fn configured(&self) -> ConfigurationView {
        let new = NewConfiguration {
            client_id: Some("keyport".into()),
            client_secret: Some(CLIENT_SECRET.into()),
            ..NewConfiguration::default()
        };
        self.engine
            .configure(&self.host, "sandbox", new)
            .await
            .unwrap()
    }

    pub(crate) async fn session(&self, owner: &str, kind: SessionKind) -> SessionCtx {
        let created = self
            .engine
            .create_session(&self.host, new_session(owner, kind))
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

    pub(crate) async fn manage(&self) -> SessionCtx {
        self.session("u1", SessionKind::Manage).await
    }

    /// Connects with an API key and gives the connection's id.
    pub(crate) async fn by_key(&self, session: &SessionCtx, key: &str) -> FlowView {
        self.engine
            .connect_with_form(session, key_form(key))
            .await
            .unwrap()
    }

    pub(crate) async fn key_connection(&self) -> String {
        let session = self.manage().await;
        self.by_key(&session, KEY).await.connection_id.unwrap()
    }

    /// Goes to the vendor as the browser would and comes back with what it says.
    pub(crate) async fn authorize(&self, go: &GoOutcome) -> Vec<(String, String)> {
        let url = Url::parse(&go.authorize_url).unwrap();
        let path = &url[url::Position::BeforePath..];
        let request = axum::http::Request::get(path)
            .body(axum::body::Body::empty())
            .unwrap();
        let response = self.vendor.router().oneshot(request).await.unwrap();
        let location = response.headers()["location"].to_str().unwrap();
        Url::parse(location)
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect()
    }

    pub(crate) async fn start(&self, session: &SessionCtx) -> FlowStarted {
        self.engine
            .start_oauth(session, oauth_start())
            .await
            .unwrap()
    }

    /// A whole sign-in by OAuth.
    pub(crate) async fn by_oauth(&self, session: &SessionCtx, start: OauthStart) -> FlowView {
        let started = self.engine.start_oauth(session, start).await.unwrap();
        let go = self.engine.go(session, &started.flow.id).await.unwrap();
        let params = self.authorize(&go).await;
        let config = self
            .engine
            .configurations("sandbox")
            .await
            .unwrap()
            .remove(0);
        self.engine.callback(&config.id, params, &jar(&go)).await;
        self.engine.flow(session, &started.flow.id).await.unwrap()
    }

    pub(crate) async fn oauth_connection(&self) -> String {
        self.configured().await;
        let session = self.manage().await;
        let flow = self.by_oauth(&session, oauth_start()).await;
        assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
        flow.connection_id.unwrap()
    }

    pub(crate) async fn connection(&self, id: &str) -> ConnectionView {
        self.engine.get(&self.host, id).await.unwrap()
    }

    pub(crate) async fn count(&self) -> usize {
        self.engine
            .heads::<record::Connection>(None)
            .await
            .unwrap()
            .len()
    }
}

pub(crate) fn new_session(owner: &str, kind: SessionKind) -> NewSession {
    NewSession {
        owner: owner.into(),
        owner_label: None,
        kind,
        apps: None,
        connection_id: None,
        purpose: None,
        origins: vec!["http://127.0.0.1:4701".into()],
        return_url: Some("http://127.0.0.1:4701/back?x=1".into()),
        link: None,
    }
}

pub(crate) fn token_of(url: &str) -> &str {
    url.split_once('#').unwrap().1
}

pub(crate) fn key_form(key: &str) -> FormSubmit {
    FormSubmit {
        app: "sandbox".into(),
        method: "api_key".into(),
        config: None,
        title: None,
        fields: IndexMap::from([("api_key".to_owned(), key.to_owned())]),
        connection_id: None,
    }
}

pub(crate) fn oauth_start() -> OauthStart {
    OauthStart {
        app: "sandbox".into(),
        method: "oauth".into(),
        config: None,
        title: None,
        fields: IndexMap::new(),
        connection_id: None,
        mode: FlowMode::Popup,
    }
}

/// The cookies of the browser that left.
pub(crate) fn jar(go: &GoOutcome) -> impl Fn(&str) -> Option<String> + Send + Sync + use<> {
    let (name, value) = (go.cookie_name.clone(), go.cookie_value.expose().to_owned());
    move |asked: &str| (asked == name).then(|| value.clone())
}

pub(crate) fn code<T>(result: Result<T, ConnectError>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(error) => error.code().to_owned(),
    }
}
