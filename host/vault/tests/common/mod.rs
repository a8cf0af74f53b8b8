//! What the vault's tests share.

#![allow(dead_code, reason = "each test binary uses its part")]

use keyport_vault::store::{Commit, CommitId, Op};
use keyport_vault::{
    Expect, Kind, MemoryStore, Owner, RecordId, Secret, SecretBytes, SecretWrite, Store, Vault,
    Write,
};
use serde_json::json;

pub const CONNECTION: Kind = Kind::new("connection");
pub const CONFIGURATION: Kind = Kind::new("configuration");

pub fn owner(name: &str) -> Owner {
    Owner::new(name).unwrap()
}

/// A connection of this owner.
pub fn id(who: &str, id: &str) -> RecordId {
    RecordId::new(CONNECTION, owner(who), id)
}

/// Writes a record whose title is its id.
pub fn put(id: &RecordId, expect: Expect, secret: &[u8]) -> Write {
    Write::Put {
        id: id.clone(),
        expect,
        clear: json!({"title": id.id}),
        secret: SecretWrite::Put(SecretBytes::new(secret)),
    }
}

pub fn opened(secret: &Secret) -> Option<&[u8]> {
    match secret {
        Secret::Open(secret) => Some(secret.expose()),
        Secret::None | Secret::Damaged(_) => None,
    }
}

/// The secret of a record that must be there and open.
pub async fn secret_of(vault: &Vault, id: &RecordId) -> Vec<u8> {
    let record = vault
        .get(id)
        .await
        .unwrap()
        .expect("there is no such record");
    opened(&record.secret).expect("it does not open").to_vec()
}

/// What an attacker with write access to the store does.
pub async fn raw(store: &MemoryStore, ops: Vec<Op>) {
    let commit = Commit {
        id: CommitId::random().unwrap(),
        pre: vec![],
        ops,
    };
    store.commit(commit).await.unwrap();
}
