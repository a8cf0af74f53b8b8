//! Lines 11 and 12: nobody waits for long, and what is stored takes a bounded part of disk and memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use keyport_vault::store::{Commit, CommitId, Key, LeaseName, NodeId, Op, Pre};
use keyport_vault::{Health, LeaseTry, SledOptions, SledStore, Store, StoreError};

use crate::proof::{Dice, files, full, small};

const STALL: Duration = Duration::from_secs(1);

fn key(number: u64) -> Key {
    Key::from(format!(
        "r/connection/owner{:03}/con{number:05}",
        number % 50
    ))
}

/// Eight threads, each with its own runtime, write, compare and swap, delete, read, list and take leases.
#[test]
fn line_11_eight_threads_for_minutes_and_nobody_waits_for_a_second() {
    let place = tempfile::tempdir().unwrap();
    let time = if full() {
        Duration::from_secs(600)
    } else {
        Duration::from_secs(8)
    };
    // Usual sizes, but snapshots often.
    let options = SledOptions {
        snapshot_bytes: 2_000_000,
        segment_bytes: 500_000,
        ..small()
    };
    let store = Arc::new(SledStore::open_with(place.path().join("store"), options).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    // What this machine does to a bare thread that syncs a file in the same place: a stall of that is not the store's.
    let (control, end) = (place.path().join("control"), Arc::clone(&stop));
    let control = std::thread::spawn(move || control_thread(&control, &end));
    let done = Arc::new(AtomicU64::new(0));
    let mut dice = Dice::new("soak");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (store, stop, done) = (Arc::clone(&store), Arc::clone(&stop), Arc::clone(&done));
            let mut dice = Dice::new_from(dice.below(u64::MAX));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                let mut worst = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    runtime.block_on(one(&store, &mut dice));
                    worst = worst.max(begun.elapsed());
                    done.fetch_add(1, Ordering::Relaxed);
                }
                worst
            })
        })
        .collect();
    std::thread::sleep(time);
    stop.store(true, Ordering::Relaxed);
    let worst = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .max()
        .unwrap();
    let control = control.join().unwrap();
    let done = done.load(Ordering::Relaxed);
    println!("{done} operations in {time:?}, the longest {worst:?}; a bare thread: {control:?}");
    assert!(done > 500, "too little was done to mean anything");
    assert!(
        worst < STALL + 3 * control,
        "a stall of {worst:?}, where a bare thread had one of {control:?}"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    assert_eq!(runtime.block_on(store.health()), Health::Ok);
    let report = runtime.block_on(store.verify()).unwrap();
    assert!(
        report.damaged.is_empty() && report.mended.is_empty(),
        "{report:?}"
    );
}

fn control_thread(path: &Path, stop: &AtomicBool) -> Duration {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    let mut worst = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        file.write_all(&[1; 2000]).unwrap();
        file.sync_data().unwrap();
        worst = worst.max(begun.elapsed());
        std::thread::sleep(Duration::from_millis(2));
    }
    worst
}

async fn one(store: &SledStore, dice: &mut Dice) {
    let key = key(dice.below(2000));
    let commit = |pre, ops| Commit {
        id: CommitId::random().unwrap(),
        pre,
        ops,
    };
    let value = Bytes::from(vec![7; usize::try_from(dice.below(1500)).unwrap()]);
    match dice.below(10) {
        0..=2 => {
            store.get(&key).await.unwrap();
        }
        3 => {
            store
                .scan(b"r/connection/owner007/", None, 50)
                .await
                .unwrap();
        }
        4 | 5 => {
            // One that others compete for.
            let pre = match store.get(&key).await.unwrap() {
                Some(rec) => Pre::At(key.clone(), rec.rev),
                None => Pre::Absent(key.clone()),
            };
            match store
                .commit(commit(vec![pre], vec![Op::Put(key, value)]))
                .await
            {
                Ok(_) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        6 => {
            store
                .commit(commit(vec![], vec![Op::Del(key)]))
                .await
                .unwrap();
        }
        7 => {
            let name = LeaseName(format!("refresh/{}", dice.below(20)));
            let got = store
                .lease_try(&name, &NodeId("n".into()), Duration::from_secs(30))
                .await
                .unwrap();
            if let LeaseTry::Got(lease) = got {
                store.lease_release(lease).await.unwrap();
            }
        }
        _ => {
            let other = self::key(dice.below(2000));
            let mut ops = vec![Op::Put(key.clone(), value.clone())];
            if other != key {
                ops.push(Op::Put(other, value));
            }
            store.commit(commit(vec![], ops)).await.unwrap();
        }
    }
}

/// Everything is overwritten a hundred times (ten in the short form), with the usual settings but for their floors.
#[tokio::test(flavor = "multi_thread")]
async fn line_12_disk_and_memory_stay_bounded_however_often_everything_is_overwritten() {
    let place = tempfile::tempdir().unwrap();
    let (rows, times) = if full() {
        (40_000_u64, 100)
    } else {
        (6_000, 10)
    };
    let options = SledOptions {
        segment_bytes: 1024 * 1024,
        snapshot_bytes: 1024 * 1024,
        scrub_every: None,
        ..SledOptions::default()
    };
    let store = SledStore::open_with(place.path(), options).unwrap();
    let row = |number: u64, time: u64| {
        let key = key(number);
        let value = vec![u8::try_from((number + time) % 251).unwrap(); 1024];
        Op::Put(key, Bytes::from(value))
    };
    let live: u64 = (0..rows)
        .map(|number| u64::try_from(key(number).as_bytes().len() + 1024).unwrap())
        .sum();
    let (mut peak, mut memory) = (0, 0);
    for time in 0..times {
        for first in (0..rows).step_by(100) {
            let commit = Commit {
                id: CommitId::random().unwrap(),
                pre: vec![],
                ops: (first..first + 100)
                    .map(|number| row(number, time))
                    .collect(),
            };
            store.commit(commit).await.unwrap();
        }
        peak = peak.max(used(place.path()));
        memory = memory.max(resident());
    }
    // A snapshot that is just being made is ended first, as it is soon after the last write.
    store.snapshot().await.unwrap();
    let rest = used(place.path());
    for number in 0..rows {
        let Op::Put(key, value) = row(number, times - 1) else {
            continue;
        };
        assert_eq!(store.get(&key).await.unwrap().unwrap().value, value);
    }
    let part = |bytes: u64| bytes as f64 / live as f64;
    println!(
        "{rows} rows, {} MB live, overwritten {times} times: disk {:.2} × live at rest, {:.2} × at the most; memory {} MB",
        live >> 20,
        part(rest),
        part(peak),
        memory >> 20
    );
    assert!(
        part(rest) <= 3.0,
        "at rest the disk holds {:.2} × what is live",
        part(rest)
    );
    // While a snapshot is being made there are three, and the writes meanwhile.
    assert!(
        part(peak) <= 6.0,
        "at the most the disk held {:.2} × what is live",
        part(peak)
    );
    assert!(memory < 400 << 20, "{} MB of memory", memory >> 20);
}

/// Blocks that the files take.
fn used(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // One may go while it is looked at.
    files_now(folder)
        .iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|meta| meta.blocks() * 512)
        .sum()
}

fn files_now(folder: &Path) -> Vec<std::path::PathBuf> {
    std::panic::catch_unwind(|| files(folder)).unwrap_or_default()
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
