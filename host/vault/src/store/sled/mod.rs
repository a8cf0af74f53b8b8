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
//! | `api.rs`, `shared.rs` | what callers see; what the readers, the writer and the keeper have in common |
//! | `frame.rs`, `journal.rs`, `journal_read.rs` | what is written and how it is read back |
//! | `snapshot.rs`, `snapshot_write.rs` | all rows as of one commit |
//! | `delta.rs`, `entry.rs` | sled, and what is done about its faults; what it holds |
//! | `view.rs`, `files.rs` | reading through the layers; reading at a place in a file |
//! | `recover.rs` | what happens at the start and when something is damaged |
//! | `writer.rs`, `group.rs` | the one thread that writes, and what it writes together |
//! | `upkeep.rs` | new segments, snapshots, mending |
//! | `scrub.rs`, `keeper.rs` | reading everything through; watching the writer |

mod api;
mod delta;
mod entry;
mod files;
mod folder;
mod frame;
mod group;
mod journal;
mod journal_read;
mod keeper;
mod recover;
mod scrub;
mod shared;
mod snapshot;
mod snapshot_write;
mod upkeep;
mod view;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use self::files::Patience;
use self::folder::Folder;
use self::frame::Tree;
use self::group::Ask;
use self::keeper::{Keeper, join_unless};
use self::shared::{Done, Shared};
use self::snapshot::ReadError;
use self::upkeep::Upkeep;
use self::view::View;
use self::writer::{LeaseAnswer, LeaseAsk, Request, Writer};
use super::{Clock, StoreError, millis};

/// How many requests may wait for the writer before callers have to.
const QUEUE: usize = 1024;

/// Closing may take this many times as long as a group, since sled writes what it holds.
const CLOSING: u64 = 3;

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
        let shared = Arc::new(Shared::new(folder, id, options, view, &requests));
        shared.begin_at(last, built.kept, done);
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
        let mut view = self.shared.view();
        let mut first = Err(ReadError::WouldWait);
        if short {
            first = read(&view, Patience::Now);
        }
        if matches!(first, Err(ReadError::WouldWait)) {
            first = wait(&view, read.clone()).await;
        }
        // It stood in a file that went while it was being looked up.
        while matches!(first, Err(ReadError::Moved)) {
            let now = self.shared.view();
            if Arc::ptr_eq(&now, &view) {
                break;
            }
            view = now;
            first = wait(&view, read.clone()).await;
        }
        let careful = match first {
            Ok(found) => return Ok(found),
            Err(ReadError::Damaged(_)) => true,
            Err(ReadError::Store(_) | ReadError::Moved) => false,
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

impl Drop for SledStore {
    fn drop(&mut self) {
        // The keeper may be in the middle of something that needs the writer.
        drop(self.keeper.take());
        // Without a sender the writer finishes what it has, closes and ends. One that a dead disk holds is left behind.
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            join_unless(writer, || {
                *self.shared.stuck.borrow()
                    || self.shared.busy_for() > CLOSING * millis(self.shared.options.stuck)
            });
        }
    }
}
