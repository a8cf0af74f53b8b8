//! Backups, restores, verification: lines 16 to 19, 27 and 34 of the requirements.

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

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{id, opened, owner, put, secret_of};
use keyport_vault::backup::{Backup, restore};
use keyport_vault::store::{Key, Op};
use keyport_vault::{
    Damage, Expect, Level, MemoryStore, RootKey, Secret, Vault, VaultError, Write,
};
use stores::{Backend, NEXT, ROOT, backends, root};

const CANARY: &[u8] = b"refresh-token-canary-7f3a91";

async fn fill(vault: &Vault) {
    for n in 0..20 {
        let secret = [CANARY, format!("-{n}").as_bytes()].concat();
        let at = id(&format!("u{}", n % 6), &format!("con_{n}"));
        vault
            .commit(vec![put(&at, Expect::Absent, &secret)])
            .await
            .unwrap();
    }
}

async fn take(vault: &Vault, path: &Path) {
    let mut file = tokio::fs::File::create(path).await.unwrap();
    vault.backup(&mut file, None).await.unwrap();
}

fn open(path: &Path) -> Result<Backup, VaultError> {
    Backup::open(path, &root(), &mut |_, _| {})
}

async fn into(path: &Path, backend: &Backend) {
    let backup = open(path).unwrap();
    restore(
        &backup,
        &*backend.store,
        None,
        1_800_000_000_000,
        &mut |_, _| {},
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn line_34_a_backup_restores_into_every_kind_of_store_with_the_same_digest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup");
    for from in backends().await {
        let vault = from.vault().await;
        fill(&vault).await;
        take(&vault, &path).await;
        let digest = vault.digest().await.unwrap();
        let contents = open(&path).unwrap().contents(&mut |_, _| {}).unwrap();
        assert_eq!(contents.digest, digest);
        assert_eq!(
            (contents.verified.damaged, contents.verified.opened),
            (0, 20)
        );
        // No plaintext, in no part of it.
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(8).any(|window| window == &CANARY[..8]));
        for to in backends().await {
            into(&path, &to).await;
            let restored = to.vault().await;
            assert_eq!(
                restored.digest().await.unwrap(),
                digest,
                "{} → {}",
                from.name,
                to.name
            );
            assert_eq!(restored.restored_at_ms(), Some(1_800_000_000_000));
            assert_eq!(*restored.mac_key("x"), *vault.mac_key("x"));
            let report = restored.verify(None, None).await.unwrap();
            assert_eq!((report.damaged, report.opened), (0, 20));
            // Revisions and generations go on where they were.
            assert!(restored.revision().await.unwrap() > vault.revision().await.unwrap());
            let at = id("u1", "con_1");
            let before = vault.head(&at).await.unwrap().unwrap().generation;
            restored
                .commit(vec![Write::Delete {
                    id: at.clone(),
                    expect: Expect::Exists,
                }])
                .await
                .unwrap();
            restored
                .commit(vec![put(&at, Expect::Absent, b"anew")])
                .await
                .unwrap();
            assert!(restored.head(&at).await.unwrap().unwrap().generation > before + 10);
            // A store that holds anything is not restored into.
            let again = restore(&open(&path).unwrap(), &*to.store, None, 1, &mut |_, _| {}).await;
            assert_eq!(again, Err(VaultError::NotEmpty));
        }
    }
}

#[tokio::test]
async fn line_34_a_damaged_backup_is_refused_wherever_the_damage_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup");
    let store = Arc::new(MemoryStore::new());
    let vault = Vault::open(store, root()).await.unwrap();
    for n in 0..3 {
        let at = id("u1", &format!("con_{n}"));
        vault
            .commit(vec![put(&at, Expect::Absent, CANARY)])
            .await
            .unwrap();
    }
    take(&vault, &path).await;
    let whole = std::fs::read(&path).unwrap();
    let spoilt = folder.path().join("spoilt");
    let refused = |bytes: &[u8]| {
        std::fs::write(&spoilt, bytes).unwrap();
        open(&spoilt).is_err()
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(refused(&bytes), "byte {at}");
    }
    for len in (0..whole.len()).step_by(7) {
        assert!(refused(&whole[..len]), "cut to {len}");
    }
    assert!(refused(&[whole.clone(), vec![0]].concat()));
    assert!(!refused(&whole));
    // A forger who can write hashes, but has no key.
    let wrong = Backup::open(&path, &RootKey::from_base64(NEXT).unwrap(), &mut |_, _| {});
    assert_eq!(wrong.err(), Some(VaultError::WrongRootKey));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_under_load_shows_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    for backend in backends().await {
        let vault = backend.vault().await;
        for n in 0..300 {
            let at = id(&format!("u{n}"), &format!("old_{n}"));
            vault
                .commit(vec![put(&at, Expect::Absent, b"old")])
                .await
                .unwrap();
        }
        let stop = Arc::new(AtomicBool::new(false));
        // Each commit makes an owner, their key and two records; or removes both again.
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (vault, stop) = (vault.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut n = 0;
                    while !stop.load(Ordering::Relaxed) || n == 0 {
                        let who = format!("w{writer}-{n}");
                        let pair = [format!("a_{who}"), format!("z_{who}")];
                        let puts = pair
                            .iter()
                            .map(|at| put(&id(&who, at), Expect::Absent, b"x"));
                        vault.commit(puts.collect()).await.unwrap();
                        if n % 3 == 0 {
                            let gone = pair.iter().map(|at| Write::Delete {
                                id: id(&who, at),
                                expect: Expect::Exists,
                            });
                            vault.commit(gone.collect()).await.unwrap();
                        }
                        n += 1;
                    }
                    n
                })
            })
            .collect();
        while vault.head(&id("w0-1", "a_w0-1")).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        let path = folder.path().join(backend.name);
        take(&vault, &path).await;
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            assert!(writer.await.unwrap() > 0);
        }
        let to = Backend::memory();
        into(&path, &to).await;
        let restored = to.vault().await;
        let report = restored.verify(None, None).await.unwrap();
        assert_eq!(report.damaged, 0, "{}: {:?}", backend.name, report.findings);
        let rows = to.rows().await;
        for (key, _) in &rows {
            let name = String::from_utf8(key.as_bytes().to_vec()).unwrap();
            if let Some(rest) = name.strip_prefix("r/connection/w") {
                let (who, at) = rest.split_once('/').unwrap();
                let other = match at.split_at(1) {
                    ("a", _) => format!("z_w{who}"),
                    _ => format!("a_w{who}"),
                };
                let other = Key::from(format!("r/connection/w{who}/{other}"));
                assert!(
                    rows.iter().any(|(key, _)| *key == other),
                    "{name} has lost its other half"
                );
            }
        }
    }
}

#[tokio::test]
async fn line_27_a_destroyed_owner_stays_shut_in_a_backup_taken_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup");
    for from in backends().await {
        let vault = from.vault().await;
        fill(&vault).await;
        vault.destroy_owner(&owner("u1")).await.unwrap();
        take(&vault, &path).await;
        let to = Backend::memory();
        into(&path, &to).await;
        let restored = to.vault().await;
        let record = restored.get(&id("u1", "con_1")).await.unwrap().unwrap();
        assert!(matches!(
            record.secret,
            Secret::Damaged(Damage::KeysDestroyed)
        ));
        assert!(
            secret_of(&restored, &id("u2", "con_2"))
                .await
                .starts_with(CANARY)
        );
        let report = restored.verify(None, None).await.unwrap();
        assert_eq!((report.damaged, report.destroyed), (0, 4));
    }
}

#[tokio::test]
async fn an_export_opens_with_the_other_key_and_an_import_takes_the_targets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export");
    for from in backends().await {
        let vault = from.vault().await;
        fill(&vault).await;
        let next = || RootKey::from_base64(NEXT).unwrap();
        let mut file = tokio::fs::File::create(&path).await.unwrap();
        vault.backup(&mut file, Some(&next())).await.unwrap();
        assert_eq!(open(&path).err(), Some(VaultError::WrongRootKey));
        let backup = Backup::open(&path, &next(), &mut |_, _| {}).unwrap();
        assert!(backup.header().exported);
        let to = Backend::memory();
        restore(&backup, &*to.store, Some(&root()), 1, &mut |_, _| {})
            .await
            .unwrap();
        let imported = to.vault_by(ROOT).await;
        assert_eq!(
            imported.digest().await.unwrap(),
            vault.digest().await.unwrap()
        );
        let other = Vault::open(Arc::clone(&to.store), next()).await;
        assert_eq!(other.err(), Some(VaultError::WrongRootKey));
    }
}

#[tokio::test]
async fn an_interrupted_restore_is_never_served_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup");
    let from = Backend::memory();
    let vault = from.vault().await;
    for n in 0..700 {
        let at = id(&format!("u{}", n % 50), &format!("con_{n}"));
        vault
            .commit(vec![put(&at, Expect::Absent, CANARY)])
            .await
            .unwrap();
    }
    take(&vault, &path).await;
    for to in backends().await {
        let mut stop_at = 300;
        loop {
            // Ends by a panic of the progress, between two commits.
            let store = Arc::clone(&to.store);
            let again = open(&path).unwrap();
            let cut = tokio::spawn(async move {
                restore(&again, &*store, None, 1, &mut |done, _| {
                    assert!(done < stop_at, "the power went");
                })
                .await
            })
            .await;
            if cut.is_ok() {
                break;
            }
            let opened = Vault::open(Arc::clone(&to.store), root()).await;
            assert_eq!(
                opened.err(),
                Some(VaultError::RestoreUnfinished),
                "{}",
                to.name
            );
            stop_at += 400;
        }
        let restored = to.vault().await;
        assert_eq!(
            restored.digest().await.unwrap(),
            vault.digest().await.unwrap()
        );
    }
}

#[tokio::test]
async fn line_16_no_stored_row_contains_a_window_of_the_plaintext() {
    for backend in backends().await {
        let vault = backend.vault().await;
        fill(&vault).await;
        vault.rotate(Level::Owners, None).await.unwrap();
        for (key, rec) in backend.rows().await {
            for window in CANARY.windows(8) {
                let found = rec.value.windows(8).any(|bytes| bytes == window);
                assert!(!found, "{key} of {}", backend.name);
            }
        }
    }
}

#[tokio::test]
async fn lines_17_and_18_every_flipped_bit_and_every_exchange_of_rows_is_seen_and_hurts_nobody_else()
 {
    for backend in backends().await {
        let vault = backend.vault().await;
        let ids = [id("u1", "con_1"), id("u1", "con_2"), id("u2", "con_3")];
        for at in &ids {
            vault
                .commit(vec![put(at, Expect::Absent, CANARY)])
                .await
                .unwrap();
        }
        let rows: Vec<_> = backend
            .rows()
            .await
            .into_iter()
            .filter(|(key, _)| key.as_bytes().starts_with(b"r/"))
            .collect();
        let (key, rec) = &rows[0];
        // On a database each bit costs a round trip: some of them there, all of them elsewhere.
        let step = if backend.name == "postgres" { 29 } else { 1 };
        for bit in (0..rec.value.len() * 8).step_by(step) {
            let mut bytes = rec.value.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            backend.raw(vec![Op::Put(key.clone(), bytes.into())]).await;
            let record = vault.get(&ids[0]).await.unwrap().unwrap();
            assert!(opened(&record.secret).is_none(), "bit {bit}");
        }
        assert_eq!(secret_of(&vault, &ids[1]).await, CANARY);
        let report = vault.verify(None, None).await.unwrap();
        assert_eq!(report.damaged, 1);
        let finding = &report.findings[0];
        assert_eq!(finding.kind, "connection");
        assert_eq!(finding.owner.as_deref(), Some("u1"));
        assert_eq!(finding.id.as_deref(), Some("con_1"));
        let text = serde_json::to_string(&report).unwrap();
        assert!(!text.contains("canary"), "{text}");
        // Exchanged: each is damaged, whatever belongs to whom.
        backend
            .raw(vec![Op::Put(key.clone(), rec.value.clone())])
            .await;
        for (one, two) in [(0, 1), (1, 2)] {
            backend
                .raw(vec![
                    Op::Put(rows[one].0.clone(), rows[two].1.value.clone()),
                    Op::Put(rows[two].0.clone(), rows[one].1.value.clone()),
                ])
                .await;
            assert_eq!(vault.verify(None, None).await.unwrap().damaged, 2);
            let back = rows
                .iter()
                .map(|(key, rec)| Op::Put(key.clone(), rec.value.clone()));
            backend.raw(back.collect()).await;
        }
        assert_eq!(vault.verify(None, None).await.unwrap().damaged, 0);
        // A record whose index is gone, and an index whose record is.
        backend
            .raw(vec![
                Op::Del(Key::from("i/connection/con_1")),
                Op::Del(rows[1].0.clone()),
            ])
            .await;
        let report = vault.verify(None, None).await.unwrap();
        let found: Vec<_> = report.findings.iter().map(|finding| finding.what).collect();
        assert_eq!(
            found,
            [
                "the index leads to a record that is missing",
                "the index does not lead to the record"
            ]
        );
    }
}

#[tokio::test]
async fn line_19_a_whole_older_row_put_back_is_told_by_what_is_remembered_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup");
    for backend in backends().await {
        let vault = backend.vault().await;
        let at = id("u1", "con_1");
        vault
            .commit(vec![put(&at, Expect::Absent, b"older")])
            .await
            .unwrap();
        let older = backend.rows().await;
        vault
            .commit(vec![put(&at, Expect::Exists, b"newer")])
            .await
            .unwrap();
        take(&vault, &path).await;
        let remembered = open(&path).unwrap().remembered().unwrap();
        let report = vault.verify(None, Some(&remembered)).await.unwrap();
        assert_eq!(report.damaged, 0);
        let row = older
            .iter()
            .find(|(key, _)| key.as_bytes() == b"r/connection/u1/con_1")
            .unwrap();
        backend
            .raw(vec![Op::Put(row.0.clone(), row.1.value.clone())])
            .await;
        // No cipher can see that; what is kept off the machine can.
        assert_eq!(secret_of(&vault, &at).await, b"older");
        assert_eq!(vault.verify(None, None).await.unwrap().damaged, 0);
        let report = vault.verify(None, Some(&remembered)).await.unwrap();
        assert_eq!(report.damaged, 1, "{}", backend.name);
        assert_eq!(
            report.findings[0].what,
            "an older state of the record was put back"
        );
    }
}

#[tokio::test]
async fn a_backup_that_cannot_be_written_ends_with_a_sentence_and_can_be_taken_again() {
    struct Full;
    impl tokio::io::AsyncWrite for Full {
        fn poll_write(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            std::task::Poll::Ready(Err(std::io::Error::from(std::io::ErrorKind::StorageFull)))
        }
        fn poll_flush(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn poll_shutdown(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::memory();
    let vault = backend.vault().await;
    fill(&vault).await;
    let error = vault.backup(&mut Full, None).await.unwrap_err();
    assert!(matches!(error, VaultError::BackupFile(_)), "{error}");
    take(&vault, &folder.path().join("backup")).await;
}
