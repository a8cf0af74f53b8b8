//! The root key: both open until the new one is proven, and without one rotation is refused.

use std::sync::Arc;

use keyport_vault::{Level, RootKey, Vault, VaultError, VaultOptions};

use crate::bent::Bent;
use crate::stores::{NEXT, ROOT, backends, options, root};
use crate::{all_open, fill};

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
                Arc::new(Bent::cut_after(&backend.store, cut)),
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
                Arc::new(Bent::cut_after(&backend.store, cut)),
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
