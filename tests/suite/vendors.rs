//! Real vendors by their own API descriptions: a key is tested before it counts, a wrong one is refused, calls and
//! actions reach what the description has, and a connection survives what hosts go through.

use std::collections::BTreeMap;

use keyport_tests::browser::Browser;
use keyport_tests::host::{Host, Setup};
use keyport_tests::peer::Peer;
use keyport_tests::platform::Platform;
use serde_json::{Value, json};

/// A vendor as Prism mocks it, and how one signs in to it.
struct Vendor {
    app: &'static str,
    method: &'static str,
    origin: &'static str,
    peer: Value,
    good: Value,
    wrong: Value,
    /// Proxied, and a path into its answer that must be there.
    call: (&'static str, &'static str),
    /// Actions, their input, and a path into their output.
    actions: Vec<(&'static str, Value, &'static str)>,
    /// A trigger and its input.
    trigger: Option<(&'static str, Value)>,
}

fn digitalocean() -> Vendor {
    Vendor {
        app: "digitalocean",
        method: "token",
        origin: "https://api.digitalocean.com",
        peer: json!({
            "document": "digitalocean.com",
            "header": "authorization",
            "value": "Bearer dop_v1_canary0a1b2c3d4e5f60718293a4b5c6d7e8f9",
            "paths": ["/v2/account", "/v2/droplets", "/v2/actions", "/v2/droplets/{droplet_id}/actions"],
        }),
        good: json!({ "token": "dop_v1_canary0a1b2c3d4e5f60718293a4b5c6d7e8f9" }),
        wrong: json!({ "token": "dop_v1_wrong00000000000000000000000000000000" }),
        call: ("/v2/account", "/account/email"),
        actions: vec![
            ("list_droplets", json!({}), "/0"),
            ("get_account", json!({}), "/email"),
            (
                "act_on_droplet",
                json!({ "droplet_id": 3_164_444, "type": "reboot" }),
                "/id",
            ),
        ],
        trigger: Some(("new_action", json!({}))),
    }
}

fn twilio() -> Vendor {
    const SID: &str = "AC0123456789abcdef0123456789abcdef";
    let encoded = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD
            .encode(format!("{SID}:canary0twilio0secret0123456789ab"))
    };
    Vendor {
        app: "twilio",
        method: "auth_token",
        origin: "https://api.twilio.com",
        peer: json!({
            "document": "twilio.com/api",
            "header": "authorization",
            "value": format!("Basic {encoded}"),
            "paths": ["/2010-04-01/Accounts/{Sid}.json", "/2010-04-01/Accounts/{AccountSid}/Messages.json"],
        }),
        good: json!({ "account_sid": SID, "auth_token": "canary0twilio0secret0123456789ab" }),
        wrong: json!({ "account_sid": SID, "auth_token": "00000000000000000000000000000000" }),
        call: (
            "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef.json",
            "/sid",
        ),
        actions: vec![("list_messages", json!({}), "")],
        trigger: None,
    }
}

fn github() -> Vendor {
    let repository = json!({ "owner": "octocat", "repo": "Hello-World" });
    let with = |more: Value| {
        let mut input = repository.clone();
        for (name, value) in more.as_object().unwrap() {
            input[name] = value.clone();
        }
        input
    };
    Vendor {
        app: "github",
        method: "personal_token",
        origin: "https://api.github.com",
        peer: json!({
            "document": "github.com/api.github.com",
            "header": "authorization",
            "value": "Bearer github_pat_canary0a1b2c3d4e5f6071",
            "paths": ["/user", "/user/repos", "/repos/{owner}/{repo}/issues", "/repos/{owner}/{repo}/hooks"],
        }),
        good: json!({ "token": "github_pat_canary0a1b2c3d4e5f6071" }),
        wrong: json!({ "token": "github_pat_wrong00000000000000" }),
        call: ("/user", "/login"),
        actions: vec![
            ("get_user", json!({}), "/login"),
            (
                "list_repositories",
                json!({ "visibility": "public" }),
                "/0/full_name",
            ),
            (
                "create_issue",
                with(json!({ "title": "Found a bug", "labels": ["bug"] })),
                "/number",
            ),
        ],
        trigger: Some(("new_issue", repository)),
    }
}

fn start(vendor: &Vendor) -> Option<(Host, Platform, Peer)> {
    let peer = Peer::start("vendor.mjs", &vendor.peer)?;
    let mut host = Host::start(Setup {
        origins: BTreeMap::from([(vendor.origin.to_owned(), peer.fact("origin"))]),
        ..Setup::default()
    });
    let platform = host.platform();
    Some((host, platform, peer))
}

/// Fills in the form in a connect session and lets the platform complete it; the flow's last view and the connection.
fn connect(platform: &Platform, vendor: &Vendor, fields: &Value) -> (Value, Option<Value>) {
    let (session, link) = platform.session("owner-1", "connect", &json!({ "apps": [vendor.app] }));
    let mut browser = Browser::open(&link);
    let form = json!({ "app": vendor.app, "method": vendor.method, "fields": fields });
    let flow = browser
        .call("POST", "/page/connections", Some(&form))
        .expect(200)
        .json();
    let flow = browser.settled(flow["id"].as_str().unwrap());
    let Some(code) = flow["completion"]["code"].as_str() else {
        return (flow, None);
    };
    let done = platform
        .complete(&session, code, "owner-1")
        .expect(200)
        .json();
    (flow, Some(done["connection"].clone()))
}

fn lives(platform: &Platform, vendor: &Vendor, id: &str) {
    let report = platform
        .post(&format!("/v1/connections/{id}/test"), &json!({}))
        .expect(200)
        .json();
    assert_eq!(report["ok"], true, "{report}");
    let (path, pointer) = vendor.call;
    let answer = platform
        .call("GET", &format!("/v1/connections/{id}/proxy{path}"), None)
        .expect(200)
        .json();
    assert!(answer.pointer(pointer).is_some(), "{answer}");
}

fn by_its_own_description(vendor: &Vendor) {
    let Some((host, platform, _peer)) = start(vendor) else {
        return;
    };
    let (flow, none) = connect(&platform, vendor, &vendor.wrong);
    assert!(none.is_none(), "a wrong key must not connect");
    assert_eq!(flow["status"], "failed", "{flow}");
    assert!(!flow["error"]["say"].as_str().unwrap().is_empty());
    let left = platform.get("/v1/connections?owner=owner-1");
    assert_eq!(left["items"], json!([]), "nothing stays of a refused key");

    let (_, connection) = connect(&platform, vendor, &vendor.good);
    let connection = connection.expect("the right key connects");
    assert_eq!(connection["state"], "connected");
    assert!(
        !connection["account"]["label"].as_str().unwrap().is_empty(),
        "{connection}"
    );
    let id = connection["id"].as_str().unwrap();
    lives(&platform, vendor, id);
    for (name, input, pointer) in &vendor.actions {
        let path = format!("/v1/connections/{id}/actions/{name}");
        let answer = platform
            .post(&path, &json!({ "input": input }))
            .expect(200)
            .json();
        assert!(answer["output"].pointer(pointer).is_some(), "{answer}");
    }
    if let Some((name, input)) = &vendor.trigger {
        let new = json!({ "trigger": name, "input": input });
        let path = format!("/v1/connections/{id}/subscriptions");
        let made = platform.post(&path, &new).expect(201).json();
        assert_eq!(made["state"], "active", "{made}");
        // The description has one event, which was there before: nothing is new, and nothing is amiss.
        let path = format!("/v1/subscriptions/{}/poll", made["id"].as_str().unwrap());
        let polled = platform.post(&path, &json!({})).expect(200).json();
        assert_eq!(
            (&polled["state"], &polled["events"]),
            (&json!("active"), &json!(0)),
            "{polled}"
        );
    }
    drop(host);
}

#[test]
fn digitalocean_connects_by_its_own_description() {
    by_its_own_description(&digitalocean());
}

#[test]
fn github_connects_by_its_own_description() {
    by_its_own_description(&github());
}

#[test]
fn twilio_connects_by_its_own_description() {
    by_its_own_description(&twilio());
}

#[test]
fn a_connection_survives_a_restart_and_a_kill_right_after_it_was_acknowledged() {
    let vendor = digitalocean();
    let Some((mut host, platform, _peer)) = start(&vendor) else {
        return;
    };
    let (_, connection) = connect(&platform, &vendor, &vendor.good);
    let first = connection.unwrap()["id"].as_str().unwrap().to_owned();
    host.stop();
    host.start_again();
    lives(&platform, &vendor, &first);

    let (_, connection) = connect(&platform, &vendor, &vendor.good);
    host.kill();
    let second = connection.unwrap()["id"].as_str().unwrap().to_owned();
    host.start_again();
    assert_ne!(first, second);
    lives(&platform, &vendor, &first);
    lives(&platform, &vendor, &second);
}

#[test]
fn details_are_tested_before_the_old_ones_go_and_existing_keys_can_be_imported() {
    let vendor = digitalocean();
    let Some((_host, platform, _peer)) = start(&vendor) else {
        return;
    };
    let import = |fields: &Value| {
        let body = json!({ "owner": "owner-1", "app": vendor.app, "method": vendor.method, "fields": fields });
        platform.post("/v1/connections", &body)
    };
    let refused = import(&vendor.wrong);
    assert!(
        matches!(refused.status, 409 | 422 | 424),
        "{}",
        refused.text()
    );
    assert_eq!(platform.get("/v1/connections")["items"], json!([]));
    let connection = import(&vendor.good).expect(201).json();
    let id = connection["id"].as_str().unwrap();
    assert_eq!(connection["state"], "connected");

    let path = format!("/v1/connections/{id}/details");
    let report = platform.post(&path, &json!({ "fields": vendor.wrong }));
    assert!(
        report.status >= 400 || report.json()["ok"] == false,
        "{}",
        report.text()
    );
    lives(&platform, &vendor, id);
    platform
        .post(&path, &json!({ "fields": vendor.good }))
        .expect(200);
    lives(&platform, &vendor, id);
}

#[test]
fn a_paused_connection_is_not_used_and_resuming_tests_it() {
    let vendor = digitalocean();
    let Some((_host, platform, _peer)) = start(&vendor) else {
        return;
    };
    let (_, connection) = connect(&platform, &vendor, &vendor.good);
    let connection = connection.unwrap();
    let id = connection["id"].as_str().unwrap();
    let paused = platform
        .post(&format!("/v1/connections/{id}/pause"), &json!({}))
        .expect(200)
        .json();
    assert_eq!(
        (&paused["enabled"], &paused["state"]),
        (&json!(false), &json!("connected"))
    );
    let (path, _) = vendor.call;
    let refused = platform.call("GET", &format!("/v1/connections/{id}/proxy{path}"), None);
    assert_eq!(refused.expect(409).code(), "paused");
    let resumed = platform
        .post(&format!("/v1/connections/{id}/resume"), &json!({}))
        .expect(200)
        .json();
    assert_eq!(resumed["ok"], true, "{resumed}");
    lives(&platform, &vendor, id);
}
