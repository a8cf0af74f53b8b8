//! A million connections on the embedded store: `cargo bench -p keyport-vault --bench store [-- COUNT…]`
//!
//! Makes a vault with 10,000 connections and one with 1,000,000 (or as many as are named), ten for each owner, through the vault's own
//! interface. Then, in a process of its own: how long opening takes, until the first connection is read; how long `get` and a list of
//! one owner take at random, as a ratio to the smallest vault of the same run; memory and disk against what is live.
//! A read on the caller's thread is compared with the same through a blocking thread, which is what decided for the former.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement, run by hand"
)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use keyport_vault::store::Key;
use keyport_vault::{
    Expect, Kind, Owner, RecordId, RootKey, SecretBytes, SecretWrite, SledStore, Store, Vault,
    Write,
};
use serde_json::json;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const CONNECTION: Kind = Kind::new("connection");
const PER_OWNER: u64 = 10;
const READS: u64 = 20_000;

fn owner(number: u64) -> Owner {
    Owner::new(&format!("user-{number:08}")).unwrap()
}

fn id(number: u64) -> RecordId {
    RecordId::new(
        CONNECTION,
        owner(number / PER_OWNER),
        format!("con_{number:012}"),
    )
}

async fn open(folder: &Path) -> (Arc<SledStore>, Vault) {
    let store = Arc::new(SledStore::open(folder).unwrap());
    let vault = Vault::open(
        Arc::clone(&store) as Arc<dyn Store>,
        RootKey::from_base64(KEY).unwrap(),
    );
    (Arc::clone(&store), vault.await.unwrap())
}

async fn fill(folder: &Path, count: u64) {
    let (store, vault) = open(folder).await;
    let begun = Instant::now();
    stream::iter(0..count / PER_OWNER)
        .for_each_concurrent(64, |owner| {
            let vault = vault.clone();
            async move {
                let writes = (owner * PER_OWNER..(owner + 1) * PER_OWNER)
                    .map(|number| Write::Put {
                        id: id(number),
                        expect: Expect::Any,
                        clear: json!({"app": "github", "title": "Ada's account", "state": "connected",
                            "account": format!("ada-{number}"), "created_at": 1_764_000_000_000_u64 + number}),
                        secret: SecretWrite::Put(SecretBytes::new(vec![1; 900])),
                    })
                    .collect();
                vault.commit(writes).await.unwrap();
            }
        })
        .await;
    println!(
        "{count} connections written in {:.1?}, {:.0}/s",
        begun.elapsed(),
        count as f64 / begun.elapsed().as_secs_f64()
    );
    drop(vault);
    drop(store);
}

fn used(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => used(&path),
                false => std::fs::metadata(&path).unwrap().blocks() * 512,
            }
        })
        .sum()
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// The median and the 99th percentile.
fn quantiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// Prints what is measured, and on its last line the medians of `get` and list in nanoseconds.
async fn measure(folder: &Path, count: u64) {
    let begun = Instant::now();
    let (store, vault) = open(folder).await;
    vault.get(&id(count / 2)).await.unwrap().unwrap();
    let opened = begun.elapsed();
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % count
    };
    let (mut gets, mut lists, mut direct, mut hops) = (vec![], vec![], vec![], vec![]);
    // The first read for an owner after the start also reads and unwraps their key; then it is in memory.
    let mut firsts = vec![];
    for owner in 0..count / PER_OWNER {
        let id = id(owner * PER_OWNER);
        let begun = Instant::now();
        vault.get(&id).await.unwrap().unwrap();
        firsts.push(begun.elapsed());
    }
    let (first, first_99) = quantiles(firsts);
    for _ in 0..READS {
        let id = id(random());
        let begun = Instant::now();
        vault.get(&id).await.unwrap().unwrap();
        gets.push(begun.elapsed());
    }
    for _ in 0..READS / 10 {
        let owner = owner(random() / PER_OWNER);
        let begun = Instant::now();
        let page = vault
            .list(CONNECTION, Some(&owner), None, 50)
            .await
            .unwrap();
        lists.push(begun.elapsed());
        assert_eq!(page.heads.len(), 10);
    }
    for _ in 0..READS / 4 {
        let number = random();
        let key = Key::from(format!(
            "r/connection/user-{:08}/con_{number:012}",
            number / PER_OWNER
        ));
        let begun = Instant::now();
        store.get(&key).await.unwrap().unwrap();
        direct.push(begun.elapsed());
        let begun = Instant::now();
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        hops.push(begun.elapsed());
    }
    let live = count * 1_300;
    let (get, get_99) = quantiles(gets);
    let (list, list_99) = quantiles(lists);
    let (direct, _) = quantiles(direct);
    let (hop, _) = quantiles(hops);
    println!(
        "{count}: open and first read {opened:.2?}; get {get:.1?} (99 %: {get_99:.1?}), the first for an owner {first:.1?} (99 %: {first_99:.1?}); list of one owner {list:.1?} (99 %: {list_99:.1?})"
    );
    println!(
        "{count}: store alone {direct:.1?} on the caller's thread; the way to a blocking thread and back alone {hop:.1?}"
    );
    println!(
        "{count}: memory {} MB, disk {} MB ({:.2} of about {} MB live)",
        resident() >> 20,
        used(folder) >> 20,
        used(folder) as f64 / live as f64,
        live >> 20
    );
    println!("{} {}", get.as_nanos(), list.as_nanos());
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"))
        .collect();
    if args.first().is_some_and(|arg| arg == "measure") {
        let count = args[2].parse().unwrap();
        return runtime.block_on(measure(Path::new(&args[1]), count));
    }
    if args.is_empty() {
        args = vec!["10000".into(), "1000000".into()];
    }
    let mut first: Option<(f64, f64)> = None;
    for count in args {
        let folder = tempfile::tempdir().unwrap();
        runtime.block_on(fill(folder.path(), count.parse().unwrap()));
        let measured = Command::new(std::env::current_exe().unwrap())
            .arg("measure")
            .arg(folder.path())
            .arg(&count)
            .output()
            .unwrap();
        let text = String::from_utf8(measured.stdout).unwrap();
        assert!(
            measured.status.success(),
            "{}",
            String::from_utf8_lossy(&measured.stderr)
        );
        let (said, medians) = text.trim_end().rsplit_once('\n').unwrap();
        println!("{said}");
        let (get, list) = medians.split_once(' ').unwrap();
        let (get, list): (f64, f64) = (get.parse().unwrap(), list.parse().unwrap());
        let (get_0, list_0) = *first.get_or_insert((get, list));
        println!(
            "{count}: get {:.2}, list {:.2} of the smallest",
            get / get_0,
            list / list_0
        );
    }
}
