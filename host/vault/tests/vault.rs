//! The vault over a store in memory, as its callers use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

#[path = "common/bent.rs"]
mod bent;
mod common;

use std::sync::Arc;
use std::time::Duration;

use bent::Bent;
use bytes::Bytes;
use common::{CONFIGURATION, CONNECTION, id, opened, owner, put, secret_of};
use keyport_vault::store::Key;
use keyport_vault::{
    Expect, LeaseTry, MemoryStore, RecordId, Rev, RootKey, Secret, SecretBytes, SecretWrite, Store,
    Vault, VaultError, Write,
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
/// The older sealed value spliced into the newer row, under its own generation and under the row's.
/// The clear part says where a credential is sent; changing it in the file must not go unnoticed.
#[tokio::test]
async fn a_lost_reply_is_settled_and_never_written_twice() {
    let store = MemoryStore::new();
    Vault::open(Arc::new(store.clone()), root()).await.unwrap();
    let flaky = Arc::new(Bent::over(Arc::new(store.clone())));
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
