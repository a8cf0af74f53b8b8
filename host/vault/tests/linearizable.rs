//! Line 13: what every store shows of one row is as if there were one copy and one who acts at a time, whatever the network
//! and the clocks do. Many act at once, what they saw is written down, and a checker looks for an order that explains it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

#[path = "common/history.rs"]
mod history;
#[path = "common/random.rs"]
mod random;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use history::{Did, Event, Moments, is_linearizable};
use keyport_tests::postgres::Cluster;
use keyport_tests::proxy::Proxy;
use keyport_vault::store::{Commit, CommitId, Committed, Key, Op, Pre};
use keyport_vault::{
    Clock, MemoryStore, PostgresOptions, PostgresStore, Rev, SledOptions, SledStore, Store,
    StoreError,
};
use random::{Random, full};

const ROWS: usize = 3;
const ACTORS: usize = 6;

/// What was seen, by row, and what was added.
#[derive(Default)]
struct Seen {
    moments: Moments,
    rows: Mutex<[Vec<Event>; ROWS]>,
    added: Mutex<BTreeSet<String>>,
    refused: Mutex<BTreeSet<String>>,
}

fn row(number: usize) -> Key {
    Key::from(format!("row/{number}"))
}

/// Commits, and finds out what became of it. `None`: it certainly did not happen, and it was not for a condition.
async fn settled(
    store: &dyn Store,
    pre: Pre,
    ops: Vec<Op>,
) -> Option<Result<Committed, StoreError>> {
    let commit = Commit {
        id: CommitId::random().unwrap(),
        pre: vec![pre],
        ops,
    };
    let id = commit.id;
    match store.commit(commit).await {
        Ok(done) => Some(Ok(done)),
        Err(StoreError::Unknown(_)) => loop {
            match store.outcome(&id).await {
                Ok(Some(done)) => return Some(Ok(done)),
                Ok(None) => return None,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        },
        Err(StoreError::Unavailable(_)) => None,
        Err(refused) => Some(Err(refused)),
    }
}

async fn act(store: Arc<dyn Store>, seen: Arc<Seen>, who: usize, times: usize, mut random: Random) {
    let mut known = [None; ROWS];
    for n in 0..times {
        let number = usize::try_from(random.below(ROWS as u64)).unwrap();
        let key = row(number);
        if random.percent(10) {
            let name = format!("set/{who}/{n}");
            let ops = vec![Op::Put(Key::from(name.as_str()), Bytes::from("x"))];
            let done = settled(&*store, Pre::Absent(Key::from(name.as_str())), ops).await;
            let list = if matches!(done, Some(Ok(_))) {
                &seen.added
            } else {
                &seen.refused
            };
            list.lock().unwrap().insert(name);
            continue;
        }
        let asked = seen.moments.now();
        let did = if random.percent(40) {
            let Ok(found) = store.get(&key).await else {
                continue;
            };
            let found = found.map(|rec| rec.rev.0);
            known[number] = found;
            Did::Read(found)
        } else {
            let from = known[number];
            let pre = match from {
                Some(rev) => Pre::At(key.clone(), Rev(rev)),
                None => Pre::Absent(key.clone()),
            };
            let removes = from.is_some() && random.percent(20);
            let op = if removes {
                Op::Del(key.clone())
            } else {
                Op::Put(key.clone(), Bytes::from(format!("{who}/{n}")))
            };
            match settled(&*store, pre, vec![op]).await {
                Some(Ok(done)) => {
                    let to = (!removes).then_some(done.rev.0);
                    known[number] = to;
                    Did::Swapped { from, to }
                }
                Some(Err(StoreError::Conflict { actual, .. })) => {
                    let found = actual.map(|rev| rev.0);
                    assert_ne!(found, from);
                    known[number] = found;
                    Did::Refused { found }
                }
                Some(Err(other)) => panic!("{other}"),
                None => continue,
            }
        };
        let answered = seen.moments.now();
        seen.rows.lock().unwrap()[number].push(Event {
            asked,
            answered,
            did,
        });
    }
}

/// Lets many act on these stores, which are one, and checks what they saw.
async fn check(stores: &[Arc<dyn Store>], times: usize, random: &mut Random) {
    let seen = Arc::new(Seen::default());
    let actors: Vec<_> = (0..ACTORS)
        .map(|who| {
            let store = Arc::clone(&stores[who % stores.len()]);
            tokio::spawn(act(store, Arc::clone(&seen), who, times, random.fork()))
        })
        .collect();
    for actor in actors {
        actor.await.unwrap();
    }
    let rows = seen.rows.lock().unwrap().clone();
    let mut swaps = 0;
    for (number, events) in rows.iter().enumerate() {
        swaps += events
            .iter()
            .filter(|event| matches!(event.did, Did::Swapped { .. }))
            .count();
        assert!(
            is_linearizable(None, events),
            "row {number} has no order that explains what was seen: {events:#?}"
        );
    }
    assert!(swaps > times / 4, "they did get to write: {swaps}");
    let mut there = BTreeSet::new();
    for (key, _) in stores[0].scan(b"set/", None, 10_000).await.unwrap() {
        there.insert(key.to_string());
    }
    assert_eq!(
        there,
        *seen.added.lock().unwrap(),
        "what was acknowledged is there, and nothing else"
    );
    assert!(there.is_disjoint(&seen.refused.lock().unwrap()));
}

fn rounds() -> usize {
    if full() { 20 } else { 1 }
}

/// A clock that jumps by up to an hour, either way.
fn jumping(random: &mut Random) -> Clock {
    let state = AtomicU64::new(random.next() | 1);
    Clock::from_fn(move || {
        let next = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        1_800_000_000_000 + next % 7_200_000
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn line_13_memory_is_linearizable_per_key() {
    let mut random = Random::said("line_13_memory");
    for _ in 0..rounds() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::with_clock(jumping(&mut random)));
        check(&[store], 400, &mut random).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn line_13_sled_is_linearizable_per_key() {
    let mut random = Random::said("line_13_sled");
    for _ in 0..rounds() {
        let folder = tempfile::tempdir().unwrap();
        let options = SledOptions {
            clock: jumping(&mut random),
            ..SledOptions::default()
        };
        let store: Arc<dyn Store> = Arc::new(SledStore::open_with(folder.path(), options).unwrap());
        check(&[store], 200, &mut random).await;
    }
}

/// Two hosts on one database, each behind a network that stops, cuts, and loses the answers to commits.
#[tokio::test(flavor = "multi_thread")]
async fn line_13_postgres_is_linearizable_per_key_over_two_hosts_and_a_bad_network() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    if !server.is_ours() {
        return;
    }
    let mut random = Random::said("line_13_postgres");
    for _ in 0..rounds() {
        let database = server.database();
        let proxies: Arc<Vec<Proxy>> = Arc::new((0..2).map(|_| Proxy::to(server.port())).collect());
        let mut stores: Vec<Arc<dyn Store>> = Vec::new();
        for proxy in proxies.iter() {
            let options = PostgresOptions::parse(&database.through(proxy.port())).unwrap();
            stores.push(Arc::new(PostgresStore::open(options).await.unwrap()));
        }
        // However short the run is, each host loses the answer to its first commit; what else goes wrong is chance.
        for proxy in proxies.iter() {
            proxy.cut_at_commit(1, true);
        }
        let over = Arc::new(AtomicBool::new(false));
        let trouble = {
            let (over, proxies, mut random) =
                (Arc::clone(&over), Arc::clone(&proxies), random.fork());
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let proxy = &proxies[usize::try_from(random.below(2)).unwrap()];
                    match random.below(4) {
                        0 => {
                            proxy.hold();
                            tokio::time::sleep(Duration::from_millis(50 + random.below(400))).await;
                            proxy.heal();
                        }
                        1 => proxy.cut(),
                        through => proxy.cut_at_commit(1, through == 2),
                    }
                    tokio::time::sleep(Duration::from_millis(20 + random.below(150))).await;
                }
            })
        };
        check(&stores, 60, &mut random).await;
        over.store(true, Ordering::SeqCst);
        trouble.await.unwrap();
        assert!(
            proxies.iter().any(|proxy| proxy.cuts() > 0),
            "some answers were lost"
        );
    }
}
