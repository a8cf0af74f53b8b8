//! What the readers, the writer and the keeper of a store have in common.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::{broadcast, mpsc, watch};

use super::SledOptions;
use super::folder::{Folder, StoreId};
use super::snapshot::Snapshot;
use super::upkeep::Made;
use super::view::View;
use super::writer::Request;
use crate::ids::Rev;
use crate::store::memory::WATCH_CAPACITY;
use crate::store::{Change, CommitId, StoreError, millis};

/// How many commits can still be asked after.
pub(super) const DONE_MAX: usize = 8192;

/// What the readers, the writer and the keeper share.
pub(super) struct Shared {
    pub(super) id: StoreId,
    pub(super) options: SledOptions,
    pub(super) view: RwLock<Arc<View>>,
    /// Good snapshots, newest first.
    pub(super) kept: Mutex<Vec<Arc<Snapshot>>>,
    /// A snapshot that was made and is not in place yet.
    pub(super) made: Mutex<Option<Made>>,
    pub(super) last: AtomicU64,
    pub(super) done: Mutex<Done>,
    pub(super) failed: Mutex<Option<String>>,
    /// Why writes are refused for the time being: the disk is nearly full.
    pub(super) no_room: Mutex<Option<String>>,
    pub(super) started: Instant,
    /// Milliseconds after `started` at which the writer began its present group; 0 while it waits.
    pub(super) busy_since: AtomicU64,
    /// Set once when the writer is stuck: nobody waits for it any more.
    pub(super) stuck: watch::Sender<bool>,
    pub(super) changes: broadcast::Sender<Change>,
    /// Weak: the writer ends when the store itself is gone.
    pub(super) requests: mpsc::WeakSender<Request>,
    /// Last: the lock is let go when all files are closed.
    pub(super) folder: Folder,
}

/// The latest commits, for lost replies.
#[derive(Default)]
pub(super) struct Done {
    pub(super) revs: HashMap<CommitId, Rev>,
    pub(super) order: VecDeque<CommitId>,
}

impl Done {
    pub(super) fn add(&mut self, id: CommitId, rev: Rev) {
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

impl Shared {
    pub(super) fn new(
        folder: Folder,
        id: StoreId,
        options: SledOptions,
        view: View,
        requests: &mpsc::Sender<Request>,
    ) -> Self {
        Self {
            id,
            options,
            view: RwLock::new(Arc::new(view)),
            kept: Mutex::default(),
            made: Mutex::new(None),
            last: AtomicU64::new(0),
            done: Mutex::default(),
            failed: Mutex::new(None),
            no_room: Mutex::new(None),
            started: Instant::now(),
            busy_since: AtomicU64::new(0),
            stuck: watch::channel(false).0,
            changes: broadcast::channel(WATCH_CAPACITY).0,
            requests: requests.downgrade(),
            folder,
        }
    }

    /// Where the store stands when it was opened.
    pub(super) fn begin_at(&self, last: u64, kept: Vec<Arc<Snapshot>>, done: Done) {
        self.last.store(last, Ordering::Release);
        self.set_kept(kept);
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = done;
    }

    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_view(&self, view: View) {
        let new = Arc::new(view);
        let mut slot = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *slot, new);
        drop(slot);
        // Closing an index takes a moment; not while others wait for the slot.
        drop(old);
    }

    pub(super) fn kept(&self) -> Vec<Arc<Snapshot>> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_kept(&self, kept: Vec<Arc<Snapshot>>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    pub(super) fn is_made(&self) -> bool {
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    pub(super) fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    pub(super) fn requests(&self) -> Option<mpsc::Sender<Request>> {
        self.requests.upgrade()
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn fail(&self, why: &str) {
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
    pub(super) fn check_room(&self, more: u64) -> Result<(), StoreError> {
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

    pub(super) fn mark_busy(&self, busy: bool) {
        let now = if busy {
            millis(self.started.elapsed()).max(1)
        } else {
            0
        };
        self.busy_since.store(now, Ordering::Relaxed);
    }

    /// For how many milliseconds the writer has been busy with the same.
    pub(super) fn busy_for(&self) -> u64 {
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
