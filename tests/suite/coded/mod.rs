//! Actions and triggers that are code of an app's own, through its component in the sandbox and the real API, against the pretend
//! vendor: what comes in and out, errors in the guest's words, polls over restarts, and webhooks that the vendor really sends, as it
//! should and as nobody should.

mod acts;
mod sent;

use std::time::{Duration, Instant};

use keyport_tests::binary::repository;
use keyport_tests::host::{Dev, Host, Setup};
use keyport_tests::http::{Answer, Client};
use keyport_tests::platform::Platform;
use serde_json::{Value, json};

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(120);
const VENDOR: &str = "https://vendor.keyport.test";

/// A host with the app, and the vendor, which outlives the host.
struct Setting {
    host: Host,
    platform: Platform,
    vendor: Dev,
    _app: tempfile::TempDir,
}

/// Somebody's connection, and their key at the vendor.
struct Account {
    id: String,
    key: String,
    user: String,
}

fn setting() -> Setting {
    let app = tempfile::tempdir().unwrap();
    let manifest = repository().join("tests/apps/coded/manifest.yaml");
    std::fs::copy(manifest, app.path().join("manifest.yaml")).unwrap();
    let component = keyport_tests::guest::build("guest-notes");
    std::fs::copy(component, app.path().join("component.wasm")).unwrap();
    let vendor = Dev::start(&[]);
    let mut host = Host::start(Setup {
        apps: vec![app.path().to_owned()],
        origins: [(VENDOR.to_owned(), vendor.vendor.clone())].into(),
        ..Setup::default()
    });
    let platform = host.platform();
    Setting {
        host,
        platform,
        vendor,
        _app: app,
    }
}

impl Setting {
    /// A call of the vendor's control API.
    fn control(&self, path: &str, body: &Value) -> Answer {
        let url = format!("{}/control/{path}", self.vendor.vendor);
        Client::new().json("POST", &url, &[], body)
    }

    fn credentials(&self, of: &str) -> Value {
        let url = format!("{}/control/credentials", self.vendor.vendor);
        let all = Client::new().get(&url, &[]).expect(200).json();
        let all = all["credentials"].as_array().unwrap();
        let fits = |one: &&Value| one["email"].as_str().unwrap().starts_with(of);
        all.iter().find(fits).unwrap().clone()
    }

    fn connect(&self, owner: &str, of: &str) -> Account {
        let own = self.credentials(of);
        let fields = json!({ "api_key": own["api_key"] });
        let import = json!({ "owner": owner, "app": "coded", "method": "key", "fields": fields });
        let made = self
            .platform
            .post("/v1/connections", &import)
            .expect(201)
            .json();
        Account {
            id: made["id"].as_str().unwrap().to_owned(),
            key: own["api_key"].as_str().unwrap().to_owned(),
            user: own["user_id"].as_str().unwrap().to_owned(),
        }
    }

    /// A note that somebody writes at the vendor, past Keyport.
    fn writes(&self, account: &Account, title: &str) -> String {
        let url = format!("{}/api/notes", self.vendor.vendor);
        let headers = [("x-api-key", account.key.as_str())];
        let made = Client::new().json("POST", &url, &headers, &json!({ "title": title }));
        made.expect(201).json()["id"].as_str().unwrap().to_owned()
    }

    fn run(&self, account: &Account, action: &str, input: Value) -> Answer {
        let path = format!("/v1/connections/{}/actions/{action}", account.id);
        self.platform.post(&path, &json!({ "input": input }))
    }

    fn output(&self, account: &Account, action: &str, input: Value) -> Value {
        self.run(account, action, input).expect(200).json()["output"].clone()
    }

    fn subscribe(&self, connection: &str, trigger: &str, input: Value) -> Answer {
        let path = format!("/v1/connections/{connection}/subscriptions");
        self.platform
            .post(&path, &json!({ "trigger": trigger, "input": input }))
    }

    /// Titles of the notes that a subscription found.
    fn found(&self, subscription: &str) -> Vec<String> {
        let path = format!("/v1/trigger-events?subscription_id={subscription}");
        let page = self.platform.get(&path);
        let title = |event: &Value| event["event"]["title"].as_str().unwrap().to_owned();
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(title)
            .collect()
    }

    fn poll(&self, subscription: &str) -> Value {
        let path = format!("/v1/subscriptions/{subscription}/poll");
        self.platform.post(&path, &json!({})).expect(200).json()
    }

    fn deliveries(&self) -> Vec<Value> {
        let url = format!("{}/control/deliveries", self.vendor.vendor);
        let all = Client::new().get(&url, &[]).expect(200).json();
        all["deliveries"].as_array().unwrap().clone()
    }

    /// The delivery of a note to an address, once it was answered, and otherwise than by the wish to have it again: several at once
    /// may hinder each other.
    fn delivery(&self, title: &str, url: &str) -> Value {
        until("the delivery", || {
            let all = self.deliveries();
            let fits = |one: &&Value| {
                one["event"]["note"]["title"] == title
                    && one["url"].as_str().unwrap().contains(url)
                    && one["answers"]
                        .as_array()
                        .unwrap()
                        .last()
                        .is_some_and(|it| *it != 503)
            };
            all.iter().find(fits).cloned()
        })
    }

    /// What the host answers to a delivery that is made again.
    fn again(&self, delivery: &Value, how: &str) -> Vec<Value> {
        self.again_about(delivery, how, None)
    }

    fn again_about(&self, delivery: &Value, how: &str, account: Option<&str>) -> Vec<Value> {
        let body = json!({ "id": delivery["id"], "how": how, "account": account });
        let answers = self.control("deliveries", &body).expect(200).json();
        answers["answers"].as_array().unwrap().clone()
    }
}

/// Asks until the answer is there.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}
