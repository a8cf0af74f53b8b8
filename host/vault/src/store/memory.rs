//! A store in memory, for tests: nothing survives the process. Same rules as the durable ones.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::judge::{self, Holder, Revs};
use super::{
    Change, Clock, Commit, CommitId, Committed, Health, Key, Lease, LeaseName, LeaseTry, NodeId,
    Op, Rec, Store, StoreError,
};
use crate::ids::Rev;

/// How many changes a slow watcher may be behind.
pub(super) const WATCH_CAPACITY: usize = 4096;

/// A store in memory. Clones share the same rows.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    changes: broadcast::Sender<Change>,
    clock: Clock,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<Key, Rec>,
    last: u64,
    done: HashMap<CommitId, Rev>,
    leases: HashMap<LeaseName, Holder>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store with the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Clock::system())
    }

    /// An empty store with a clock of the test's own.
    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        Self {
            state: Arc::default(),
            changes: broadcast::channel(WATCH_CAPACITY).0,
            clock,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl Revs for State {
    fn rev(&self, key: &Key) -> Result<Option<Rev>, StoreError> {
        Ok(self.rows.get(key).map(|rec| rec.rev))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &Key) -> Result<Option<Rec>, StoreError> {
        Ok(self.state().rows.get(key).cloned())
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Rec>>, StoreError> {
        let state = self.state();
        Ok(keys
            .iter()
            .map(|key| state.rows.get(key).cloned())
            .collect())
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&Key>,
        limit: u32,
    ) -> Result<Vec<(Key, Rec)>, StoreError> {
        let first = Key::from(prefix);
        let from = match after {
            Some(after) if *after >= first => Bound::Excluded(after.clone()),
            _ => Bound::Included(first),
        };
        let state = self.state();
        Ok(state
            .rows
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| key.as_bytes().starts_with(prefix))
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|(key, rec)| (key.clone(), rec.clone()))
            .collect())
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let mut state = self.state();
        judge::commit(&*state, &commit)?;
        let rev = Rev(state.next());
        let keys = commit.ops.iter().map(|op| op.key().clone()).collect();
        for op in commit.ops {
            match op {
                Op::Put(key, value) => {
                    state.rows.insert(key, Rec { rev, value });
                }
                Op::Del(key) => {
                    state.rows.remove(&key);
                }
            }
        }
        state.done.insert(commit.id, rev);
        // Told while the lock is held, so that changes arrive in the order of their revisions.
        let _ = self.changes.send(Change {
            rev,
            keys,
            own: true,
        });
        Ok(Committed { rev })
    }

    async fn outcome(&self, id: &CommitId) -> Result<Option<Committed>, StoreError> {
        Ok(self.state().done.get(id).map(|rev| Committed { rev: *rev }))
    }

    async fn last_rev(&self) -> Result<Rev, StoreError> {
        Ok(Rev(self.state().last))
    }

    async fn raise_rev(&self, above: Rev) -> Result<(), StoreError> {
        let mut state = self.state();
        state.last = state.last.max(above.0);
        Ok(())
    }

    async fn lease_try(
        &self,
        name: &LeaseName,
        who: &NodeId,
        ttl: Duration,
    ) -> Result<LeaseTry, StoreError> {
        let ttl_ms = judge::lease_request(name, who, ttl)?;
        let now_ms = self.clock.now_ms();
        let mut state = self.state();
        if let Some(until_ms) = judge::held(state.leases.get(name), now_ms) {
            return Ok(LeaseTry::Held { until_ms });
        }
        let token = state.next();
        let until_ms = now_ms.saturating_add(ttl_ms);
        let holder = Holder {
            who: who.0.clone(),
            token,
            until_ms,
        };
        state.leases.insert(name.clone(), holder);
        Ok(LeaseTry::Got(Lease {
            name: name.clone(),
            token,
            until_ms,
        }))
    }

    async fn lease_renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        let now_ms = self.clock.now_ms();
        let mut state = self.state();
        let Some(holder) = state.leases.get_mut(&lease.name) else {
            return Ok(false);
        };
        let ttl_ms = judge::lease_request(&lease.name, &NodeId(holder.who.clone()), ttl)?;
        if !judge::still_ours(Some(holder), lease.token, now_ms) {
            return Ok(false);
        }
        holder.until_ms = now_ms.saturating_add(ttl_ms);
        Ok(true)
    }

    async fn lease_release(&self, lease: Lease) -> Result<(), StoreError> {
        let mut state = self.state();
        if state
            .leases
            .get(&lease.name)
            .is_some_and(|holder| holder.token == lease.token)
        {
            state.leases.remove(&lease.name);
        }
        Ok(())
    }

    fn watch(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    async fn health(&self) -> Health {
        Health::Ok
    }
}
