//! The vault over a store in memory, and what an attacker with the store's files could try.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{CONFIGURATION, CONNECTION, LostReplies, id, opened, owner, put, raw, secret_of};
use keyport_vault::store::{Key, Op};
use keyport_vault::{
    Damage, Expect, LeaseTry, MemoryStore, Owner, RecordId, Rev, RootKey, Secret, SecretBytes,
    SecretWrite, Store, Vault, VaultError, Write,
};
use serde_json::json;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn root() -> RootKey {
    RootKey::from_base64(KEY).unwrap()
}

async fn vault() -> (Vault, MemoryStore) {
    let store = MemoryStore::new();
    let vault = Vault::open(Arc::new(store.clone()), root()).await.unwrap();
    (vault, store)
}

async fn all(store: &MemoryStore) -> Vec<(Key, Bytes)> {
    let rows = store.scan(b"", None, 10_000).await.unwrap();
    rows.into_iter()
        .map(|(key, rec)| (key, rec.value))
        .collect()
}

#[tokio::test]
async fn a_record_reads_back_whole_and_its_head_shows_no_secret() {
    let (vault, _) = vault().await;
    let id = id("u1", "con_1");
    let rev = vault
        .commit(vec![put(&id, Expect::Absent, b"token")])
        .await
        .unwrap();
    let record = vault.get(&id).await.unwrap().unwrap();
    assert_eq!((record.rev, &record.id), (rev, &id));
    assert_eq!(record.clear, json!({"title": "con_1"}));
    assert_eq!(opened(&record.secret), Some(&b"token"[..]));
    let head = vault.head(&id).await.unwrap().unwrap();
    assert!(head.has_secret && !head.damaged);
    assert_eq!((head.rev, head.generation), (rev, record.generation));
    assert_eq!(
        vault.find(CONNECTION, "con_1").await.unwrap(),
        Some(id.clone())
    );
    assert_eq!(vault.find(CONFIGURATION, "con_1").await.unwrap(), None);
    vault
        .commit(vec![Write::Delete {
            id: id.clone(),
            expect: Expect::At(rev),
        }])
        .await
        .unwrap();
    assert!(vault.get(&id).await.unwrap().is_none());
    assert!(vault.head(&id).await.unwrap().is_none());
    assert_eq!(vault.find(CONNECTION, "con_1").await.unwrap(), None);
}

#[tokio::test]
async fn expectations_are_kept_and_a_failed_commit_changes_nothing() {
    let (vault, store) = vault().await;
    let (one, two) = (id("u1", "one"), id("u1", "two"));
    let first = vault
        .commit(vec![put(&one, Expect::Any, b"1")])
        .await
        .unwrap();
    let second = vault
        .commit(vec![put(&one, Expect::At(first), b"2")])
        .await
        .unwrap();
    let before = all(&store).await;
    let cases = [
        (one.clone(), Expect::Absent, Some(second)),
        (one.clone(), Expect::At(first), Some(second)),
        (two.clone(), Expect::At(second), None),
        (two.clone(), Expect::Exists, None),
    ];
    for (id, expect, actual) in cases {
        let expected = VaultError::Conflict {
            id: id.clone(),
            actual,
        };
        let other = common::id("u1", "three");
        let writes = vec![put(&other, Expect::Absent, b"3"), put(&id, expect, b"x")];
        assert_eq!(vault.commit(writes).await, Err(expected.clone()));
        let delete = Write::Delete { id, expect };
        assert_eq!(
            vault
                .commit(vec![put(&other, Expect::Absent, b"3"), delete])
                .await,
            Err(expected)
        );
    }
    assert_eq!(all(&store).await, before);
    // Deleting what is gone is fine when nothing was expected.
    let gone = Write::Delete {
        id: two,
        expect: Expect::Any,
    };
    assert_eq!(vault.commit(vec![gone]).await, Ok(second));
}

#[tokio::test]
async fn a_secret_is_kept_replaced_or_removed_as_asked() {
    let (vault, _) = vault().await;
    let id = id("u1", "con_1");
    let write = |secret| Write::Put {
        id: id.clone(),
        expect: Expect::Any,
        clear: json!({"title": "new"}),
        secret,
    };
    vault
        .commit(vec![put(&id, Expect::Any, b"1")])
        .await
        .unwrap();
    let before = vault.head(&id).await.unwrap().unwrap();
    vault.commit(vec![write(SecretWrite::Keep)]).await.unwrap();
    let record = vault.get(&id).await.unwrap().unwrap();
    assert_eq!(record.clear, json!({"title": "new"}));
    assert_eq!(opened(&record.secret), Some(&b"1"[..]));
    assert_eq!(record.generation, before.generation);
    vault
        .commit(vec![write(SecretWrite::Put(SecretBytes::new(*b"2")))])
        .await
        .unwrap();
    let record = vault.get(&id).await.unwrap().unwrap();
    assert_eq!(opened(&record.secret), Some(&b"2"[..]));
    assert_eq!(record.generation, before.generation + 1);
    vault
        .commit(vec![write(SecretWrite::Destroy)])
        .await
        .unwrap();
    let record = vault.get(&id).await.unwrap().unwrap();
    assert!(matches!(record.secret, Secret::None));
    assert_eq!(record.generation, before.generation + 2);
}

#[tokio::test]
async fn an_id_belongs_to_one_owner() {
    let (vault, _) = vault().await;
    vault
        .commit(vec![put(&id("u1", "con_1"), Expect::Any, b"1")])
        .await
        .unwrap();
    let stolen = vault
        .commit(vec![put(&id("u2", "con_1"), Expect::Any, b"2")])
        .await;
    assert_eq!(stolen, Err(VaultError::IdTaken));
    let twice = vec![
        put(&id("u1", "a"), Expect::Any, b"1"),
        put(&id("u2", "a"), Expect::Any, b"2"),
    ];
    assert!(matches!(
        vault.commit(twice).await,
        Err(VaultError::Refused(_))
    ));
    // Another's id with one's own owner is simply not there.
    assert!(vault.get(&id("u2", "con_1")).await.unwrap().is_none());
}

#[tokio::test]
async fn bad_input_is_refused() {
    let (vault, store) = vault().await;
    let before = all(&store).await;
    for bad in ["", "a\nb", &"x".repeat(256)] {
        let id = RecordId::new(CONNECTION, owner("u1"), bad);
        assert!(matches!(vault.get(&id).await, Err(VaultError::Name(_))));
        assert!(matches!(
            vault.commit(vec![put(&id, Expect::Any, b"")]).await,
            Err(VaultError::Name(_))
        ));
    }
    let big = put(
        &id("u1", "a"),
        Expect::Any,
        &vec![1; keyport_vault::SECRET_MAX + 1],
    );
    let clear = Write::Put {
        id: id("u1", "a"),
        expect: Expect::Any,
        clear: json!("x".repeat(keyport_vault::CLEAR_MAX)),
        secret: SecretWrite::Keep,
    };
    for writes in [vec![], vec![big], vec![clear]] {
        assert!(matches!(
            vault.commit(writes).await,
            Err(VaultError::Refused(_))
        ));
    }
    for cursor in ["", "%", "AAAA", "ci9jb25uZWN0aW9uL3UyL3g"] {
        let page = vault
            .list(CONNECTION, Some(&owner("u1")), Some(cursor), 10)
            .await;
        assert_eq!(page, Err(VaultError::BadCursor), "{cursor}");
    }
    assert_eq!(all(&store).await, before);
}

#[tokio::test]
async fn lists_page_through_one_owner_or_all_and_through_one_kind() {
    let (vault, _) = vault().await;
    for owner in ["u1", "u1/x", "u", "Ünï"] {
        for number in 0..7 {
            let id = id(owner, &format!("{owner}-{number}"));
            vault
                .commit(vec![put(&id, Expect::Absent, b"s")])
                .await
                .unwrap();
        }
    }
    let other = RecordId::new(CONFIGURATION, owner("u1"), "cfg_1");
    vault
        .commit(vec![put(&other, Expect::Absent, b"s")])
        .await
        .unwrap();
    for (who, expected) in [
        (Some("u1"), 7),
        (Some("u"), 7),
        (Some("nobody"), 0),
        (None, 28),
    ] {
        for limit in [1, 3, 7, 100] {
            let who = who.map(owner);
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = vault
                    .list(CONNECTION, who.as_ref(), after.as_deref(), limit)
                    .await
                    .unwrap();
                assert!(page.heads.len() <= limit);
                found.extend(page.heads);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found.len(), expected);
            assert!(found.iter().all(|head| head.id.kind == CONNECTION));
            assert!(who.is_none_or(|who| found.iter().all(|head| head.id.owner == who)));
        }
    }
}

#[tokio::test]
async fn the_right_key_opens_what_was_stored_and_a_wrong_one_is_told_at_once() {
    let (vault, store) = vault().await;
    let id = id("u1", "con_1");
    vault
        .commit(vec![put(&id, Expect::Any, b"token")])
        .await
        .unwrap();
    let mac = vault.mac_key("cookie");
    drop(vault);
    let before = all(&store).await;
    let wrong = Vault::open(Arc::new(store.clone()), RootKey::generate().unwrap()).await;
    assert_eq!(wrong.err(), Some(VaultError::WrongRootKey));
    assert_eq!(all(&store).await, before, "nothing is written");
    let again = Vault::open(Arc::new(store.clone()), root()).await.unwrap();
    assert_eq!(secret_of(&again, &id).await, b"token");
    assert_eq!(*again.mac_key("cookie"), *mac);
    assert_ne!(*again.mac_key("state"), *mac);
}

#[tokio::test]
async fn no_keyring_is_made_over_existing_data() {
    let (vault, store) = vault().await;
    vault
        .commit(vec![put(&id("u1", "a"), Expect::Any, b"1")])
        .await
        .unwrap();
    for gone in [vec!["s/keyring"], vec!["s/keyring", "s/check"]] {
        for name in gone {
            raw(&store, vec![Op::Del(Key::from(name))]).await;
        }
        let before = all(&store).await;
        let refused = Vault::open(Arc::new(store.clone()), root()).await;
        assert_eq!(refused.err(), Some(VaultError::NoKeyring));
        assert_eq!(all(&store).await, before);
    }
}

#[tokio::test]
async fn a_damaged_keyring_is_told_from_a_wrong_key() {
    let (_, store) = vault().await;
    let rows = all(&store).await;
    let spoil = |name: &str| {
        let (key, value) = rows
            .iter()
            .find(|(key, _)| *key == Key::from(name))
            .unwrap();
        let mut value = value.to_vec();
        *value.last_mut().unwrap() ^= 1;
        Op::Put(key.clone(), Bytes::from(value))
    };
    raw(&store, vec![spoil("s/check")]).await;
    assert!(Vault::open(Arc::new(store.clone()), root()).await.is_ok());
    raw(
        &store,
        rows.iter()
            .map(|(key, value)| Op::Put(key.clone(), value.clone()))
            .collect(),
    )
    .await;
    raw(&store, vec![spoil("s/keyring")]).await;
    let refused = Vault::open(Arc::new(store.clone()), root()).await;
    assert_eq!(refused.err(), Some(VaultError::KeyringDamaged));
}

#[tokio::test]
async fn two_hosts_that_start_at_once_agree_on_one_keyring() {
    let store = MemoryStore::new();
    let open = || Vault::open(Arc::new(store.clone()), root());
    let (one, two) = tokio::join!(open(), open());
    let (one, two) = (one.unwrap(), two.unwrap());
    one.commit(vec![put(&id("u1", "a"), Expect::Any, b"1")])
        .await
        .unwrap();
    two.commit(vec![put(&id("u1", "b"), Expect::Any, b"2")])
        .await
        .unwrap();
    assert_eq!(secret_of(&two, &id("u1", "a")).await, b"1");
    assert_eq!(secret_of(&one, &id("u1", "b")).await, b"2");
}

/// Whoever can write the store puts rows where they do not belong.
#[tokio::test]
async fn rows_that_are_moved_do_not_open() {
    let (vault, store) = vault().await;
    let config = RecordId::new(CONFIGURATION, owner("u1"), "con_1");
    for id in [
        id("u1", "con_1"),
        id("u1", "con_2"),
        id("u2", "con_3"),
        config.clone(),
    ] {
        vault
            .commit(vec![put(&id, Expect::Any, b"token")])
            .await
            .unwrap();
    }
    let victim = store
        .get(&Key::from("r/connection/u1/con_1"))
        .await
        .unwrap()
        .unwrap()
        .value;
    for (name, id) in [
        ("r/connection/u1/con_2", id("u1", "con_2")),
        ("r/connection/u2/con_3", id("u2", "con_3")),
        ("r/configuration/u1/con_1", config),
    ] {
        raw(&store, vec![Op::Put(Key::from(name), victim.clone())]).await;
        let record = vault.get(&id).await.unwrap().unwrap();
        assert!(
            matches!(record.secret, Secret::Damaged(Damage::DoesNotOpen)),
            "{name}"
        );
        assert!(vault.head(&id).await.unwrap().unwrap().damaged);
    }
    assert_eq!(secret_of(&vault, &id("u1", "con_1")).await, b"token");
}

#[tokio::test]
async fn an_owners_key_put_under_another_owner_opens_nothing() {
    let (vault, store) = vault().await;
    vault
        .commit(vec![put(&id("u1", "a"), Expect::Any, b"1")])
        .await
        .unwrap();
    vault
        .commit(vec![put(&id("u2", "b"), Expect::Any, b"2")])
        .await
        .unwrap();
    drop(vault);
    let one = store.get(&Key::from("k/u1")).await.unwrap().unwrap().value;
    raw(&store, vec![Op::Put(Key::from("k/u2"), one)]).await;
    let vault = Vault::open(Arc::new(store), root()).await.unwrap();
    let record = vault.get(&id("u2", "b")).await.unwrap().unwrap();
    assert!(matches!(
        record.secret,
        Secret::Damaged(Damage::DoesNotOpen)
    ));
    assert_eq!(secret_of(&vault, &id("u1", "a")).await, b"1");
}

/// The older sealed value spliced into the newer row, under its own generation and under the row's.
#[tokio::test]
async fn an_older_secret_put_back_beside_a_newer_row_does_not_open() {
    let (vault, store) = vault().await;
    let id = id("u1", "con_1");
    let at = Key::from("r/connection/u1/con_1");
    vault
        .commit(vec![put(&id, Expect::Any, b"old!!")])
        .await
        .unwrap();
    let old = store.get(&at).await.unwrap().unwrap().value;
    vault
        .commit(vec![put(&id, Expect::Any, b"new!!")])
        .await
        .unwrap();
    let new = store.get(&at).await.unwrap().unwrap().value;
    assert_eq!(old.len(), new.len());
    let envelope = old
        .windows(4)
        .position(|bytes| bytes == b"KP\x01\x01")
        .unwrap();
    for generation_too in [false, true] {
        let mut spliced = new.to_vec();
        spliced[envelope..new.len() - 16].copy_from_slice(&old[envelope..old.len() - 16]);
        if generation_too {
            spliced[2..10].copy_from_slice(&old[2..10]);
        }
        raw(&store, vec![Op::Put(at.clone(), Bytes::from(spliced))]).await;
        let record = vault.get(&id).await.unwrap().unwrap();
        assert!(matches!(record.secret, Secret::Damaged(_)));
    }
}

#[tokio::test]
async fn generations_of_a_record_made_again_never_repeat() {
    let (vault, _) = vault().await;
    let id = id("u1", "con_1");
    let mut seen = std::collections::HashSet::new();
    for round in 0..4 {
        for _ in 0..=round {
            vault
                .commit(vec![put(&id, Expect::Any, b"x")])
                .await
                .unwrap();
            assert!(seen.insert(vault.head(&id).await.unwrap().unwrap().generation));
        }
        let delete = Write::Delete {
            id: id.clone(),
            expect: Expect::Exists,
        };
        vault.commit(vec![delete]).await.unwrap();
    }
}

/// The clear part says where a credential is sent; changing it in the file must not go unnoticed.
#[tokio::test]
async fn a_changed_clear_part_shuts_the_secret_and_cannot_be_made_genuine_by_a_harmless_write() {
    let (vault, store) = vault().await;
    let id = id("u1", "con_1");
    let at = Key::from("r/connection/u1/con_1");
    vault
        .commit(vec![put(&id, Expect::Any, b"token")])
        .await
        .unwrap();
    let row = store.get(&at).await.unwrap().unwrap().value;
    let from = row.windows(5).position(|bytes| bytes == b"con_1").unwrap();
    let mut changed = row.to_vec();
    changed[from..from + 5].copy_from_slice(b"evil!");
    raw(&store, vec![Op::Put(at, Bytes::from(changed))]).await;
    let record = vault.get(&id).await.unwrap().unwrap();
    assert!(matches!(
        record.secret,
        Secret::Damaged(Damage::DoesNotOpen)
    ));
    let keep = Write::Put {
        id: id.clone(),
        expect: Expect::Any,
        clear: record.clear,
        secret: SecretWrite::Keep,
    };
    assert_eq!(
        vault.commit(vec![keep]).await,
        Err(VaultError::Damaged { id: id.clone() })
    );
    // A new secret mends it, above every generation before.
    vault
        .commit(vec![put(&id, Expect::Any, b"fresh")])
        .await
        .unwrap();
    assert_eq!(secret_of(&vault, &id).await, b"fresh");
}

#[tokio::test]
async fn one_damaged_record_leaves_its_list_alive() {
    let (vault, store) = vault().await;
    for number in 0..5 {
        vault
            .commit(vec![put(
                &id("u1", &format!("con_{number}")),
                Expect::Any,
                b"x",
            )])
            .await
            .unwrap();
    }
    for garbage in [
        "",
        "x",
        "\u{1}\u{1}garbage that is long enough to have a place for everything",
    ] {
        raw(
            &store,
            vec![Op::Put(
                Key::from("r/connection/u1/con_2"),
                Bytes::from(garbage),
            )],
        )
        .await;
        let page = vault.list(CONNECTION, None, None, 10).await.unwrap();
        let damaged: Vec<_> = page.heads.iter().map(|head| head.damaged).collect();
        assert_eq!(damaged, [false, false, true, false, false]);
        assert!(matches!(
            vault.get(&id("u1", "con_2")).await.unwrap().unwrap().secret,
            Secret::Damaged(Damage::DoesNotOpen)
        ));
    }
    let delete = Write::Delete {
        id: id("u1", "con_2"),
        expect: Expect::Exists,
    };
    vault.commit(vec![delete]).await.unwrap();
    assert_eq!(
        vault
            .list(CONNECTION, None, None, 10)
            .await
            .unwrap()
            .heads
            .len(),
        4
    );
}

#[tokio::test]
async fn a_destroyed_owner_is_shut_for_good_and_others_are_not() {
    let (vault, store) = vault().await;
    vault
        .commit(vec![put(&id("u1", "a"), Expect::Any, b"1")])
        .await
        .unwrap();
    vault
        .commit(vec![put(&id("u2", "b"), Expect::Any, b"2")])
        .await
        .unwrap();
    // Another host has the keys in memory.
    let other = Vault::open(Arc::new(store.clone()), root()).await.unwrap();
    assert_eq!(secret_of(&other, &id("u1", "a")).await, b"1");
    vault.destroy_owner(&owner("u1")).await.unwrap();
    vault.destroy_owner(&owner("u1")).await.unwrap();
    vault.destroy_owner(&owner("nobody")).await.unwrap();
    assert!(vault.destroy_owner(&Owner::keyport()).await.is_err());
    for vault in [
        &vault,
        &Vault::open(Arc::new(store.clone()), root()).await.unwrap(),
    ] {
        let record = vault.get(&id("u1", "a")).await.unwrap().unwrap();
        assert!(matches!(
            record.secret,
            Secret::Damaged(Damage::KeysDestroyed)
        ));
        assert_eq!(secret_of(vault, &id("u2", "b")).await, b"2");
        assert_eq!(
            vault
                .list(CONNECTION, None, None, 10)
                .await
                .unwrap()
                .heads
                .len(),
            2
        );
    }
    // The other host's stale key must not seal anything any more.
    other
        .commit(vec![put(&id("u1", "c"), Expect::Any, b"3")])
        .await
        .unwrap();
    assert_eq!(secret_of(&vault, &id("u1", "c")).await, b"3");
    let record = other.get(&id("u1", "a")).await.unwrap().unwrap();
    assert!(matches!(
        record.secret,
        Secret::Damaged(Damage::KeysDestroyed)
    ));
}

#[tokio::test]
async fn a_lost_reply_is_settled_and_never_written_twice() {
    let store = MemoryStore::new();
    Vault::open(Arc::new(store.clone()), root()).await.unwrap();
    let flaky = Arc::new(LostReplies::over(store.clone()));
    let vault = Vault::open(Arc::clone(&flaky) as Arc<dyn Store>, root())
        .await
        .unwrap();
    let id = id("u1", "a");
    // The commit went through, its reply did not come.
    flaky.lose(true);
    let rev = vault
        .commit(vec![put(&id, Expect::Absent, b"1")])
        .await
        .unwrap();
    assert_eq!(vault.head(&id).await.unwrap().unwrap().rev, rev);
    // The commit itself was lost.
    flaky.lose(false);
    let next = vault
        .commit(vec![put(&id, Expect::At(rev), b"2")])
        .await
        .unwrap();
    assert_eq!(next, Rev(rev.0 + 1));
    assert_eq!(secret_of(&vault, &id).await, b"2");
}

#[tokio::test]
async fn many_who_write_without_conditions_all_get_through() {
    let (vault, _) = vault().await;
    let tries = (0..12).map(|number| {
        let vault = vault.clone();
        tokio::spawn(async move {
            let text = format!("{number}");
            let writes = vec![
                put(&id("u1", "same"), Expect::Any, text.as_bytes()),
                put(&id("u1", &text), Expect::Absent, text.as_bytes()),
            ];
            vault.commit(writes).await
        })
    });
    for done in futures_util::future::join_all(tries).await {
        done.unwrap().unwrap();
    }
    assert_eq!(
        vault
            .list(CONNECTION, None, None, 100)
            .await
            .unwrap()
            .heads
            .len(),
        13
    );
    let last = secret_of(&vault, &id("u1", "same")).await;
    let last = String::from_utf8(last).unwrap();
    assert_eq!(secret_of(&vault, &id("u1", &last)).await, last.as_bytes());
}

#[tokio::test]
async fn watchers_hear_which_records_changed_and_of_nothing_else() {
    let (vault, _) = vault().await;
    let mut watch = vault.watch();
    let a = id("u/1", "a");
    let rev = vault
        .commit(vec![put(&a, Expect::Any, b"1")])
        .await
        .unwrap();
    let changed = watch.recv().await.unwrap();
    assert_eq!(
        (
            changed.kind.as_str(),
            &changed.owner,
            changed.id.as_str(),
            changed.rev
        ),
        ("connection", &a.owner, "a", rev)
    );
    let rev = vault
        .commit(vec![Write::Delete {
            id: a,
            expect: Expect::Any,
        }])
        .await
        .unwrap();
    assert_eq!(watch.recv().await.unwrap().rev, rev);
}

#[tokio::test]
async fn leases_are_between_hosts() {
    let (one, store) = vault().await;
    let two = Vault::open(Arc::new(store), root()).await.unwrap();
    let ttl = Duration::from_secs(30);
    let LeaseTry::Got(lease) = one.lease("refresh/con_1", ttl).await.unwrap() else {
        panic!("the lease is free");
    };
    assert!(matches!(
        two.lease("refresh/con_1", ttl).await.unwrap(),
        LeaseTry::Held { .. }
    ));
    assert!(one.renew(&lease, ttl).await.unwrap());
    one.release(lease).await.unwrap();
    assert!(matches!(
        two.lease("refresh/con_1", ttl).await.unwrap(),
        LeaseTry::Got(_)
    ));
}

#[tokio::test]
async fn errors_say_what_to_do_and_show_nothing_secret() {
    let (vault, store) = vault().await;
    let wrong = Vault::open(Arc::new(store), RootKey::generate().unwrap())
        .await
        .err()
        .unwrap();
    assert!(
        wrong
            .to_string()
            .contains("start with the key that the data was made with")
    );
    assert!(!wrong.to_string().contains(KEY));
    let id = id("u1", "con_1");
    let conflict = vault
        .commit(vec![put(&id, Expect::Exists, b"canary")])
        .await
        .err()
        .unwrap();
    let text = format!("{conflict} {conflict:?}");
    assert!(
        text.contains("read it again") && !text.contains("canary"),
        "{text}"
    );
}
