//! Lines 9 and 10: each single call that writes to the store's files, from the first of its opening on, fails once, fails from then
//! on, or is the last one of the process. The shim counts the calls of the process, sled's own among them.

use std::path::Path;

use keyport_vault::{Health, SledOptions, SledStore, Store, StoreError};

use crate::proof::{Dice, Hurt, SLOTS, check, full, round, row, small, start, wait};

/// Enough rounds for new segments and a snapshot.
const ROUNDS: u64 = 40;

/// The calls that an unhurt process makes.
fn calls(place: &Path) -> Vec<String> {
    let (folder, acks) = (place.join("unhurt"), place.join("unhurt-acks"));
    std::fs::create_dir(&folder).unwrap();
    let status = wait(start(&folder, &acks, ROUNDS, Hurt::No), "unhurt");
    assert!(status.success(), "{}", errors(&acks));
    let log = std::fs::read_to_string(acks.with_extension("log")).unwrap();
    let calls: Vec<String> = log.lines().map(str::to_owned).collect();
    for wanted in [
        "journal/",
        "snapshots/",
        "index/",
        "fdatasync",
        "rename",
        "unlink",
    ] {
        assert!(
            calls.iter().any(|call| call.contains(wanted)),
            "no {wanted} among the calls, so the proof would show nothing"
        );
    }
    calls
}

fn errors(acks: &Path) -> String {
    std::fs::read_to_string(acks.with_extension("err")).unwrap_or_default()
}

/// The numbers to be tried: all, or as many as a short run has time for, chosen by the seed.
fn numbers(calls: usize, short: u64, dice: &mut Dice) -> Vec<u64> {
    let calls = u64::try_from(calls).unwrap();
    if full() {
        return (1..=calls).collect();
    }
    let step = calls / short.min(calls);
    (0..short.min(calls))
        .map(|part| 1 + part * step + dice.below(step))
        .collect()
}

#[tokio::test]
async fn line_09_a_full_or_failing_disk_at_any_call_acknowledges_nothing_false_and_reads_go_on() {
    let place = tempfile::tempdir().unwrap();
    let calls = calls(place.path());
    let mut dice = Dice::new("failing calls");
    let mut tried = 0;
    for how in ["enospc", "eio", "enospc-on", "eio-on"] {
        for number in numbers(calls.len(), 8, &mut dice) {
            let folder = place.path().join(format!("{how}-{number}"));
            let acks = place.path().join("acks");
            let _ = std::fs::remove_file(&acks);
            std::fs::create_dir(&folder).unwrap();
            let what = format!(
                "{how} at call {number}, {}",
                calls.get(usize::try_from(number - 1).unwrap()).unwrap()
            );
            let process = start(&folder, &acks, ROUNDS, Hurt::At(number, how));
            let status = wait(process, &what);
            // It checks its own reads after each refused commit and at its end.
            assert!(status.success(), "{what}: {}", errors(&acks));
            check(&folder, &acks).await;
            std::fs::remove_dir_all(&folder).unwrap();
            tried += 1;
        }
    }
    println!("{tried} faults at {} calls", calls.len());
}

#[tokio::test]
async fn line_10_commits_of_several_rows_are_whole_or_absent_after_a_crash_at_each_step() {
    let place = tempfile::tempdir().unwrap();
    let calls = calls(place.path());
    let mut dice = Dice::new("crashes at calls");
    let mut tried = 0;
    for how in ["kill", "half"] {
        for number in numbers(calls.len(), 14, &mut dice) {
            let folder = place.path().join(format!("{how}-{number}"));
            let acks = place.path().join("acks");
            let _ = std::fs::remove_file(&acks);
            std::fs::create_dir(&folder).unwrap();
            let what = format!("{how} at call {number}");
            wait(start(&folder, &acks, ROUNDS, Hurt::At(number, how)), &what);
            check(&folder, &acks).await;
            // And once more in the recovery from that, at a call of its own.
            let again = 1 + dice.below(30);
            wait(start(&folder, &acks, ROUNDS, Hurt::At(again, how)), &what);
            check(&folder, &acks).await;
            std::fs::remove_dir_all(&folder).unwrap();
            tried += 1;
        }
    }
    println!(
        "{tried} crashes, each with one in its recovery, at {} calls",
        calls.len()
    );
}

/// sled can deadlock, and a disk can stop answering: here a write never returns.
#[tokio::test]
async fn line_11_a_writer_that_hangs_is_noticed_who_waits_is_told_and_reads_go_on() {
    let place = tempfile::tempdir().unwrap();
    let (folder, acks) = (place.path().join("store"), place.path().join("acks"));
    std::fs::create_dir(&folder).unwrap();
    let status = wait(start(&folder, &acks, ROUNDS, Hurt::Hang(20)), "hang");
    assert!(status.success(), "{}", errors(&acks));
    let said = crate::proof::Said::read(&acks);
    assert!(
        said.acked.len() < said.tried.len() && said.acked.len() > 5,
        "{said:?}"
    );
    check(&folder, &acks).await;
}

#[tokio::test]
async fn line_09_below_the_low_water_mark_writes_are_refused_with_a_sentence_and_reads_go_on() {
    let place = tempfile::tempdir().unwrap();
    {
        let store = SledStore::open_with(place.path(), small()).unwrap();
        store.commit(round(1)).await.unwrap();
    }
    let options = SledOptions {
        low_water_bytes: u64::MAX,
        ..small()
    };
    let store = SledStore::open_with(place.path(), options).unwrap();
    let mut written = 1;
    // What still goes into the present file of the journal does.
    let refused = loop {
        match store.commit(round(written + 1)).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100, "nothing is ever refused");
    };
    let StoreError::Unavailable(why) = refused else {
        panic!("{refused}");
    };
    assert!(
        why.contains("nearly full") && why.contains("free some space"),
        "{why}"
    );
    assert_eq!(store.health().await, Health::Failed(why));
    for n in 1..=written {
        assert!(store.get(&row("left", n % SLOTS)).await.unwrap().is_some());
    }
    drop(store);
    let store = SledStore::open_with(place.path(), small()).unwrap();
    assert_eq!(store.health().await, Health::Ok);
    store.commit(round(written + 1)).await.unwrap();
}
