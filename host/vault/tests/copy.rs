//! `store copy`: from one machine's folder to a shared database and back, interrupted at any moment, never half.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod common;
#[path = "common/random.rs"]
mod random;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{id, put, secret_of};
use keyport_tests::postgres::Cluster;
use keyport_vault::store::{Commit, CommitId, Copying, Key, Op, copy};
use keyport_vault::{
    Expect, MemoryStore, PostgresOptions, PostgresStore, RootKey, SledStore, Store, StoreError,
    Vault,
};
use random::{Random, full};

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

async fn vault(store: Arc<dyn Store>) -> Vault {
    Vault::open(store, RootKey::from_base64(KEY).unwrap())
        .await
        .unwrap()
}

/// A vault with records of a few owners.
async fn filled(store: Arc<dyn Store>, records: usize) {
    let vault = vault(store).await;
    for n in 0..records {
        let record = id(&format!("owner-{}", n % 7), &format!("con_{n}"));
        vault
            .commit(vec![put(
                &record,
                Expect::Absent,
                format!("secret of {n}").as_bytes(),
            )])
            .await
            .unwrap();
    }
    // A deleted row, so that revisions and rows are not the same number.
    let gone = id("owner-0", "gone");
    vault
        .commit(vec![put(&gone, Expect::Absent, b"x")])
        .await
        .unwrap();
    vault
        .commit(vec![keyport_vault::Write::Delete {
            id: gone,
            expect: Expect::Exists,
        }])
        .await
        .unwrap();
}

async fn opens(store: Arc<dyn Store>, records: usize) {
    let vault = vault(store).await;
    for n in 0..records {
        let record = id(&format!("owner-{}", n % 7), &format!("con_{n}"));
        assert_eq!(
            secret_of(&vault, &record).await,
            format!("secret of {n}").into_bytes()
        );
    }
}

fn quiet(_: Copying) {}

async fn postgres(url: &str) -> Arc<dyn Store> {
    Arc::new(
        PostgresStore::open(PostgresOptions::parse(url).unwrap())
            .await
            .unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_moves_from_a_folder_to_a_database_and_on_and_opens_there() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let from: Arc<dyn Store> = Arc::new(SledStore::open(folder.path()).unwrap());
    filled(Arc::clone(&from), 60).await;
    let before = from.last_rev().await.unwrap();

    let database = server.database();
    let there = postgres(&database.url).await;
    let mut steps = Vec::new();
    let copied = copy(&*from, &*there, &mut |at| steps.push(at))
        .await
        .unwrap();
    assert!(!copied.resumed);
    assert!(steps.contains(&Copying::Comparing {
        rows: 0,
        of: copied.rows
    }));
    assert!(
        there.last_rev().await.unwrap() > before,
        "an old revision never means something new"
    );
    opens(Arc::clone(&there), 60).await;

    let back = tempfile::tempdir().unwrap();
    let on: Arc<dyn Store> = Arc::new(SledStore::open(back.path()).unwrap());
    let again = copy(&*there, &*on, &mut quiet).await.unwrap();
    assert_eq!((again.rows, &again.digest), (copied.rows, &copied.digest));
    assert!(on.last_rev().await.unwrap() > there.last_rev().await.unwrap());
    opens(Arc::clone(&on), 60).await;
    // Also after it was closed and opened.
    drop(on);
    let on: Arc<dyn Store> = Arc::new(SledStore::open(back.path()).unwrap());
    assert!(on.last_rev().await.unwrap() > there.last_rev().await.unwrap());
    opens(on, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_killed_at_random_goes_on_and_ends_the_same() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    let mut random = Random::said("a_copy_that_is_killed");
    let records = if full() { 20_000 } else { 1500 };
    let from: Arc<dyn Store> = Arc::new(MemoryStore::new());
    filled(Arc::clone(&from), records).await;
    let database = server.database();
    let mut resumed = 0;
    let copied = loop {
        let there = postgres(&database.url).await;
        let (source, target) = (Arc::clone(&from), Arc::clone(&there));
        let copying = tokio::spawn(async move { copy(&*source, &*target, &mut quiet).await });
        tokio::time::sleep(Duration::from_millis(
            20 + random.below(120) * (1 + resumed / 5),
        ))
        .await;
        copying.abort();
        match copying.await {
            Ok(done) => break done.unwrap(),
            Err(_) => {
                resumed += 1;
                // What was on its way when it was killed may still arrive: the rows first.
                let rows = there.scan(b"", None, 1).await.unwrap();
                let marked = there.get(&Key::from("s/restoring")).await.unwrap();
                if !rows.is_empty() && marked.is_none() {
                    break copy(&*from, &*there, &mut quiet).await.unwrap();
                }
            }
        }
    };
    eprintln!("killed {resumed} times");
    let there = postgres(&database.url).await;
    assert_eq!(there.get(&Key::from("s/restoring")).await.unwrap(), None);
    let again = copy(&*there, &MemoryStore::new(), &mut quiet)
        .await
        .unwrap();
    assert_eq!((again.rows, again.digest), (copied.rows, copied.digest));
    opens(there, records.min(50)).await;
}

#[tokio::test]
async fn a_target_that_is_not_empty_is_refused_and_left_as_it_is() {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    filled(Arc::new(from.clone()), 3).await;
    common::raw(&to, vec![Op::Put(Key::from("x"), Bytes::from("mine"))]).await;
    let Err(StoreError::Setup(said)) = copy(&from, &to, &mut quiet).await else {
        panic!("it was taken");
    };
    assert!(said.contains("not empty"), "{said}");
    assert_eq!(to.scan(b"", None, 10).await.unwrap().len(), 1);
    // An interrupted copy of something else, a restore, an empty source, a source that is half itself.
    for marker in [
        r#"{"copy":1,"rows":9,"digest":"00","done":0,"after":null}"#,
        "a restore's own",
    ] {
        let to = MemoryStore::new();
        common::raw(
            &to,
            vec![Op::Put(Key::from("s/restoring"), Bytes::from(marker))],
        )
        .await;
        assert!(matches!(
            copy(&from, &to, &mut quiet).await,
            Err(StoreError::Setup(_))
        ));
        assert!(matches!(
            copy(&to, &MemoryStore::new(), &mut quiet).await,
            Err(StoreError::Setup(_))
        ));
    }
    assert!(matches!(
        copy(&MemoryStore::new(), &MemoryStore::new(), &mut quiet).await,
        Err(StoreError::Setup(_))
    ));
}

#[tokio::test]
async fn a_source_that_is_in_use_is_noticed_and_the_copy_not_finished() {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    filled(Arc::new(from.clone()), 3).await;
    let writing = from.clone();
    let mut tell = |at: Copying| {
        if matches!(at, Copying::Comparing { rows: 0, .. }) {
            let change = Commit {
                id: CommitId::random().unwrap(),
                pre: vec![],
                ops: vec![Op::Put(Key::from("late"), Bytes::from("x"))],
            };
            // The store in memory answers at once.
            futures_util::FutureExt::now_or_never(writing.commit(change))
                .unwrap()
                .unwrap();
        }
    };
    let Err(StoreError::Setup(said)) = copy(&from, &to, &mut tell).await else {
        panic!("it was not noticed");
    };
    assert!(said.contains("stop all hosts"), "{said}");
    assert!(
        to.get(&Key::from("s/restoring")).await.unwrap().is_some(),
        "and no host starts on it"
    );
}
