//! Bad input gets a clear answer and changes nothing. One test for each kind.

use std::collections::BTreeMap;
use std::net::TcpListener;

use keyport_tests::browser::Browser;
use keyport_tests::host::{Host, Setup};
use keyport_tests::http::{Answer, Client};
use keyport_tests::platform::Platform;
use serde_json::{Value, json};

fn host() -> (Host, Platform) {
    let mut host = Host::start(Setup::default());
    let platform = host.platform();
    (host, platform)
}

/// Every refusal is a problem document with a code for programs and a sentence for people.
#[track_caller]
fn problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{}",
        answer.text()
    );
    let document = answer.json();
    assert_eq!(document["code"], code, "{document}");
    assert_eq!(document["status"], status, "{document}");
    let detail = document["detail"].as_str().unwrap_or_default();
    assert!(detail.len() > 10, "the detail says what to do: {document}");
}

fn nothing_changed(platform: &Platform) {
    assert_eq!(platform.get("/v1/connections")["items"], json!([]));
}

#[test]
fn an_unknown_app_is_not_found() {
    let (_host, platform) = host();
    problem(
        &platform.call("GET", "/v1/apps/no-such-app", None),
        404,
        "not_found",
    );
    let configuration = platform.post(
        "/v1/apps/no-such-app/configurations",
        &json!({ "client_id": "x" }),
    );
    problem(&configuration, 404, "not_found");
    let import = json!({ "owner": "o", "app": "no-such-app", "method": "x", "fields": {} });
    problem(&platform.post("/v1/connections", &import), 404, "not_found");
    nothing_changed(&platform);
}

#[test]
fn a_malformed_body_is_refused_with_what_is_wrong_with_it() {
    let (host, platform) = host();
    let authorization = format!("Bearer {}", platform.key());
    let send = |body: &str| {
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        Client::new().send(
            "POST",
            &format!("{}/v1/sessions", host.url()),
            &headers,
            Some(body.as_bytes().to_vec()),
        )
    };
    let broken = send("{\"owner\": ");
    assert_eq!(broken.status, 400, "{}", broken.text());
    let unknown =
        send(r#"{"owner":"o","kind":"connect","origins":["http://127.0.0.1:9"],"ownr":1}"#);
    assert!(matches!(unknown.status, 400 | 422), "{}", unknown.text());
    assert!(
        unknown.text().contains("ownr"),
        "it names the field: {}",
        unknown.text()
    );
    let wrong_kind = send(r#"{"owner":7,"kind":"connect"}"#);
    assert!(
        matches!(wrong_kind.status, 400 | 422),
        "{}",
        wrong_kind.text()
    );
    let huge = send(&format!(r#"{{"owner":"{}"}}"#, "x".repeat((1 << 20) + 10)));
    assert_eq!(huge.status, 413, "{}", huge.text());
    for answer in [broken, unknown, wrong_kind, huge] {
        assert!(!answer.code().is_empty(), "{}", answer.text());
    }
}

#[test]
fn a_session_link_works_once_and_a_closed_session_is_over() {
    let (_host, platform) = host();
    let (session, link) = platform.session("owner-1", "manage", &json!({}));
    let mut browser = Browser::open(&link);
    browser.call("GET", "/page/connections", None).expect(200);
    let (mut second, reused) = Browser::try_open(&link);
    assert!(
        matches!(reused.status, 401 | 403 | 404 | 409 | 410),
        "{}",
        reused.text()
    );
    assert_eq!(second.call("GET", "/page/connections", None).status, 401);
    let (_, guessed) = Browser::try_open(&format!("{}x", link));
    assert!(
        matches!(guessed.status, 401 | 403 | 404 | 409 | 410),
        "{}",
        guessed.text()
    );

    let closed = platform.call("DELETE", &format!("/v1/sessions/{session}"), None);
    assert!(closed.status < 300, "{}", closed.text());
    assert_eq!(browser.call("GET", "/page/connections", None).status, 401);
}

#[test]
fn a_callback_with_a_state_that_was_never_given_changes_nothing() {
    let (host, platform) = host();
    let made = platform.post(
        "/v1/apps/github/configurations",
        &json!({ "client_id": "c", "client_secret": "s3cr3t-value" }),
    );
    let configuration = made.expect(201).json()["id"].as_str().unwrap().to_owned();
    let url = format!(
        "{}/oauth/callback/{configuration}?code=x&state=never-given",
        host.url()
    );
    let answer = Client::new().get(&url, &[]);
    let end = answer.header("location").unwrap_or_default();
    assert!(
        end.contains("/connect/end?") && end.contains("unknown_state"),
        "{} {end}",
        answer.status
    );
    assert!(
        !end.contains("never-given"),
        "nothing of the request is echoed"
    );
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let (_, page) = Client::new().follow(&url, answer, |_| true);
    assert_eq!(page.status, 200);
    nothing_changed(&platform);
}

#[test]
fn a_typed_address_never_gets_the_operators_client_secret() {
    // Whoever listens at the typed address would see the secret in the token request.
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let evil = "https://gitlab.evil.example";
    let mut host = Host::start(Setup {
        origins: BTreeMap::from([(
            evil.to_owned(),
            format!("http://{}", trap.local_addr().unwrap()),
        )]),
        ..Setup::default()
    });
    let platform = host.platform();
    let client = json!({ "client_id": "c", "client_secret": "operators-own-secret", "origins": ["https://gitlab.com"] });
    platform.configure("gitlab", &client);
    let (_, link) = platform.session("owner-1", "manage", &json!({}));
    let mut browser = Browser::open(&link);
    let app = browser
        .call("GET", "/page/apps/gitlab", None)
        .expect(200)
        .json();
    let field = app["fields"].as_array().unwrap().iter().find(|field| {
        field["default"]
            .as_str()
            .is_some_and(|text| text.contains("gitlab.com"))
    });
    let field = field.expect("the address can be typed")["id"]
        .as_str()
        .unwrap();
    let method = app["methods"]
        .as_array()
        .unwrap()
        .iter()
        .find(|method| method["kind"] == "oauth2")
        .unwrap();
    let start = json!({ "app": "gitlab", "method": method["id"], "fields": { field: evil } });
    let refused = browser.call("POST", "/page/flows", Some(&start));
    assert_eq!(
        refused.code(),
        "client_not_for_this_host",
        "{}",
        refused.text()
    );
    assert!(trap.accept().is_err(), "nothing was sent there");
    nothing_changed(&platform);
}

#[test]
fn a_revoked_or_unknown_platform_key_is_refused() {
    let mut host = Host::start(Setup::default());
    host.stop();
    let key = host.make_key("manage");
    let file = host.folder().join("keyport.toml").display().to_string();
    let list = keyport_tests::binary::run(&["key", "list", "--config", &file]);
    let id = String::from_utf8(list.stdout)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    host.start_again();
    let platform = Platform::new(host.url(), key);
    platform.get("/v1/apps");
    // The scope is the key's: it may manage, not read credentials.
    assert!(matches!(
        platform
            .call("GET", "/v1/connections/con_x/credentials", None)
            .status,
        403 | 404
    ));
    host.stop();
    assert!(
        keyport_tests::binary::run(&["key", "revoke", &id, "--config", &file])
            .status
            .success()
    );
    host.start_again();
    problem(&platform.call("GET", "/v1/apps", None), 401, "unauthorized");
    for stranger in ["kp_guess", "", "\u{7f}"] {
        let headers = [("authorization", format!("Bearer {stranger}"))];
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let sent =
            Client::new().try_send("GET", &format!("{}/v1/apps", host.url()), &headers, None);
        assert!(sent.is_err() || sent.is_ok_and(|answer| matches!(answer.status, 400 | 401)));
    }
}

#[test]
fn an_upstream_that_hangs_ends_in_an_answer_and_not_in_a_connection() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut host = Host::start(Setup {
        origins: BTreeMap::from([(
            "https://api.digitalocean.com".to_owned(),
            format!("http://{}", silent.local_addr().unwrap()),
        )]),
        ..Setup::default()
    });
    let platform = host.platform();
    let fields = json!({ "token": "dop_v1_0000000000000000000000000000000000000000" });
    let import =
        json!({ "owner": "o", "app": "digitalocean", "method": "token", "fields": fields });
    let answer = platform.post("/v1/connections", &import);
    assert!(answer.status >= 400, "{}", answer.text());
    assert!(!answer.json()["detail"].as_str().unwrap().is_empty());
    nothing_changed(&platform);
    // The host is well meanwhile.
    assert_eq!(
        Client::new()
            .get(&format!("{}/healthz", host.url()), &[])
            .status,
        200
    );
}

#[test]
fn a_host_header_that_is_not_ours_is_misdirected() {
    let (host, platform) = host();
    let authorization = format!("Bearer {}", platform.key());
    let headers = [
        ("host", "evil.example"),
        ("authorization", authorization.as_str()),
    ];
    for path in ["/v1/apps", "/apps", "/open", "/connect.js"] {
        let answer = Client::new().get(&format!("{}{path}", host.url()), &headers);
        assert_eq!(answer.status, 421, "{path}: {}", answer.text());
    }
}

#[test]
fn another_owners_connection_looks_like_none() {
    let (_host, platform) = host();
    let (_, link) = platform.session("owner-1", "manage", &json!({}));
    let mut browser = Browser::open(&link);
    let none: Value = browser
        .call("GET", "/page/connections", None)
        .expect(200)
        .json();
    assert_eq!(none["items"], json!([]));
    for path in ["con_0000000000000000000000", "..%2Fapps", "con_%00"] {
        let answer = browser.call(
            "POST",
            &format!("/page/connections/{path}/test"),
            Some(&json!({})),
        );
        assert!(
            matches!(answer.status, 400 | 404),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
    }
}

#[test]
fn a_foreign_page_can_not_use_the_cookie() {
    let (host, platform) = host();
    let (_, link) = platform.session("owner-1", "manage", &json!({}));
    let mut browser = Browser::open(&link);
    let url = format!("{}/page/session", host.url());
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        let answer = browser
            .client
            .send("DELETE", &url, &[("origin", origin)], None);
        assert_eq!(answer.status, 403, "{origin}: {}", answer.text());
    }
    browser.call("GET", "/page/session", None).expect(200);
    // The cookie is for pages: it opens nothing of the API.
    let api = browser
        .client
        .get(&format!("{}/v1/connections", host.url()), &[]);
    assert_eq!(api.status, 401, "{}", api.text());
}

#[test]
fn a_component_that_crashes_is_reported_and_takes_nobody_along() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = keyport_tests::binary::repository().join("tests/apps/traps/manifest.yaml");
    std::fs::copy(manifest, folder.path().join("manifest.yaml")).unwrap();
    std::fs::copy(
        keyport_tests::guest::build("hostile-traps"),
        folder.path().join("component.wasm"),
    )
    .unwrap();
    let mut host = Host::start(Setup {
        apps: vec![folder.path().to_owned()],
        ..Setup::default()
    });
    let platform = host.platform();
    let import = |app: &str, method: &str| {
        let fields = json!({ "token": "a-token-that-is-long-enough" });
        platform.post(
            "/v1/connections",
            &json!({ "owner": "o", "app": app, "method": method, "fields": fields }),
        )
    };
    for _ in 0..3 {
        let answer = import("traps", "key");
        assert!(answer.status >= 400, "{}", answer.text());
        assert_eq!(answer.code(), "component_crashed", "{}", answer.text());
    }
    nothing_changed(&platform);
    // Another app is well: it gets as far as its own vendor, whom nobody reaches from here.
    assert_ne!(import("digitalocean", "token").code(), "component_crashed");
    platform.get("/v1/apps/traps");
}
