//! Keys of every level are changed while everything is served; lines 26, 27, 28, 31 and 32 of the requirements.

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
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{id, opened, owner, put, secret_of};
use keyport_vault::{
    Damage, Expect, Level, MemoryStore, RootKey, Secret, SecretBytes, SecretWrite, Store, Vault,
    VaultError, VaultOptions, Write,
};
use serde_json::json;
use stores::{NEXT, ROOT, Shared, backends, options, root};

const OWNERS: u64 = 12;

/// Three connections for each of some owners.
async fn fill(vault: &Vault) {
    for n in 0..OWNERS {
        let writes = (0..3)
            .map(|c| {
                put(
                    &id(&format!("u{n}"), &format!("con_{n}_{c}")),
                    Expect::Absent,
                    format!("secret {n} {c}").as_bytes(),
                )
            })
            .collect();
        vault.commit(writes).await.unwrap();
    }
}

async fn all_open(vault: &Vault) {
    for n in 0..OWNERS {
        for c in 0..3 {
            let at = id(&format!("u{n}"), &format!("con_{n}_{c}"));
            let secret = secret_of(vault, &at).await;
            assert!(
                secret.starts_with(format!("secret {n} {c}").as_bytes()),
                "{at}"
            );
        }
    }
}

/// Reads and writes for as long as it runs; the number of failed reads must stay zero.
struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<u64>>,
}

impl Load {
    fn on(vault: &Vault) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..4)
            .map(|worker| {
                let (vault, stop) = (vault.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut reads = 0;
                    while !stop.load(Ordering::Relaxed) || reads == 0 {
                        for n in 0..OWNERS {
                            let at = id(&format!("u{n}"), &format!("con_{n}_{}", worker % 3));
                            let record = vault.get(&at).await.unwrap().unwrap();
                            assert!(opened(&record.secret).is_some(), "{at} does not open");
                            if reads % 7 == 0 {
                                let text = format!("secret {n} {} again", worker % 3);
                                let write = put(&at, Expect::Exists, text.as_bytes());
                                vault.commit(vec![write]).await.unwrap();
                            }
                            reads += 1;
                            tokio::task::yield_now().await;
                        }
                    }
                    reads
                })
            })
            .collect();
        Self { stop, tasks }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            assert!(task.await.unwrap() > 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_26_each_level_is_rotated_under_load_and_nothing_fails_to_open() {
    for backend in backends().await {
        let vault = backend.vault().await;
        fill(&vault).await;
        let mac = vault.mac_key("cookies");
        let load = Load::on(&vault);
        vault.rotate(Level::Terms, None).await.unwrap();
        vault.rotate(Level::Owners, None).await.unwrap();
        vault
            .change_root(&RootKey::from_base64(NEXT).unwrap())
            .await
            .unwrap();
        load.end().await;
        all_open(&vault).await;
        let keys = vault.inventory(true).await.unwrap();
        let states: Vec<_> = keys.terms.iter().map(|term| term.state).collect();
        assert_eq!(states, ["decrypt-only", "active"], "{}", backend.name);
        assert_eq!((keys.root_keys, keys.unfinished), (2, None));
        let owners = keys.owners.unwrap();
        assert_eq!((owners.owners, owners.active), (OWNERS, OWNERS));
        assert_eq!(owners.wrapped_by.keys().collect::<Vec<_>>(), [&2]);
        // Old and new root key open; what hangs on the keyring's other secret stays.
        drop(vault);
        for root in [ROOT, NEXT] {
            let again = backend.vault_by(root).await;
            all_open(&again).await;
            assert_eq!(*again.mac_key("cookies"), *mac);
        }
    }
}

#[tokio::test]
async fn line_27_an_old_key_is_destroyed_only_when_nothing_needs_it() {
    for backend in backends().await {
        let vault = backend.vault().await;
        fill(&vault).await;
        // Nothing is old yet.
        let retired = vault.retire(Level::Owners).await.unwrap();
        assert_eq!((retired.destroyed, retired.kept), (0, 0));
        vault.rotate(Level::Owners, None).await.unwrap();
        // An older secret of one record is what still needs the old key: put back as it lay, before the rotation.
        let rows = backend.rows().await;
        vault.rotate(Level::Owners, None).await.unwrap();
        let at = b"r/connection/u3/con_3_1";
        let older = rows.iter().find(|(key, _)| key.as_bytes() == at).unwrap();
        backend
            .raw(vec![keyport_vault::store::Op::Put(
                older.0.clone(),
                older.1.value.clone(),
            )])
            .await;
        let retired = vault.retire(Level::Owners).await.unwrap();
        assert_eq!((retired.kept, retired.uses), (1, 1), "{}", backend.name);
        assert_eq!(retired.destroyed, 2 * OWNERS - 1);
        all_open(&vault).await;
        // Once sealed anew, it goes.
        vault.rotate(Level::Owners, None).await.unwrap();
        let retired = vault.retire(Level::Owners).await.unwrap();
        assert_eq!((retired.kept, retired.destroyed), (0, OWNERS + 1));
        vault.rotate(Level::Terms, None).await.unwrap();
        let retired = vault.retire(Level::Terms).await.unwrap();
        assert_eq!((retired.destroyed, retired.kept), (1, 0));
        all_open(&vault).await;
        all_open(&backend.vault().await).await;
        let states: Vec<_> = vault.inventory(false).await.unwrap().terms;
        let states: Vec<_> = states.iter().map(|term| term.state).collect();
        assert_eq!(states, ["destroyed", "active"]);
    }
}

#[tokio::test]
async fn a_term_stays_while_owners_keys_hang_on_it_and_rows_that_cannot_be_read_stop_its_end() {
    for backend in backends().await {
        let vault = backend.vault().await;
        fill(&vault).await;
        let before = backend.rows().await;
        vault.rotate(Level::Terms, None).await.unwrap();
        let u3 = |rows: &[(keyport_vault::store::Key, keyport_vault::store::Rec)]| {
            let (key, rec) = rows
                .iter()
                .find(|(key, _)| key.as_bytes() == b"k/u3")
                .unwrap();
            (key.clone(), rec.value.clone())
        };
        // A row from before, put back: it needs the first term.
        let (key, value) = u3(&before);
        backend
            .raw(vec![keyport_vault::store::Op::Put(key.clone(), value)])
            .await;
        let retired = vault.retire(Level::Terms).await.unwrap();
        assert_eq!((retired.kept, retired.uses, retired.destroyed), (1, 1, 0));
        // One that cannot be read may need anything.
        backend
            .raw(vec![keyport_vault::store::Op::Put(
                key,
                bytes::Bytes::from_static(b"\x02nonsense that is long enough"),
            )])
            .await;
        assert_eq!(
            vault.retire(Level::Terms).await,
            Err(VaultError::CannotCount(1))
        );
        // The owner's end mends that.
        vault.destroy_owner(&owner("u3")).await.unwrap();
        assert_eq!(vault.retire(Level::Terms).await.unwrap().destroyed, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn line_28_a_host_with_a_stale_keyring_catches_up_without_a_restart_or_the_root_key() {
    let memory = MemoryStore::new();
    let shared = || -> Arc<dyn Store> { Arc::new(Shared(Arc::new(memory.clone()))) };
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
    let store: Arc<dyn Store> = Arc::new(Shared(Arc::new(memory)));
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
    let shared = || -> Arc<dyn Store> { Arc::new(Shared(Arc::new(memory.clone()))) };
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

#[tokio::test]
async fn line_26_a_rotation_that_is_cut_off_anywhere_goes_on_where_it_was() {
    for backend in backends().await {
        let vault = backend.vault().await;
        fill(&vault).await;
        for level in [Level::Terms, Level::Owners] {
            let steps = Arc::new(AtomicU64::new(0));
            // Ends before ever later commits, as a crash would.
            for cut in 1..40 {
                let store = Arc::new(Cut::after(&backend.store, cut));
                let doomed = Vault::open_with(store, root(), options(ROOT))
                    .await
                    .unwrap();
                let done = doomed.rotate(level, None).await;
                drop(doomed);
                let whole = backend.vault().await;
                all_open(&whole).await;
                steps.fetch_add(1, Ordering::Relaxed);
                if done.is_ok() {
                    break;
                }
            }
            let vault = Vault::open_with(Arc::clone(&backend.store), root(), options(ROOT))
                .await
                .unwrap();
            assert_eq!(vault.unfinished().await.unwrap(), None, "{}", backend.name);
            assert!(steps.load(Ordering::Relaxed) > 3);
            all_open(&vault).await;
            let keys = vault.inventory(true).await.unwrap().owners.unwrap();
            assert_eq!((keys.active, keys.pending, keys.unreadable), (OWNERS, 0, 0));
            vault.retire(level).await.unwrap();
            all_open(&vault).await;
        }
    }
}

#[tokio::test]
async fn line_31_both_root_keys_open_until_the_configured_one_is_proven_to_be_the_new_one() {
    for backend in backends().await {
        let vault = backend.vault().await;
        fill(&vault).await;
        assert!(matches!(
            vault.retire_root().await,
            Err(VaultError::RootNotRetired(_))
        ));
        let next = || RootKey::from_base64(NEXT).unwrap();
        vault.change_root(&next()).await.unwrap();
        // The configuration names the old key still: nothing may go.
        assert!(matches!(
            vault.retire_root().await,
            Err(VaultError::RootNotRetired(_))
        ));
        // Other rotations of what the root key seals wait.
        assert_eq!(
            vault.rotate(Level::Terms, None).await,
            Err(VaultError::RootChangeUnderWay)
        );
        assert_eq!(vault.unfinished().await.unwrap(), None);
        // Twice is no error.
        vault.change_root(&next()).await.unwrap();
        drop(vault);
        all_open(&backend.vault_by(ROOT).await).await;
        let vault = backend.vault_by(NEXT).await;
        assert_eq!(
            vault.change_root(&next()).await,
            Err(VaultError::RootChangeUnderWay)
        );
        vault.retire_root().await.unwrap();
        all_open(&vault).await;
        assert!(!vault.root_change_under_way().await.unwrap());
        vault.rotate(Level::Terms, None).await.unwrap();
        drop(vault);
        all_open(&backend.vault_by(NEXT).await).await;
        let old = Vault::open(Arc::clone(&backend.store), root()).await;
        assert_eq!(old.err(), Some(VaultError::WrongRootKey));
    }
}

#[tokio::test]
async fn a_change_of_the_root_key_that_is_cut_off_anywhere_leaves_a_key_that_opens() {
    for backend in backends().await {
        fill(&backend.vault().await).await;
        for cut in 0..6 {
            let doomed = Vault::open_with(
                Arc::new(Cut::after(&backend.store, cut)),
                root(),
                options(ROOT),
            )
            .await
            .unwrap();
            let changed = doomed
                .change_root(&RootKey::from_base64(NEXT).unwrap())
                .await;
            all_open(&backend.vault_by(ROOT).await).await;
            if changed.is_ok() {
                all_open(&backend.vault_by(NEXT).await).await;
            }
        }
        for cut in 0..6 {
            let doomed = Vault::open_with(
                Arc::new(Cut::after(&backend.store, cut)),
                RootKey::from_base64(NEXT).unwrap(),
                options(NEXT),
            )
            .await
            .unwrap();
            let _ = doomed.retire_root().await;
            all_open(&backend.vault_by(NEXT).await).await;
        }
        let old = Vault::open(Arc::clone(&backend.store), root()).await;
        assert_eq!(old.err(), Some(VaultError::WrongRootKey));
    }
}

#[tokio::test]
async fn without_a_way_to_the_root_key_rotation_is_refused_and_serving_goes_on() {
    for backend in backends().await {
        let none = VaultOptions {
            root: None,
            ..options(ROOT)
        };
        let vault = Vault::open_with(Arc::clone(&backend.store), root(), none)
            .await
            .unwrap();
        fill(&vault).await;
        assert_eq!(
            vault.rotate(Level::Terms, None).await,
            Err(VaultError::NoRootSource)
        );
        // A KMS that is down.
        let down = VaultOptions {
            root: Some(Arc::new(|| RootKey::from_command(&["false"]))),
            ..options(ROOT)
        };
        let down = Vault::open_with(Arc::clone(&backend.store), root(), down)
            .await
            .unwrap();
        let error = down.rotate(Level::Terms, None).await.unwrap_err();
        assert!(error.to_string().contains("could not be had"), "{error}");
        // A configured key that is another's.
        let wrong = Vault::open_with(Arc::clone(&backend.store), root(), options(NEXT))
            .await
            .unwrap();
        assert_eq!(
            wrong.rotate(Level::Terms, None).await,
            Err(VaultError::WrongRootKey)
        );
        all_open(&vault).await;
        assert_eq!(vault.inventory(false).await.unwrap().terms.len(), 1);
        // Owners' keys need no root key.
        vault.rotate(Level::Owners, None).await.unwrap();
        all_open(&vault).await;
    }
}

#[tokio::test]
async fn line_32_the_inventory_tells_age_uses_and_states() {
    for backend in backends().await {
        let clock = keyport_vault::Clock::from_fn(|| 1_800_000_000_000);
        let vault = Vault::open_with(
            Arc::clone(&backend.store),
            root(),
            VaultOptions {
                clock,
                ..options(ROOT)
            },
        )
        .await
        .unwrap();
        fill(&vault).await;
        let keys = vault.inventory(true).await.unwrap();
        assert_eq!(keys.terms.len(), 1);
        let term = &keys.terms[0];
        assert_eq!((term.id, term.state), (1, "active"));
        assert_eq!(term.since_ms, Some(1_800_000_000_000));
        let rev = vault.revision().await.unwrap().0;
        assert_eq!(term.uses, Some(rev));
        assert!(rev >= OWNERS && keys.uses_max < 1 << 32);
        let owners = keys.owners.unwrap();
        assert_eq!(owners.oldest_active_ms, Some(1_800_000_000_000));
        // The bound is not below what was sealed: three secrets in one commit count as three.
        assert!(owners.most_uses >= 3, "{owners:?}");
        let text = serde_json::to_string(&vault.inventory(true).await.unwrap()).unwrap();
        assert!(!text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn a_worn_out_key_is_replaced_before_it_seals_once_too_often() {
    for backend in backends().await {
        let vault = Vault::open_with(
            Arc::clone(&backend.store),
            root(),
            VaultOptions {
                uses_max: 10,
                ..options(ROOT)
            },
        )
        .await
        .unwrap();
        let at = id("u1", "con_1");
        for n in 0..35 {
            vault
                .commit(vec![put(&at, Expect::Any, format!("{n}").as_bytes())])
                .await
                .unwrap();
        }
        assert_eq!(secret_of(&vault, &at).await, b"34");
        let keys = vault.inventory(true).await.unwrap().owners.unwrap();
        assert_eq!(keys.active, 1);
        assert!(keys.decrypt_only >= 3, "{keys:?}");
        // Several secrets in one commit count each.
        let many = (0..9)
            .map(|n| put(&id("u2", &format!("con_2_{n}")), Expect::Any, b"x"))
            .collect();
        vault.commit(many).await.unwrap();
        let before = vault.inventory(true).await.unwrap().owners.unwrap();
        vault
            .commit(vec![put(&id("u2", "con_2_0"), Expect::Any, b"y")])
            .await
            .unwrap();
        vault
            .commit(vec![put(&id("u2", "con_2_0"), Expect::Any, b"z")])
            .await
            .unwrap();
        let after = vault.inventory(true).await.unwrap().owners.unwrap();
        assert_eq!(after.decrypt_only, before.decrypt_only + 1);
    }
}

#[tokio::test]
async fn several_new_owners_in_one_commit_wrap_one_key_in_it() {
    for backend in backends().await {
        let vault = backend.vault().await;
        let before = vault.revision().await.unwrap().0;
        let writes: Vec<Write> = (0..5)
            .map(|n| {
                put(
                    &id(&format!("new{n}"), &format!("con_{n}")),
                    Expect::Absent,
                    b"s",
                )
            })
            .collect();
        vault.commit(writes).await.unwrap();
        // Four keys in commits of their own, the fifth with the records.
        assert_eq!(vault.revision().await.unwrap().0, before + 5);
        for n in 0..5 {
            let at = id(&format!("new{n}"), &format!("con_{n}"));
            assert_eq!(secret_of(&vault, &at).await, b"s");
        }
    }
}

#[tokio::test]
async fn a_rotation_leaves_clear_parts_and_damaged_records_as_they_are() {
    for backend in backends().await {
        let vault = backend.vault().await;
        let (good, bad, bare) = (id("u1", "good"), id("u1", "bad"), id("u1", "bare"));
        vault
            .commit(vec![
                put(&good, Expect::Absent, b"good"),
                put(&bad, Expect::Absent, b"bad"),
                Write::Put {
                    id: bare.clone(),
                    expect: Expect::Absent,
                    clear: json!({"title": "bare"}),
                    secret: SecretWrite::Keep,
                },
            ])
            .await
            .unwrap();
        let rows = backend.rows().await;
        let (key, rec) = rows
            .iter()
            .find(|(key, _)| key.as_bytes() == b"r/connection/u1/bad")
            .unwrap();
        let mut spoilt = rec.value.to_vec();
        let last = spoilt.len() - 20;
        spoilt[last] ^= 1;
        backend
            .raw(vec![keyport_vault::store::Op::Put(
                key.clone(),
                spoilt.clone().into(),
            )])
            .await;
        let clear = vault.head(&good).await.unwrap().unwrap().clear;
        vault.rotate(Level::Owners, None).await.unwrap();
        vault.rotate(Level::Terms, None).await.unwrap();
        assert_eq!(vault.head(&good).await.unwrap().unwrap().clear, clear);
        assert_eq!(secret_of(&vault, &good).await, b"good");
        let row = backend.store.get(key).await.unwrap().unwrap();
        assert_eq!(row.value, spoilt);
        assert!(vault.head(&bad).await.unwrap().unwrap().damaged);
        assert!(!vault.head(&bare).await.unwrap().unwrap().has_secret);
        // It can be given anew.
        let write = Write::Put {
            id: bad.clone(),
            expect: Expect::Exists,
            clear: json!({}),
            secret: SecretWrite::Put(SecretBytes::new(&b"anew"[..])),
        };
        vault.commit(vec![write]).await.unwrap();
        assert_eq!(secret_of(&vault, &bad).await, b"anew");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_keeps_to_its_rate() {
    let vault = Vault::open_with(Arc::new(MemoryStore::new()), root(), options(ROOT))
        .await
        .unwrap();
    fill(&vault).await;
    let begun = tokio::time::Instant::now();
    vault.rotate(Level::Owners, Some(4)).await.unwrap();
    // One row for each owner, then three records for each, four a second.
    let seconds = begun.elapsed().as_secs_f64();
    assert!((11.0..13.0).contains(&seconds), "{seconds}");
    let activity = vault.activity().unwrap();
    assert!(activity.ended && activity.error.is_none());
    assert_eq!((activity.stage, activity.done), ("sealing", 3 * OWNERS));
}

use cut::Cut;

/// A store that dies after so many commits.
mod cut {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use keyport_vault::store::{Change, Commit, CommitId, Committed, Key, LeaseName, NodeId, Rec};
    use keyport_vault::{Health, Lease, LeaseTry, Rev, Store, StoreError};
    use tokio::sync::broadcast;

    pub struct Cut {
        inner: Arc<dyn Store>,
        left: AtomicI64,
    }

    impl Cut {
        pub fn after(inner: &Arc<dyn Store>, commits: i64) -> Self {
            Self {
                inner: Arc::clone(inner),
                left: AtomicI64::new(commits),
            }
        }

        fn dead<T>() -> Result<T, StoreError> {
            Err(StoreError::Unavailable("the power went".into()))
        }
    }

    #[async_trait]
    impl Store for Cut {
        async fn get(&self, key: &Key) -> Result<Option<Rec>, StoreError> {
            self.inner.get(key).await
        }

        async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Rec>>, StoreError> {
            self.inner.get_many(keys).await
        }

        async fn scan(
            &self,
            prefix: &[u8],
            after: Option<&Key>,
            limit: u32,
        ) -> Result<Vec<(Key, Rec)>, StoreError> {
            self.inner.scan(prefix, after, limit).await
        }

        async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
            match self.left.fetch_sub(1, Ordering::SeqCst) {
                left if left > 0 => self.inner.commit(commit).await,
                _ => Self::dead(),
            }
        }

        async fn outcome(&self, id: &CommitId) -> Result<Option<Committed>, StoreError> {
            self.inner.outcome(id).await
        }

        async fn last_rev(&self) -> Result<Rev, StoreError> {
            self.inner.last_rev().await
        }

        async fn raise_rev(&self, above: Rev) -> Result<(), StoreError> {
            self.inner.raise_rev(above).await
        }

        async fn lease_try(
            &self,
            name: &LeaseName,
            who: &NodeId,
            ttl: Duration,
        ) -> Result<LeaseTry, StoreError> {
            self.inner.lease_try(name, who, ttl).await
        }

        async fn lease_renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
            self.inner.lease_renew(lease, ttl).await
        }

        async fn lease_release(&self, lease: Lease) -> Result<(), StoreError> {
            self.inner.lease_release(lease).await
        }

        fn watch(&self) -> broadcast::Receiver<Change> {
            self.inner.watch()
        }

        async fn health(&self) -> Health {
            self.inner.health().await
        }
    }
}
