//! A store in memory whose every call lets others go first, as one does that has to wait for a disk or a network: callers that
//! are meant to race do.

use std::time::Duration;

use async_trait::async_trait;
use keyport_vault::store::{
    Change, Commit, CommitId, Committed, Key, Lease, LeaseName, NodeId, Rec,
};
use keyport_vault::{Health, LeaseTry, MemoryStore, Rev, Store, StoreError};
use tokio::task::yield_now;

#[derive(Default)]
pub(crate) struct RestlessStore(MemoryStore);

#[async_trait]
impl Store for RestlessStore {
    async fn get(&self, key: &Key) -> Result<Option<Rec>, StoreError> {
        yield_now().await;
        self.0.get(key).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Rec>>, StoreError> {
        yield_now().await;
        self.0.get_many(keys).await
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&Key>,
        limit: u32,
    ) -> Result<Vec<(Key, Rec)>, StoreError> {
        yield_now().await;
        self.0.scan(prefix, after, limit).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        yield_now().await;
        let done = self.0.commit(commit).await;
        yield_now().await;
        done
    }

    async fn outcome(&self, id: &CommitId) -> Result<Option<Committed>, StoreError> {
        self.0.outcome(id).await
    }

    async fn last_rev(&self) -> Result<Rev, StoreError> {
        self.0.last_rev().await
    }

    async fn raise_rev(&self, above: Rev) -> Result<(), StoreError> {
        self.0.raise_rev(above).await
    }

    async fn lease_try(
        &self,
        name: &LeaseName,
        who: &NodeId,
        ttl: Duration,
    ) -> Result<LeaseTry, StoreError> {
        yield_now().await;
        self.0.lease_try(name, who, ttl).await
    }

    async fn lease_renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        yield_now().await;
        self.0.lease_renew(lease, ttl).await
    }

    async fn lease_release(&self, lease: Lease) -> Result<(), StoreError> {
        yield_now().await;
        self.0.lease_release(lease).await
    }

    fn watch(&self) -> tokio::sync::broadcast::Receiver<Change> {
        self.0.watch()
    }

    async fn health(&self) -> Health {
        self.0.health().await
    }
}
