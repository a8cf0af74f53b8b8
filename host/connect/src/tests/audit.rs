//! The audit trail as a chain: what an attacker with the store can do to it, and what is told.

use keyport_vault::{Expect, Kind, Owner, RecordId, SecretWrite, Write};

use super::*;

const EVENTS: Kind = Kind::new("event");
const BLOCKS: Kind = Kind::new("audit_block");

fn event(id: &str) -> RecordId {
    RecordId::new(EVENTS, Owner::keyport(), id)
}

/// Some things that happen.
async fn happen(world: &World, count: usize) {
    for n in 0..count {
        world.pass(1);
        world
            .engine
            .create_key(&world.host, &format!("key {n}"), &[KeyScope::Connect])
            .await
            .unwrap();
    }
}

async fn lines(world: &World) -> Vec<AuditLine> {
    world.engine.audit(&world.host, 0, 1000).await.unwrap()
}

async fn report(world: &World) -> AuditReport {
    world.engine.verify_audit(&world.host, None).await.unwrap()
}

async fn delete(world: &World, id: RecordId) {
    let expect = Expect::Exists;
    let write = Write::Delete { id, expect };
    world.vault.commit(vec![write]).await.unwrap();
}

#[tokio::test]
async fn every_event_has_a_number_and_none_is_left_out() {
    let world = world().await;
    assert!(lines(&world).await.is_empty());
    happen(&world, 7).await;
    let first = lines(&world).await;
    assert_eq!(first.len(), 7);
    happen(&world, 150).await;
    happen(&world, 30).await;
    let all = lines(&world).await;
    assert_eq!(all.len(), 187);
    assert_eq!(all[..7], first[..], "what was chained stays as it was");
    for (n, line) in (1..).zip(&all) {
        assert_eq!((line.seq, &line.problem), (n, &None));
        let event = line.event.as_ref().unwrap();
        assert_eq!(
            (event.kind.as_str(), event.actor.as_str()),
            ("key.created", "keyport")
        );
    }
    // In pages, from anywhere.
    let page = world.engine.audit(&world.host, 100, 20).await.unwrap();
    assert_eq!(page[..], all[100..120]);
    assert!(
        world
            .engine
            .audit(&world.host, 187, 20)
            .await
            .unwrap()
            .is_empty()
    );
    let report = report(&world).await;
    assert_eq!(
        (report.proven, report.wrong, report.first, report.last),
        (187, 0, 1, 187)
    );
    assert_eq!(report.mac, all[186].mac);
    // A second look has nothing to do.
    assert_eq!(world.engine.chain_events().await.unwrap(), 0);
}

#[tokio::test]
async fn an_event_that_was_edited_deleted_or_put_in_is_told_by_its_number() {
    let world = world().await;
    happen(&world, 10).await;
    let all = lines(&world).await;
    let id = |n: usize| event(&all[n].event.as_ref().unwrap().id);
    // Edited by somebody who can even make the row genuine.
    let head = world.vault.head(&id(3)).await.unwrap().unwrap();
    let mut clear = head.clear.clone();
    clear["actor"] = "somebody else".into();
    let write = Write::Put {
        id: id(3),
        expect: Expect::Exists,
        clear,
        secret: SecretWrite::Keep,
    };
    world.vault.commit(vec![write]).await.unwrap();
    delete(&world, id(6)).await;
    // One that happened long before anything that is chained by now.
    world.pass(1000);
    happen(&world, 1).await;
    lines(&world).await;
    let forged = event("evt_0000000010000000000000");
    let write = Write::Put {
        id: forged,
        expect: Expect::Absent,
        clear: head.clear,
        secret: SecretWrite::Keep,
    };
    world.vault.commit(vec![write]).await.unwrap();
    let report = report(&world).await;
    assert_eq!(report.wrong, 3, "{:?}", report.findings);
    assert!(
        report.findings[0].starts_with("number 4, ") && report.findings[0].ends_with("was altered")
    );
    assert!(
        report.findings[1].starts_with("number 7, ") && report.findings[1].ends_with("is missing")
    );
    assert!(report.findings[2].ends_with("it was put in"));
    let told = lines(&world).await;
    assert_eq!(told[3].problem.as_deref(), Some("the event was altered"));
    assert_eq!(told[6].event, None);
}

#[tokio::test]
async fn a_block_that_was_changed_exchanged_or_removed_is_told() {
    let world = world().await;
    happen(&world, 120).await;
    lines(&world).await;
    happen(&world, 120).await;
    lines(&world).await;
    let page = world
        .vault
        .list(BLOCKS, Some(&Owner::keyport()), None, 10)
        .await
        .unwrap();
    assert_eq!(page.heads.len(), 2);
    let put = async |id: &RecordId, clear: serde_json::Value| {
        let write = Write::Put {
            id: id.clone(),
            expect: Expect::Exists,
            clear,
            secret: SecretWrite::Keep,
        };
        world.vault.commit(vec![write]).await.unwrap();
    };
    let (one, two) = (&page.heads[0], &page.heads[1]);
    // Two links change places.
    let mut clear = one.clear.clone();
    clear["links"].as_array_mut().unwrap().swap(3, 4);
    put(&one.id, clear).await;
    assert!(report(&world).await.findings[0].contains("between numbers 1 and"));
    put(&one.id, one.clear.clone()).await;
    assert_eq!(report(&world).await.wrong, 0);
    // An event is left out of the block.
    let mut clear = two.clear.clone();
    clear["links"].as_array_mut().unwrap().pop();
    put(&two.id, clear).await;
    assert!(report(&world).await.wrong > 0);
    put(&two.id, two.clear.clone()).await;
    assert_eq!(report(&world).await.wrong, 0);
    delete(&world, two.id.clone()).await;
    let report = report(&world).await;
    assert!(
        report.findings[0].contains("missing or was altered"),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_cut_tail_and_an_older_store_are_told_by_an_anchor_kept_elsewhere() {
    let world = world().await;
    happen(&world, 20).await;
    let early = lines(&world).await;
    let head = RecordId::new(Kind::new("audit_head"), Owner::keyport(), "head");
    let before = world.vault.head(&head).await.unwrap().unwrap().clear;
    let block = RecordId::new(BLOCKS, Owner::keyport(), format!("{:020}", 1));
    let block_before = world.vault.head(&block).await.unwrap().unwrap().clear;
    happen(&world, 20).await;
    let all = lines(&world).await;
    let anchor = |line: &AuditLine| (line.seq, line.mac.clone());
    for line in [&all[0], &all[19], &all[39]] {
        let (seq, mac) = anchor(line);
        let proven = world.engine.verify_audit(&world.host, Some((seq, &mac)));
        assert_eq!(proven.await.unwrap().wrong, 0);
        let other = "0".repeat(64);
        let proven = world.engine.verify_audit(&world.host, Some((seq, &other)));
        assert!(proven.await.unwrap().findings[0].contains("is not what it was"));
    }
    // The last twenty events, and all that tells of them.
    for line in &all[20..] {
        delete(&world, event(&line.event.as_ref().unwrap().id)).await;
    }
    for (id, clear) in [(head, before), (block, block_before)] {
        let write = Write::Put {
            id,
            expect: Expect::Exists,
            clear,
            secret: SecretWrite::Keep,
        };
        world.vault.commit(vec![write]).await.unwrap();
    }
    assert_eq!(report(&world).await.wrong, 0, "nothing here tells it");
    let (seq, mac) = anchor(&all[39]);
    let proven = world.engine.verify_audit(&world.host, Some((seq, &mac)));
    let proven = proven.await.unwrap();
    assert!(
        proven.findings[0].contains("its end was cut off"),
        "{proven:?}"
    );
    assert_eq!(lines(&world).await, early);
}

#[tokio::test]
async fn events_go_when_they_are_as_old_as_stated_and_the_rest_is_still_proven() {
    let options = Options {
        audit_keep: Duration::from_secs(30 * 24 * 3600),
        ..Options::default()
    };
    let world = world_with(options).await;
    happen(&world, 150).await;
    lines(&world).await;
    world.pass(20 * 24 * 3600);
    happen(&world, 150).await;
    let kept = lines(&world).await;
    world.engine.sweep().await.unwrap();
    assert_eq!(lines(&world).await.len(), 300, "nothing is old enough yet");
    world.pass(15 * 24 * 3600);
    world.engine.sweep().await.unwrap();
    let left = lines(&world).await;
    assert_eq!(left[0].seq, 151);
    assert_eq!(left[..], kept[150..]);
    let report = report(&world).await;
    assert_eq!((report.wrong, report.first, report.last), (0, 151, 300));
    let events = world.engine.events(None, None, Some(200)).await.unwrap();
    assert_eq!(events.items.len(), 150);
}

#[tokio::test]
async fn two_hosts_chain_one_trail_and_nothing_of_either_is_missing() {
    let world = world().await;
    let mut chained = 0;
    for _ in 0..10 {
        happen(&world, 5).await;
        let (one, two) = tokio::join!(world.engine.chain_events(), world.engine.chain_events());
        chained += one.unwrap_or(0) + two.unwrap_or(0);
    }
    chained += world.engine.chain_events().await.unwrap();
    assert_eq!(chained, 50);
    assert_eq!(report(&world).await.proven, 50);
}

#[tokio::test]
async fn a_key_without_manage_sees_nothing_of_it() {
    let world = world().await;
    let actor = Actor::Platform(PlatformKey {
        id: "key_1".into(),
        scopes: vec![KeyScope::Connect, KeyScope::ReadCredentials],
    });
    assert_eq!(
        world.engine.audit(&actor, 0, 1).await.unwrap_err().status(),
        403
    );
    assert_eq!(
        world
            .engine
            .verify_audit(&actor, None)
            .await
            .unwrap_err()
            .status(),
        403
    );
    assert_eq!(
        world
            .engine
            .upkeep(&actor, false)
            .await
            .unwrap_err()
            .status(),
        403
    );
    let level = keyport_vault::Level::Owners;
    assert_eq!(
        world
            .engine
            .rotate(&actor, level, None)
            .await
            .unwrap_err()
            .status(),
        403
    );
    assert_eq!(
        world
            .engine
            .destroy_owner(&actor, "u1")
            .await
            .unwrap_err()
            .status(),
        403
    );
    // And one with it changes no root key: that is done at the machine.
    let manager = Actor::Platform(PlatformKey {
        id: "key_2".into(),
        scopes: vec![KeyScope::Manage],
    });
    let key = RootKey::generate().unwrap();
    let refused = world.engine.change_root(&manager, &key).await.unwrap_err();
    assert_eq!(refused.code(), "only_at_the_machine");
}

#[tokio::test]
async fn what_operators_do_to_keys_is_written_down() {
    let world = world().await;
    world
        .engine
        .rotate(&world.host, keyport_vault::Level::Owners, None)
        .await
        .unwrap();
    while world
        .vault
        .activity()
        .is_none_or(|activity| !activity.ended)
    {
        tokio::task::yield_now().await;
    }
    world.engine.destroy_owner(&world.host, "u1").await.unwrap();
    let kinds: Vec<String> = loop {
        let lines = lines(&world).await;
        let kinds: Vec<_> = lines
            .into_iter()
            .map(|line| line.event.unwrap().kind)
            .collect();
        if kinds.iter().any(|kind| kind == "vault.rotated") {
            break kinds;
        }
        tokio::task::yield_now().await;
    };
    for kind in ["vault.rotating", "vault.rotated", "vault.owner_destroyed"] {
        assert!(kinds.iter().any(|known| known == kind), "{kinds:?}");
    }
}

#[tokio::test]
async fn a_damaged_connection_is_a_state_of_its_own_and_the_list_and_the_others_live_on() {
    use keyport_vault::store::{Commit, CommitId, Op};
    let world = world().await;
    let import = |owner: &str| NewImport {
        owner: owner.into(),
        app: "sandbox".into(),
        method: "api_key".into(),
        config: None,
        title: None,
        fields: indexmap::IndexMap::from([("api_key".to_owned(), KEY.to_owned())]),
        token: None,
    };
    let one = world
        .engine
        .import(&world.host, import("u1"))
        .await
        .unwrap();
    let two = world
        .engine
        .import(&world.host, import("u1"))
        .await
        .unwrap();
    let name = format!("r/connection/u1/{}", one.id);
    let (key, rec) = world
        .store
        .scan(name.as_bytes(), None, 1)
        .await
        .unwrap()
        .remove(0);
    let mut bytes = rec.value.to_vec();
    let last = bytes.len() - 30;
    bytes[last] ^= 1;
    let commit = Commit {
        id: CommitId::random().unwrap(),
        pre: vec![],
        ops: vec![Op::Put(key, bytes.into())],
    };
    world.store.commit(commit).await.unwrap();
    let page = world
        .engine
        .list(&world.host, &ConnectionQuery::default())
        .await
        .unwrap();
    assert_eq!(page.items.len(), 2);
    for item in &page.items {
        let damaged = item.id == one.id;
        assert_eq!(item.state == ConnectionState::NeedsReconnect, damaged);
        let code = item.reason.as_ref().map(|reason| reason.code.as_str());
        assert_eq!(code, damaged.then_some("damaged_record"));
    }
    assert!(
        world
            .engine
            .credentials(&world.host, &one.id)
            .await
            .is_err()
    );
    assert!(world.engine.credentials(&world.host, &two.id).await.is_ok());
}
