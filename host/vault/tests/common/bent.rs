//! A store over another that loses replies, dies after some commits, or says that other hosts use it too.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use keyport_vault::store::{
    Change, Commit, CommitId, Committed, Key, LeaseName, NodeId, Rec, Snapshot,
};
use keyport_vault::{Health, Lease, LeaseTry, Rev, Store, StoreError};
use tokio::sync::broadcast;

pub struct Bent {
    inner: Arc<dyn Store>,
    /// Lose the next reply; whether the commit itself goes through.
    lose: Mutex<Option<bool>>,
    /// Commits that still go through.
    left: AtomicI64,
    shared: bool,
}

impl Bent {
    pub fn over(inner: Arc<dyn Store>) -> Self {
        let shared = inner.shared();
        Self {
            inner,
            lose: Mutex::new(None),
            left: AtomicI64::new(i64::MAX),
            shared,
        }
    }

    /// Dies after so many commits.
    pub fn cut_after(inner: &Arc<dyn Store>, commits: i64) -> Self {
        Self {
            left: AtomicI64::new(commits),
            shared: false,
            ..Self::over(Arc::clone(inner))
        }
    }

    /// Says that other hosts use it too.
    pub fn shared(inner: Arc<dyn Store>) -> Self {
        Self {
            shared: true,
            ..Self::over(inner)
        }
    }

    /// Loses the next reply; `through`: the commit itself goes through.
    pub fn lose(&self, through: bool) {
        *self.lose.lock().unwrap() = Some(through);
    }
}

#[async_trait]
impl Store for Bent {
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
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(StoreError::Unavailable("the power went".into()));
        }
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

    fn shared(&self) -> bool {
        self.shared
    }

    async fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError> {
        self.inner.snapshot().await
    }
}
