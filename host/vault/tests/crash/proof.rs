//! What the proofs share: a process that writes and says what was acknowledged, the shim that hurts it, and the check of what is
//! left.
//!
//! The test binary starts itself again as that process: [`child`] is a test that does nothing unless it is told a folder by the
//! environment. Round `n` writes a pair of rows in one commit, so half a commit shows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use keyport_vault::store::{Commit, CommitId, Key, Op};
use keyport_vault::{SledOptions, SledStore, Store, StoreError};

const FOLDER: &str = "KEYPORT_PROOF_FOLDER";
const ACKS: &str = "KEYPORT_PROOF_ACKS";
const ROUNDS: &str = "KEYPORT_PROOF_ROUNDS";
/// Rows come in this many pairs.
pub const SLOTS: u64 = 23;
/// How long anything may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Whether the long form is asked for.
pub fn full() -> bool {
    std::env::var("KEYPORT_PROOF").is_ok_and(|proof| proof == "full")
}

/// Random numbers from a seed that is printed, and can be set with `KEYPORT_SEED`.
pub struct Dice(u64);

impl Dice {
    pub fn new(what: &str) -> Self {
        let seed = std::env::var("KEYPORT_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(|| {
                let mut seed = [0; 8];
                getrandom::fill(&mut seed).unwrap();
                u64::from_be_bytes(seed)
            });
        println!("{what}: KEYPORT_SEED={seed}");
        Self(seed)
    }

    /// One that follows from another.
    pub fn new_from(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }
}

/// So small that segments end and snapshots are made every few rounds.
pub fn small() -> SledOptions {
    SledOptions {
        segment_bytes: 8_000,
        snapshot_bytes: 30_000,
        low_water_bytes: 0,
        scrub_every: None,
        ..SledOptions::default()
    }
}

pub fn row(side: &str, slot: u64) -> Key {
    Key::from(format!("r/{side}/{slot:03}"))
}

/// The value of round `n`: its number, then as many bytes as follow from it.
pub fn value(n: u64) -> Vec<u8> {
    let len = usize::try_from(n * 7919 % 1500).unwrap();
    let mut value = n.to_be_bytes().to_vec();
    value.extend((0..len).map(|at| u8::try_from((at + len) % 251).unwrap()));
    value
}

/// The round that a value is of; panics if it is of none.
pub fn round_of(bytes: &[u8]) -> u64 {
    let n = u64::from_be_bytes(*bytes.first_chunk::<8>().expect("a value without a number"));
    assert_eq!(bytes, value(n), "a wrong value");
    n
}

pub fn round(n: u64) -> Commit {
    let slot = n % SLOTS;
    let mut ops = vec![
        Op::Put(row("left", slot), Bytes::from(value(n))),
        Op::Put(row("right", slot), Bytes::from(value(n))),
    ];
    match n % 7 {
        0 => ops.push(Op::Put(row("gone", n / 7), Bytes::from(value(n)))),
        1 => ops.push(Op::Del(row("gone", n / 7))),
        _ => {}
    }
    Commit {
        id: CommitId::random().unwrap(),
        pre: vec![],
        ops,
    }
}

/// What a process said.
#[derive(Debug, Default)]
pub struct Said {
    pub tried: BTreeSet<u64>,
    pub acked: BTreeSet<u64>,
}

impl Said {
    /// Reads what is there. A line that was cut short does not count.
    pub fn read(acks: &Path) -> Self {
        let text = std::fs::read_to_string(acks).unwrap_or_default();
        let mut said = Self::default();
        for line in text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
        {
            let (kind, n) = line.trim_end().split_once(' ').unwrap();
            match kind {
                "t" => said.tried.insert(n.parse().unwrap()),
                _ => said.acked.insert(n.parse().unwrap()),
            };
        }
        said
    }

    pub fn last_acked(&self) -> u64 {
        self.acked.last().copied().unwrap_or(0)
    }

    fn last_tried(&self) -> u64 {
        self.tried.last().copied().unwrap_or(0)
    }

    /// Every acknowledged round is there, or a later one that was tried; pairs are whole; nothing else is there.
    pub async fn check(&self, store: &dyn Store) {
        let mut rows = BTreeMap::new();
        for (key, rec) in store.scan(b"", None, 10_000).await.unwrap() {
            let again = store.get(&key).await.unwrap();
            assert_eq!(again.as_ref(), Some(&rec), "get and scan differ at {key}");
            rows.insert(key, rec.value);
        }
        for slot in 0..SLOTS {
            let mine = |rounds: &BTreeSet<u64>| -> BTreeSet<u64> {
                rounds
                    .iter()
                    .copied()
                    .filter(|n| n % SLOTS == slot)
                    .collect()
            };
            let acked = mine(&self.acked).last().copied();
            let left = rows
                .remove(&row("left", slot))
                .map(|value| round_of(&value));
            let right = rows
                .remove(&row("right", slot))
                .map(|value| round_of(&value));
            assert_eq!(left, right, "half of a commit in slot {slot}");
            assert!(
                left >= acked,
                "slot {slot}: round {acked:?} was acknowledged, {left:?} is there"
            );
            if let Some(n) = left {
                assert!(
                    n == acked.unwrap_or(0) || self.tried.contains(&n),
                    "round {n} was never tried"
                );
            }
        }
        // What is left are rows to be deleted in the next round, or in one that was not acknowledged.
        for (key, value) in rows {
            let n = round_of(&value);
            assert_eq!(key, row("gone", n / 7));
            assert!(
                !self.acked.contains(&(n + 1)),
                "the deletion of {key} was undone"
            );
        }
    }
}

/// Opens the store as the child does and checks it.
pub async fn check(folder: &Path, acks: &Path) {
    let said = Said::read(acks);
    let store = SledStore::open_with(folder, small()).unwrap();
    said.check(&store).await;
    // And it goes on.
    let n = said.last_tried() + 1;
    store.commit(round(n)).await.unwrap();
    let left = store.get(&row("left", n % SLOTS)).await.unwrap().unwrap();
    assert_eq!(round_of(&left.value), n);
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(acks)
        .unwrap();
    file.write_all(format!("t {n}\na {n}\n").as_bytes())
        .unwrap();
}

/// The process that is hurt. Ends by itself after a number of rounds, or never.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let (Some(folder), Some(acks)) = (std::env::var_os(FOLDER), std::env::var_os(ACKS)) else {
        return;
    };
    let rounds: u64 = std::env::var(ROUNDS).unwrap().parse().unwrap();
    // Where a call hangs, that has to be noticed soon.
    let options = match std::env::var("KPSHIM_DO").as_deref() {
        Ok("hang") => SledOptions {
            stuck: Duration::from_secs(2),
            ..small()
        },
        _ => small(),
    };
    let store = match SledStore::open_with(&folder, options) {
        Ok(store) => store,
        // A fault while it opens: that is said, and that is all.
        Err(StoreError::Unavailable(_) | StoreError::Corrupt(_)) => return,
        Err(error) => panic!("{error}"),
    };
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&acks)
        .unwrap();
    let begun = Said::read(Path::new(&acks));
    let mut n = begun.last_tried();
    let end = if rounds == 0 { u64::MAX } else { n + rounds };
    while n < end {
        n += 1;
        // One write call each: a kill leaves a whole line or a part that is not counted.
        file.write_all(format!("t {n}\n").as_bytes()).unwrap();
        if store.commit(round(n)).await.is_ok() {
            file.write_all(format!("a {n}\n").as_bytes()).unwrap();
        } else {
            // Whatever happened to writing, reading goes on.
            Said::read(Path::new(&acks)).check(&store).await;
        }
    }
    Said::read(Path::new(&acks)).check(&store).await;
    if std::env::var("KPSHIM_DO").as_deref() == Ok("hang") {
        // Neither reading all of it nor the end of the process waits for a disk that does not answer.
        let looked = tokio::time::timeout(PATIENCE / 2, store.verify()).await;
        looked
            .expect("verify ends")
            .expect("and tells what it found");
    }
}

/// How a process is to be hurt.
#[derive(Debug, Clone, Copy)]
pub enum Hurt<'a> {
    No,
    /// At this call.
    At(u64, &'a str),
    /// This `fdatasync` of the journal never returns.
    Hang(u64),
    /// What is durable is kept there.
    Shadow(&'a Path),
}

/// Starts the process, with the shim.
pub fn start(folder: &Path, acks: &Path, rounds: u64, hurt: Hurt<'_>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "proof::child", "--nocapture"])
        .env(FOLDER, folder)
        .env(ACKS, acks)
        .env(ROUNDS, rounds.to_string())
        .env("LD_PRELOAD", shim())
        .env("KPSHIM_ROOT", folder)
        .env("KPSHIM_LOG", acks.with_extension("log"))
        .stdout(Stdio::null())
        .stderr(Stdio::from(
            std::fs::File::create(acks.with_extension("err")).unwrap(),
        ));
    match hurt {
        Hurt::No => {}
        Hurt::At(number, how) => {
            command
                .env("KPSHIM_AT", number.to_string())
                .env("KPSHIM_DO", how);
        }
        Hurt::Hang(number) => {
            command
                .env("KPSHIM_AT", number.to_string())
                .env("KPSHIM_DO", "hang")
                .env("KPSHIM_ONLY", "/journal/");
        }
        Hurt::Shadow(shadow) => {
            command.env("KPSHIM_SHADOW", shadow);
        }
    }
    command.spawn().unwrap()
}

/// Waits for a process that ends by itself.
pub fn wait(mut process: Child, what: &str) -> std::process::ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            let _ = process.kill();
            panic!("the process hangs: {what}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the process has got so far.
pub fn until(process: &mut Child, acks: &Path, acked: u64) {
    let deadline = Instant::now() + PATIENCE;
    while Said::read(acks).last_acked() < acked {
        assert!(Instant::now() < deadline, "the process does not get on");
        assert!(
            process.try_wait().unwrap().is_none(),
            "the process ended by itself"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The shim, compiled once.
fn shim() -> &'static Path {
    static SHIM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = SHIM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/shim.c");
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
            .args([&path, &source])
            .arg("-ldl")
            .output()
            .expect("a C compiler (cc) is needed, as it is to build keyport");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        (folder, path)
    });
    path
}

/// Copies a folder.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => std::fs::copy(entry.path(), target).map(|_| ()).unwrap(),
        }
    }
}

/// All files below, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}
