//! What every store must do, run against each of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use keyport_tests::postgres::Cluster;
use keyport_vault::store::{
    Commit, CommitId, Key, LeaseName, NodeId, OPS_MAX, Op, Pre, Rec, VALUE_MAX,
};
use keyport_vault::{
    Clock, Health, Lease, LeaseTry, MemoryStore, PostgresOptions, PostgresStore, Rev, SledOptions,
    SledStore, Store, StoreError,
};

fn key(text: &str) -> Key {
    Key::from(text)
}

fn put(name: &str, value: &str) -> Op {
    Op::Put(key(name), Bytes::copy_from_slice(value.as_bytes()))
}

fn commit(pre: Vec<Pre>, ops: Vec<Op>) -> Commit {
    Commit {
        id: CommitId::random().unwrap(),
        pre,
        ops,
    }
}

async fn write(store: &dyn Store, ops: Vec<Op>) -> Rev {
    store.commit(commit(vec![], ops)).await.unwrap().rev
}

async fn value(store: &dyn Store, name: &str) -> Option<String> {
    let rec = store.get(&key(name)).await.unwrap()?;
    Some(String::from_utf8(rec.value.to_vec()).unwrap())
}

/// Runs a check against each store, with a way to let the store's time pass.
macro_rules! on_every_store {
    ($($name:ident($store:ident, $now:ident) $body:block)+) => {
        $(mod $name {
            use super::*;

            async fn check($store: &dyn Store, $now: &Time) $body

            #[tokio::test]
            async fn line_14_memory() {
                let (clock, now) = turnable();
                check(&MemoryStore::with_clock(clock), &Time::Turned(now)).await;
            }

            #[tokio::test]
            async fn line_14_sled() {
                let folder = tempfile::tempdir().unwrap();
                let (clock, now) = turnable();
                let options = SledOptions { clock, ..SledOptions::default() };
                check(&SledStore::open_with(folder.path(), options).unwrap(), &Time::Turned(now)).await;
            }

            #[tokio::test]
            async fn line_14_postgres() {
                let Some(server) = Cluster::shared() else { return };
                let database = server.database();
                let store = PostgresStore::open(PostgresOptions::parse(&database.url).unwrap()).await.unwrap();
                check(&store, &Time::Moved(server, database.name().to_owned())).await;
            }
        })+
    };
}

/// How a check lets the store's time pass.
enum Time {
    /// The store goes by this clock.
    Turned(Arc<AtomicU64>),
    /// The database goes by its own; what is to end sooner is moved.
    Moved(&'static Cluster, String),
}

impl Time {
    fn pass(&self, ms: u64) {
        match self {
            Self::Turned(now) => {
                now.fetch_add(ms, Ordering::SeqCst);
            }
            Self::Moved(server, database) => {
                server.sql(
                    database,
                    &format!("UPDATE keyport_lease SET until_ms = until_ms - {ms}"),
                );
            }
        }
    }

    /// How long from now until then, in seconds; a database's test takes time itself.
    fn seconds_until(&self, until_ms: u64) -> u64 {
        let now = match self {
            Self::Turned(now) => now.load(Ordering::SeqCst),
            Self::Moved(server, database) => {
                let asked = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)";
                server.sql(database, asked).parse().unwrap()
            }
        };
        until_ms.saturating_sub(now).div_ceil(1000)
    }
}

fn turnable() -> (Clock, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(1_000_000));
    let shown = Arc::clone(&now);
    (Clock::from_fn(move || shown.load(Ordering::SeqCst)), now)
}

on_every_store! {
    what_is_written_is_read_with_the_revision_of_its_commit(store, _now) {
        assert_eq!(store.get(&key("a")).await.unwrap(), None);
        assert_eq!(store.last_rev().await.unwrap(), Rev(0));
        let rev = write(store, vec![put("a", "1"), put("b", "2")]).await;
        for (name, expected) in [("a", "1"), ("b", "2")] {
            let rec = store.get(&key(name)).await.unwrap();
            assert_eq!(rec, Some(Rec { rev, value: Bytes::from(expected) }));
        }
        assert_eq!(store.last_rev().await.unwrap(), rev);
        assert_eq!(store.health().await, Health::Ok);
    }

    preconditions_hold_or_nothing_is_written(store, _now) {
        let rev = write(store, vec![put("there", "1")]).await;
        let old = rev;
        let rev = write(store, vec![put("there", "2")]).await;
        let refused = [
            (Pre::Absent(key("there")), "there", Some(rev)),
            (Pre::At(key("there"), old), "there", Some(rev)),
            (Pre::At(key("gone"), rev), "gone", None),
            (Pre::Exists(key("gone")), "gone", None),
        ];
        for (pre, name, actual) in refused {
            let ops = [put("there", "3"), put("new", "3"), Op::Del(key("there"))];
            let pre = vec![Pre::Exists(key("there")), pre];
            // Not even when the operation in question comes after others.
            let got = store.commit(commit(pre, ops[..2].to_vec())).await;
            assert_eq!(got, Err(StoreError::Conflict { key: key(name), actual }));
        }
        assert_eq!(value(store, "there").await.as_deref(), Some("2"));
        assert_eq!(value(store, "new").await, None);
        let good = vec![Pre::At(key("there"), rev), Pre::Exists(key("there")), Pre::Absent(key("gone"))];
        store.commit(commit(good, vec![put("there", "3"), Op::Del(key("gone"))])).await.unwrap();
        assert_eq!(value(store, "there").await.as_deref(), Some("3"));
    }

    a_row_made_again_never_shows_an_old_revision(store, _now) {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..5 {
            assert!(seen.insert(write(store, vec![put("a", "1")]).await));
            assert!(seen.insert(write(store, vec![Op::Del(key("a"))]).await));
        }
        assert_eq!(value(store, "a").await, None);
    }

    scans_are_in_order_within_the_prefix_and_page_without_gaps(store, _now) {
        let mut names = ["r/a/1", "r/a/10", "r/a/2", "r/a%/1", "r/b/1", "r/a", "s/a/1", "r/a/~"];
        write(store, names.iter().map(|name| put(name, name)).collect()).await;
        names.sort_unstable();
        let expected: Vec<_> = names.iter().filter(|name| name.starts_with("r/a/")).copied().collect();
        for limit in 1..=5 {
            let mut found = Vec::new();
            let mut after: Option<Key> = None;
            loop {
                let page = store.scan(b"r/a/", after.as_ref(), limit).await.unwrap();
                assert!(page.len() <= usize::try_from(limit).unwrap());
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                found.extend(page.iter().map(|(name, rec)| {
                    assert_eq!(name.as_bytes(), rec.value.as_ref());
                    name.to_string()
                }));
            }
            assert_eq!(found, expected, "limit {limit}");
        }
        // A cursor from before the range begins at its start; one from after it finds nothing.
        assert_eq!(store.scan(b"r/b/", Some(&key("a")), 10).await.unwrap().len(), 1);
        assert_eq!(store.scan(b"r/b/", Some(&key("z")), 10).await.unwrap().len(), 0);
        assert_eq!(store.scan(b"", None, 100).await.unwrap().len(), names.len());
        assert_eq!(store.scan(b"", None, 0).await.unwrap().len(), 0);
    }

    get_many_answers_in_the_order_asked_for(store, _now) {
        write(store, vec![put("a", "1"), put("b", "2")]).await;
        let got = store.get_many(&[key("b"), key("x"), key("a"), key("b")]).await.unwrap();
        let got: Vec<_> = got.into_iter().map(|rec| rec.map(|rec| rec.value)).collect();
        assert_eq!(got, [Some("2".into()), None, Some("1".into()), Some("2".into())]);
    }

    limits_are_refused_before_anything_is_written(store, _now) {
        let big = Op::Put(key("big"), Bytes::from(vec![0; VALUE_MAX + 1]));
        let many = (0..=OPS_MAX).map(|n| put(&n.to_string(), "")).collect();
        let long = "k".repeat(5000);
        for ops in [vec![], vec![big], many, vec![put("a", "1"), put("a", "2")], vec![put("", "1")], vec![put(&long, "")]] {
            let refused = store.commit(commit(vec![], ops)).await;
            assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
        }
        assert_eq!(store.last_rev().await.unwrap(), Rev(0));
        assert!(store.scan(b"", None, 10).await.unwrap().is_empty());
        // The largest value that is allowed does go through.
        write(store, vec![Op::Put(key("big"), Bytes::from(vec![1; VALUE_MAX]))]).await;
        let rec = store.get(&key("big")).await.unwrap().unwrap();
        assert_eq!(rec.value.len(), VALUE_MAX);
    }

    a_commit_can_be_asked_after(store, _now) {
        let made = commit(vec![], vec![put("a", "1")]);
        let id = made.id;
        assert_eq!(store.outcome(&id).await.unwrap(), None);
        let done = store.commit(made).await.unwrap();
        assert_eq!(store.outcome(&id).await.unwrap(), Some(done));
        let refused = commit(vec![Pre::Absent(key("a"))], vec![put("a", "2")]);
        let id = refused.id;
        assert!(store.commit(refused).await.is_err());
        assert_eq!(store.outcome(&id).await.unwrap(), None);
    }

    of_many_who_write_under_the_same_condition_exactly_one_wins(store, _now) {
        let mut rev = write(store, vec![put("n", "0")]).await;
        for round in 1..=20 {
            let tries = (0..8).map(|who| {
                let text = format!("{round}/{who}");
                let ops = vec![put("n", &text), put(&format!("by/{round}"), &text)];
                store.commit(commit(vec![Pre::At(key("n"), rev)], ops))
            });
            let done = futures_util::future::join_all(tries).await;
            let won: Vec<_> = done.iter().enumerate().filter_map(|(who, done)| done.as_ref().ok().map(|done| (who, done.rev))).collect();
            assert_eq!(won.len(), 1, "{done:?}");
            rev = won[0].1;
            let expected = format!("{round}/{}", won[0].0);
            assert_eq!(value(store, "n").await.unwrap(), expected);
            assert_eq!(value(store, &format!("by/{round}")).await.unwrap(), expected);
        }
    }

    watchers_hear_of_every_commit_in_order(store, _now) {
        let mut watch = store.watch();
        let one = write(store, vec![put("a", "1"), put("b", "1")]).await;
        let two = write(store, vec![Op::Del(key("a"))]).await;
        let change = watch.recv().await.unwrap();
        assert!(change.own && !change.is_gap());
        assert_eq!((change.rev, &*change.keys), (one, &[key("a"), key("b")][..]));
        let change = watch.recv().await.unwrap();
        assert_eq!((change.rev, &*change.keys), (two, &[key("a")][..]));
    }

    a_lease_has_one_holder_until_it_is_over(store, now) {
        let ttl = Duration::from_secs(30);
        let first = got(take(store, "refresh/1", "a", ttl).await);
        assert!((28..=30).contains(&now.seconds_until(first.until_ms)));
        assert_eq!(take(store, "refresh/1", "b", ttl).await, LeaseTry::Held { until_ms: first.until_ms });
        assert_eq!(take(store, "refresh/1", "a", ttl).await, LeaseTry::Held { until_ms: first.until_ms });
        got(take(store, "refresh/2", "b", ttl).await);
        let nearly = match now {
            Time::Turned(_) => 29_999,
            Time::Moved(..) => 20_000,
        };
        now.pass(nearly);
        assert!(matches!(take(store, "refresh/1", "b", ttl).await, LeaseTry::Held { .. }));
        now.pass(30_000 - nearly);
        let second = got(take(store, "refresh/1", "b", ttl).await);
        assert!(second.token > first.token);
        // The late one can neither prolong nor give back what is another's now.
        assert!(!store.lease_renew(&first, ttl).await.unwrap());
        store.lease_release(first).await.unwrap();
        assert!(matches!(take(store, "refresh/1", "a", ttl).await, LeaseTry::Held { .. }));
    }

    a_lease_can_be_prolonged_and_given_back(store, now) {
        let ttl = Duration::from_secs(30);
        let lease = got(take(store, "l", "a", ttl).await);
        now.pass(20_000);
        assert!(store.lease_renew(&lease, ttl).await.unwrap());
        let LeaseTry::Held { until_ms } = take(store, "l", "b", ttl).await else {
            panic!("it was prolonged");
        };
        assert!((28..=30).contains(&now.seconds_until(until_ms)));
        store.lease_release(lease).await.unwrap();
        let next = got(take(store, "l", "b", ttl).await);
        now.pass(30_000);
        assert!(!store.lease_renew(&next, ttl).await.unwrap(), "it is over");
        for bad in [Duration::ZERO, Duration::from_secs(3601)] {
            let refused = store.lease_try(&LeaseName("x".into()), &NodeId("a".into()), bad).await;
            assert!(matches!(refused, Err(StoreError::Refused(_))));
        }
    }

    line_36_a_result_is_written_after_the_lease_is_over_if_nobody_else_wrote_and_only_then(store, now) {
        let ttl = Duration::from_secs(30);
        for another_writes in [false, true] {
            let rev = write(store, vec![put("token", "old")]).await;
            let late = got(take(store, "refresh/1", "late", ttl).await);
            // It pauses beyond its lease; another takes over.
            now.pass(31_000);
            let present = got(take(store, "refresh/1", "present", ttl).await);
            if another_writes {
                store.commit(commit(vec![Pre::At(key("token"), rev)], vec![put("token", "present's")])).await.unwrap();
            }
            // What it has may be the only valid token: refusing it for its lease would break the connection.
            let wrote = store.commit(commit(vec![Pre::At(key("token"), rev)], vec![put("token", "late's")])).await;
            assert_eq!(wrote.is_ok(), !another_writes, "{wrote:?}");
            assert_eq!(matches!(wrote, Err(StoreError::Conflict { .. })), another_writes);
            let expected = if another_writes { "present's" } else { "late's" };
            assert_eq!(value(store, "token").await.as_deref(), Some(expected));
            // And the late one's goodbye does not free the present one's lease.
            store.lease_release(late).await.unwrap();
            assert!(matches!(take(store, "refresh/1", "third", ttl).await, LeaseTry::Held { .. }));
            store.lease_release(present).await.unwrap();
        }
    }

    a_row_that_must_be_absent_is_neither_made_nor_left(store, _now) {
        write(store, vec![put("a", "1")]).await;
        store.commit(commit(vec![Pre::Absent(key("never"))], vec![put("a", "2")])).await.unwrap();
        assert_eq!(value(store, "never").await, None);
        store.commit(commit(vec![Pre::Absent(key("never"))], vec![put("a", "3"), Op::Del(key("never"))])).await.unwrap();
        assert_eq!(value(store, "never").await, None);
        assert_eq!(value(store, "a").await.as_deref(), Some("3"));
        assert_eq!(store.scan(b"", None, 10).await.unwrap().len(), 1);
    }

    of_many_who_make_the_same_row_exactly_one_does(store, _now) {
        for round in 0..10 {
            let name = format!("new/{round}");
            let tries = (0..8).map(|who| {
                // Some also judge each other's: both conditions hold for at most one of them.
                let pre = vec![Pre::Absent(key(&name)), Pre::Absent(key(&format!("{name}/{}", (who + 1) % 8)))];
                store.commit(commit(pre, vec![put(&name, "x"), put(&format!("{name}/{who}"), "x")]))
            });
            let done = futures_util::future::join_all(tries).await;
            assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1, "{done:?}");
            assert!(done.iter().all(|done| matches!(done, Ok(_) | Err(StoreError::Conflict { .. }))), "{done:?}");
        }
        assert_eq!(store.scan(b"new/", None, 100).await.unwrap().len(), 20);
    }

    rows_of_one_commit_are_seen_together(store, _now) {
        let names = [key("left"), key("right")];
        write(store, vec![put("left", "0"), put("right", "0")]).await;
        let writing = async {
            for n in 1..60 {
                write(store, vec![put("left", &n.to_string()), put("right", &n.to_string())]).await;
            }
        };
        let reading = async {
            loop {
                let rows = store.get_many(&names).await.unwrap();
                let values: Vec<_> = rows.into_iter().map(|rec| rec.unwrap()).collect();
                assert_eq!(values[0], values[1]);
                if values[0].value.as_ref() == b"59" {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        futures_util::future::join(writing, reading).await;
    }

    revisions_can_be_raised_and_never_go_back(store, _now) {
        let mut watch = store.watch();
        let one = write(store, vec![put("a", "1")]).await;
        assert_eq!(watch.recv().await.unwrap().rev, one);
        store.raise_rev(Rev(0)).await.unwrap();
        store.raise_rev(Rev(1_000_000)).await.unwrap();
        store.raise_rev(Rev(5)).await.unwrap();
        assert!(store.last_rev().await.unwrap() >= Rev(1_000_000));
        let two = write(store, vec![put("b", "1")]).await;
        assert!(one < Rev(1_000_000) && two > Rev(1_000_000));
        assert_eq!(watch.recv().await.unwrap().rev, two);
        assert_eq!(store.get(&key("a")).await.unwrap().unwrap().rev, one);
    }

    of_many_who_want_a_lease_exactly_one_gets_it(store, _now) {
        let tries = (0..16).map(|who| take(store, "l", if who % 2 == 0 { "a" } else { "b" }, Duration::from_secs(5)));
        let done = futures_util::future::join_all(tries).await;
        assert_eq!(done.iter().filter(|done| matches!(done, LeaseTry::Got(_))).count(), 1);
    }
}

async fn take(store: &dyn Store, name: &str, who: &str, ttl: Duration) -> LeaseTry {
    store
        .lease_try(&LeaseName(name.into()), &NodeId(who.into()), ttl)
        .await
        .unwrap()
}

fn got(answer: LeaseTry) -> Lease {
    match answer {
        LeaseTry::Got(lease) => lease,
        LeaseTry::Held { .. } => panic!("the lease is held"),
    }
}

// What only a durable store can show.

#[tokio::test]
async fn everything_is_there_after_reopening_and_revisions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (mut last, mut ids) = (Rev(0), Vec::new());
    for round in 0..4 {
        // Small segments: several checkpoints per round.
        let options = SledOptions {
            segment_bytes: 2_000,
            ..SledOptions::default()
        };
        let store = SledStore::open_with(folder.path(), options).unwrap();
        assert_eq!(store.last_rev().await.unwrap(), last);
        for earlier in 0..round * 20 {
            let name = format!("row/{earlier}");
            assert_eq!(value(&store, &name).await, Some("x".repeat(earlier)));
        }
        for (id, done) in &ids {
            assert_eq!(store.outcome(id).await.unwrap(), Some(*done));
        }
        for next in round * 20..(round + 1) * 20 {
            let made = commit(
                vec![],
                vec![
                    put(&format!("row/{next}"), &"x".repeat(next)),
                    put("same", "y"),
                ],
            );
            let id = made.id;
            let done = store.commit(made).await.unwrap();
            assert!(done.rev > last);
            last = done.rev;
            ids.push((id, done));
        }
    }
}

/// The folder's lock lets a successor in only when its predecessor is over: nobody is left who could rely on the lease.
#[tokio::test]
async fn a_lease_ends_with_the_process_that_took_it() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _) = turnable();
    let options = SledOptions {
        clock,
        ..SledOptions::default()
    };
    let open = || SledStore::open_with(folder.path(), options.clone()).unwrap();
    let ttl = Duration::from_secs(3600);
    let first = got(take(&open(), "l", "a", ttl).await);
    let store = open();
    assert!(!store.lease_renew(&first, ttl).await.unwrap(), "it is over");
    let second = got(take(&store, "l", "b", ttl).await);
    assert!(second.token > first.token);
    // What was given back late takes nothing from the new holder, and among those alive there is one.
    store.lease_release(first).await.unwrap();
    assert!(matches!(
        take(&store, "l", "c", ttl).await,
        LeaseTry::Held { .. }
    ));
    drop(store);
    let store = open();
    let third = got(take(&store, "l", "c", ttl).await);
    assert!(third.token > second.token);
}

#[tokio::test]
async fn a_second_opening_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let first = SledStore::open(folder.path()).unwrap();
    let refused = SledStore::open(folder.path()).err().unwrap();
    assert!(matches!(refused, StoreError::Locked(_)));
    let pid = format!("pid {}", std::process::id());
    assert!(refused.to_string().contains(&pid), "{refused}");
    drop(first);
    SledStore::open(folder.path()).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn the_folder_and_its_files_are_their_users_alone() {
    use std::os::unix::fs::PermissionsExt;
    fn check(path: &Path) {
        let meta = std::fs::metadata(path).unwrap();
        let expected = if meta.is_dir() { 0o700 } else { 0o600 };
        let mode = meta.permissions().mode() & 0o777;
        assert_eq!(mode, expected, "{} has mode {mode:o}", path.display());
        if meta.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                check(&entry.unwrap().path());
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let store = SledStore::open(&path).unwrap();
    write(&store, vec![put("a", "1")]).await;
    check(&path);
    drop(store);
    check(&path);
}
