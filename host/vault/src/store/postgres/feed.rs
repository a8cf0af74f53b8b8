//! What was committed, by whichever host, told to those who watch on this one.
//!
//! The log is read again every [`POLL`], and at once after a commit of our own. Commits can appear out of order: a revision
//! is drawn before COMMIT, and a later one may be faster. So every revision between those seen is a *hole* that is
//! asked for again until [`PATIENCE`] is over; by then the server has ended its transaction. When the log was cut beyond
//! what we have seen (we were away for too long), watchers are told of a gap: they read again what matters to them.
//!
//! A host must not act on what it remembers while it hears nothing: [`Feed::is_current`] says whether the last answer was
//! asked for less than [`CURRENT`] ago.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, broadcast};

use super::fault::Fault;
use super::read::number;
use super::session::{Db, On, Work};
use crate::ids::Rev;
use crate::store::memory::WATCH_CAPACITY;
use crate::store::{Change, CommitId, Key, StoreError, millis};

/// How often the log is read. Others hear of a change after half of this on average.
const POLL: Duration = Duration::from_millis(200);
/// The least time between two readings, when our own commits ask for more.
const BREATH: Duration = Duration::from_millis(20);
/// How long a hole is asked for: above what a transaction may wait for us (5 s) and the time its end takes.
const PATIENCE: Duration = Duration::from_secs(12);
/// The most holes. More come only from a store that was filled by `store copy`, before anybody watched.
const HOLES_MAX: usize = 4096;
/// How many of the latest revisions are looked at in the start: more than there are connections that could have drawn one.
const LATEST: u64 = 2048;
/// The most changes in one reading.
const PAGE: u32 = 2000;
/// How old the last answer may be for what this host remembers to count.
const CURRENT: Duration = Duration::from_secs(3);
/// The most commits of ours that were not seen yet.
const OURS_MAX: usize = 100_000;

/// The watch of one host.
pub(super) struct Feed {
    db: Arc<Db>,
    changes: broadcast::Sender<Change>,
    nudge: Notify,
    ours: Mutex<HashSet<CommitId>>,
    started: Instant,
    /// Milliseconds after `started` at which the last reading that was answered had been asked for, plus one.
    heard: AtomicU64,
    /// The highest revision seen.
    seen: AtomicU64,
    /// Where `run` begins.
    begun: Mutex<Option<Place>>,
}

impl Feed {
    /// Notes what is there, so that only what comes after it is told.
    pub(super) async fn begin(db: Arc<Db>) -> Result<Self, StoreError> {
        let started = Instant::now();
        let place = db.run(&Begin).await?;
        Ok(Self {
            db,
            changes: broadcast::channel(WATCH_CAPACITY).0,
            nudge: Notify::new(),
            ours: Mutex::default(),
            started,
            heard: AtomicU64::new(1),
            seen: AtomicU64::new(place.seen),
            begun: Mutex::new(Some(place)),
        })
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// A commit of this host is about to be made.
    pub(super) fn ours(&self, id: CommitId) {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        if ours.len() >= OURS_MAX {
            // To take one of ours for another's costs a page one request.
            ours.clear();
        }
        ours.insert(id);
    }

    /// It was not made.
    pub(super) fn not_ours(&self, id: &CommitId) {
        self.ours
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
    }

    /// There is something to read.
    pub(super) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// The highest revision seen.
    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }

    /// Whether this host has heard of everything up to a moment ago.
    pub(super) fn is_current(&self) -> bool {
        let heard = self.heard.load(Ordering::Acquire);
        heard != 0 && millis(self.started.elapsed()).saturating_sub(heard) < millis(CURRENT)
    }

    /// Reads until the store is dropped.
    pub(super) async fn run(self: Arc<Self>) {
        let begun = self
            .begun
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut place = begun.unwrap_or_default();
        let mut silent = false;
        loop {
            let _ = tokio::time::timeout(POLL, self.nudge.notified()).await;
            loop {
                let asked = Instant::now();
                match self.read(&mut place).await {
                    Ok(more) => {
                        let at = millis(asked.duration_since(self.started)).max(1);
                        self.heard.store(at, Ordering::Release);
                        if std::mem::take(&mut silent) {
                            tracing::info!("the database answers again");
                        }
                        if !more {
                            break;
                        }
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut silent, true) {
                            tracing::warn!(%error, "changes of other hosts are not heard of at the moment");
                        }
                        break;
                    }
                }
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Reads once; true: there is more.
    async fn read(&self, place: &mut Place) -> Result<bool, StoreError> {
        let read = self
            .db
            .once_aside(&Read {
                after: place.seen,
                holes: place.holes(),
            })
            .await?;
        let more = read.entries.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
        if read.pruned > place.seen {
            tracing::warn!(
                "this host was away for too long to hear of every change; it reads anew"
            );
            let _ = self.changes.send(Change::gap(Rev(read.pruned)));
        }
        for entry in place.take(read, Instant::now()) {
            let own = self
                .ours
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&entry.id);
            let _ = self.changes.send(Change {
                rev: Rev(entry.rev),
                keys: entry.keys.into(),
                own,
            });
        }
        self.seen.store(place.seen, Ordering::Release);
        Ok(more)
    }
}

/// How far we are.
#[derive(Debug, Default)]
struct Place {
    seen: u64,
    /// Revisions below `seen` that were not there yet, and since when we miss them.
    missing: BTreeMap<u64, Instant>,
}

impl Place {
    /// At the start: what is not among the latest `present` may still be on its way.
    fn at(seen: u64, pruned: u64, present: &HashSet<u64>, now: Instant) -> Self {
        let first = seen.saturating_sub(LATEST).max(pruned) + 1;
        let missing = (first..seen).filter(|rev| !present.contains(rev));
        Self {
            seen,
            missing: missing.map(|rev| (rev, now)).collect(),
        }
    }

    fn holes(&self) -> Vec<i64> {
        let holes = self.missing.keys();
        holes.filter_map(|rev| i64::try_from(*rev).ok()).collect()
    }

    /// What of it is new, in the order of revisions.
    fn take(&mut self, read: Found, now: Instant) -> Vec<Entry> {
        let mut entries = read.entries;
        entries.sort_by_key(|entry| entry.rev);
        entries.retain(|entry| entry.rev > self.seen || self.missing.remove(&entry.rev).is_some());
        // What was cut off is gone: watchers were told.
        let mut next = self.seen.max(read.pruned) + 1;
        for entry in entries.iter().filter(|entry| entry.rev > self.seen) {
            let from = next.max(
                entry
                    .rev
                    .saturating_sub(u64::try_from(HOLES_MAX).unwrap_or(0)),
            );
            for hole in from..entry.rev {
                self.missing.insert(hole, now);
            }
            next = entry.rev + 1;
        }
        self.seen = self.seen.max(read.pruned).max(next - 1);
        self.missing
            .retain(|_, since| now.duration_since(*since) < PATIENCE);
        while self.missing.len() > HOLES_MAX {
            self.missing.pop_first();
        }
        entries
    }
}

/// A commit in the log.
#[derive(Debug)]
struct Entry {
    rev: u64,
    id: CommitId,
    keys: Vec<Key>,
}

/// Where to begin.
struct Begin;

impl Work for Begin {
    type Out = Place;

    async fn attempt(&self, on: &mut On<'_>) -> Result<Place, Fault> {
        let rows = on
            .sql
            .say(
                "SELECT m.n, l.rev FROM keyport_meta m LEFT JOIN (SELECT rev FROM keyport_log ORDER BY rev DESC LIMIT $1) l \
                 ON TRUE WHERE m.name = 'pruned'",
            )
            .bind(i64::try_from(LATEST).unwrap_or(i64::MAX))
            .fetch_all(&mut *on.connection)
            .await?;
        let (mut pruned, mut present) = (0, HashSet::new());
        for row in &rows {
            pruned = number(row, 0)?;
            if sqlx::Row::try_get::<Option<i64>, _>(row, 1)?.is_some() {
                present.insert(number(row, 1)?);
            }
        }
        let seen = present.iter().copied().max().unwrap_or(0).max(pruned);
        Ok(Place::at(seen, pruned, &present, Instant::now()))
    }
}

/// One reading of the log.
struct Read {
    after: u64,
    holes: Vec<i64>,
}

struct Found {
    pruned: u64,
    entries: Vec<Entry>,
}

impl Work for Read {
    type Out = Found;

    async fn attempt(&self, on: &mut On<'_>) -> Result<Found, Fault> {
        let after = i64::try_from(self.after).unwrap_or(i64::MAX);
        let rows = on
            .sql
            .say(
                "SELECT m.n, l.rev, l.id, l.keys FROM keyport_meta m LEFT JOIN ( \
                 SELECT rev, id, keys FROM keyport_log WHERE rev = ANY($2) UNION ALL \
                 SELECT rev, id, keys FROM (SELECT rev, id, keys FROM keyport_log WHERE rev > $1 ORDER BY rev LIMIT $3) t \
                 ) l ON TRUE WHERE m.name = 'pruned'",
            )
            .bind(after)
            .bind(&self.holes)
            .bind(i64::from(PAGE))
            .fetch_all(&mut *on.connection)
            .await?;
        let mut found = Found {
            pruned: 0,
            entries: Vec::new(),
        };
        for row in &rows {
            found.pruned = number(row, 0)?;
            if sqlx::Row::try_get::<Option<i64>, _>(row, 1)?.is_none() {
                continue;
            }
            let broken = || {
                Fault::Final(StoreError::Corrupt(
                    "the database's log holds what no keyport wrote".into(),
                ))
            };
            let id: &[u8] = sqlx::Row::try_get(row, 2)?;
            let keys: &[u8] = sqlx::Row::try_get(row, 3)?;
            found.entries.push(Entry {
                rev: number(row, 1)?,
                id: CommitId(id.try_into().map_err(|_| broken())?),
                keys: read_keys(keys).ok_or_else(broken)?,
            });
        }
        Ok(found)
    }
}

/// The keys of a commit as they stand in the log: `u16 length ‖ key` each.
pub(super) fn write_keys<'a>(keys: impl Iterator<Item = &'a Key>) -> Result<Vec<u8>, StoreError> {
    let mut out = Vec::new();
    for key in keys {
        let len = u16::try_from(key.as_bytes().len())
            .map_err(|_| StoreError::Refused("a key that is too long"))?;
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(key.as_bytes());
    }
    Ok(out)
}

pub(super) fn read_keys(mut bytes: &[u8]) -> Option<Vec<Key>> {
    let mut keys = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        keys.push(Key::from(key));
        bytes = rest;
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pruned: u64, revs: &[u64]) -> Found {
        let entry = |rev: &u64| Entry {
            rev: *rev,
            id: CommitId([0; 16]),
            keys: vec![],
        };
        Found {
            pruned,
            entries: revs.iter().map(entry).collect(),
        }
    }

    fn after(seen: u64) -> Place {
        Place {
            seen,
            ..Place::default()
        }
    }

    #[test]
    fn what_was_on_its_way_at_the_start_is_told() {
        let now = Instant::now();
        let mut place = Place::at(9, 5, &HashSet::from([6, 9]), now);
        assert_eq!(place.holes(), [7, 8]);
        assert_eq!(told(&mut place, now, 5, &[8]), [8]);
    }

    fn told(place: &mut Place, now: Instant, pruned: u64, revs: &[u64]) -> Vec<u64> {
        let entries = place.take(found(pruned, revs), now);
        entries.iter().map(|entry| entry.rev).collect()
    }

    #[test]
    fn a_commit_that_appears_late_is_told_once() {
        let (mut place, now) = (after(4), Instant::now());
        assert_eq!(told(&mut place, now, 0, &[8, 6]), [6, 8]);
        assert_eq!(place.holes(), [5, 7]);
        assert_eq!(told(&mut place, now, 0, &[7, 9]), [7, 9]);
        assert_eq!(told(&mut place, now, 0, &[7, 6, 9]), [0; 0]);
        assert_eq!(place.holes(), [5]);
        let later = now + PATIENCE;
        assert_eq!(told(&mut place, later, 0, &[]), [0; 0]);
        assert!(place.holes().is_empty(), "it was never made");
    }

    #[test]
    fn a_jump_of_the_revisions_does_not_fill_the_memory() {
        let (mut place, now) = (after(0), Instant::now());
        assert_eq!(told(&mut place, now, 0, &[5_000_000_000]), [5_000_000_000]);
        assert!(place.missing.len() <= HOLES_MAX);
        assert_eq!(place.holes().last(), Some(&4_999_999_999));
    }

    #[test]
    fn what_was_cut_off_is_not_waited_for() {
        let (mut place, now) = (after(4), Instant::now());
        assert_eq!(told(&mut place, now, 100, &[102]), [102]);
        assert_eq!(place.holes(), [101]);
        assert_eq!(told(&mut place, now, 200, &[]), [0; 0]);
        assert_eq!(place.seen, 200);
    }

    #[test]
    fn the_keys_of_a_commit_read_back() {
        let keys = [Key::from("a"), Key::from(""), Key::from(&[0xff; 300][..])];
        let bytes = write_keys(keys.iter()).unwrap();
        assert_eq!(read_keys(&bytes).unwrap(), keys);
        assert_eq!(read_keys(&bytes[..bytes.len() - 1]), None);
    }
}
