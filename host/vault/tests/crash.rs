//! Nothing acknowledged is lost when the process is killed, and nothing secret stands in the files.
//!
//! The test binary starts itself again as the process that is killed: [`child`] is a test that does nothing unless it is
//! told a folder by the environment.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod common;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use common::{CONNECTION, id, put, secret_of};
use keyport_vault::{Expect, RootKey, SledOptions, SledStore, Store, StoreError, Vault, Write};

const FOLDER: &str = "KEYPORT_TEST_CRASH_FOLDER";
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const KILLS: usize = 15;
/// So small that checkpoints, too, are hit by the kill.
const SMALL_SEGMENT: u64 = 6_000;
/// When set, the child's segments have the usual size.
const USUAL_SEGMENT: &str = "KEYPORT_TEST_USUAL_SEGMENT";

async fn open(folder: &Path) -> Vault {
    let usual = SledOptions::default();
    let options = SledOptions {
        segment_bytes: match std::env::var_os(USUAL_SEGMENT) {
            Some(_) => usual.segment_bytes,
            None => SMALL_SEGMENT,
        },
        ..usual
    };
    let store = SledStore::open_with(folder.join("store"), options).unwrap();
    let root = RootKey::from_base64(KEY).unwrap();
    Vault::open(Arc::new(store), root).await.unwrap()
}

/// Round `n` of a writer: a pair of records in one commit, one of the earlier pairs deleted now and then.
fn writes(n: u64) -> Vec<Write> {
    let secret = format!("secret of {n}");
    let slot = n % 40;
    let mut writes = vec![
        put(
            &id("left", &format!("l{slot}")),
            Expect::Any,
            secret.as_bytes(),
        ),
        put(
            &id("right", &format!("r{slot}")),
            Expect::Any,
            secret.as_bytes(),
        ),
    ];
    if n.is_multiple_of(7) {
        let gone = id("left", &format!("gone{}", n / 7));
        writes.push(put(&gone, Expect::Any, b"x"));
    }
    if n % 7 == 1 {
        writes.push(Write::Delete {
            id: id("left", &format!("gone{}", n / 7)),
            expect: Expect::Any,
        });
    }
    writes
}

#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let vault = open(folder).await;
    let mut acks = OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join("acks"))
        .unwrap();
    let mut n = acknowledged(folder) + 1;
    loop {
        vault.commit(writes(n)).await.unwrap();
        // One write call: a kill leaves a whole line or a part that is not counted.
        acks.write_all(format!("{n}\n").as_bytes()).unwrap();
        n += 1;
    }
}

/// The last round whose acknowledgement is in the file.
fn acknowledged(folder: &Path) -> u64 {
    let text = std::fs::read_to_string(folder.join("acks")).unwrap_or_default();
    text.lines()
        .zip(text.split_inclusive('\n'))
        .filter(|(_, whole)| whole.ends_with('\n'))
        .filter_map(|(line, _)| line.parse().ok())
        .max()
        .unwrap_or(0)
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn nothing_acknowledged_is_missing_after_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for kill in 0..KILLS {
        let before = acknowledged(folder);
        let mut process = start(folder);
        // Long enough to have written something new, then at another moment each time; some hit the start.
        let wanted = before + u64::try_from(kill % 5).unwrap() * 20;
        let deadline = Instant::now() + Duration::from_secs(60);
        while acknowledged(folder) < wanted {
            assert!(Instant::now() < deadline, "the writer does not get on");
            assert!(
                process.try_wait().unwrap().is_none(),
                "the writer ended by itself"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(u64::try_from(kill).unwrap() * 733));
        process.kill().unwrap();
        process.wait().unwrap();
        if acknowledged(folder) > 0 {
            check(folder, acknowledged(folder)).await;
        }
    }
    assert!(
        acknowledged(folder) > 100,
        "too little was written to mean anything"
    );
}

/// A limit on the size of files stands for the full disk: a write fails half way. It is sled's, whose file is the larger.
#[tokio::test]
async fn a_full_disk_loses_nothing_acknowledged_and_the_store_opens_again() {
    for blocks in [900, 1700] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" --exact child");
        let mut process = Command::new("sh")
            .args(["-c", &limited])
            .arg(std::env::current_exe().unwrap())
            .env(FOLDER, folder)
            .env(USUAL_SEGMENT, "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(120);
        let status = loop {
            if let Some(status) = process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the writer hangs on a full disk");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(!status.success(), "the disk was never full");
        let last = acknowledged(folder);
        assert!(last > 20, "too little was written to mean anything: {last}");
        check(folder, last).await;
    }
}

/// Every acknowledged round is there; at most one more is, and then whole.
async fn check(folder: &Path, last: u64) {
    let vault = open(folder).await;
    let mut expected = BTreeMap::new();
    for n in 1..=last {
        expected.insert(n % 40, n);
    }
    let next = format!("secret of {}", last + 1).into_bytes();
    for (slot, n) in expected {
        let left = secret_of(&vault, &id("left", &format!("l{slot}"))).await;
        let right = secret_of(&vault, &id("right", &format!("r{slot}"))).await;
        assert_eq!(left, right, "half of a commit");
        let secret = format!("secret of {n}").into_bytes();
        assert!(
            left == secret || (left == next && slot == (last + 1) % 40),
            "round {n} of {last}"
        );
    }
    let page = vault.list(CONNECTION, None, None, 500).await.unwrap();
    let gone = page
        .heads
        .iter()
        .filter(|head| head.id.id.starts_with("gone"))
        .count();
    assert!(gone <= 1, "a deletion was undone");
    assert!(page.heads.iter().all(|head| !head.damaged));
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    let deadline = Instant::now() + Duration::from_secs(60);
    while acknowledged(folder.path()) == 0 {
        assert!(Instant::now() < deadline, "the writer does not get on");
        std::thread::sleep(Duration::from_millis(1));
    }
    let refused = SledStore::open(folder.path().join("store")).err().unwrap();
    let pid = process.id();
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(matches!(refused, StoreError::Locked(_)), "{refused}");
    assert!(
        refused.to_string().contains(&format!("pid {pid}")),
        "{refused}"
    );
    assert!(SledStore::open(folder.path().join("store")).is_ok());
}

#[tokio::test]
async fn no_secret_stands_in_the_files_in_any_spelling() {
    let folder = tempfile::tempdir().unwrap();
    let canary = "Canary/Token+Value==&with?odd%signs 7c1f";
    let root = RootKey::from_base64(KEY).unwrap();
    let path = folder.path().join("store");
    let store: Arc<dyn Store> = Arc::new(SledStore::open(&path).unwrap());
    let vault = Vault::open(store, root).await.unwrap();
    for number in 0..50 {
        let id = id("u1", &format!("con_{number}"));
        vault
            .commit(vec![put(&id, Expect::Any, canary.as_bytes())])
            .await
            .unwrap();
    }
    assert_eq!(
        secret_of(&vault, &id("u1", "con_7")).await,
        canary.as_bytes()
    );
    let mac = vault.mac_key("cookie");
    let mut spellings: Vec<Vec<u8>> = vec![mac.to_vec()];
    let root = base64::engine::general_purpose::STANDARD
        .decode(KEY)
        .unwrap();
    for secret in [canary.as_bytes(), &root] {
        // Every window of eight bytes, so that parts do not stand there either.
        spellings.extend(secret.windows(8).map(<[u8]>::to_vec));
        // Base64 at each of the three alignments, without the characters that depend on what is around.
        for skip in 0..3 {
            let text = base64::engine::general_purpose::STANDARD.encode(&secret[skip..]);
            spellings.push(text.as_bytes()[..text.len() - 4].to_vec());
            let text = base64::engine::general_purpose::URL_SAFE.encode(&secret[skip..]);
            spellings.push(text.as_bytes()[..text.len() - 4].to_vec());
        }
    }
    let percent: String = canary
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    spellings.push(percent.into_bytes());
    // While it runs and after it closed.
    let mut files = 0;
    grep(&path, &spellings, &mut files);
    drop(vault);
    grep(&path, &spellings, &mut files);
    assert!(files > 6, "there was nothing to look at");
    // The search does find what is there: titles are in the clear.
    let found = std::panic::catch_unwind(|| grep(&path, &[b"con_7".to_vec()], &mut 0));
    assert!(found.is_err());
}

fn grep(path: &Path, spellings: &[Vec<u8>], files: &mut usize) {
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            grep(&path, spellings, files);
            continue;
        }
        *files += 1;
        let bytes = std::fs::read(&path).unwrap();
        for spelling in spellings {
            let found = bytes
                .windows(spelling.len())
                .any(|window| window == spelling.as_slice());
            assert!(!found, "a secret stands in {}", path.display());
        }
    }
}
