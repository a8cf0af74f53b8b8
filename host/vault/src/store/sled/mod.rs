//! The store for one machine: a redo journal and snapshots that are the truth, and sled as the index of what is new.
//!
//! ```text
//! commit ─▶ writer thread: judge ─▶ journal, fdatasync ─▶ sled: key → place in the journal ─▶ answer
//! read   ─▶ sled, then the snapshot                        snapshot = older snapshot + all that sled has, sorted
//! ```
//! One writer thread takes whatever waits as one group (one frame, one `fdatasync`). Several keys are atomic because the
//! frame is: after a crash it is applied whole or was never there. Readers of several rows wait out the short moment in
//! which a group is applied.
//!
//! sled is trusted with nothing: it says where in the journal a row stands, each entry and each value has a checksum of its
//! own, at the start all of it is compared with the journal, and when it fails it is made anew.
//!
//! | file | what |
//! |---|---|
//! | `folder.rs` | permissions, the lock against a second process, the store's id, quarantine |
//! | `frame.rs`, `journal.rs` | what is written and how it is read back |
//! | `snapshot.rs`, `snapshot_write.rs` | all rows as of one commit |
//! | `delta.rs`, `entry.rs` | sled, and what is done about its faults; what it holds |
//! | `view.rs`, `files.rs` | reading through the layers; reading at a place in a file |
//! | `recover.rs` | what happens at the start and when something is damaged |
//! | `writer.rs`, `group.rs` | the one thread that writes, and what it writes together |
//! | `upkeep.rs` | new segments, snapshots, mending |
//! | `scrub.rs`, `keeper.rs` | reading everything through; watching the writer |

mod delta;
mod entry;
mod files;
mod folder;
mod frame;
mod group;
mod journal;
mod keeper;
mod recover;
mod scrub;
mod snapshot;
mod snapshot_write;
mod upkeep;
mod view;
mod writer;

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use self::files::Patience;
use self::folder::{Folder, StoreId};
use self::frame::Tree;
use self::group::Ask;
use self::keeper::Keeper;
use self::snapshot::{ReadError, Snapshot};
use self::upkeep::{Made, Upkeep};
use self::view::View;
use self::writer::{LeaseAnswer, LeaseAsk, Request, Writer};
use super::memory::WATCH_CAPACITY;
use super::{
    Change, Clock, Commit, CommitId, Committed, Health, Key, Lease, LeaseName, LeaseTry, NodeId,
    Rec, ScrubReport, Store, StoreError, judge, millis,
};
use crate::ids::Rev;

/// How many requests may wait for the writer before callers have to.
const QUEUE: usize = 1024;
/// How many commits can still be asked after.
const DONE_MAX: usize = 8192;
/// A list of at most this many rows is read on the caller's thread when all of it is in memory.
const SHORT: u32 = 64;

/// What may be set about a [`SledStore`].
#[derive(Clone)]
pub struct SledOptions {
    /// The clock that leases go by.
    pub clock: Clock,
    /// The size of a file of the journal.
    pub segment_bytes: u64,
    /// sled's cache. It holds some 100 bytes for each row that changed since the last snapshot.
    pub cache_bytes: u64,
    /// No snapshot is made before the journal since the last one is this long. Above it, one is made when the journal
    /// has become a quarter of what is live, or 256 MiB.
    pub snapshot_bytes: u64,
    /// With less room than this on the disk, writes are refused and reads go on.
    pub low_water_bytes: u64,
    /// How often everything is read through in the background; `None`: never.
    pub scrub_every: Option<Duration>,
    /// A writer that takes this long over one group is stuck.
    pub stuck: Duration,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            segment_bytes: 4 * 1024 * 1024,
            cache_bytes: 64 * 1024 * 1024,
            snapshot_bytes: 8 * 1024 * 1024,
            low_water_bytes: 64 * 1024 * 1024,
            scrub_every: Some(Duration::from_secs(6 * 3600)),
            stuck: Duration::from_secs(10),
        }
    }
}

/// The embedded store. Dropping it waits for what is being written, and closes it cleanly.
pub struct SledStore {
    shared: Arc<Shared>,
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    keeper: Option<Keeper>,
}

/// What the readers, the writer and the keeper share.
struct Shared {
    id: StoreId,
    options: SledOptions,
    view: RwLock<Arc<View>>,
    /// Good snapshots, newest first.
    kept: Mutex<Vec<Arc<Snapshot>>>,
    /// A snapshot that was made and is not in place yet.
    made: Mutex<Option<Made>>,
    last: AtomicU64,
    done: Mutex<Done>,
    failed: Mutex<Option<String>>,
    /// Why writes are refused for the time being: the disk is nearly full.
    no_room: Mutex<Option<String>>,
    started: Instant,
    /// Milliseconds after `started` at which the writer began its present group; 0 while it waits.
    busy_since: AtomicU64,
    /// Set once when the writer is stuck: nobody waits for it any more.
    stuck: watch::Sender<bool>,
    changes: broadcast::Sender<Change>,
    /// Weak: the writer ends when the store itself is gone.
    requests: mpsc::WeakSender<Request>,
    /// Last: the lock is let go when all files are closed.
    folder: Folder,
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
        let (id, built, journal) =
            recover::open(&folder, options.cache_bytes, options.segment_bytes)?;
        let mut known: Vec<_> = built
            .smalls
            .iter()
            .filter(|((tree, _), _)| *tree == Tree::Done.number())
            .filter_map(|(_, value)| writer::read_done(value))
            .collect();
        known.sort_by_key(|(rev, _)| *rev);
        let mut done = Done::default();
        for (rev, id) in known {
            done.add(id, rev);
        }
        let last = built.recovered.last;
        let segments = journal.segments(&built.recovered)?;
        let upkeep = Upkeep::after(built.recovered.bytes);
        let view = View::new(0, built.base, Arc::new(built.delta), Arc::new(segments));
        let (requests, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            id,
            options,
            view: RwLock::new(Arc::new(view)),
            kept: Mutex::new(built.kept),
            made: Mutex::new(None),
            last: AtomicU64::new(last),
            done: Mutex::new(done),
            failed: Mutex::new(None),
            no_room: Mutex::new(None),
            started: Instant::now(),
            busy_since: AtomicU64::new(0),
            stuck: watch::channel(false).0,
            changes: broadcast::channel(WATCH_CAPACITY).0,
            requests: requests.downgrade(),
            folder,
        });
        let writer = Writer::new(Arc::clone(&shared), journal, last, built.smalls, upkeep)?;
        let writer = std::thread::Builder::new()
            .name("keyport-store".into())
            .spawn(move || writer.run(queue))
            .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
        let keeper = Keeper::start(&shared)?;
        Ok(Self {
            shared,
            requests: Some(requests),
            writer: Some(writer),
            keeper: Some(keeper),
        })
    }

    /// Makes a snapshot now and waits for it. One is made anyway when the journal has become long enough.
    ///
    /// # Errors
    /// When it cannot be made; nothing is lost then.
    pub async fn snapshot(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Snapshot(reply)).await?;
        self.answer(answer)
            .await
            .unwrap_or_else(|| Err(StoreError::Unavailable("the store stopped".into())))
    }

    /// Reads on the caller's thread what is in memory, and on a blocking thread what is not. What turns out to be damaged is
    /// mended, and read once more.
    async fn read<T: Send + 'static>(
        &self,
        short: bool,
        read: impl Fn(&View, Patience) -> Result<T, ReadError> + Send + Clone + 'static,
    ) -> Result<T, StoreError> {
        let view = self.shared.view();
        let mut first = Err(ReadError::WouldWait);
        if short {
            first = read(&view, Patience::Now);
        }
        if matches!(first, Err(ReadError::WouldWait)) {
            first = wait(&view, read.clone()).await;
        }
        let careful = match first {
            Ok(found) => return Ok(found),
            Err(ReadError::Damaged(_)) => true,
            Err(ReadError::Store(_)) => false,
            // It stood in a file that went while it was being looked up.
            Err(ReadError::Moved) => {
                return Ok(wait(&self.shared.view(), read).await?);
            }
            Err(error) => return Err(error.into()),
        };
        let (reply, answer) = oneshot::channel();
        let mend = Request::Mend {
            seen: view.number,
            careful,
            reply,
        };
        self.send(mend).await?;
        if let Some(Err(error)) = self.answer(answer).await {
            tracing::error!(%error, "the store is damaged and could not be mended");
        }
        Ok(wait(&self.shared.view(), read).await?)
    }

    /// Waits for the writer, but not for one that is stuck.
    async fn answer<T>(&self, answer: oneshot::Receiver<T>) -> Option<T> {
        let mut stuck = self.shared.stuck.subscribe();
        tokio::select! {
            biased;
            answer = answer => answer.ok(),
            _ = stuck.wait_for(|stuck| *stuck) => None,
        }
    }

    async fn send(&self, request: Request) -> Result<(), StoreError> {
        let stopped = || StoreError::Unavailable("the store is closed".into());
        if *self.shared.stuck.borrow() {
            return Err(StoreError::Unavailable(
                self.shared.failure().unwrap_or_default(),
            ));
        }
        self.requests
            .as_ref()
            .ok_or_else(stopped)?
            .send(request)
            .await
            .map_err(|_| stopped())
    }

    async fn lease(&self, ask: LeaseAsk) -> Result<LeaseAnswer, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Ask(Ask::Lease(ask, reply))).await?;
        self.answer(answer)
            .await
            .unwrap_or_else(|| Err(StoreError::Unavailable("the store stopped".into())))
    }
}

async fn wait<T: Send + 'static>(
    view: &Arc<View>,
    read: impl Fn(&View, Patience) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    let view = Arc::clone(view);
    tokio::task::spawn_blocking(move || read(&view, Patience::Wait))
        .await
        .unwrap_or_else(|_| {
            Err(ReadError::Store(StoreError::Corrupt(
                "the store cannot be read".into(),
            )))
        })
}

impl Shared {
    fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_view(&self, view: View) {
        let new = Arc::new(view);
        let mut slot = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *slot, new);
        drop(slot);
        // Closing an index takes a moment; not while others wait for the slot.
        drop(old);
    }

    fn kept(&self) -> Vec<Arc<Snapshot>> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_kept(&self, kept: Vec<Arc<Snapshot>>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    fn is_made(&self) -> bool {
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    fn requests(&self) -> Option<mpsc::Sender<Request>> {
        self.requests.upgrade()
    }

    fn failure(&self) -> Option<String> {
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn fail(&self, why: &str) {
        tracing::error!(why, "the store no longer takes writes");
        let text = format!(
            "the store takes no writes after an error ({why}) and goes on answering reads; restart keyport, nothing acknowledged is lost"
        );
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(text);
    }

    /// Refuses when the disk would have too little room with `more` bytes on it.
    fn check_room(&self, more: u64) -> Result<(), StoreError> {
        let free = free_bytes(self.folder.path());
        let needed = self
            .options
            .low_water_bytes
            .saturating_add(self.options.segment_bytes)
            .saturating_add(more);
        let mut no_room = self.no_room.lock().unwrap_or_else(PoisonError::into_inner);
        *no_room = free.filter(|free| *free < needed).map(|free| {
            format!(
                "the disk of {} is nearly full ({} MiB free, {} MiB needed): the store takes no writes and goes on answering reads; free some space",
                self.folder.path().display(),
                free >> 20,
                (needed >> 20) + 1
            )
        });
        match &*no_room {
            None => Ok(()),
            Some(why) => Err(StoreError::Unavailable(why.clone())),
        }
    }

    fn mark_busy(&self, busy: bool) {
        let now = if busy {
            millis(self.started.elapsed()).max(1)
        } else {
            0
        };
        self.busy_since.store(now, Ordering::Relaxed);
    }

    /// For how many milliseconds the writer has been busy with the same.
    fn busy_for(&self) -> u64 {
        match self.busy_since.load(Ordering::Relaxed) {
            0 => 0,
            since => millis(self.started.elapsed()).saturating_sub(since),
        }
    }
}

/// The room that is left on the disk of this folder, where that can be asked.
#[cfg(unix)]
fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // The keeper may be in the middle of something that needs the writer.
        drop(self.keeper.take());
        // Without a sender the writer finishes what it has, closes and ends.
        self.requests = None;
        if let Some(writer) = self.writer.take()
            && !*self.shared.stuck.borrow()
        {
            let _ = writer.join();
        }
    }
}

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

    async fn verify(&self) -> Result<ScrubReport, StoreError> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || scrub::scrub(&shared, |_| true))
            .await
            .unwrap_or_else(|_| Err(StoreError::Corrupt("the store cannot be read".into())))
    }
}
