//! No secret in logs, errors, listings or the files of the store after a full run with canary values.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use keyport_tests::browser::Browser;
use keyport_tests::host::{Host, Setup};
use keyport_tests::http::{Answer, encode};
use keyport_tests::peer::Peer;
use keyport_tests::platform::Platform;
use serde_json::{Value, json};

use crate::oauth::{self, CLIENT_SECRET};

const KEY: &str = "dop_v1_canary+key/0a1b2c3d4e5f60718293a4b5c6d7e8f90";
const WRONG_KEY: &str = "dop_v1_canary+wrong/ffeeddccbbaa99887766554433221100";

/// A secret as it may show up: plain, in base64 (at each of the three offsets), percent-encoded either way.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![
        secret.as_bytes().to_vec(),
        encode(secret).into_bytes(),
        encode(secret).to_lowercase().into_bytes(),
    ];
    for offset in 0..3 {
        let mut shifted = vec![b'_'; offset];
        shifted.extend(secret.as_bytes());
        for engine in [
            base64::engine::general_purpose::STANDARD_NO_PAD,
            base64::engine::general_purpose::URL_SAFE_NO_PAD,
        ] {
            let text = engine.encode(&shifted);
            // The first and last groups depend on the neighbours.
            let inner = text
                .get(4..text.len().saturating_sub(4))
                .unwrap_or_default();
            assert!(
                inner.len() > 8,
                "a canary must be long enough to be recognised"
            );
            forms.push(inner.as_bytes().to_vec());
        }
    }
    forms
}

#[track_caller]
fn holds_none(what: &str, haystack: &[u8], secrets: &[String]) {
    for secret in secrets {
        for form in forms(secret) {
            let found = haystack.windows(form.len()).any(|window| window == form);
            assert!(
                !found,
                "{what} holds a secret, as {}",
                String::from_utf8_lossy(&form)
            );
        }
    }
}

fn files(folder: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into)
        } else {
            into.push(path)
        }
    }
}

/// What callers saw that was not meant to hold a secret.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn note(&mut self, what: &str, answer: &Answer) {
        let mut bytes = answer.body.clone();
        for (name, value) in answer
            .headers
            .iter()
            .filter(|(name, _)| name != "set-cookie")
        {
            bytes.extend(format!("\n{name}: {value}").bytes());
        }
        self.0.push((what.to_owned(), bytes));
    }

    fn listings(&mut self, platform: &Platform) {
        for path in [
            "/v1/connections",
            "/v1/apps",
            "/v1/events",
            "/v1/apps/digitalocean/configurations",
            "/metrics",
            "/openapi.json",
        ] {
            self.note(path, &platform.call("GET", path, None));
        }
    }
}

fn check(mut host: Host, seen: Seen, secrets: &[String]) {
    host.stop();
    assert!(host.log().len() > 500, "the host did log");
    holds_none("the log", host.log().as_bytes(), secrets);
    for (what, bytes) in &seen.0 {
        holds_none(what, bytes, secrets);
    }
    let mut paths = Vec::new();
    files(&host.folder().join("data"), &mut paths);
    assert!(paths.len() > 1, "the store has files");
    for path in paths {
        holds_none(
            &path.display().to_string(),
            &std::fs::read(&path).unwrap(),
            secrets,
        );
    }
}

#[test]
fn a_full_run_with_a_key_leaves_no_secret_anywhere() {
    let peer = json!({
        "document": "digitalocean.com",
        "header": "authorization",
        "value": format!("Bearer {KEY}"),
        "paths": ["/v2/account", "/v2/droplets"],
    });
    let Some(peer) = Peer::start("vendor.mjs", &peer) else {
        return;
    };
    let mut host = Host::start(Setup {
        origins: BTreeMap::from([(
            "https://api.digitalocean.com".to_owned(),
            peer.fact("origin"),
        )]),
        ..Setup::default()
    });
    let platform = host.platform();
    let mut seen = Seen::default();

    let client = json!({ "client_id": "id", "client_secret": CLIENT_SECRET });
    seen.note(
        "configure",
        &platform.post("/v1/apps/digitalocean/configurations", &client),
    );
    let (session, link) =
        platform.session("owner-1", "connect", &json!({ "apps": ["digitalocean"] }));
    let mut browser = Browser::open(&link);
    let form =
        |key: &str| json!({ "app": "digitalocean", "method": "token", "fields": { "token": key } });
    let wrong = browser.call("POST", "/page/connections", Some(&form(WRONG_KEY)));
    browser.settled(wrong.json()["id"].as_str().unwrap());
    seen.note("a wrong key", &wrong);
    let right = browser.call("POST", "/page/connections", Some(&form(KEY)));
    seen.note("the right key", &right);
    let flow = browser.settled(right.json()["id"].as_str().unwrap());
    let done = platform
        .complete(
            &session,
            flow["completion"]["code"].as_str().unwrap(),
            "owner-1",
        )
        .expect(200);
    seen.note("completion", &done);
    let id = done.json()["connection"]["id"].as_str().unwrap().to_owned();

    for (verb, body) in [
        ("test", json!({})),
        ("details", json!({ "fields": { "token": WRONG_KEY } })),
        ("actions/list_droplets", json!({ "input": {} })),
        ("actions/no_such", json!({ "input": { "token": 1 } })),
        ("pause", json!({})),
        ("resume", json!({})),
    ] {
        seen.note(
            verb,
            &platform.post(&format!("/v1/connections/{id}/{verb}"), &body),
        );
    }
    seen.note(
        "proxy",
        &platform.call(
            "GET",
            &format!("/v1/connections/{id}/proxy/v2/account"),
            None,
        ),
    );
    seen.note(
        "proxy elsewhere",
        &platform.call(
            "GET",
            &format!("/v1/connections/{id}/proxy//evil.example/x"),
            None,
        ),
    );
    seen.note("page", &browser.call("GET", "/page/connections", None));
    seen.listings(&platform);
    // The one answer that is meant to hold it.
    let credentials: Value = platform.get(&format!("/v1/connections/{id}/credentials"));
    assert!(
        credentials.to_string().contains(KEY),
        "{}",
        credentials["type"]
    );
    seen.note(
        "disconnect",
        &platform.post(&format!("/v1/connections/{id}/disconnect"), &json!({})),
    );
    seen.listings(&platform);

    let secrets = [KEY, WRONG_KEY, CLIENT_SECRET, platform.key()].map(str::to_owned);
    check(host, seen, &secrets);
}

#[test]
fn a_full_run_with_oauth_leaves_no_secret_anywhere() {
    let Some(setting) = oauth::setting(2) else {
        return;
    };
    let mut seen = Seen::default();
    let connection = setting.connect("owner-1", "ada", &json!({}));
    let id = connection["id"].as_str().unwrap();
    let mut secrets = vec![CLIENT_SECRET.to_owned(), setting.platform.key().to_owned()];
    for _ in 0..2 {
        let credentials = setting
            .platform
            .get(&format!("/v1/connections/{id}/credentials"));
        secrets.push(credentials["access_token"].as_str().unwrap().to_owned());
        assert!(
            credentials.get("refresh_token").is_none(),
            "a refresh token is never handed out"
        );
        std::thread::sleep(std::time::Duration::from_millis(2100));
        seen.note(
            "proxy",
            &setting
                .platform
                .call("GET", &format!("/v1/connections/{id}/proxy/me"), None),
        );
    }
    assert_ne!(secrets[2], secrets[3], "it was refreshed meanwhile");
    seen.note(
        "test",
        &setting
            .platform
            .post(&format!("/v1/connections/{id}/test"), &json!({})),
    );
    seen.listings(&setting.platform);
    seen.note(
        "disconnect",
        &setting
            .platform
            .post(&format!("/v1/connections/{id}/disconnect"), &json!({})),
    );
    drop(setting.server);
    check(setting.host, seen, &secrets);
}
