//! Line 21: what any earlier version stored opens for ever.

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

use common::{CONFIGURATION, CONNECTION, id, secret_of};
use keyport_vault::store::{Key, Op};
use keyport_vault::{Damage, Level, Owner, RecordId, Secret, VaultError};
use serde_json::json;
use stores::{Backend, backends};

/// Puts a golden store's rows into an empty one; gives the MAC key that it is to have.
async fn put(backend: &Backend, text: &str) -> String {
    let mut mac = String::new();
    let mut ops = Vec::new();
    for line in text.lines() {
        let (name, value) = line.rsplit_once(' ').unwrap();
        if name == "mac" {
            mac = value.to_owned();
            continue;
        }
        let bytes: Vec<u8> = (0..value.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&value[at..at + 2], 16).unwrap())
            .collect();
        ops.push(Op::Put(Key::from(name), bytes.into()));
    }
    backend.raw(ops).await;
    mac
}

#[tokio::test]
async fn line_21_the_first_format_of_a_store_opens_and_can_be_rotated() {
    for backend in backends().await {
        let mac = put(&backend, include_str!("golden/store-1.txt")).await;
        let vault = backend.vault().await;
        let hex: String = vault
            .mac_key("purpose")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, mac, "{}", backend.name);
        let check = async |vault: &keyport_vault::Vault| {
            assert_eq!(
                secret_of(vault, &id("u1", "con_1")).await,
                b"second-token-of-u1"
            );
            assert_eq!(
                secret_of(vault, &id("a/b c", "con_3")).await,
                b"an-api-key-0123456789"
            );
            let own = RecordId::new(CONFIGURATION, Owner::keyport(), "cfg_1");
            assert_eq!(secret_of(vault, &own).await, b"client-secret");
            let head = vault.head(&id("u1", "con_1")).await.unwrap().unwrap();
            assert_eq!(head.clear, json!({"title": "con_1", "n": 2}));
            assert!(
                !vault
                    .head(&id("u1", "con_2"))
                    .await
                    .unwrap()
                    .unwrap()
                    .has_secret
            );
            let gone = vault.get(&id("gone", "con_4")).await.unwrap().unwrap();
            assert!(matches!(
                gone.secret,
                Secret::Damaged(Damage::KeysDestroyed)
            ));
            let page = vault.list(CONNECTION, None, None, 10).await.unwrap();
            assert_eq!(page.heads.len(), 4);
        };
        check(&vault).await;
        let report = vault.verify(None, None).await.unwrap();
        assert_eq!((report.damaged, report.opened, report.destroyed), (0, 3, 1));
        vault.rotate(Level::Owners, None).await.unwrap();
        vault.rotate(Level::Terms, None).await.unwrap();
        vault.retire(Level::Owners).await.unwrap();
        vault.retire(Level::Terms).await.unwrap();
        check(&vault).await;
        check(&backend.vault().await).await;
        let wrong = keyport_vault::Vault::open(
            std::sync::Arc::clone(&backend.store),
            keyport_vault::RootKey::from_base64(stores::NEXT).unwrap(),
        );
        assert_eq!(wrong.await.err(), Some(VaultError::WrongRootKey));
    }
}
