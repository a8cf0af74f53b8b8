//! What the tests of sign-in against real servers share: one host, and the servers beside it, each started when a test
//! first needs it. They run for as long as any test holds them; tests that overlap use the same ones, so each looks only at
//! what its own accounts and clients did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use keyport_tests::binary::repository;
use keyport_tests::browser::Browser;
use keyport_tests::host::{Host, Setup, free_port};
use keyport_tests::http::{Answer, Client, join};
use keyport_tests::peer::Peer;
use keyport_tests::platform::Platform;
use serde_json::{Value, json};

/// The operator's client at the OAuth 1.0a server.
pub const CONSUMER: &str = "consumer-key-1";
/// Its secret.
pub const CONSUMER_SECRET: &str = "canary-consumer-secret-2f7a91";
const RETURN: &str = "http://127.0.0.1:9/done";

pub struct Setting {
    pub host: Host,
    pub platform: Platform,
    ports: BTreeMap<&'static str, u16>,
    oidc: OnceLock<Option<Peer>>,
    answers: OnceLock<Option<Peer>>,
    mcp: OnceLock<Option<Peer>>,
    oauth1: OnceLock<Option<Peer>>,
    aws: OnceLock<Option<Peer>>,
}

/// The running host, or a new one.
pub fn setting() -> Arc<Setting> {
    static SHARED: Mutex<Weak<Setting>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = shared.upgrade() {
        return running;
    }
    let started = Arc::new(Setting::start());
    *shared = Arc::downgrade(&started);
    started
}

impl Setting {
    fn start() -> Self {
        let origins = [
            "https://oidc.keyport.test",
            "https://answers.keyport.test",
            "https://mcp.keyport.test",
            "https://mcp-as.keyport.test",
            "https://signed1.keyport.test",
            "https://late1.keyport.test",
            "https://sts.us-east-1.amazonaws.com",
        ];
        let ports: BTreeMap<&str, u16> = origins.into_iter().map(|o| (o, free_port())).collect();
        let local = |(origin, port): (&&str, &u16)| {
            ((*origin).to_owned(), format!("http://127.0.0.1:{port}"))
        };
        let apps = ["signin", "answers", "signed1"];
        let mut host = Host::start(Setup {
            origins: ports.iter().map(local).collect(),
            apps: apps
                .map(|app| repository().join("tests/apps").join(app))
                .to_vec(),
            ..Setup::default()
        });
        let platform = host.platform();
        let client = json!({ "client_id": CONSUMER, "client_secret": CONSUMER_SECRET });
        platform.configure("signed1", &client);
        Self {
            host,
            platform,
            ports,
            oidc: OnceLock::new(),
            answers: OnceLock::new(),
            mcp: OnceLock::new(),
            oauth1: OnceLock::new(),
            aws: OnceLock::new(),
        }
    }

    fn port(&self, host: &str) -> u16 {
        self.ports[format!("https://{host}").as_str()]
    }

    /// `signin.mjs`; `None` where it can't run, which was said.
    pub fn oidc(&self) -> Option<&Peer> {
        let given = json!({ "port": self.port("oidc.keyport.test") });
        let start = || Peer::start("signin.mjs", &given);
        self.oidc.get_or_init(start).as_ref()
    }

    /// `answers.mjs`, with its cases.
    pub fn answers(&self, cases: &Value) -> Option<&Peer> {
        let given = json!({ "port": self.port("answers.keyport.test"), "cases": cases });
        let start = || Peer::start("answers.mjs", &given);
        self.answers.get_or_init(start).as_ref()
    }

    /// `mcp.mjs`.
    pub fn mcp(&self) -> Option<&Peer> {
        let given = json!({
            "resource_port": self.port("mcp.keyport.test"),
            "server_port": self.port("mcp-as.keyport.test"),
        });
        let start = || Peer::start("mcp.mjs", &given);
        self.mcp.get_or_init(start).as_ref()
    }

    /// `oauth1.py`; its second address has a clock two hours ahead.
    pub fn oauth1(&self) -> Option<&Peer> {
        let given = json!({
            "port": self.port("signed1.keyport.test"),
            "late_port": self.port("late1.keyport.test"),
            "skew": 7200,
            "key": CONSUMER,
            "secret": CONSUMER_SECRET,
        });
        let start = || Peer::start("oauth1.py", &given);
        self.oauth1.get_or_init(start).as_ref()
    }

    /// `aws.py`.
    pub fn aws(&self) -> Option<&Peer> {
        let given = json!({ "port": self.port("sts.us-east-1.amazonaws.com") });
        let start = || Peer::start("aws.py", &given);
        self.aws.get_or_init(start).as_ref()
    }

    /// A connect session of an owner for one app, opened in a browser of its own: its id and the browser.
    pub fn connecting(&self, owner: &str, app: &str) -> (String, Browser) {
        let wanted = json!({ "apps": [app], "return_url": RETURN });
        let (session, link) = self.platform.session(owner, "connect", &wanted);
        (session, Browser::open(&link))
    }

    /// A browser in which an owner manages their own accounts.
    pub fn managing(&self, owner: &str) -> Browser {
        let (_, link) = self.platform.session(owner, "manage", &json!({}));
        Browser::open(&link)
    }

    /// Begins a sign-in that leaves the page: the flow's id, and where the browser goes.
    #[track_caller]
    pub fn begin(
        &self,
        browser: &mut Browser,
        app: &str,
        method: &str,
        fields: &Value,
    ) -> (String, String) {
        let wanted = json!({ "app": app, "method": method, "mode": "redirect", "fields": fields });
        let started = browser
            .call("POST", "/page/flows", Some(&wanted))
            .expect(200)
            .json();
        let flow = started["flow"]["id"].as_str().unwrap().to_owned();
        let go = join(&self.host.url(), started["go_url"].as_str().unwrap());
        (flow, go)
    }

    /// Hands a settled flow over to the platform; the connection's id.
    #[track_caller]
    pub fn taken(&self, session: &str, owner: &str, view: &Value) -> String {
        assert_eq!(
            view["status"],
            "awaiting_completion",
            "{view}\n{}",
            self.host.log()
        );
        let code = view["completion"]["code"].as_str().unwrap();
        let done = self.platform.complete(session, code, owner).expect(200);
        done.json()["connection"]["id"].as_str().unwrap().to_owned()
    }

    /// A GET with the connection's credential.
    pub fn proxied(&self, connection: &str, path: &str) -> Answer {
        let path = format!("/v1/connections/{connection}/proxy{path}");
        self.platform.call("GET", &path, None)
    }

    /// The connection as the platform sees it.
    pub fn connection(&self, id: &str) -> Value {
        self.platform.get(&format!("/v1/connections/{id}"))
    }
}

/// What a peer says at one of its own addresses.
pub fn said(origin: &str, path: &str) -> Value {
    Client::new().get(&format!("{origin}{path}"), &[]).json()
}
