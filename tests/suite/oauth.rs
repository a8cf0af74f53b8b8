//! OAuth 2.0 against a server that nobody here wrote: connect, call, refresh with rotation, disconnect.

use std::collections::BTreeMap;

use keyport_tests::binary::repository;
use keyport_tests::browser::Browser;
use keyport_tests::host::{Host, Setup, free_port};
use keyport_tests::http::{Client, join, query};
use keyport_tests::peer::Peer;
use keyport_tests::platform::Platform;
use serde_json::json;

const CLIENT: &str = "keyport-tests";
pub const CLIENT_SECRET: &str = "canary-client-secret-6f1c9d2e4b8a";
const RETURN: &str = "http://127.0.0.1:9/done";

/// A host, its platform, and the OAuth server configured for it.
pub struct Setting {
    pub host: Host,
    pub platform: Platform,
    pub server: Peer,
    pub configuration: String,
}

/// Starts all three; `None` where the server can't run, which was said.
pub fn setting(access_ttl: u64) -> Option<Setting> {
    let port = free_port();
    let origin = format!("http://127.0.0.1:{port}");
    let mut host = Host::start(Setup {
        origins: BTreeMap::from([("https://oidc.keyport.test".to_owned(), origin)]),
        apps: vec![repository().join("tests/apps/oidc")],
        ..Setup::default()
    });
    let platform = host.platform();
    let client = json!({ "client_id": CLIENT, "client_secret": CLIENT_SECRET });
    let made = platform
        .post("/v1/apps/oidc/configurations", &client)
        .expect(201)
        .json();
    let server = Peer::start(
        "oidc.mjs",
        &json!({
            "port": port,
            "client_id": CLIENT,
            "client_secret": CLIENT_SECRET,
            "redirect_uri": made["redirect_uri"],
            "access_ttl": access_ttl,
        }),
    )?;
    let configuration = made["id"].as_str().unwrap().to_owned();
    Some(Setting {
        host,
        platform,
        server,
        configuration,
    })
}

impl Setting {
    /// Opens a connect session for `owner` and starts the flow; the session, its browser, the flow, where it leads.
    pub fn start(
        &self,
        owner: &str,
        more: &serde_json::Value,
    ) -> (String, Browser, String, String) {
        let mut session = json!({ "apps": ["oidc"], "return_url": RETURN });
        for (name, value) in more.as_object().unwrap() {
            session[name] = value.clone();
        }
        let (session, link) = self.platform.session(owner, "connect", &session);
        let mut browser = Browser::open(&link);
        let wanted = json!({ "app": "oidc", "method": "oauth", "mode": "redirect" });
        let started = browser
            .call("POST", "/page/flows", Some(&wanted))
            .expect(200)
            .json();
        let flow = started["flow"]["id"].as_str().unwrap().to_owned();
        let go = join(&self.host.url(), started["go_url"].as_str().unwrap());
        (session, browser, flow, go)
    }

    /// Signs `user` in at the server and consents; the callback URL that the server sends the browser to.
    pub fn consent(&self, client: &mut Client, go: &str, user: &str) -> String {
        let first = client.get(go, &[]);
        assert!(matches!(first.status, 302 | 303), "{}", first.text());
        let callback = format!("{}/oauth/callback/", self.host.url());
        let (mut url, mut page) = client.follow(go, first, |next| !next.starts_with(&callback));
        for _ in 0..4 {
            if url.starts_with(&callback) {
                return url;
            }
            let html = page.expect(200).text();
            let action = html
                .split("action=\"")
                .nth(1)
                .expect("a form")
                .split('"')
                .next()
                .unwrap()
                .to_owned();
            let prompt = if html.contains("value=\"login\"") {
                "login"
            } else {
                "consent"
            };
            let fields: &[(&str, &str)] =
                &[("prompt", prompt), ("login", user), ("password", "any")];
            let target = join(&url, &action);
            let answer = client.form(&target, &[], fields);
            (url, page) = client.follow(&target, answer, |next| !next.starts_with(&callback));
        }
        panic!("the server never came back: {url}");
    }

    /// The whole way, as `user`: the connection, completed by the platform.
    pub fn connect(&self, owner: &str, user: &str, more: &serde_json::Value) -> serde_json::Value {
        let (session, mut browser, flow, go) = self.start(owner, more);
        let callback = self.consent(&mut browser.client, &go, user);
        let back = browser.client.get(&callback, &[]);
        assert!(back.status < 400, "{}", back.text());
        let view = browser.settled(&flow);
        assert_eq!(view["status"], "awaiting_completion", "{view}");
        let code = view["completion"]["code"].as_str().unwrap();
        self.platform
            .complete(&session, code, owner)
            .expect(200)
            .json()["connection"]
            .clone()
    }

    /// What the server has done so far.
    fn stats(&self) -> serde_json::Value {
        Client::new()
            .get(
                &format!("{}/control/stats", self.server.fact("origin")),
                &[],
            )
            .json()
    }

    fn me(&self, connection: &str) -> keyport_tests::http::Answer {
        self.platform.call(
            "GET",
            &format!("/v1/connections/{connection}/proxy/me"),
            None,
        )
    }
}

#[test]
fn a_real_oauth_server_is_connected_called_and_disconnected() {
    let Some(setting) = setting(3600) else { return };
    let connection = setting.connect("owner-1", "ada", &json!({}));
    assert_eq!(connection["state"], "connected");
    assert_eq!(connection["account"]["label"], "ada@oidc.keyport.test");
    let id = connection["id"].as_str().unwrap();

    assert_eq!(setting.me(id).expect(200).json()["sub"], "ada");
    let path = format!("/v1/connections/{id}/credentials");
    let token = setting.platform.get(&path)["access_token"]
        .as_str()
        .unwrap()
        .to_owned();

    let answer = setting
        .platform
        .post(&format!("/v1/connections/{id}/disconnect"), &json!({}))
        .expect(200)
        .json();
    assert_eq!(answer["revoked"], "yes", "{answer}");
    assert_eq!(answer["connection"]["state"], "disconnected");
    assert_eq!(
        answer["connection"]["account"]["label"], "ada@oidc.keyport.test",
        "the row remembers whose it was"
    );
    let bearer = format!("Bearer {token}");
    let dead = Client::new().get(
        &format!("{}/me", setting.server.fact("origin")),
        &[("authorization", &bearer)],
    );
    assert_eq!(dead.status, 401, "the grant is dead at the server");
    assert_eq!(setting.me(id).expect(409).code(), "disconnected");
}

#[test]
fn an_expired_token_is_refreshed_once_and_the_rotated_one_is_used_next() {
    let Some(setting) = setting(2) else { return };
    let connection = setting.connect("owner-1", "ada", &json!({}));
    let id = connection["id"].as_str().unwrap();
    let before = setting.stats()["refreshes"].as_u64().unwrap();
    // Each wait outlives the token: each use refreshes with the token of the last answer, and a server that detects reuse
    // would end the grant at the first repeated one.
    for _ in 0..3 {
        std::thread::sleep(std::time::Duration::from_millis(2100));
        assert_eq!(setting.me(id).expect(200).json()["sub"], "ada");
    }
    let after = setting.stats();
    assert!(
        after["refreshes"].as_u64().unwrap() >= before + 3,
        "{after}"
    );
    assert_eq!(after["errors"], 0, "{after}");
}

#[test]
fn many_callers_of_an_expiring_token_cause_one_refresh() {
    // Renewed in the last quarter of its life: from the ninth second on, and then good for nine more.
    let Some(setting) = setting(12) else { return };
    let connection = setting.connect("owner-1", "ada", &json!({}));
    let id = connection["id"].as_str().unwrap();
    let before = setting.stats()["refreshes"].as_u64().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(9500));
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| assert_eq!(setting.me(id).expect(200).json()["sub"], "ada"));
        }
    });
    let after = setting.stats();
    assert_eq!(
        after["errors"], 0,
        "no reuse was seen by the server: {after}"
    );
    assert_eq!(
        after["refreshes"].as_u64().unwrap(),
        before + 1,
        "twelve callers, one refresh: {after}"
    );
}

#[test]
fn reactivating_signs_in_again_under_the_same_id_and_only_as_the_same_account() {
    let Some(setting) = setting(3600) else { return };
    let connection = setting.connect("owner-1", "ada", &json!({}));
    let id = connection["id"].as_str().unwrap();
    setting
        .platform
        .post(&format!("/v1/connections/{id}/disconnect"), &json!({}))
        .expect(200);

    let (_, mut browser, flow, go) = setting.start("owner-1", &json!({ "connection_id": id }));
    let callback = setting.consent(&mut browser.client, &go, "grace");
    browser.client.get(&callback, &[]);
    let refused = browser.settled(&flow);
    assert_eq!(refused["status"], "failed");
    assert_eq!(refused["error"]["code"], "wrong_account", "{refused}");
    let still = setting.platform.get(&format!("/v1/connections/{id}"));
    assert_eq!(still["state"], "disconnected");

    let again = setting.connect("owner-1", "ada", &json!({ "connection_id": id }));
    assert_eq!(again["id"], id);
    assert_eq!(setting.me(id).expect(200).json()["sub"], "ada");
}

#[test]
fn a_callback_counts_once_and_only_in_the_browser_that_began() {
    let Some(setting) = setting(3600) else { return };
    let (_, mut browser, flow, go) = setting.start("owner-1", &json!({}));
    let callback = setting.consent(&mut browser.client, &go, "ada");
    let before = setting.stats()["grants"].as_u64().unwrap();

    // Somebody else's browser brings it first: refused, and nothing is asked of the server.
    let refused = |mut client: Client, url: &str, code: &str| {
        let answer = client.get(url, &[]);
        let end = answer.header("location").unwrap_or_default();
        assert!(
            end.contains("/connect/end?") && end.contains(code),
            "{} {end}",
            answer.status
        );
        let code = query(url, "code").unwrap();
        assert!(
            !end.contains(&code) && !end.contains("state="),
            "nothing of the request goes on: {end}"
        );
    };
    refused(Client::new(), &callback, "wrong_browser");
    assert_eq!(setting.stats()["grants"], before);

    // With a state that was never given.
    let state = query(&callback, "state").unwrap();
    let forged = callback.replace(&state, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    refused(browser.client.clone(), &forged, "unknown_state");
    assert_eq!(setting.stats()["grants"], before);

    let answers = std::thread::scope(|scope| {
        let mut running = Vec::new();
        for _ in 0..8 {
            let mut client = browser.client.clone();
            let callback = callback.clone();
            running.push(scope.spawn(move || client.get(&callback, &[]).status));
        }
        running
            .into_iter()
            .map(|one| one.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(answers.iter().any(|status| *status < 400), "{answers:?}");
    assert_eq!(browser.settled(&flow)["status"], "awaiting_completion");
    assert_eq!(
        setting.stats()["grants"],
        before + 1,
        "one exchange for eight callbacks: {answers:?}"
    );
    let replayed = browser.client.get(&callback, &[]);
    assert_eq!(setting.stats()["grants"], before + 1, "{}", replayed.text());
}

#[test]
fn a_callback_from_another_issuer_or_on_another_configurations_path_ends_the_flow() {
    let Some(setting) = setting(3600) else { return };
    let other = setting
        .platform
        .configure("oidc", &json!({ "client_id": "other" }));
    for (right, wrong) in [
        ("oidc.keyport.test", "evil.keyport.test"),
        (setting.configuration.as_str(), other.as_str()),
    ] {
        let (_, mut browser, flow, go) = setting.start("owner-1", &json!({}));
        let callback = setting.consent(&mut browser.client, &go, "ada");
        let forged = callback.replace(right, wrong);
        assert_ne!(forged, callback);
        browser.client.get(&forged, &[]);
        let view = browser.settled(&flow);
        assert_eq!(view["status"], "failed", "{view}");
        // And the right one comes too late.
        browser.client.get(&callback, &[]);
        assert_eq!(browser.settled(&flow)["status"], "failed");
    }
    assert_eq!(setting.stats()["grants"], 0, "no code was redeemed");
}

#[test]
fn a_completion_code_is_for_one_owner_and_one_time() {
    let Some(setting) = setting(3600) else { return };
    let (session, mut browser, flow, go) = setting.start("owner-1", &json!({}));
    let callback = setting.consent(&mut browser.client, &go, "ada");
    browser.client.get(&callback, &[]);
    let view = browser.settled(&flow);
    let code = view["completion"]["code"].as_str().unwrap();
    let pending = setting.platform.get("/v1/connections?owner=owner-1")["items"][0].clone();
    assert_eq!(
        pending["state"], "pending",
        "nothing is usable before the platform says whose it is"
    );
    assert!(setting.me(pending["id"].as_str().unwrap()).status >= 400);

    let wrong = setting.platform.complete(&session, code, "owner-2");
    assert!(wrong.status >= 400, "{}", wrong.text());
    assert_eq!(
        setting.platform.get("/v1/connections?owner=owner-2")["items"],
        json!([])
    );

    // A code that was shown to the wrong owner is burnt; the right one starts again.
    let connection = setting.connect("owner-1", "ada", &json!({}));
    assert_eq!(connection["state"], "connected");
    let again = setting.platform.complete(&session, code, "owner-1");
    assert!(again.status >= 400, "{}", again.text());
}
