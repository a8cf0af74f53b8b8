//! How old keys are and how often they were used; the pace of a rotation.

use std::sync::Arc;

use keyport_vault::{Expect, Level, MemoryStore, Vault, VaultOptions, Write};

use crate::common::{id, put, secret_of};
use crate::stores::{ROOT, backends, options, root};
use crate::{OWNERS, fill};

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
