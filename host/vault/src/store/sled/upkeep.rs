//! What the writer does between groups: new segments, snapshots, mending.
//!
//! A snapshot is made beside the service. The index so far is *frozen*, a new and empty one begins (with a new segment of the
//! journal), and a thread of its own writes base and frozen index together, sorted, into the next base. Only when that has been
//! read back whole is it put in place; then the third-last snapshot goes, and the journal below the older one of the two that
//! are kept. So at every moment there are two ways to every row: newest snapshot and journal, older snapshot and journal.

use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::delta::Delta;
use super::files::Patience;
use super::folder::unavailable;
use super::frame::{Frame, Tree};
use super::journal::AppendError;
use super::journal_read;
use super::recover::{How, Smalls, build, index_folder};
use super::shared::Shared;
use super::snapshot::{ReadError, Small, Snapshot};
use super::snapshot_write::SnapshotWriter;
use super::view::View;
use super::writer::{Request, Writer, read_holder};
use crate::store::StoreError;

/// A snapshot is made when the journal since the last one is this part of what is live …
const LIVE_PART: u64 = 4;
/// … or this long.
const JOURNAL_MAX: u64 = 256 * 1024 * 1024;
/// How many snapshots are kept.
const KEPT: usize = 2;
/// After this much work the thread that makes a snapshot rests for as long as it took, but not longer than `REST_MAX`.
const REST_EVERY: u64 = 1024 * 1024;
const REST_MAX: Duration = Duration::from_millis(50);
/// When commits come faster than the snapshot that is being made, it does not rest any more, and once as much has come as is
/// due for the next, each group waits for it a little: so the disk holds a bounded multiple of what is live.
const WAIT: Duration = Duration::from_millis(5);
const WAITS: usize = 20;

/// How the making of a snapshot went; [`ReadError::WouldWait`] means that it was stopped.
pub(super) type Made = Result<Snapshot, ReadError>;

/// What the writer knows about snapshots.
#[derive(Default)]
pub(super) struct Upkeep {
    /// Bytes of journal since the last snapshot, or since the last attempt at one.
    pub(super) journal_bytes: u64,
    /// A snapshot is wanted as soon as may be.
    overdue: bool,
    making: Option<JoinHandle<()>>,
    closing: Option<JoinHandle<()>>,
    cancel: Arc<AtomicBool>,
    hurry: Arc<AtomicBool>,
    /// As of when the frozen index is, and the entries that are not rows as of then.
    frozen: Option<(u64, Vec<Small>)>,
    /// Distinguishes folders of the index.
    folders: u64,
    waiting_next: Vec<oneshot::Sender<Result<(), StoreError>>>,
    waiting: Vec<oneshot::Sender<Result<(), StoreError>>>,
}

impl Upkeep {
    /// As it is after a start.
    pub(super) fn after(journal_bytes: u64) -> Self {
        Self {
            journal_bytes,
            ..Self::default()
        }
    }
}

impl Writer {
    /// What is not written in groups.
    pub(super) fn upkeep(&mut self, request: Request) {
        match request {
            Request::Mend {
                seen,
                careful,
                reply,
            } => {
                // Somebody else may have asked before.
                let done = match self.shared.view().number == seen {
                    true => self.mend("it did not agree with the disk", careful),
                    false => Ok(Vec::new()),
                };
                let _ = reply.send(done);
            }
            Request::Snapshot(reply) => {
                if let Some(why) = self.shared.failure() {
                    let _ = reply.send(Err(StoreError::Unavailable(why)));
                    return;
                }
                if self.upkeep.making.is_some() {
                    // That one is as of a moment before this was asked for.
                    self.upkeep.waiting_next.push(reply);
                    return;
                }
                self.upkeep.waiting.push(reply);
                if let Err(error) = self.begin_snapshot() {
                    self.tell(&Err(error));
                }
            }
            Request::Made | Request::Ask(_) => {}
        }
    }

    /// The next segment of the journal, for a frame of `need` bytes, unless the disk is nearly full.
    pub(super) fn next_segment(&mut self, need: usize) -> Result<(), StoreError> {
        self.shared.check_room(0)?;
        let need = u64::try_from(need).unwrap_or(u64::MAX);
        if let Err(error) = self.journal.rotate(need) {
            if let StoreError::Corrupt(why) = &error {
                self.shared.fail(why);
            }
            return Err(error);
        }
        let (first, file) = self.journal.segment();
        self.shared.view().segments.add(first, file);
        Ok(())
    }

    /// Takes a snapshot that was made, and begins one when the journal has become long.
    pub(super) fn snapshots(&mut self) {
        let made = self
            .shared
            .made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(made) = made {
            self.made(made);
        }
        if self.shared.failure().is_some() {
            return;
        }
        let live = self.shared.view().base.as_ref().map_or(0, |base| base.live);
        let due = (live / LIVE_PART)
            .min(JOURNAL_MAX)
            .max(self.shared.options.snapshot_bytes);
        if self.upkeep.making.is_some() {
            let bytes = self.upkeep.journal_bytes;
            self.upkeep.hurry.store(bytes > due / 2, Ordering::Relaxed);
            for _ in 0..if bytes > due { WAITS } else { 0 } {
                if self.shared.is_made() {
                    break;
                }
                std::thread::sleep(WAIT);
            }
            return;
        }
        if !self.upkeep.overdue && self.upkeep.journal_bytes <= due {
            return;
        }
        if let Err(error) = self.begin_snapshot() {
            // The journal goes on; another attempt is made after as much again.
            self.upkeep.journal_bytes = 0;
            tracing::warn!(%error, "no snapshot could be begun");
        }
        self.upkeep.overdue = false;
    }

    fn begin_snapshot(&mut self) -> Result<(), StoreError> {
        if self.upkeep.making.is_some() {
            return Ok(());
        }
        let view = self.shared.view();
        let base_bytes = view.base.as_ref().map_or(0, |base| base.live);
        self.shared
            .check_room(base_bytes + base_bytes / 8 + self.upkeep.journal_bytes)?;
        // An attempt that failed has left a frozen index: the same again.
        if view.frozen.is_none() {
            if view
                .base
                .as_ref()
                .is_some_and(|base| base.sequence == self.last)
            {
                self.step()?;
            }
            if self.journal.filled() > 0 {
                self.next_segment(0)?;
            }
            self.upkeep.folders += 1;
            let path = index_folder(&self.shared.folder.index(), self.last, self.upkeep.folders);
            let delta = Delta::sled(&path, self.shared.id, self.shared.options.cache_bytes)
                .unwrap_or_else(|error| {
                    tracing::error!(%error, "no index can be made on the disk; it is kept in memory until the next snapshot");
                    Delta::memory()
                });
            self.upkeep.frozen = Some((self.last, self.live_smalls()));
            self.shared.set_view(View {
                frozen: Some(Arc::clone(&view.delta)),
                delta: Arc::new(delta),
                ..(*view).clone()
            });
            self.upkeep.journal_bytes = 0;
        }
        let Some((sequence, smalls)) = self.upkeep.frozen.clone() else {
            return Err(StoreError::Corrupt("the index is in no known state".into()));
        };
        let view = self.shared.view();
        let mut source = View::new(
            view.number,
            view.base.clone(),
            view.frozen
                .clone()
                .unwrap_or_else(|| Arc::new(Delta::memory())),
            Arc::clone(&view.segments),
        );
        source.frozen = None;
        self.upkeep.cancel = Arc::default();
        let cancel = Arc::clone(&self.upkeep.cancel);
        let hurry = Arc::clone(&self.upkeep.hurry);
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name("keyport-snapshot".into())
            .spawn(move || {
                let made = make(&shared, &source, (sequence, &smalls), &cancel, &hurry);
                drop(source);
                *shared.made.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
                // Only wakes the writer; where many requests wait, it is awake.
                if let Some(requests) = shared.requests() {
                    let _ = requests.try_send(Request::Made);
                }
            })
            .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
        self.upkeep.making = Some(thread);
        Ok(())
    }

    /// Commits nothing: so that a snapshot of the same rows has a number, and with it a file, of its own.
    fn step(&mut self) -> Result<(), StoreError> {
        let frame = Frame {
            first: self.last + 1,
            last: self.last + 1,
            changes: Vec::new(),
        };
        let bytes = frame.encode()?.bytes;
        if !self.journal.fits(bytes.len()) {
            self.next_segment(bytes.len())?;
        }
        match self.journal.append(&bytes, frame.last) {
            Ok(_) => {
                self.last = frame.last;
                self.shared.last.store(self.last, Ordering::Release);
                Ok(())
            }
            Err(AppendError::Clean(why)) => Err(StoreError::Unavailable(why)),
            Err(AppendError::Unsure(why)) => {
                self.shared.fail(&why);
                Err(StoreError::Unavailable(why))
            }
        }
    }

    /// What a snapshot keeps that is not a row: leases that are over are left out.
    fn live_smalls(&mut self) -> Vec<Small> {
        let now_ms = self.shared.options.clock.now_ms();
        let leases = Tree::Leases.number();
        self.smalls.retain(|(tree, _), value| {
            *tree != leases || read_holder(value).is_none_or(|holder| now_ms < holder.until_ms)
        });
        smalls(&self.smalls)
    }

    fn made(&mut self, made: Made) {
        if let Some(thread) = self.upkeep.making.take() {
            let _ = thread.join();
        }
        let done = match made {
            Ok(snapshot) => self.put_in_place(snapshot),
            Err(ReadError::WouldWait) => Err(StoreError::Unavailable("it was stopped".into())),
            Err(ReadError::Damaged(what)) => match self.mend(&what, true) {
                // From the older snapshot, at once: until then there is one way to the rows.
                Ok(_) => match self.begin_snapshot() {
                    Ok(()) => return,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            },
            Err(error) => Err(error.into()),
        };
        if let Err(error) = &done {
            tracing::warn!(%error, "no snapshot was made; the journal goes on");
        }
        self.tell(&done);
        if !self.upkeep.waiting_next.is_empty() {
            self.upkeep.waiting = std::mem::take(&mut self.upkeep.waiting_next);
            if let Err(error) = self.begin_snapshot() {
                self.tell(&Err(error));
            }
        }
    }

    fn put_in_place(&mut self, snapshot: Snapshot) -> Result<(), StoreError> {
        let snapshot = Arc::new(snapshot);
        let view = self.shared.view();
        self.shared.set_view(View {
            base: Some(Arc::clone(&snapshot)),
            frozen: None,
            ..(*view).clone()
        });
        if let Some(frozen) = &view.frozen {
            frozen.retire();
        }
        self.upkeep.frozen = None;
        let mut kept = self.shared.kept();
        kept.insert(0, snapshot);
        let gone = kept.split_off(KEPT.min(kept.len()));
        let older = (kept.len() == KEPT).then(|| kept.last().map_or(0, |older| older.sequence));
        self.shared.set_kept(kept);
        let closing = std::thread::Builder::new().name("keyport-close".into());
        // Closing sled takes a moment in which nobody should wait. Without a thread it is closed here.
        self.finish_closing();
        self.upkeep.closing = closing.spawn(move || drop(view)).ok();
        for old in gone {
            std::fs::remove_file(old.path()).map_err(unavailable(old.path()))?;
        }
        let segments_open = Arc::clone(&self.shared.view().segments);
        let segments = journal_read::list(&self.shared.folder.journal())?;
        for (number, (first, path)) in segments.iter().enumerate() {
            let next = segments.get(number + 1).map(|(next, _)| *next);
            let below = older
                .zip(next)
                .is_some_and(|(older, next)| next <= older + 1);
            if below {
                // In this order: who finds the file gone sees that it went.
                segments_open.remove(*first);
                std::fs::remove_file(path).map_err(unavailable(path))?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, done: &Result<(), StoreError>) {
        for waiting in self.upkeep.waiting.drain(..) {
            // Who asked may have gone.
            let _ = waiting.send(done.clone());
        }
    }

    /// Makes the layers anew from what is on the disk: the newest good snapshot and the journal. `careful`: snapshots are
    /// read through first.
    pub(super) fn mend(&mut self, why: &str, careful: bool) -> Result<Vec<String>, StoreError> {
        tracing::warn!(why, "the index of the store is made anew");
        self.stop_making();
        let how = How {
            cache_bytes: self.shared.options.cache_bytes,
            careful,
            afresh: true,
            in_memory: false,
        };
        let built = build(&self.shared.folder, self.shared.id, how)?;
        let old = self.shared.view();
        for segment in &built.recovered.segments {
            if old.segments.get(segment.first).is_none() {
                let file =
                    std::fs::File::open(&segment.path).map_err(unavailable(&segment.path))?;
                old.segments.add(segment.first, Arc::new(file));
            }
        }
        let mut mended = built.mended;
        if mended.is_empty() {
            mended.push(format!("{why}; the index was made anew from the journal"));
        }
        self.shared.set_kept(built.kept);
        self.shared.set_view(View::new(
            old.number + 1,
            built.base,
            Arc::new(built.delta),
            Arc::clone(&old.segments),
        ));
        self.upkeep.frozen = None;
        // So that the next snapshot comes soon: after damage there is one way less to each row.
        self.upkeep.overdue = true;
        Ok(mended)
    }

    /// Waits until an older index is closed.
    pub(super) fn finish_closing(&mut self) {
        if let Some(closing) = self.upkeep.closing.take() {
            let _ = closing.join();
        }
    }

    /// Ends the making of a snapshot without one.
    pub(super) fn stop_making(&mut self) {
        self.upkeep.cancel.store(true, Ordering::Relaxed);
        let Some(thread) = self.upkeep.making.take() else {
            return;
        };
        let _ = thread.join();
        // If it was finished all the same, it is among the snapshots of the next start or mending.
        self.shared
            .made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let next = std::mem::take(&mut self.upkeep.waiting_next);
        self.upkeep.waiting.extend(next);
        self.tell(&Err(StoreError::Unavailable("it was stopped".into())));
    }
}

/// The entries that are not rows, as a snapshot has them.
fn smalls(of: &Smalls) -> Vec<Small> {
    of.iter()
        .filter_map(|((tree, key), value)| {
            Some(Small {
                tree: Tree::numbered(*tree)?,
                key: key.clone(),
                value: value.clone(),
            })
        })
        .collect()
}

/// Writes a snapshot of all rows that `source` shows. Stopped: [`ReadError::WouldWait`].
fn make(
    shared: &Shared,
    source: &View,
    (sequence, smalls): (u64, &[Small]),
    cancel: &AtomicBool,
    hurry: &AtomicBool,
) -> Result<Snapshot, ReadError> {
    let stopped = || cancel.load(Ordering::Relaxed);
    let folder = shared.folder.snapshots();
    let mut writer = SnapshotWriter::new(&folder, shared.id, sequence).map_err(ReadError::Store)?;
    let written = (|| {
        let mut walk = source.walk(Bound::Unbounded, usize::MAX, Patience::Wait);
        let (mut began, mut at) = (Instant::now(), 0);
        while let Some(row) = walk.next()? {
            writer
                .row(&row.key, row.rev, row.value.as_deref())
                .map_err(ReadError::Store)?;
            if writer.written() - at >= REST_EVERY {
                if !hurry.load(Ordering::Relaxed) {
                    std::thread::sleep(began.elapsed().min(REST_MAX));
                }
                began = Instant::now();
                at = writer.written();
            }
            if stopped() {
                return Err(ReadError::WouldWait);
            }
        }
        Ok(())
    })();
    if let Err(error) = written {
        writer.discard();
        return Err(error);
    }
    // Checking is stopped, too, but a snapshot that was not wholly checked is not used.
    let snapshot = writer
        .finish(smalls, |_| !stopped())
        .map_err(ReadError::Store)?;
    match stopped() {
        true => Err(ReadError::WouldWait),
        false => Ok(snapshot),
    }
}
