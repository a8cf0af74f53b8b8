//! What it costs to keep tokens alive, over the whole program: a call with a fresh token, and one that finds its token refused
//! and renews it. Beside each, the same requests to the same provider without Keyport, in the same run:
//!
//! `cargo build --release && cargo bench -p keyport-tests --bench alive`
//!
//! A call through Keyport is two exchanges, one to it and one from it; a refresh is a request that is refused, a token request,
//! the request again, and around the token request two commits that are on the disk before anything goes on. The disk's own
//! share is shown by a third baseline: a file to which a record is appended and synced, as often as a refresh commits.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement, run by hand"
)]

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyport_tests::binary::repository;
use keyport_tests::host::{Host, Setup};
use keyport_tests::http::Client;
use serde_json::json;

/// Calls of each kind. They are taken in turn, so that a noisy machine is unfair to none.
const CALLS: usize = 3000;
/// Refreshes. A connection is renewed once: it would not be again for half a minute.
const REFRESHES: usize = 400;
/// Commits of a refresh: that it is under way, and its answer.
const COMMITS: usize = 2;

/// A provider that keeps its connections open. Refresh tokens are good once.
#[derive(Default)]
struct State {
    next: u64,
    refresh: HashSet<String>,
    access: HashSet<String>,
}

impl State {
    fn issue(&mut self) -> (String, String) {
        self.next += 1;
        let tokens = (
            format!("access-token-{}", self.next),
            format!("refresh-token-{}", self.next),
        );
        self.access.insert(tokens.0.clone());
        self.refresh.insert(tokens.1.clone());
        tokens
    }
}

fn provider() -> (String, Arc<Mutex<State>>) {
    let state = Arc::new(Mutex::new(State::default()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let shared = Arc::clone(&state);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = Arc::clone(&shared);
            std::thread::spawn(move || serve(&stream, &state));
        }
    });
    (origin, state)
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut out = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let (mut length, mut bearer) = (0, String::new());
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "authorization" => bearer = value.trim().trim_start_matches("Bearer ").to_owned(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (status, answer) = if line.starts_with("POST /token ") {
            let form = format!("?{}", String::from_utf8_lossy(&body));
            let token = keyport_tests::http::query(&form, "refresh_token")?;
            let mut state = state.lock().unwrap();
            if state.refresh.remove(&token) {
                let (access, refresh) = state.issue();
                (
                    200,
                    json!({ "access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600 }),
                )
            } else {
                (400, json!({ "error": "invalid_grant" }))
            }
        } else if state.lock().unwrap().access.contains(&bearer) {
            (
                200,
                json!({ "sub": "ada", "email": "ada@oidc.keyport.test" }),
            )
        } else {
            (401, json!({ "error": "invalid_token" }))
        };
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        out.write_all(head.as_bytes()).ok()?;
    }
}

/// A caller with a connection of its own to one server.
struct Caller {
    client: Client,
    origin: String,
}

impl Caller {
    fn new(origin: &str) -> Self {
        Self {
            client: Client::new(),
            origin: origin.to_owned(),
        }
    }

    fn get(&mut self, path: &str, bearer: &str, status: u16) {
        let authorization = format!("Bearer {bearer}");
        let url = format!("{}{path}", self.origin);
        self.client
            .get(&url, &[("authorization", &authorization)])
            .expect(status);
    }
}

/// The middle one, and the one above which one in a hundred lies.
fn told(name: &str, mut times: Vec<Duration>) -> f64 {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    println!(
        "{name:<52} {:>8.0} µs   1 in 100 above {:>8.0} µs",
        at(0.5),
        at(0.99)
    );
    at(0.5)
}

fn timed(times: &mut Vec<Duration>, work: impl FnOnce()) {
    let begun = Instant::now();
    work();
    times.push(begun.elapsed());
}

fn main() {
    let (origin, state) = provider();
    let mut host = Host::start(Setup {
        origins: [("https://oidc.keyport.test".to_owned(), origin.clone())].into(),
        apps: vec![repository().join("tests/apps/oidc")],
        log_level: Some("info".to_owned()),
        ..Setup::default()
    });
    let platform = host.platform();
    let client =
        json!({ "client_id": "keyport-tests", "client_secret": "client-secret-0123456789" });
    platform.configure("oidc", &client);
    let connect = || {
        let (access, refresh) = state.lock().unwrap().issue();
        let import = json!({
            "owner": "owner-1", "app": "oidc", "method": "oauth",
            "token": { "access_token": access, "refresh_token": refresh },
        });
        let made = platform.post("/v1/connections", &import).expect(201).json();
        format!("/v1/connections/{}/proxy/me", made["id"].as_str().unwrap())
    };
    let (mut direct, mut through) = (Caller::new(&origin), Caller::new(platform.url()));
    let key = platform.key().to_owned();

    // A call with a fresh token.
    let path = connect();
    let (access, _) = state.lock().unwrap().issue();
    for _ in 0..200 {
        direct.get("/me", &access, 200);
        through.get(&path, &key, 200);
        through.get("/healthz", &key, 200);
    }
    let (mut bare, mut fresh, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CALLS {
        timed(&mut bare, || direct.get("/me", &access, 200));
        timed(&mut nothing, || through.get("/healthz", &key, 200));
        timed(&mut fresh, || through.get(&path, &key, 200));
    }
    println!("{CALLS} calls of each, one after the other");
    let bare = told("bare: GET from the app", bare);
    let nothing = told("Keyport: a request that does nothing", nothing);
    let fresh = told("Keyport: a call with a fresh token", fresh);
    println!(
        "a call through Keyport is {:.2} times the bare one, {:.2} times the two exchanges that it is at least\n",
        fresh / bare,
        fresh / (bare + nothing)
    );

    // A call whose token the app refuses.
    let paths: Vec<String> = (0..REFRESHES).map(|_| connect()).collect();
    let grants: Vec<(String, String)> = {
        let mut state = state.lock().unwrap();
        let grants = (0..REFRESHES).map(|_| state.issue()).collect();
        state.access.clear();
        grants
    };
    let folder = tempfile::tempdir_in(host.folder()).unwrap();
    let mut file = std::fs::File::create(folder.path().join("synced")).unwrap();
    file.write_all(&vec![0; 8 << 20]).unwrap();
    file.sync_all().unwrap();
    use std::io::Seek as _;
    file.rewind().unwrap();
    let (mut bare, mut synced, mut renewed) = (Vec::new(), Vec::new(), Vec::new());
    for (path, (access, refresh)) in paths.iter().zip(&grants) {
        timed(&mut bare, || {
            direct.get("/me", access, 401);
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", refresh.as_str()),
            ];
            let url = format!("{origin}/token");
            let answer = direct.client.form(&url, &[], &form).expect(200).json();
            direct.get("/me", answer["access_token"].as_str().unwrap(), 200);
        });
        timed(&mut synced, || {
            for _ in 0..COMMITS {
                file.write_all(&[7; 4096]).unwrap();
                file.sync_data().unwrap();
            }
        });
        timed(&mut renewed, || through.get(path, &key, 200));
    }
    println!("{REFRESHES} refreshes, each of another connection");
    let bare = told("bare: refused, POST for a token, GET again", bare);
    let synced = told("bare: two records of 4 KiB appended and synced", synced);
    let renewed = told("Keyport: a call that renews its token", renewed);
    println!(
        "a refresh through Keyport is {:.2} times the bare exchanges, {:.2} times what it is at least (they, its own exchange, two syncs)",
        renewed / bare,
        renewed / (bare + nothing + synced)
    );
    assert!(
        host.log().contains("answered"),
        "it was this host that was asked"
    );
    host.stop();
}
