//! [`Store`] on sled: what callers see. Each method is a read through the layers or a request to the writer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{broadcast, oneshot};

use super::SledStore;
use super::group::Ask;
use super::scrub;
use super::snapshot::ReadError;
use super::writer::{LeaseAnswer, LeaseAsk, Request};
use crate::ids::Rev;
use crate::store::{
    Change, Commit, CommitId, Committed, Health, Key, Lease, LeaseName, LeaseTry, NodeId, Rec,
    ScrubReport, Store, StoreError, judge, millis,
};

/// A list of at most this many rows is read on the caller's thread when all of it is in memory.
const SHORT: u32 = 64;
/// A disk that gives nothing for this long while everything is read through is taken to be dead.
const SILENT: Duration = Duration::from_secs(60);

#[async_trait]
impl Store for SledStore {
    async fn get(&self, key: &Key) -> Result<Option<Rec>, StoreError> {
        let key = key.clone();
        self.read(true, move |view, patience| {
            view.get(key.as_bytes(), patience)
        })
        .await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Rec>>, StoreError> {
        let keys = keys.to_vec();
        self.read(keys.len() <= 64, move |view, patience| {
            let _gate = view.gated(patience)?;
            let get = |key: &Key| match view.get(key.as_bytes(), patience) {
                // As in a list: one that was lost does not fail the others.
                Err(ReadError::Row(rev)) => Ok(Some(Rec {
                    rev,
                    value: bytes::Bytes::new(),
                })),
                other => other,
            };
            keys.iter().map(get).collect()
        })
        .await
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&Key>,
        limit: u32,
    ) -> Result<Vec<(Key, Rec)>, StoreError> {
        let (prefix, after) = (prefix.to_vec(), after.cloned());
        self.read(limit <= SHORT, move |view, patience| {
            let _gate = view.gated(patience)?;
            view.scan(&prefix, after.as_ref(), limit, patience)
        })
        .await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let id = commit.id;
        let (reply, answer) = oneshot::channel();
        self.send(Request::Ask(Ask::Commit(commit, reply))).await?;
        self.answer(answer)
            .await
            .unwrap_or(Err(StoreError::Unknown(id)))
    }

    async fn outcome(&self, id: &CommitId) -> Result<Option<Committed>, StoreError> {
        if let Some(why) = self.shared.failure() {
            // What the disk holds is known after the restart.
            return Err(StoreError::Unavailable(why));
        }
        let done = self
            .shared
            .done
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(done.revs.get(id).map(|rev| Committed { rev: *rev }))
    }

    async fn last_rev(&self) -> Result<Rev, StoreError> {
        Ok(Rev(self.shared.last.load(Ordering::Acquire)))
    }

    async fn raise_rev(&self, above: Rev) -> Result<(), StoreError> {
        self.lease(LeaseAsk::Raise { above }).await.map(|_| ())
    }

    async fn lease_try(
        &self,
        name: &LeaseName,
        who: &NodeId,
        ttl: Duration,
    ) -> Result<LeaseTry, StoreError> {
        let ttl_ms = judge::lease_request(name, who, ttl)?;
        let ask = LeaseAsk::Try {
            name: name.clone(),
            who: who.0.clone(),
            ttl_ms,
        };
        match self.lease(ask).await? {
            LeaseAnswer::Try(answer) => Ok(answer),
            _ => Err(StoreError::Unavailable("a wrong answer".into())),
        }
    }

    async fn lease_renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        let ttl_ms = judge::lease_request(&lease.name, &NodeId(String::new()), ttl)?;
        let ask = LeaseAsk::Renew {
            name: lease.name.clone(),
            token: lease.token,
            ttl_ms,
        };
        Ok(matches!(self.lease(ask).await?, LeaseAnswer::Renewed(true)))
    }

    async fn lease_release(&self, lease: Lease) -> Result<(), StoreError> {
        let ask = LeaseAsk::Release {
            name: lease.name,
            token: lease.token,
        };
        self.lease(ask).await.map(|_| ())
    }

    fn watch(&self) -> broadcast::Receiver<Change> {
        self.shared.changes.subscribe()
    }

    async fn health(&self) -> Health {
        if let Some(why) = self.shared.failure() {
            return Health::Failed(why);
        }
        let no_room = self
            .shared
            .no_room
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        // Somebody may have made room since.
        if no_room && let Err(StoreError::Unavailable(why)) = self.shared.check_room(0) {
            return Health::Failed(why);
        }
        if self.shared.busy_for() > millis(self.shared.options.stuck) {
            return Health::Failed(format!(
                "the store has been busy with one write for more than {} seconds; restart keyport",
                self.shared.options.stuck.as_secs()
            ));
        }
        Health::Ok
    }

    /// Ends also when the disk does not answer: the thread that waits for it is left to it.
    async fn verify(&self) -> Result<ScrubReport, StoreError> {
        let shared = Arc::clone(&self.shared);
        let begun = Instant::now();
        let heard = Arc::new(AtomicU64::new(0));
        let pulse = Arc::clone(&heard);
        let mut reading = tokio::task::spawn_blocking(move || {
            scrub::scrub(&shared, |_| {
                pulse.store(millis(begun.elapsed()), Ordering::Relaxed);
                true
            })
        });
        loop {
            match tokio::time::timeout(Duration::from_secs(1), &mut reading).await {
                Ok(ended) => {
                    return ended.unwrap_or_else(|_| {
                        Err(StoreError::Corrupt("the store cannot be read".into()))
                    });
                }
                Err(_) => {
                    let silent =
                        millis(begun.elapsed()).saturating_sub(heard.load(Ordering::Relaxed));
                    if silent > millis(SILENT.max(self.shared.options.stuck * 2)) {
                        return Err(StoreError::Unavailable(format!(
                            "the disk has not answered for {} seconds while the store was read through; look at the disk (`dmesg`), then restart keyport",
                            silent / 1000
                        )));
                    }
                }
            }
        }
    }
}
