//! What somebody with the store's files, or with the wrong key, could try on the vault.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod common;
#[path = "common/stores.rs"]
mod stores;

use std::sync::Arc;

use bytes::Bytes;
use common::{CONFIGURATION, CONNECTION, id, owner, put, raw, secret_of};
use keyport_vault::store::{Key, Op};
use keyport_vault::{
    Damage, Expect, MemoryStore, Owner, RecordId, RootKey, Secret, SecretWrite, Store, Vault,
    VaultError, Write,
};

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
async fn line_30_on_every_store_a_wrong_key_or_a_missing_keyring_ends_with_a_sentence_and_nothing_is_written()
 {
    for backend in stores::backends().await {
        let vault = backend.vault().await;
        let id = id("u1", "con_1");
        vault
            .commit(vec![put(&id, Expect::Any, b"token")])
            .await
            .unwrap();
        drop(vault);
        let before = backend.rows().await;
        let wrong = Vault::open(Arc::clone(&backend.store), RootKey::generate().unwrap()).await;
        let error = wrong.err().unwrap();
        assert_eq!(error, VaultError::WrongRootKey, "{}", backend.name);
        assert!(error.to_string().contains("nothing was changed"));
        assert_eq!(backend.rows().await, before, "{}", backend.name);
        // Without its keyring no new one is made, with whatever key.
        backend.raw(vec![Op::Del(Key::from("s/keyring"))]).await;
        let before = backend.rows().await;
        for root in [root(), RootKey::generate().unwrap()] {
            let refused = Vault::open(Arc::clone(&backend.store), root).await;
            assert_eq!(refused.err(), Some(VaultError::NoKeyring));
        }
        assert_eq!(backend.rows().await, before, "{}", backend.name);
    }
}

#[tokio::test]
async fn a_damaged_index_row_hides_no_record_and_is_mended_by_the_next_write() {
    for backend in stores::backends().await {
        let vault = backend.vault().await;
        let (mine, theirs) = (id("u1", "con_1"), id("u2", "con_2"));
        for id in [&mine, &theirs] {
            vault
                .commit(vec![put(id, Expect::Any, b"token")])
                .await
                .unwrap();
        }
        let index = Key::from("i/connection/con_1");
        for spoilt in [&b"\xff\xfe"[..], b"", b"u2", b"somebody"] {
            backend
                .raw(vec![Op::Put(index.clone(), Bytes::copy_from_slice(spoilt))])
                .await;
            let found = vault.find(CONNECTION, "con_1").await.unwrap();
            assert_eq!(found.as_ref(), Some(&mine), "{} {spoilt:?}", backend.name);
            assert_eq!(secret_of(&vault, &mine).await, b"token");
            // It leads nobody to another's record.
            let other = vault.find(CONNECTION, "con_2").await.unwrap();
            assert_eq!(other.as_ref(), Some(&theirs));
            let report = vault.verify(None, None).await.unwrap();
            assert!(report.damaged > 0);
            vault
                .commit(vec![put(&mine, Expect::Exists, b"token")])
                .await
                .unwrap();
            let report = vault.verify(None, None).await.unwrap();
            assert_eq!(report.damaged, 0, "{:?}", report.findings);
        }
        assert_eq!(vault.find(CONNECTION, "con_3").await.unwrap(), None);
    }
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
async fn line_18_rows_that_are_moved_do_not_open() {
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

#[tokio::test]
async fn line_19_an_older_secret_put_back_beside_a_newer_row_does_not_open() {
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
