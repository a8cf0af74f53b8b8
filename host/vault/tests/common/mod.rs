//! What the vault's tests share.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use keyport_vault::store::{Change, Commit, CommitId, Committed, Key, LeaseName, NodeId, Op, Rec};
use keyport_vault::{
    Expect, Health, Kind, Lease, LeaseTry, MemoryStore, Owner, RecordId, Rev, Secret, SecretBytes,
    SecretWrite, Store, StoreError, Vault, Write,
};
use serde_json::json;
use tokio::sync::broadcast;

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

/// A store whose next commit's reply is lost, after or before it went through.
pub struct LostReplies {
    inner: MemoryStore,
    lose: Mutex<Option<bool>>,
}

impl LostReplies {
    pub fn over(inner: MemoryStore) -> Self {
        Self {
            inner,
            lose: Mutex::new(None),
        }
    }

    /// Loses the next reply; `through`: the commit itself goes through.
    pub fn lose(&self, through: bool) {
        *self.lose.lock().unwrap() = Some(through);
    }
}

#[async_trait]
impl Store for LostReplies {
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
        let id = commit.id;
        let lose = self.lose.lock().unwrap().take();
        match lose {
            None => self.inner.commit(commit).await,
            Some(true) => {
                self.inner.commit(commit).await?;
                Err(StoreError::Unknown(id))
            }
            Some(false) => Err(StoreError::Unknown(id)),
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
