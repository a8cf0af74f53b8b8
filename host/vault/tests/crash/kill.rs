//! Lines 1, 3 and 15: nothing acknowledged is lost when the process is killed, at any moment and while it starts; a second
//! process is refused. And nothing secret stands in the files.
//!
//! The whole vault is used here, with its own process that is killed: [`child`] is a test that does nothing unless it is told a
//! folder by the environment.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use keyport_vault::{Expect, RootKey, SledOptions, SledStore, Store, StoreError, Vault, Write};

use crate::common::{CONNECTION, id, put, secret_of};
use crate::proof::{Dice, full};

const FOLDER: &str = "KEYPORT_TEST_CRASH_FOLDER";
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
async fn open(folder: &Path) -> Vault {
    // So small that new segments and snapshots, too, are hit by the kill.
    let options = SledOptions {
        segment_bytes: 6_000,
        snapshot_bytes: 20_000,
        ..SledOptions::default()
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
        .args(["--exact", "kill::child", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn line_01_nothing_acknowledged_is_missing_after_kill_9_at_random() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut dice = Dice::new("kills at random");
    let kills = if full() { 200 } else { 12 };
    for _ in 0..kills {
        let wanted = acknowledged(folder) + dice.below(60);
        let mut process = start(folder);
        let deadline = Instant::now() + Duration::from_secs(60);
        while acknowledged(folder) < wanted {
            assert!(Instant::now() < deadline, "the writer does not get on");
            assert!(
                process.try_wait().unwrap().is_none(),
                "the writer ended by itself"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(dice.below(10_000)));
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

/// Killed again and again before it has finished starting, on one and the same store, without any check between.
#[tokio::test]
async fn line_03_killed_while_it_starts_it_always_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut dice = Dice::new("kills at the start");
    let kills = if full() { 150 } else { 20 };
    let mut process = start(folder);
    let deadline = Instant::now() + Duration::from_secs(60);
    while acknowledged(folder) < 150 {
        assert!(Instant::now() < deadline, "the writer does not get on");
        std::thread::sleep(Duration::from_millis(1));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    for _ in 0..kills {
        let mut process = start(folder);
        std::thread::sleep(Duration::from_micros(dice.below(60_000)));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    check(folder, acknowledged(folder)).await;
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
async fn line_15_a_second_process_is_refused_at_once() {
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
    // Small files: every byte of them is looked at some hundred times.
    let options = SledOptions {
        segment_bytes: 20_000,
        snapshot_bytes: 30_000,
        ..SledOptions::default()
    };
    let store: Arc<dyn Store> = Arc::new(SledStore::open_with(&path, options).unwrap());
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
