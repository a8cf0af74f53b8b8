//! Triggers, webhooks both ways and actions, by GitHub's own manifest and the shapes of its documentation: the component in its
//! sandbox, the real store, the real API.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyport_tests::host::{Host, Setup};
use keyport_tests::http::Client;
use keyport_tests::platform::Platform;
use serde_json::{Value, json};

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(120);

#[derive(Clone)]
struct Call {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    issues: Vec<Value>,
}

/// GitHub, as far as these tests use it, and the platform that events are sent to.
#[derive(Clone)]
struct Desk {
    state: Arc<Mutex<State>>,
    origin: String,
}

impl Desk {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let desk = Self {
            state: Arc::default(),
            origin: format!("http://{}", listener.local_addr().unwrap()),
        };
        let ours = desk.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let desk = ours.clone();
                std::thread::spawn(move || desk.serve(stream));
            }
        });
        desk
    }

    fn serve(&self, stream: TcpStream) {
        let Ok(mut out) = stream.try_clone() else {
            return;
        };
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let (method, path) = (
            method.to_owned(),
            target.split('?').next().unwrap().to_owned(),
        );
        let mut headers = BTreeMap::new();
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':') {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
        }
        let length = headers
            .get("content-length")
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let call = Call {
            method,
            path,
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let (status, answer) = self.answer(&call);
        let text = answer.to_string();
        let _ = write!(
            out,
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
            text.len()
        );
    }

    fn answer(&self, call: &Call) -> (u16, Value) {
        let mut state = self.state.lock().unwrap();
        state.calls.push(call.clone());
        match (call.method.as_str(), call.path.as_str()) {
            ("GET", "/user") => (
                200,
                json!({ "login": "octocat", "id": 583_231, "name": "The Octocat" }),
            ),
            ("GET", "/repos/octocat/Hello-World/issues") => {
                let all: Vec<Value> = state.issues.iter().rev().cloned().collect();
                (200, Value::Array(all))
            }
            ("POST", "/repos/octocat/Hello-World/issues") => {
                let number = 1348 + state.issues.len();
                let title = serde_json::from_str::<Value>(&call.body).unwrap()["title"].clone();
                let made = issue(number, title.as_str().unwrap());
                state.issues.push(made.clone());
                (201, made)
            }
            ("POST", "/repos/octocat/Hello-World/hooks") => (
                201,
                json!({ "id": 12_345_678, "type": "Repository", "active": true }),
            ),
            ("DELETE", "/repos/octocat/Hello-World/hooks/12345678") => (204, json!({})),
            ("POST", "/keyport") => (200, json!({})),
            _ => (404, json!({ "message": "Not Found" })),
        }
    }

    fn calls(&self, method: &str, path: &str) -> Vec<Call> {
        let state = self.state.lock().unwrap();
        let these = state
            .calls
            .iter()
            .filter(|call| call.method == method && call.path == path);
        these.cloned().collect()
    }

    fn opens(&self, number: usize, title: &str) {
        self.state.lock().unwrap().issues.push(issue(number, title));
    }
}

fn issue(number: usize, title: &str) -> Value {
    json!({
        "id": number, "number": number, "title": title, "state": "open", "updated_at": "2026-01-02T03:04:05Z",
        "html_url": format!("https://github.com/octocat/Hello-World/issues/{number}"),
    })
}

/// Asks until the answer is there.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn start() -> (Host, Platform, Desk, String) {
    let desk = Desk::start();
    let origins = ["https://api.github.com", "https://platform.keyport.test"];
    let mut host = Host::start(Setup {
        origins: origins
            .map(|from| (from.to_owned(), desk.origin.clone()))
            .into(),
        ..Setup::default()
    });
    let platform = host.platform();
    let import = json!({
        "owner": "owner-1", "app": "github", "method": "personal_token",
        "fields": { "token": "github_pat_canary0123456789abcdef" },
    });
    let made = platform.post("/v1/connections", &import).expect(201).json();
    let id = made["id"].as_str().unwrap().to_owned();
    (host, platform, desk, id)
}

fn events(platform: &Platform) -> Vec<Value> {
    let page = platform.get("/v1/trigger-events");
    let items = page["items"].as_array().unwrap();
    items.iter().map(|event| event["event"].clone()).collect()
}

/// HMAC-SHA256 in as many lines, so that nothing of the host's own checks itself (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let sha = |parts: [&[u8]; 2]| {
        let mut child = std::process::Command::new("sha256sum")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("coreutils");
        let mut input = child.stdin.take().unwrap();
        for part in parts {
            input.write_all(part).unwrap();
        }
        drop(input);
        let out = child.wait_with_output().unwrap().stdout;
        let text = String::from_utf8(out).unwrap();
        (0..32)
            .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
            .collect::<Vec<u8>>()
    };
    assert!(key.len() <= 64);
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block
            .iter_mut()
            .zip(key)
            .for_each(|(slot, key)| *slot ^= key);
        block
    };
    let inner = sha([&pad(0x36), message]);
    sha([&pad(0x5c), &inner])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_new_issue_reaches_the_platform_signed_and_once() {
    let (host, platform, desk, id) = start();
    let hook =
        json!({ "url": "https://platform.keyport.test/keyport", "kinds": ["trigger.event"] });
    let hook = platform.post("/v1/webhooks", &hook).expect(201).json();
    desk.opens(1347, "From before");
    let wanted =
        json!({ "trigger": "new_issue", "input": { "owner": "octocat", "repo": "Hello-World" } });
    let made = platform
        .post(&format!("/v1/connections/{id}/subscriptions"), &wanted)
        .expect(201)
        .json();
    assert_eq!(made["state"], "active", "{made}");
    desk.opens(1348, "Found a bug");
    let subscription = made["id"].as_str().unwrap();
    for _ in 0..2 {
        platform
            .post(
                &format!("/v1/subscriptions/{subscription}/poll"),
                &json!({}),
            )
            .expect(200);
    }
    let found = events(&platform);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["title"], "Found a bug");

    let call = until("the webhook", || desk.calls("POST", "/keyport").pop());
    let body: Value = serde_json::from_str(&call.body).unwrap();
    assert_eq!(
        (&body["type"], &body["data"]["event"]["number"]),
        (&json!("trigger.event"), &json!(1348))
    );
    let key = STANDARD
        .decode(
            hook["secret"]
                .as_str()
                .unwrap()
                .strip_prefix("whsec_")
                .unwrap(),
        )
        .unwrap();
    let signed = format!(
        "{}.{}.{}",
        call.headers["webhook-id"], call.headers["webhook-timestamp"], call.body
    );
    let signature = format!("v1,{}", STANDARD.encode(hmac(&key, signed.as_bytes())));
    assert_eq!(call.headers["webhook-signature"], signature);
    let path = format!(
        "/v1/webhooks/{}/deliveries",
        hook["webhook"]["id"].as_str().unwrap()
    );
    let log = until("the delivery's end", || {
        let log = platform.get(&path);
        (log["items"][0]["state"] == "delivered").then_some(log)
    });
    assert_eq!(log["items"].as_array().unwrap().len(), 1);
    assert_eq!(desk.calls("POST", "/keyport").len(), 1);
    let input = json!({ "trigger": "new_issue", "input": { "owner": "octocat" } });
    let refused = platform
        .post(&format!("/v1/connections/{id}/subscriptions"), &input)
        .expect(422)
        .json();
    assert_eq!(refused["errors"][0]["field"], "input.repo");
    assert!(!host.log().contains("github_pat_canary"));
}

#[test]
fn github_is_told_where_to_send_issues_and_only_its_own_calls_are_believed() {
    let (host, platform, desk, id) = start();
    let wanted = json!({ "trigger": "issue_changed", "input": { "owner": "octocat", "repo": "Hello-World" } });
    let made = platform
        .post(&format!("/v1/connections/{id}/subscriptions"), &wanted)
        .expect(201)
        .json();
    let told = desk
        .calls("POST", "/repos/octocat/Hello-World/hooks")
        .pop()
        .unwrap();
    assert_eq!(
        told.headers["authorization"],
        "Bearer github_pat_canary0123456789abcdef"
    );
    let told: Value = serde_json::from_str(&told.body).unwrap();
    let (url, secret) = (
        told["config"]["url"].as_str().unwrap(),
        told["config"]["secret"].as_str().unwrap(),
    );
    assert!(url.starts_with(&format!("{}/hooks/", host.url())), "{url}");
    assert!(!made.to_string().contains(secret), "{made}");

    let body = json!({ "action": "opened", "issue": issue(1349, "Sent at once"), "repository": { "full_name": "octocat/Hello-World" } }).to_string();
    let signature = format!("sha256={}", hex(&hmac(secret.as_bytes(), body.as_bytes())));
    let post = |signature: &str, body: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", "issues"),
            ("x-hub-signature-256", signature),
        ];
        Client::new()
            .send("POST", url, &headers, Some(body.as_bytes().to_vec()))
            .status
    };
    assert_eq!(post("", &body), 401);
    assert_eq!(
        post(
            &format!("sha256={}", hex(&hmac(b"another secret", body.as_bytes()))),
            &body
        ),
        401
    );
    assert_eq!(post(&signature, &body.replace("opened", "closed")), 401);
    assert!(events(&platform).is_empty());
    assert_eq!(post(&signature, &body), 200);
    assert_eq!(
        post(&signature, &body),
        200,
        "GitHub may send again what it did not hear of"
    );
    let found = events(&platform);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["title"], "Sent at once");
    // What GitHub says first is no event.
    let ping = json!({ "zen": "Design for failure.", "hook_id": 12_345_678 }).to_string();
    let signature = format!("sha256={}", hex(&hmac(secret.as_bytes(), ping.as_bytes())));
    assert_eq!(post(&signature, &ping), 200);
    assert_eq!(events(&platform).len(), 1);

    let path = format!("/v1/subscriptions/{}", made["id"].as_str().unwrap());
    platform.call("DELETE", &path, None).expect(204);
    assert_eq!(
        desk.calls("DELETE", "/repos/octocat/Hello-World/hooks/12345678")
            .len(),
        1
    );
    assert_eq!(post(&signature, &ping), 404);
    assert!(!host.log().contains(secret));
}

#[test]
fn an_action_that_is_asked_for_again_after_a_restart_is_done_once() {
    let (mut host, platform, desk, id) = start();
    let url = format!(
        "{}/v1/connections/{id}/actions/create_issue",
        platform.url()
    );
    let input = |title: Value| json!({ "input": { "owner": "octocat", "repo": "Hello-World", "title": title } });
    let authorization = format!("Bearer {}", platform.key());
    let post = |key: &str, body: &Value| {
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        Client::new().send("POST", &url, &headers, Some(body.to_string().into_bytes()))
    };
    let refused = post("k0", &input(json!(7))).expect(422).json();
    assert_eq!(refused["errors"][0]["field"], "input.title", "{refused}");
    let first = post("k1", &input(json!("Found a bug"))).expect(200);
    assert_eq!(first.json()["output"]["number"], 1348);
    host.kill();
    host.start_again();
    let again = post("k1", &input(json!("Found a bug"))).expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.json(), first.json());
    post("k1", &input(json!("Another"))).expect(422);
    assert_eq!(
        desk.calls("POST", "/repos/octocat/Hello-World/issues")
            .len(),
        1
    );
}
