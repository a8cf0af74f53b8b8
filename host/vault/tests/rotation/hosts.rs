//! Other hosts on the same store: what one does to keys, the others follow.

use std::sync::Arc;
use std::time::Duration;

use keyport_vault::{
    Damage, Expect, Level, MemoryStore, Secret, Store, Vault, VaultError, VaultOptions,
};

use keyport_tests::postgres::Cluster;
use keyport_vault::{PostgresOptions, PostgresStore};

use crate::bent::Bent;
use crate::common::{id, owner, put, secret_of};
use crate::stores::{ROOT, options, root};
use crate::{all_open, fill};

#[tokio::test(start_paused = true)]
async fn line_28_a_host_with_a_stale_keyring_catches_up_without_a_restart_or_the_root_key() {
    let memory = MemoryStore::new();
    let shared = || -> Arc<dyn Store> { Arc::new(Bent::shared(Arc::new(memory.clone()))) };
    let one = Vault::open_with(shared(), root(), options(ROOT))
        .await
        .unwrap();
    fill(&one).await;
    // It has no way to the root key any more.
    let two = Vault::open(shared(), root()).await.unwrap();
    all_open(&two).await;
    one.rotate(Level::Terms, None).await.unwrap();
    one.rotate(Level::Owners, None).await.unwrap();
    all_open(&two).await;
    // And it seals, with the new term.
    let at = id("newcomer", "con_new");
    two.commit(vec![put(&at, Expect::Absent, b"new")])
        .await
        .unwrap();
    assert_eq!(secret_of(&one, &at).await, b"new");
    one.retire(Level::Owners).await.unwrap();
    assert_eq!(one.retire(Level::Terms).await.unwrap().destroyed, 1);
    all_open(&two).await;
    assert_eq!(secret_of(&two, &at).await, b"new");
    // A third rotation on top, made by the host that has the key, is followed as well.
    one.rotate(Level::Terms, None).await.unwrap();
    let at = id("another", "con_another");
    two.commit(vec![put(&at, Expect::Absent, b"new")])
        .await
        .unwrap();
    let terms = two.inventory(true).await.unwrap();
    assert_eq!(
        terms
            .terms
            .iter()
            .map(|term| term.state)
            .collect::<Vec<_>>(),
        ["destroyed", "decrypt-only", "active"]
    );
    let wrapped = terms.owners.unwrap().wrapped_by;
    assert_eq!(wrapped.keys().collect::<Vec<_>>(), [&3]);
}

#[tokio::test(start_paused = true)]
async fn a_key_becomes_active_on_a_shared_store_only_after_every_host_had_twice_its_cache_time() {
    let memory = MemoryStore::new();
    let store: Arc<dyn Store> = Arc::new(Bent::shared(Arc::new(memory)));
    let options = VaultOptions {
        key_cache: Duration::from_secs(30),
        ..options(ROOT)
    };
    let vault = Vault::open_with(store, root(), options).await.unwrap();
    fill(&vault).await;
    let begun = tokio::time::Instant::now();
    let rotating = tokio::spawn({
        let vault = vault.clone();
        async move { vault.rotate(Level::Terms, None).await }
    });
    tokio::time::sleep(Duration::from_secs(50)).await;
    let states = |vault: &Vault| {
        let vault = vault.clone();
        async move {
            let terms = vault.inventory(false).await.unwrap().terms;
            terms.iter().map(|term| term.state).collect::<Vec<_>>()
        }
    };
    assert_eq!(states(&vault).await, ["active", "pending"]);
    assert_eq!(vault.activity().unwrap().stage, "waiting");
    assert_eq!(
        vault.rotate(Level::Owners, None).await,
        Err(VaultError::Working("rotate terms"))
    );
    rotating.await.unwrap().unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(60));
    assert_eq!(states(&vault).await, ["decrypt-only", "active"]);
}

#[tokio::test(start_paused = true)]
async fn keys_destroyed_on_one_host_shut_on_the_others() {
    let memory = MemoryStore::new();
    let shared = || -> Arc<dyn Store> { Arc::new(Bent::shared(Arc::new(memory.clone()))) };
    let one = Vault::open(shared(), root()).await.unwrap();
    let two = Vault::open(shared(), root()).await.unwrap();
    let at = id("u1", "con_1");
    one.commit(vec![put(&at, Expect::Absent, b"secret")])
        .await
        .unwrap();
    assert_eq!(secret_of(&two, &at).await, b"secret");
    one.destroy_owner(&owner("u1")).await.unwrap();
    // Its notice takes no time here; nothing but the task that hears it has to run.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let record = two.get(&at).await.unwrap().unwrap();
    assert!(matches!(
        record.secret,
        Secret::Damaged(Damage::KeysDestroyed)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn line_39_keys_destroyed_on_one_host_are_shut_on_another_within_five_seconds() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    let database = server.database();
    let open = async || {
        let store = PostgresStore::open(PostgresOptions::parse(&database.url).unwrap());
        let store: Arc<dyn Store> = Arc::new(store.await.unwrap());
        Vault::open(store, root()).await.unwrap()
    };
    let (one, two) = (open().await, open().await);
    for round in 0..3 {
        let (gone, stays) = (
            id(&format!("gone{round}"), &format!("con_g{round}")),
            id(&format!("stays{round}"), &format!("con_s{round}")),
        );
        for at in [&gone, &stays] {
            one.commit(vec![put(at, Expect::Absent, b"secret")])
                .await
                .unwrap();
            // Both have the key in memory.
            assert_eq!(secret_of(&two, at).await, b"secret");
        }
        one.destroy_owner(&gone.owner).await.unwrap();
        let end = std::time::Instant::now() + Duration::from_secs(5);
        while !matches!(
            two.get(&gone).await.unwrap().unwrap().secret,
            Secret::Damaged(Damage::KeysDestroyed)
        ) {
            assert!(std::time::Instant::now() < end, "it still opens");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(secret_of(&two, &stays).await, b"secret");
        // Who comes back gets a new key, on whichever host.
        two.commit(vec![put(&gone, Expect::Exists, b"anew")])
            .await
            .unwrap();
        assert_eq!(secret_of(&one, &gone).await, b"anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn line_28_two_hosts_on_one_database_follow_each_others_rotations() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    let database = server.database();
    let open = async || {
        let store = PostgresStore::open(PostgresOptions::parse(&database.url).unwrap());
        let store: Arc<dyn Store> = Arc::new(store.await.unwrap());
        Vault::open_with(store, root(), options(ROOT))
            .await
            .unwrap()
    };
    let (one, two) = (open().await, open().await);
    fill(&one).await;
    all_open(&two).await;
    for (by, other) in [(&one, &two), (&two, &one)] {
        by.rotate(Level::Terms, None).await.unwrap();
        by.rotate(Level::Owners, None).await.unwrap();
        all_open(other).await;
        by.retire(Level::Owners).await.unwrap();
        assert_eq!(by.retire(Level::Terms).await.unwrap().destroyed, 1);
        all_open(other).await;
        let at = id("newcomer", "con_new");
        other
            .commit(vec![put(&at, Expect::Any, b"new")])
            .await
            .unwrap();
        assert_eq!(secret_of(by, &at).await, b"new");
    }
}
