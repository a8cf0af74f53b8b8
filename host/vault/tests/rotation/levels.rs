//! Terms and owners' keys: under load, cut off anywhere, retired when nothing needs them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use keyport_vault::{Expect, Level, RootKey, SecretBytes, SecretWrite, Vault, VaultError, Write};
use serde_json::json;

use crate::bent::Bent;
use crate::common::{id, opened, owner, put, secret_of};
use crate::stores::{NEXT, ROOT, backends, options, root};
use crate::{OWNERS, all_open, fill};

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

#[tokio::test]
async fn line_26_a_rotation_that_is_cut_off_anywhere_goes_on_where_it_was() {
    for backend in backends().await {
        let vault = backend.vault().await;
        fill(&vault).await;
        for level in [Level::Terms, Level::Owners] {
            let steps = Arc::new(AtomicU64::new(0));
            // Ends before ever later commits, as a crash would.
            for cut in 1..40 {
                let store = Arc::new(Bent::cut_after(&backend.store, cut));
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
