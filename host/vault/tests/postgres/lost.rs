//! Lost replies, a server that is killed, full or overtaken by its standby: nothing acknowledged is lost, nothing is applied twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use keyport_tests::postgres::Cluster;
use keyport_tests::proxy::Proxy;
use keyport_vault::store::{CommitId, Op, Pre};
use keyport_vault::{Health, PostgresStore, Store, StoreError};

use crate::random::{Random, full};
use crate::{commit, key, open, put, text};

/// Writers that never give up, each with a pair of rows of its own, and what was acknowledged to them.
struct Writers {
    over: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeMap<usize, u64>>>,
    running: Vec<tokio::task::JoinHandle<()>>,
}

impl Writers {
    fn begin(store: &Arc<PostgresStore>, count: usize) -> Self {
        let (over, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let running = (0..count)
            .map(|who| {
                let (store, over, acknowledged) = (
                    Arc::clone(store),
                    Arc::clone(&over),
                    Arc::clone(&acknowledged),
                );
                tokio::spawn(write(store, over, acknowledged, who))
            })
            .collect();
        Self {
            over,
            acknowledged,
            running,
        }
    }

    fn total(&self) -> u64 {
        self.acknowledged.lock().unwrap().values().sum()
    }

    /// Waits until more is acknowledged; how long that took.
    async fn go_on(&self) -> Duration {
        let (before, begun) = (self.total(), Instant::now());
        while self.total() <= before + 10 {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "the service is back within 30 seconds"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }

    async fn end(self) -> BTreeMap<usize, u64> {
        self.over.store(true, Ordering::SeqCst);
        for writer in self.running {
            writer.await.unwrap();
        }
        self.acknowledged.lock().unwrap().clone()
    }
}

async fn write(
    store: Arc<PostgresStore>,
    over: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeMap<usize, u64>>>,
    who: usize,
) {
    let (left, right) = (format!("left/{who}"), format!("right/{who}"));
    let (mut n, mut rev) = (0u64, None);
    while !over.load(Ordering::SeqCst) {
        let value = (n + 1).to_string();
        let pre = match rev {
            None => Pre::Absent(key(&left)),
            Some(rev) => Pre::At(key(&left), rev),
        };
        let made = commit(vec![pre], vec![put(&left, &value), put(&right, &value)]);
        let id = made.id;
        let mut done = store.commit(made).await;
        while let Err(StoreError::Unknown(_)) = done {
            done = match store.outcome(&id).await {
                Ok(Some(found)) => Ok(found),
                Ok(None) => Err(StoreError::Unavailable("it was not made".into())),
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Err(StoreError::Unknown(id))
                }
            };
        }
        match done {
            Ok(done) => {
                n += 1;
                rev = Some(done.rev);
                acknowledged.lock().unwrap().insert(who, n);
            }
            Err(StoreError::Unavailable(_)) => {}
            // Nobody else writes these rows: a conflict would be a commit that was made although it was said not to be.
            Err(other) => panic!("writer {who} after {n}: {other}"),
        }
    }
}

async fn all_there(store: &dyn Store, acknowledged: &BTreeMap<usize, u64>) {
    for (who, n) in acknowledged {
        for side in ["left", "right"] {
            let found = text(store, &format!("{side}/{who}")).await;
            assert_eq!(found, Some(n.to_string()), "{side} of writer {who}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn line_01_and_10_what_was_acknowledged_survives_kills_of_the_server_whole() {
    let Some(server) = Cluster::start(&[]) else {
        return;
    };
    let mut random = Random::said("line_01_postgres");
    let database = server.database();
    let store = Arc::new(open(&database.url).await);
    let writers = Writers::begin(&store, 4);
    writers.go_on().await;
    let mut slowest = Duration::ZERO;
    for _ in 0..if full() { 200 } else { 4 } {
        tokio::time::sleep(Duration::from_millis(random.below(120))).await;
        server.kill_server();
        server.start_server();
        slowest = slowest.max(writers.go_on().await);
    }
    let acknowledged = writers.end().await;
    all_there(&*store, &acknowledged).await;
    // And for whoever comes after.
    all_there(&open(&database.url).await, &acknowledged).await;
    eprintln!(
        "{} commits acknowledged, back in at most {slowest:?}",
        acknowledged.values().sum::<u64>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn line_37_a_lost_reply_is_settled_by_its_id_and_never_applied_twice() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    if !server.is_ours() {
        return;
    }
    let database = server.database();
    let proxy = Proxy::to(server.port());
    let store = open(&database.through(proxy.port())).await;
    let mut rev = store
        .commit(commit(vec![], vec![put("n", "0")]))
        .await
        .unwrap()
        .rev;
    let mut n = 0;
    for round in 0..if full() { 500 } else { 20 } {
        let through = round % 2 == 0;
        proxy.cut_at_commit(1, through);
        let made = commit(
            vec![Pre::At(key("n"), rev)],
            vec![put("n", &(n + 1).to_string())],
        );
        let id = made.id;
        assert_eq!(
            store.commit(made).await,
            Err(StoreError::Unknown(id)),
            "never a guess"
        );
        let outcome = store.outcome(&id).await.unwrap();
        assert_eq!(outcome.is_some(), through);
        if let Some(done) = outcome {
            (n, rev) = (n + 1, done.rev);
        }
        // It stays so, and what is there is what was said.
        assert_eq!(store.outcome(&id).await.unwrap(), outcome);
        let rec = store.get(&key("n")).await.unwrap().unwrap();
        assert_eq!(
            (rec.rev, rec.value.as_ref()),
            (rev, n.to_string().as_bytes())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn line_37_a_commit_still_on_its_way_is_waited_for_and_not_called_lost() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    if !server.is_ours() {
        return;
    }
    let database = server.database();
    let store = open(&database.url).await;
    let id = CommitId::random().unwrap();
    // Somebody's transaction has written its id and hangs before COMMIT, as one does that waits for a standby.
    let hex: String = id.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let hanging = format!(
        "BEGIN; INSERT INTO keyport_log (id, rev, keys) VALUES ('\\x{hex}', nextval('keyport_rev'), ''); SELECT pg_sleep(1); COMMIT;"
    );
    let (name, begun) = (database.name().to_owned(), Instant::now());
    let sleeping = std::thread::spawn(move || server.sql(&name, &hanging));
    while server.sql(database.name(), "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1)%' AND state = 'active' AND pid <> pg_backend_pid()") == "0" {
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    let outcome = store.outcome(&id).await.unwrap();
    assert!(
        outcome.is_some(),
        "the answer was not given before it was known"
    );
    sleeping.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn line_38_nothing_acknowledged_is_lost_when_the_standby_takes_over() {
    let rounds = if full() { 5 } else { 1 };
    for _ in 0..rounds {
        let Some(primary) = Cluster::start(&[]) else {
            return;
        };
        let standby = primary.standby();
        let database = primary.database();
        let proxy = Proxy::to(primary.port());
        let store = Arc::new(open(&database.through(proxy.port())).await);
        let writers = Writers::begin(&store, 4);
        writers.go_on().await;
        let begun = Instant::now();
        primary.kill_server();
        standby.promote();
        proxy.lead_to(standby.port());
        writers.go_on().await;
        eprintln!("back after {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(30));
        let acknowledged = writers.end().await;
        all_there(&*store, &acknowledged).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn line_38_a_server_that_has_become_a_standby_is_left_for_the_primary() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    if !server.is_ours() {
        return;
    }
    let database = server.database();
    let store = open(&database.url).await;
    store
        .commit(commit(vec![], vec![put("a", "1")]))
        .await
        .unwrap();
    let set = |read_only: &str| {
        server.sql(
            "postgres",
            &format!(
                "ALTER DATABASE {} SET default_transaction_read_only = {read_only}",
                database.name()
            ),
        );
        // Sessions keep what they began with.
        server.sql(
            "postgres",
            &format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
                database.name()
            ),
        );
    };
    set("on");
    let Health::Failed(why) = store.health().await else {
        // The first question may have met a connection that was just ended.
        assert!(matches!(store.health().await, Health::Failed(_)));
        return;
    };
    assert!(why.len() > 20, "{why}");
    let writing = store.commit(commit(vec![], vec![put("a", "2")]));
    let mending = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        set("off");
    };
    let (written, ()) = futures_util::future::join(writing, mending).await;
    written.unwrap();
    assert_eq!(store.health().await, Health::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn line_09_a_database_that_cannot_write_acknowledges_nothing_and_goes_on_reading() {
    let Some(server) = Cluster::start(&[]) else {
        return;
    };
    let database = server.database();
    let store = open(&database.url).await;
    store
        .commit(commit(vec![], vec![put("a", "1")]))
        .await
        .unwrap();
    // No file may grow beyond 20 MB from now on: writing further fails as it does on a full disk.
    server.limit_files(20 * 1024);
    // Random, as sealed bytes are: the server compresses what it can.
    let mut random = Random::said("line_09_postgres");
    let big: Bytes = (0..500 * 1024 / 8)
        .flat_map(|_| random.next().to_be_bytes())
        .collect();
    let (mut made, mut failed) = (Vec::new(), None);
    for n in 0..200 {
        let name = format!("big/{n}");
        let ops = vec![
            Op::Put(key(&name), big.clone()),
            put(&format!("small/{n}"), "x"),
        ];
        match store.commit(commit(vec![], ops)).await {
            Ok(_) => made.push(name),
            Err(error) => {
                failed = Some((n, error));
                break;
            }
        }
    }
    let (n, error) = failed.expect("there is no room for 100 MB");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(!made.is_empty());
    // All of a commit or nothing, and reading goes on.
    assert_eq!(store.get(&key(&format!("big/{n}"))).await.unwrap(), None);
    assert_eq!(text(&store, &format!("small/{n}")).await, None);
    for name in &made {
        assert_eq!(store.get(&key(name)).await.unwrap().unwrap().value, big);
    }
    assert_eq!(text(&store, "a").await.as_deref(), Some("1"));
}
