//! Two threads that look after the store: one watches the writer, one reads everything from time to time.
//!
//! A writer that is stuck in sled (which can deadlock) cannot be freed. The store then takes no more writes, says so in `health`
//! and to whoever waits, and goes on answering reads from an index in memory; a restart replays the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::recover::{How, build};
use super::scrub::scrub;
use super::shared::Shared;
use super::view::View;
use crate::store::{StoreError, millis};

/// In the background, at most this much is read before a rest, so that the disk is free for others.
const SCRUB_STEP: u64 = 1024 * 1024;
const SCRUB_REST: Duration = Duration::from_millis(25);
/// How often an ending thread is looked at.
const CLOSING: Duration = Duration::from_millis(1);
/// How often the writer is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Stops its threads when it is dropped.
pub(super) struct Keeper {
    stop: Arc<AtomicBool>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(shared: &Arc<Shared>) -> Result<Self, StoreError> {
        let mut keeper = Self {
            stop: Arc::default(),
            shared: Arc::clone(shared),
            threads: Vec::new(),
        };
        keeper.spawn("keyport-watch", shared, watch)?;
        if shared.options.scrub_every.is_some() {
            keeper.spawn("keyport-scrub", shared, scrub_often)?;
        }
        Ok(keeper)
    }

    fn spawn(
        &mut self,
        name: &str,
        shared: &Arc<Shared>,
        work: fn(&Shared, &AtomicBool),
    ) -> Result<(), StoreError> {
        let (shared, stop) = (Arc::clone(shared), Arc::clone(&self.stop));
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || work(&shared, &stop))
            .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            let begun = Instant::now();
            let limit = self.shared.options.stuck;
            join_unless(thread, || begun.elapsed() > limit);
        }
    }
}

/// Waits for the end of a thread, but not once `given_up` says so: a dead disk must not keep the process from ending. The thread
/// that is left behind keeps the folder locked as long as it lives.
pub(super) fn join_unless(thread: JoinHandle<()>, given_up: impl Fn() -> bool) {
    while !thread.is_finished() {
        if given_up() {
            tracing::error!(
                thread = thread.thread().name(),
                "the disk does not answer; the store is closed without waiting for it"
            );
            return;
        }
        std::thread::sleep(CLOSING);
    }
    let _ = thread.join();
}

fn watch(shared: &Shared, stop: &AtomicBool) {
    let limit = shared.options.stuck;
    while !stop.load(Ordering::Relaxed) {
        std::thread::park_timeout(LOOK.min(limit / 4));
        if shared.busy_for() <= millis(limit) || *shared.stuck.borrow() {
            continue;
        }
        shared.fail("a write has not ended for too long");
        shared.stuck.send_replace(true);
        let how = How {
            cache_bytes: 0,
            careful: false,
            afresh: true,
            in_memory: true,
        };
        match build(&shared.folder, shared.id, how) {
            Ok(built) => {
                let old = shared.view();
                shared.set_view(View::new(
                    old.number + 1,
                    built.base,
                    Arc::new(built.delta),
                    Arc::clone(&old.segments),
                ));
            }
            Err(error) => tracing::error!(%error, "the index could not be made anew"),
        }
    }
}

fn scrub_often(shared: &Shared, stop: &AtomicBool) {
    let Some(every) = shared.options.scrub_every else {
        return;
    };
    let mut next = Instant::now() + every;
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now < next {
            std::thread::park_timeout(next - now);
            continue;
        }
        let mut read = 0;
        let done = scrub(shared, |bytes| {
            read += bytes;
            if read >= SCRUB_STEP {
                read = 0;
                std::thread::park_timeout(SCRUB_REST);
            }
            !stop.load(Ordering::Relaxed)
        });
        match done {
            Ok(report) => {
                for what in &report.mended {
                    tracing::warn!(what, "the store was damaged and is mended");
                }
                for what in &report.damaged {
                    tracing::error!(what, "the store is damaged");
                }
                tracing::debug!(
                    rows = report.rows,
                    bytes = report.bytes,
                    "the store was read through"
                );
            }
            Err(error) => tracing::error!(%error, "the store could not be read through"),
        }
        next = Instant::now() + every;
    }
}
