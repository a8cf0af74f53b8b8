//! Reading everything through while snapshots take away what is being read: nothing is called damaged that is not.

use super::*;
use crate::store::sled::{SledOptions, SledStore};
use crate::store::{Commit, CommitId, Op, Store};

/// A store that makes snapshots when it is told to, with files of the journal that end soon.
fn store() -> (tempfile::TempDir, SledStore) {
    let place = tempfile::tempdir().unwrap();
    let options = SledOptions {
        segment_bytes: 4000,
        scrub_every: None,
        ..SledOptions::default()
    };
    let store = SledStore::open_with(place.path().join("store"), options).unwrap();
    (place, store)
}

fn wait<T>(of: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(of)
}

/// 60 rows of 300 bytes, each in a commit of its own.
fn write(store: &SledStore, mark: u8) {
    for number in 0..60 {
        let commit = Commit {
            id: CommitId::random().unwrap(),
            pre: Vec::new(),
            ops: vec![Op::Put(
                Key::from(format!("r/{number:03}")),
                bytes::Bytes::from(vec![mark; 300]),
            )],
        };
        wait(store.commit(commit)).unwrap();
    }
}

/// Two snapshots: after them nothing of what was there before is needed, and all of it is gone.
fn two_snapshots(store: &SledStore, mark: u8) {
    for more in 0..2 {
        write(store, mark + more);
        wait(store.snapshot()).unwrap();
    }
}

/// Scrubs, and makes two snapshots when `at` says so of the number of the call.
fn scrub_while(store: &SledStore, at: impl Fn(usize) -> bool) -> Result<ScrubReport, StoreError> {
    let mut calls = 0;
    scrub(&store.shared, |_| {
        calls += 1;
        if at(calls) {
            two_snapshots(store, u8::try_from(calls % 200).unwrap());
        }
        true
    })
}

fn assert_sound(report: &ScrubReport) {
    assert_eq!(report.mended, Vec::<String>::new());
    assert_eq!(report.damaged, Vec::<String>::new());
    assert_eq!(report.rows, 60);
}

#[test]
fn snapshots_that_were_replaced_while_they_were_read_are_not_damaged() {
    let (_place, store) = store();
    two_snapshots(&store, 0);
    assert_eq!(store.shared.kept().len(), 2);
    // The first call is in the middle of the first of both.
    assert_sound(&scrub_while(&store, |call| call == 1).unwrap());
}

#[test]
fn a_journal_that_went_while_it_was_read_does_not_contradict_the_index() {
    let (_place, store) = store();
    write(&store, 0);
    let files = store.shared.view().segments.all().len();
    assert!(files > 2, "{files} files of the journal");
    // Without a snapshot the first call is after the first of the files.
    assert_sound(&scrub_while(&store, |call| call == 1).unwrap());
}

#[test]
fn rows_that_moved_while_all_were_read_are_read_where_they_are_now() {
    let (_place, store) = store();
    write(&store, 0);
    let files = store.shared.view().segments.all().len();
    // After the files come the rows, a call each.
    assert_sound(&scrub_while(&store, |call| call == files + 1 || call == files + 20).unwrap());
}

#[test]
fn who_writes_faster_than_it_can_be_read_is_told_so_and_nothing_is_called_damaged() {
    let (_place, store) = store();
    write(&store, 0);
    let error = scrub_while(&store, |_| true).unwrap_err();
    assert!(error.to_string().contains("verify again"), "{error}");
}

#[test]
fn a_list_that_is_read_from_before_two_snapshots_never_shows_an_empty_value() {
    let (_place, store) = store();
    write(&store, 1);
    let old = store.shared.view();
    two_snapshots(&store, 2);
    assert_eq!(
        old.scan(b"r/", None, 100, Patience::Wait),
        Err(ReadError::Moved)
    );
    let now = wait(store.scan(b"r/", None, 100)).unwrap();
    assert_eq!(now.len(), 60);
    assert!(now.iter().all(|(_, rec)| rec.value.len() == 300));
}
