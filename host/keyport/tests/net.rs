//! `validate --net` against vendors of this test's own, on loopback: each rule about the network fires on its bad example and
//! not on its good one, and nothing goes where it should not.
#![cfg(feature = "net")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests may be blunt, and these servers are stopped by a connection of their own"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use keyport_manifest::yaml::book::{self, Example, Layer, PeerAnswer, rules};
use serde_json::{Value, json};

/// The hosts of the invented app.
const ORIGINS: &[&str] = &[
    "https://northpier.harbordesk.test",
    "https://www.harbordesk.test",
    "https://developers.harbordesk.test",
];

type Answers = BTreeMap<String, PeerAnswer>;

/// What a vendor in order answers; everything else is a 404.
fn usual() -> Answers {
    let answer = |status, body| PeerAnswer {
        status,
        body,
        wants: None,
    };
    [
        ("GET https://www.harbordesk.test/", answer(200, json!({}))),
        (
            "GET https://www.harbordesk.test/contact",
            answer(200, json!({})),
        ),
        (
            "GET https://www.harbordesk.test/help/api-keys",
            answer(200, json!({})),
        ),
        (
            "GET https://developers.harbordesk.test/api",
            answer(200, json!({})),
        ),
        (
            "GET https://northpier.harbordesk.test/oauth/authorize",
            answer(302, json!({})),
        ),
        (
            "POST https://northpier.harbordesk.test/oauth/token",
            answer(400, json!({"error": "invalid_grant"})),
        ),
        (
            "GET https://northpier.harbordesk.test/v2/me",
            answer(401, json!({})),
        ),
    ]
    .into_iter()
    .map(|(request, answer)| (request.to_owned(), answer))
    .collect()
}

/// A vendor's server at one origin. Stops when dropped.
struct Peer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    fn start(origin: &str, answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (log, flag, origin) = (Arc::clone(&asked), Arc::clone(&stop), origin.to_owned());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if flag.load(Ordering::SeqCst) {
                    return;
                }
                // A client that goes away is its own affair.
                let _ = serve(stream.unwrap(), &origin, &answers, &log);
            }
        });
        Self {
            address,
            asked,
            stop,
            thread: Some(thread),
        }
    }

    /// Requests so far: head and body of each.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().unwrap().join();
    }
}

fn serve(
    mut stream: TcpStream,
    origin: &str,
    answers: &Answers,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut text = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Ok(());
        }
        text.extend_from_slice(&part[..read]);
        let so_far = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = so_far.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_lowercase()
                        .strip_prefix("content-length:")?
                        .trim()
                        .parse()
                        .ok()
                })
                .unwrap_or(0);
            if body.len() >= length {
                break;
            }
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut words = text.split_whitespace();
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let path = target.split('?').next().unwrap();
    let key = format!("{method} {origin}{path}");
    let unknown = PeerAnswer {
        status: 404,
        ..PeerAnswer::default()
    };
    let fits = |answer: &&PeerAnswer| {
        answer
            .wants
            .as_ref()
            .is_none_or(|w| text.contains(w.as_str()))
    };
    let otherwise = usual();
    let answer = answers
        .get(&key)
        .filter(fits)
        .or_else(|| otherwise.get(&key))
        .unwrap_or(&unknown);
    log.lock().unwrap().push(text.clone());
    let body = match &answer.body {
        Value::Null => String::new(),
        tree => tree.to_string(),
    };
    write!(
        stream,
        "HTTP/1.1 {} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        answer.status,
        body.len()
    )
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// A manifest in a folder of its own, the vendor that it speaks of, and what the author gives.
struct Stage {
    folder: tempfile::TempDir,
    peers: Vec<(String, Peer)>,
    given: Vec<(String, String)>,
}

impl Stage {
    fn new(manifest: &str, answers: &Answers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("harbordesk.yaml"), manifest).unwrap();
        let peers = ORIGINS
            .iter()
            .map(|origin| ((*origin).to_owned(), Peer::start(origin, answers.clone())))
            .collect();
        Self {
            folder,
            peers,
            given: Vec::new(),
        }
    }

    fn of(example: &Example) -> Self {
        let answers = example.peer.clone().unwrap_or_default();
        let mut stage = Self::new(&example.manifest().unwrap(), &answers);
        for (name, value) in example.given.iter().flatten() {
            stage.give(name, value);
        }
        stage
    }

    /// A field in lower case, a variable in capitals; of a file, what is in it.
    fn give(&mut self, name: &str, value: &str) {
        let value = if name.ends_with("_FILE") {
            std::fs::write(self.file(), value).unwrap();
            self.file().display().to_string()
        } else {
            value.to_owned()
        };
        self.given.push((name.to_owned(), value));
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("refresh-token")
    }

    fn run(&self, format: &str) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyport"));
        command.args(["validate", "--net", "--format", format]);
        for (origin, peer) in &self.peers {
            command.args(["--origin", &format!("{origin}=http://{}", peer.address)]);
        }
        for (name, value) in &self.given {
            if name.chars().all(|c| c.is_ascii_lowercase()) {
                command.args(["--set", &format!("{name}={value}")]);
            } else if name.starts_with("KEYPORT_") {
                command.env(name, value);
            } else {
                command.env(format!("KEYPORT_NET_HARBORDESK_{name}"), value);
            }
        }
        command.current_dir(self.folder.path());
        let output = command.arg("harbordesk.yaml").output().unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn asked(&self) -> Vec<String> {
        self.peers
            .iter()
            .flat_map(|(_, peer)| peer.asked())
            .collect()
    }
}

/// Findings that are more than notes: rule, path, message.
fn found(ran: &Ran) -> Vec<(String, String, String)> {
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    document["manifests"][0]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["severity"] != "note")
        .map(|f| (text(f, "rule"), text(f, "path"), text(f, "message")))
        .collect()
}

#[test]
fn each_rule_about_the_network_fires_on_its_bad_example_and_not_on_its_good_one() {
    let mut wrong = String::new();
    for rule in rules().filter(|rule| rule.layer == Layer::Net) {
        let bad = rule.bad.as_ref().unwrap();
        let of_bad = found(&Stage::of(bad).run("json"));
        let fires = of_bad.iter().any(|(id, path, message)| {
            *id == rule.id
                && bad.at.as_ref().is_none_or(|at| at == path)
                && bad.says.as_ref().is_none_or(|says| message.contains(says))
        });
        if !fires {
            let _ = writeln!(wrong, "{}: silent on the bad example: {of_bad:?}", rule.id);
        }
        let of_good = found(&Stage::of(rule.good.as_ref().unwrap()).run("json"));
        if of_good.iter().any(|(id, ..)| *id == rule.id) {
            let _ = writeln!(wrong, "{}: fires on the good example: {of_good:?}", rule.id);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn what_a_person_is_told_about_each_is_known() {
    for rule in rules().filter(|rule| rule.layer == Layer::Net) {
        let ran = Stage::of(rule.bad.as_ref().unwrap()).run("human");
        insta::with_settings!({ snapshot_path => "snapshots/net", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(rule.id.as_str(), ran.out);
        });
    }
}

/// The base manifest, and a vendor in order.
fn in_order() -> Stage {
    let mut stage = Stage::new(book::base().0, &usual());
    stage.give("subdomain", "northpier");
    stage
}

#[test]
fn a_vendor_in_order_has_nothing_said_against_it() {
    let ran = in_order().run("json");
    assert_eq!(found(&ran), []);
    assert_eq!(ran.code, 0);
}

#[test]
fn a_manifest_with_errors_is_not_followed_anywhere() {
    let broken = book::base().0.replace("summary:", "sumary:");
    let mut stage = Stage::new(&broken, &usual());
    stage.give("subdomain", "northpier");
    let ran = stage.run("json");
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("nothing was sent"), "{}", ran.out);
    assert_eq!(stage.asked(), Vec::<String>::new());
}

#[test]
fn a_manifest_cannot_make_its_reader_call_into_the_readers_own_network() {
    let inside = Peer::start("https://localhost", Answers::new());
    let trap = format!("https://localhost:{}/", inside.address.port());
    let manifest = book::base()
        .0
        .replace("https://www.harbordesk.test/contact", &trap);
    let mut stage = Stage::new(&manifest, &usual());
    stage.give("subdomain", "northpier");
    let ran = stage.run("json");
    assert!(
        found(&ran)
            .iter()
            .any(|(_, path, _)| path == "links.support"),
        "{}",
        ran.out
    );
    assert_eq!(inside.asked(), Vec::<String>::new());
}

#[test]
fn a_credential_goes_to_its_own_app_alone_and_is_never_shown() {
    let mut stage = in_order();
    stage.give("KEYPORT_NET_OTHERDESK_TOKEN", "a-key-of-another-app");
    let ran = stage.run("json");
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(
        ran.err.contains("KEYPORT_NET_OTHERDESK_TOKEN"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("a-key-of-another-app"), "{}", ran.err);
    assert_eq!(stage.asked(), Vec::<String>::new());

    let mut stage = in_order();
    stage.give("TOKEN", "an-api-key-of-mine");
    let ran = stage.run("human");
    assert!(ran.out.contains("V92"), "{}", ran.out);
    assert!(!ran.out.contains("an-api-key-of-mine"), "{}", ran.out);
    for (origin, peer) in &stage.peers {
        let sent = peer
            .asked()
            .iter()
            .any(|text| text.contains("an-api-key-of-mine"));
        assert_eq!(sent, origin.contains("northpier"), "{origin}");
    }
}

#[test]
fn a_test_that_may_change_things_is_not_tried() {
    let manifest = book::base().0.replace(
        "request: { method: GET, path: /v2/me }",
        "# allow V41: this one is only here to be refused\n  request: { method: POST, path: /v2/me }",
    );
    let mut stage = Stage::new(&manifest, &usual());
    stage.give("subdomain", "northpier");
    stage.run("json");
    let posted = stage
        .asked()
        .iter()
        .any(|text| text.starts_with("POST /v2/me"));
    assert!(!posted);
}

#[test]
fn a_rotated_refresh_token_is_kept_and_the_old_one_never_shown_again() {
    let mut answers = usual();
    answers.insert(
        "POST https://northpier.harbordesk.test/oauth/token".to_owned(),
        PeerAnswer {
            status: 200,
            body: json!({"access_token": "at", "token_type": "bearer", "expires_in": 60, "refresh_token": "rt-2"}),
            wants: Some("grant_type=refresh_token".to_owned()),
        },
    );
    let mut stage = Stage::new(book::base().0, &answers);
    stage.give("subdomain", "northpier");
    stage.give("CLIENT_ID", "a-client");
    stage.give("CLIENT_SECRET", "its-secret");
    stage.give("REFRESH_TOKEN_FILE", "rt-1\n");
    let ran = stage.run("json");
    let said = found(&ran);
    assert!(
        said.iter()
            .any(|(rule, _, message)| rule == "V94" && message.contains("changed in one of two")),
        "{said:?}"
    );
    assert_eq!(std::fs::read_to_string(stage.file()).unwrap(), "rt-2\n");
    only_its_owner_reads(&stage.file());
    let refreshes: Vec<String> = stage
        .asked()
        .into_iter()
        .filter(|text| text.contains("grant_type=refresh_token"))
        .collect();
    assert_eq!(refreshes.len(), 2);
    assert!(refreshes[0].contains("refresh_token=rt-1"));
    assert!(refreshes[1].contains("refresh_token=rt-2") && !refreshes[1].contains("rt-1"));
    assert!(!ran.out.contains("rt-2"), "{}", ran.out);
}

#[cfg(unix)]
fn only_its_owner_reads(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[cfg(not(unix))]
fn only_its_owner_reads(_file: &Path) {}
