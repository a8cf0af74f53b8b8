//! Several hosts on one database: what they hear of each other, and whose clock counts.

use std::time::{Duration, Instant};

use keyport_tests::postgres::Cluster;
use keyport_tests::proxy::Proxy;
use keyport_vault::store::{LeaseName, NodeId};
use keyport_vault::{LeaseTry, PostgresStore, Rev, Store};

use crate::{commit, key, open, put};

/// What a watcher hears of this row, within a time.
async fn heard(
    watch: &mut tokio::sync::broadcast::Receiver<keyport_vault::store::Change>,
    name: &str,
) -> Option<Duration> {
    let begun = Instant::now();
    let hearing = async {
        loop {
            let change = watch.recv().await.unwrap();
            if change.keys.contains(&key(name)) {
                return;
            }
        }
    };
    let limit = Duration::from_secs(5);
    tokio::time::timeout(limit, hearing)
        .await
        .ok()
        .map(|()| begun.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn line_39_a_change_on_one_host_is_heard_on_the_other_within_a_second() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    let database = server.database();
    let (one, other) = (open(&database.url).await, open(&database.url).await);
    let (mut at_one, mut at_other) = (one.watch(), other.watch());
    let mut slowest = Duration::ZERO;
    for n in 0..10 {
        let name = format!("row/{n}");
        one.commit(commit(vec![], vec![put(&name, "x")]))
            .await
            .unwrap();
        slowest = slowest.max(heard(&mut at_other, &name).await.unwrap());
        heard(&mut at_one, &name).await.unwrap();
    }
    eprintln!("heard on the other host after at most {slowest:?}");
    assert!(slowest < Duration::from_secs(1));
    one.commit(commit(vec![], vec![put("whose", "x")]))
        .await
        .unwrap();
    assert!(at_one.recv().await.unwrap().own);
    assert!(!at_other.recv().await.unwrap().own);
    assert!(one.watch_is_current() && other.watch_is_current());
}

#[tokio::test(flavor = "multi_thread")]
async fn line_39_a_host_that_was_cut_off_hears_what_it_missed_or_that_it_missed_something() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    if !server.is_ours() {
        return;
    }
    let database = server.database();
    let proxy = Proxy::to(server.port());
    let (here, there) = (
        open(&database.url).await,
        open(&database.through(proxy.port())).await,
    );
    let mut watch = there.watch();
    // For a short while: everything is caught up with.
    proxy.refuse();
    here.commit(commit(vec![], vec![put("a", "1")]))
        .await
        .unwrap();
    here.commit(commit(vec![], vec![put("b", "1")]))
        .await
        .unwrap();
    proxy.heal();
    assert!(heard(&mut watch, "a").await.is_some());
    assert!(heard(&mut watch, "b").await.is_some());
    // For so long that the log was cut: the host is told that there is a gap, and knows meanwhile that it hears nothing.
    proxy.refuse();
    let begun = Instant::now();
    while there.watch_is_current() {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "what it remembers counts for less than 5 seconds"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    here.commit(commit(vec![], vec![put("missed", "1")]))
        .await
        .unwrap();
    server.sql(database.name(), "WITH gone AS (DELETE FROM keyport_log RETURNING rev) UPDATE keyport_meta SET n = (SELECT max(rev) FROM gone) WHERE name = 'pruned'");
    proxy.heal();
    let change = tokio::time::timeout(Duration::from_secs(10), watch.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(change.is_gap(), "{change:?}");
    here.commit(commit(vec![], vec![put("after", "1")]))
        .await
        .unwrap();
    assert!(heard(&mut watch, "after").await.is_some());
    assert!(there.watch_is_current());
}

#[tokio::test(flavor = "multi_thread")]
async fn line_40_leases_go_by_the_databases_clock_and_by_no_other() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    let ttl = Duration::from_secs(60);
    for hours in [-1, 0, 1] {
        let database = server.database();
        // The database's clock is off by an hour from every host's.
        server.sql(
            database.name(),
            &format!(
                "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS \
                 $$ SELECT pg_catalog.clock_timestamp() + interval '{hours} hours' $$"
            ),
        );
        server.sql(
            database.name(),
            &format!(
                "ALTER DATABASE {} SET search_path = public, pg_catalog",
                database.name()
            ),
        );
        let (one, other) = (open(&database.url).await, open(&database.url).await);
        let name = LeaseName("refresh/1".into());
        let take = async |store: &PostgresStore, who: &str| {
            store
                .lease_try(&name, &NodeId(who.into()), ttl)
                .await
                .unwrap()
        };
        let LeaseTry::Got(lease) = take(&one, "one").await else {
            panic!("nobody has it");
        };
        let here = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis();
        let off = i128::from(lease.until_ms) - i128::try_from(here).unwrap() - hours * 3_600_000;
        assert!((50_000..=61_000).contains(&off), "{off}");
        assert!(
            matches!(take(&other, "other").await, LeaseTry::Held { .. }),
            "it lasts, whatever hosts think"
        );
        assert!(one.lease_renew(&lease, ttl).await.unwrap());
        server.sql(
            database.name(),
            "UPDATE keyport_lease SET until_ms = until_ms - 61000",
        );
        assert!(
            !one.lease_renew(&lease, ttl).await.unwrap(),
            "it ends, whatever hosts think"
        );
        assert!(matches!(take(&other, "other").await, LeaseTry::Got(_)));
    }
}

#[tokio::test]
async fn the_revision_never_goes_back() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    let database = server.database();
    let store = open(&database.url).await;
    assert_eq!(store.last_rev().await.unwrap(), Rev(0));
    store.raise_rev(Rev(0)).await.unwrap();
    store.raise_rev(Rev(1_000_000_000_000)).await.unwrap();
    store.raise_rev(Rev(5)).await.unwrap();
    let mut watch = store.watch();
    let done = store
        .commit(commit(vec![], vec![put("a", "1")]))
        .await
        .unwrap();
    assert_eq!(done.rev, Rev(1_000_000_000_001));
    assert_eq!(store.last_rev().await.unwrap(), done.rev);
    assert_eq!(watch.recv().await.unwrap().rev, done.rev);
}
