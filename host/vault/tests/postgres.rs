//! What only a shared database can show: lost replies, a server that is killed, a standby that takes over, hosts that miss
//! something, clocks, permissions, TLS.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

#[path = "common/random.rs"]
mod random;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use keyport_tests::postgres::{Cluster, Database};
use keyport_tests::proxy::Proxy;
use keyport_vault::store::{Commit, CommitId, Key, LeaseName, NodeId, Op, Pre};
use keyport_vault::{Health, LeaseTry, PostgresOptions, PostgresStore, Rev, Store, StoreError};
use random::{Random, full};

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

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(PostgresOptions::parse(url).unwrap())
        .await
        .unwrap()
}

async fn refused(url: &str) -> String {
    match PostgresStore::open(PostgresOptions::parse(url).unwrap()).await {
        Ok(_) => panic!("{url} is taken"),
        Err(error) => error.to_string(),
    }
}

async fn text(store: &dyn Store, name: &str) -> Option<String> {
    let rec = store.get(&key(name)).await.unwrap()?;
    Some(String::from_utf8(rec.value.to_vec()).unwrap())
}

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

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_start_at_once_make_the_tables_once() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    for _ in 0..if full() { 50 } else { 3 } {
        let database = server.database();
        let stores = futures_util::future::join_all((0..6).map(|_| open(&database.url))).await;
        for (n, store) in stores.iter().enumerate() {
            store
                .commit(commit(vec![], vec![put(&n.to_string(), "x")]))
                .await
                .unwrap();
        }
        assert_eq!(stores[0].scan(b"", None, 10).await.unwrap().len(), 6);
        assert_eq!(
            server.sql(
                database.name(),
                "SELECT n FROM keyport_meta WHERE name = 'schema'"
            ),
            "1"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_newer_version_are_left_alone() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    let database = server.database();
    drop(open(&database.url).await);
    server.sql(
        database.name(),
        "UPDATE keyport_meta SET n = 99 WHERE name = 'schema'",
    );
    let said = refused(&database.url).await;
    assert!(
        said.contains("schema 99") && said.contains("newer"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_only_read_and_write_rows_is_enough_and_one_who_may_not_is_told() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    if !server.is_ours() {
        return;
    }
    let database = server.database();
    drop(open(&database.url).await);
    let user = format!("runs_{}", database.name());
    for text in [
        format!("CREATE USER {user}"),
        format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON keyport_kv, keyport_log, keyport_lease, keyport_meta TO {user}"
        ),
    ] {
        server.sql(database.name(), &text);
    }
    let url = database.url.replace("postgres@", &format!("{user}@"));
    let store = open(&url).await;
    let Err(StoreError::Setup(said)) = store.commit(commit(vec![], vec![put("a", "1")])).await
    else {
        panic!("the sequences are missing");
    };
    assert!(said.contains("permission"), "{said}");
    server.sql(
        database.name(),
        &format!("GRANT USAGE, SELECT, UPDATE ON SEQUENCE keyport_rev, keyport_token TO {user}"),
    );
    store
        .commit(commit(vec![], vec![put("a", "1")]))
        .await
        .unwrap();
    let lease = store
        .lease_try(
            &LeaseName("l".into()),
            &NodeId("n".into()),
            Duration::from_secs(1),
        )
        .await;
    assert!(matches!(lease, Ok(LeaseTry::Got(_))));
    // On an empty database the same user cannot make the tables, and is told so.
    let empty = server.database();
    let said = refused(&empty.url.replace("postgres@", &format!("{user}@"))).await;
    assert!(said.contains("permission"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_hands_out_connections_by_transaction_can_stand_in_between() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    let database = server.database();
    let mark = if database.url.contains('?') { '&' } else { '?' };
    let store = open(&format!(
        "{}{mark}pooler=transaction&connections=2",
        database.url
    ))
    .await;
    for n in 0..20 {
        store
            .commit(commit(vec![], vec![put(&n.to_string(), "x")]))
            .await
            .unwrap();
    }
    let left = server.sql(database.name(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'PREPARE%'");
    assert_eq!(left, "0");
    assert_eq!(store.scan(b"", None, 100).await.unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_address_is_said_and_the_password_is_not() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    if !server.is_ours() {
        return;
    }
    let database = server.database();
    let missing = refused(&database.url.replace(database.name(), "nowhere")).await;
    assert!(
        missing.contains("nowhere") && missing.contains("createdb"),
        "{missing}"
    );
    let nobody = keyport_tests::host::free_port();
    let unreachable = refused(&format!("postgres://u:topsecret@127.0.0.1:{nobody}/d")).await;
    assert!(
        unreachable.contains("cannot be reached") && !unreachable.contains("topsecret"),
        "{unreachable}"
    );
    let plain = refused(&format!("{}?sslmode=verify-full", database.url)).await;
    assert!(
        plain.contains("offers no TLS") && plain.contains("ssl = on"),
        "{plain}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_must_prove_who_it_is() {
    let Some(server) = Cluster::start(&[]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, made.cert.pem()).unwrap();
    server.use_tls(&made.cert.pem(), &made.signing_key.serialize_pem());
    let Database { url, .. } = server.database();
    let named = url.replace("127.0.0.1", "localhost");
    let trusted = format!("sslrootcert={}", authority.display());

    let store = open(&format!("{named}?sslmode=verify-full&{trusted}")).await;
    store
        .commit(commit(vec![], vec![put("a", "1")]))
        .await
        .unwrap();
    let encrypted = server.sql("postgres", "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'keyport'");
    assert_eq!(encrypted, "t");

    // An authority that we do not know, and a name that is not in the certificate.
    for wrong in [
        format!("{named}?sslmode=verify-full"),
        format!("{named}?sslmode=verify-ca"),
        format!("{url}?sslmode=verify-full&{trusted}"),
    ] {
        let said = refused(&wrong).await;
        assert!(
            said.contains("could not prove who it is") && said.contains("sslrootcert"),
            "{said}"
        );
    }
    // What asks for less gets less.
    drop(open(&format!("{named}?sslmode=require")).await);
    drop(open(&format!("{url}?sslmode=verify-ca&{trusted}")).await);
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
