//! Events of one owner, and a store that is older than it was seen.

use keyport_vault::{Expect, Kind, Owner, RecordId, Write};

use super::*;

const INDEX: Kind = Kind::new("owners_event");

/// Something happens about each of these owners in turn.
async fn happen(world: &World, count: usize) {
    for n in 0..count {
        world.pass(1);
        let owner = format!("u{}", n % 3);
        world
            .engine
            .destroy_owner(&world.host, &owner)
            .await
            .unwrap();
    }
}

async fn ids(world: &World, owner: Option<&str>, limit: usize) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = world
            .engine
            .events(owner, cursor.as_deref(), Some(limit))
            .await
            .unwrap();
        assert!(page.items.len() <= limit);
        for event in page.items {
            assert!(owner.is_none() || event.owner.as_deref() == owner);
            found.push(event.id);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return found;
        }
    }
}

async fn rows(world: &World, owner: &str) -> Vec<RecordId> {
    let owner = Owner::new(owner).unwrap();
    let page = world.vault.list(INDEX, Some(&owner), None, 500);
    let heads = page.await.unwrap().heads;
    heads.into_iter().map(|head| head.id).collect()
}

#[tokio::test]
async fn an_owners_events_are_a_range_of_their_own_also_those_from_before_it_was_so() {
    let world = world().await;
    happen(&world, 30).await;
    // Written by an earlier build: no rows.
    for owner in ["u0", "u1", "u2"] {
        let rows = rows(&world, owner).await;
        assert_eq!(rows.len(), 10, "each is written with its event");
        for id in rows {
            let gone = Write::Delete {
                id,
                expect: Expect::Exists,
            };
            world.vault.commit(vec![gone]).await.unwrap();
        }
    }
    let before = ids(&world, Some("u1"), 4).await;
    assert_eq!(before.len(), 10, "found by reading all of them");
    assert!(!world.engine.events_are_indexed().await.unwrap());
    world.engine.sweep().await.unwrap();
    assert!(world.engine.events_are_indexed().await.unwrap());
    happen(&world, 9).await;
    for owner in ["u0", "u1", "u2"] {
        let mine = ids(&world, Some(owner), 4).await;
        assert_eq!(mine.len(), 13);
        assert_eq!(mine, ids(&world, Some(owner), 200).await);
        let mut sorted = mine.clone();
        sorted.sort();
        assert_eq!(mine, sorted, "oldest first");
        assert_eq!(rows(&world, owner).await.len(), 13);
    }
    assert_eq!(ids(&world, Some("u1"), 200).await[..10], before[..]);
    assert_eq!(ids(&world, None, 200).await.len(), 39);
    assert!(ids(&world, Some("nobody"), 10).await.is_empty());
    // It is the rows that lead there.
    let some = rows(&world, "u2").await.remove(5);
    let gone = Write::Delete {
        id: some.clone(),
        expect: Expect::Exists,
    };
    world.vault.commit(vec![gone]).await.unwrap();
    let found = ids(&world, Some("u2"), 200).await;
    assert!(found.len() == 12 && !found.contains(&some.id));
}

#[tokio::test]
async fn the_rows_of_an_owners_events_go_with_the_events() {
    let options = Options {
        audit_keep: Duration::from_secs(30 * 24 * 3600),
        ..Options::default()
    };
    let world = world_with(options).await;
    happen(&world, 150).await;
    world.engine.chain_events().await.unwrap();
    world.pass(20 * 24 * 3600);
    happen(&world, 150).await;
    world.engine.chain_events().await.unwrap();
    world.pass(15 * 24 * 3600);
    world.engine.sweep().await.unwrap();
    assert_eq!(ids(&world, None, 200).await.len(), 150);
    for owner in ["u0", "u1", "u2"] {
        assert_eq!(rows(&world, owner).await.len(), 50);
        assert_eq!(ids(&world, Some(owner), 200).await.len(), 50);
    }
}

#[tokio::test]
async fn a_store_that_went_on_is_told_from_an_older_one_and_from_one_that_went_another_way() {
    let world = world().await;
    let empty = world.engine.position().await.unwrap();
    happen(&world, 5).await;
    world.engine.chain_events().await.unwrap();
    let early = world.engine.position().await.unwrap();
    assert_eq!(early.seq, 5);
    happen(&world, 200).await;
    world.engine.chain_events().await.unwrap();
    let late = world.engine.position().await.unwrap();
    for seen in [&empty, &early, &late] {
        assert_eq!(world.engine.compare(seen).await.unwrap(), None, "{seen:?}");
    }
    assert_eq!(world.engine.older(), None);
    // Another way: as many events and more, but not the ones that were there.
    let mut other = early.clone();
    other.mac = late.mac.clone();
    let said = world.engine.compare(&other).await.unwrap().unwrap();
    assert!(
        said.contains("another way") && said.contains("event 5"),
        "{said}"
    );
    // Older: it has not come that far.
    let further = Position {
        seq: late.seq + 100,
        revision: late.revision + 1000,
        ..late
    };
    let said = world.engine.compare(&further).await.unwrap().unwrap();
    assert!(said.contains("older than this host has seen it"), "{said}");
    assert_eq!(world.engine.older().as_deref(), Some(said.as_str()));
    let told = world
        .engine
        .audit(&world.host, 205, 100)
        .await
        .unwrap()
        .into_iter()
        .filter(|line| {
            line.event
                .as_ref()
                .is_some_and(|event| event.kind == "vault.older_store")
        });
    assert_eq!(told.count(), 2);
}
