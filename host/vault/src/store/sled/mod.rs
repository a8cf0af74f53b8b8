//! The store for one machine: a redo journal that is the truth, and sled as its index.
//!
//! ```text
//! commit ─▶ writer thread: judge ─▶ journal, fdatasync ─▶ sled ─▶ answer      reads ─▶ sled
//! ```
//! One writer thread takes whatever waits as one group (one frame, one `fdatasync`). Several keys are atomic because the
//! frame is: after a crash it is applied whole or was never there. Readers of several rows wait out the short moment in
//! which a group is applied.
//!
//! | file | what |
//! |---|---|
//! | `folder.rs` | permissions, the lock against a second process, the store's id |
//! | `frame.rs`, `journal.rs` | what is written and how it is read back |
//! | `index.rs` | sled, and what is done about its faults |
//! | `recover.rs` | what happens at the start |
//! | `writer.rs`, `group.rs` | the one thread that writes, and what it writes together |
//!
//! Left out for now: a verified snapshot from which a lost or damaged index is rebuilt (it is noticed and refused), and
//! scrubbing in the background.

mod folder;
mod frame;
mod group;
mod index;
mod journal;
mod recover;
mod writer;

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{broadcast, mpsc, oneshot};

use self::folder::Folder;
use self::frame::Tree;
use self::index::Index;
use self::recover::recover;
use self::writer::{LeaseAnswer, LeaseAsk, Request, Writer};
use super::memory::WATCH_CAPACITY;
use super::{
    Change, Clock, Commit, CommitId, Committed, Health, Key, Lease, LeaseName, LeaseTry, NodeId,
    Rec, Store, StoreError, judge, millis,
};
use crate::ids::Rev;

/// How many requests may wait for the writer before callers have to.
const QUEUE: usize = 1024;
/// How many commits can still be asked after.
const DONE_MAX: usize = 8192;
/// A writer that takes this long over one group is stuck.
const STUCK: Duration = Duration::from_secs(10);

/// What may be set about a [`SledStore`].
#[derive(Clone)]
pub struct SledOptions {
    /// The clock that leases go by.
    pub clock: Clock,
    /// After how many bytes of journal the index is brought onto the disk and the journal begun anew.
    pub segment_bytes: u64,
    /// sled's cache. Measured: below the size of the data it gets slow, and it uses up to three times this.
    pub cache_bytes: u64,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            segment_bytes: 16 * 1024 * 1024,
            cache_bytes: 256 * 1024 * 1024,
        }
    }
}

/// The embedded store. Dropping it waits for what is being written, and closes it cleanly.
pub struct SledStore {
    shared: Arc<Shared>,
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
}

/// What the readers and the writer share.
struct Shared {
    index: Index,
    /// Held for writing while a group is applied, so that nobody sees half of one.
    gate: RwLock<()>,
    last: AtomicU64,
    done: Mutex<Done>,
    failed: Mutex<Option<String>>,
    started: Instant,
    /// Milliseconds after `started` at which the writer began its present group; 0 while it waits.
    busy_since: AtomicU64,
    changes: broadcast::Sender<Change>,
    clock: Clock,
    /// Last: the lock is let go when the index is closed.
    _folder: Folder,
}

/// The latest commits, for lost replies.
#[derive(Default)]
struct Done {
    revs: HashMap<CommitId, Rev>,
    order: VecDeque<CommitId>,
}

impl Done {
    fn add(&mut self, id: CommitId, rev: Rev) {
        if self.revs.insert(id, rev).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > DONE_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.revs.remove(&oldest);
        }
    }
}

impl SledStore {
    /// Opens the store in this folder, or makes one. Blocks: a large store takes seconds.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process uses it, [`StoreError::Corrupt`] when what is there cannot be
    /// relied on; in both cases nothing is changed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, SledOptions::default())
    }

    /// [`SledStore::open`] with options.
    ///
    /// # Errors
    /// The same.
    pub fn open_with(path: impl AsRef<Path>, options: SledOptions) -> Result<Self, StoreError> {
        let folder = Folder::take(path.as_ref())?;
        let (index, journal, last) = recover(&folder, options.cache_bytes)?;
        let mut done = Done::default();
        let mut known = index.all(Tree::Done)?;
        known.sort_by(|one, other| one.1.cmp(&other.1));
        for (_, value) in known {
            if let Some((rev, id)) = writer::read_done(&value) {
                done.add(id, rev);
            }
        }
        let shared = Arc::new(Shared {
            index,
            gate: RwLock::new(()),
            last: AtomicU64::new(last),
            done: Mutex::new(done),
            failed: Mutex::new(None),
            started: Instant::now(),
            busy_since: AtomicU64::new(0),
            changes: broadcast::channel(WATCH_CAPACITY).0,
            clock: options.clock,
            _folder: folder,
        });
        let (requests, queue) = mpsc::channel(QUEUE);
        let writer = Writer::new(Arc::clone(&shared), journal, last, options.segment_bytes)?;
        let writer = std::thread::Builder::new()
            .name("keyport-store".into())
            .spawn(move || writer.run(queue))
            .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Self {
            shared,
            requests: Some(requests),
            writer: Some(writer),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || read(&shared)).await {
            Ok(result) => result,
            // sled panics on some damage.
            Err(_) => Err(StoreError::Corrupt("the index cannot be read".into())),
        }
    }

    async fn send(&self, request: Request) -> Result<(), StoreError> {
        let stopped = || StoreError::Unavailable("the store is closed".into());
        self.requests
            .as_ref()
            .ok_or_else(stopped)?
            .send(request)
            .await
            .map_err(|_| stopped())
    }

    async fn lease(&self, ask: LeaseAsk) -> Result<LeaseAnswer, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Lease(ask, reply)).await?;
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the store stopped".into())))
    }
}

impl Shared {
    fn gate(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self) -> Option<String> {
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn fail(&self, why: &str) {
        tracing::error!(why, "the store no longer takes writes");
        let text =
            format!("the store stopped taking writes after an error ({why}); restart keyport");
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(text);
    }

    fn mark_busy(&self, busy: bool) {
        let now = if busy {
            millis(self.started.elapsed()).max(1)
        } else {
            0
        };
        self.busy_since.store(now, Ordering::Relaxed);
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // Without a sender the writer finishes what it has, closes and ends.
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Store for SledStore {
    async fn get(&self, key: &Key) -> Result<Option<Rec>, StoreError> {
        let key = key.clone();
        self.read(move |shared| shared.index.rec(&key)).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Rec>>, StoreError> {
        let keys = keys.to_vec();
        self.read(move |shared| {
            let _gate = shared.gate();
            keys.iter().map(|key| shared.index.rec(key)).collect()
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
        self.read(move |shared| {
            let _gate = shared.gate();
            shared.index.scan(&prefix, after.as_ref(), limit)
        })
        .await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let id = commit.id;
        let (reply, answer) = oneshot::channel();
        self.send(Request::Commit(commit, reply)).await?;
        answer.await.unwrap_or(Err(StoreError::Unknown(id)))
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
        let since = self.shared.busy_since.load(Ordering::Relaxed);
        let now = millis(self.shared.started.elapsed());
        if since != 0 && now.saturating_sub(since) > millis(STUCK) {
            return Health::Failed(
                "the store has been busy with one write for 10 seconds; restart keyport".into(),
            );
        }
        Health::Ok
    }
}
