//! Reading everything that is stored and comparing it: snapshots with their digests, the journal with its own, the index with the
//! journal, and every row once.
//!
//! Runs beside the service: in the background at a gentle pace, or at once for `vault verify`. Whatever has two ways to it is
//! mended: a snapshot from the older one and the journal, an index from the journal, a stretch of journal by a new snapshot of
//! the rows that it wrote. What has only one way and is damaged is said, row by row, and the others go on.
//! What is *sealed* in a row is not looked at here: that takes keys.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::Bound;
use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::delta::Delta;
use super::entry::Entry;
use super::files::Patience;
use super::journal_read::check_segment;
use super::recover::take;
use super::shared::Shared;
use super::snapshot::ReadError;
use super::view::View;
use super::writer::Request;
use crate::store::{Key, ScrubReport, StoreError};

/// How many damaged rows are named before they are only counted.
const NAMED: usize = 100;
/// How often a part is begun again whose files went meanwhile.
const AGAIN: usize = 8;
/// How often it is looked whether the writer has answered.
const LOOK: std::time::Duration = std::time::Duration::from_millis(5);

/// Reads everything. `pace` is told how many bytes were read since it was last called; `false` stops.
///
/// The store goes on meanwhile: a snapshot that is made replaces an older one and takes files of the journal away. What went in
/// that way is not damage, and what was being read of it is read anew as it stands then.
pub(super) fn scrub(
    shared: &Shared,
    mut pace: impl FnMut(u64) -> bool,
) -> Result<ScrubReport, StoreError> {
    let mut report = ScrubReport::default();
    let mut stopped = false;
    let mut counted = |bytes: u64, report: &mut ScrubReport| {
        report.bytes += bytes;
        stopped |= !pace(bytes);
        !stopped
    };
    let mut journal = Vec::new();
    let whole = snapshots(shared, &mut counted, &mut report)
        && read_journal(shared, &mut counted, &mut report, &mut journal)?
        && rows(shared, &mut counted, &mut report)?;
    if !whole || journal.is_empty() {
        return Ok(report);
    }
    // Rows that stand in a damaged stretch of journal and can be read still are brought out of it.
    match snapshot(shared) {
        Ok(()) => report.mended.extend(
            journal
                .into_iter()
                .map(|what| format!("{what}; its rows are in a new snapshot now")),
        ),
        Err(error) => {
            report.damaged.append(&mut journal);
            report
                .damaged
                .push(format!("no new snapshot could be made: {error}"));
        }
    }
    Ok(report)
}

/// Told of bytes that were read; `false`: no more is wanted.
type Counted<'a> = dyn FnMut(u64, &mut ScrubReport) -> bool + 'a;

/// `false`: stopped.
fn snapshots(shared: &Shared, counted: &mut Counted<'_>, report: &mut ScrubReport) -> bool {
    let seen = shared.view().number;
    let mut damaged = Vec::new();
    for snapshot in shared.kept() {
        match snapshot.check(|bytes| counted(bytes, report)) {
            Ok(()) => {}
            Err(ReadError::WouldWait) => return false,
            // It is taken off the list before its file is removed.
            Err(_)
                if !shared
                    .kept()
                    .iter()
                    .any(|kept| Arc::ptr_eq(kept, &snapshot)) => {}
            Err(error) => damaged.push(StoreError::from(error).to_string()),
        }
    }
    if !damaged.is_empty() {
        mend(shared, seen, true, &damaged, report);
        // So that there are two again.
        if let Err(error) = snapshot(shared) {
            report
                .damaged
                .push(format!("no new snapshot could be made: {error}"));
        }
    }
    true
}

/// The journal, and what it says about the index. `false`: stopped.
fn read_journal(
    shared: &Shared,
    counted: &mut Counted<'_>,
    report: &mut ScrubReport,
    journal: &mut Vec<String>,
) -> Result<bool, StoreError> {
    'again: for _ in 0..AGAIN {
        journal.clear();
        let (view, last) = {
            let view = shared.view();
            let _gate = view.wait_for_gate();
            (Arc::clone(&view), shared.last())
        };
        let base = view.base.as_ref().map_or(0, |base| base.sequence);
        let mut entries = HashMap::new();
        for (first, file) in view.segments.all() {
            if first > last {
                continue;
            }
            let read = read_segment(shared, first, &file).and_then(|bytes| {
                check_segment(&bytes, shared.id, last, |frame, at| {
                    if frame.last > base {
                        take(frame, first, at, &mut entries, &mut BTreeMap::new());
                    }
                })
                .map_err(String::from)
            });
            match read {
                Ok(bytes) => {
                    if !counted(bytes, report) {
                        return Ok(false);
                    }
                }
                // One that a new snapshot has made needless meanwhile: what is compared must not be without its rows.
                Err(_) if view.segments.get(first).is_none() => continue 'again,
                Err(what) => journal.push(format!("the journal file {first:016x}.wal: {what}")),
            }
        }
        if journal.is_empty()
            && let Some(what) = compare(&view, &entries, last)?
        {
            mend(shared, view.number, false, &[what], report);
        }
        return Ok(true);
    }
    Err(restless())
}

/// Every row. `false`: stopped.
fn rows(
    shared: &Shared,
    counted: &mut Counted<'_>,
    report: &mut ScrubReport,
) -> Result<bool, StoreError> {
    let mut lost = 0_u64;
    let mut from = Bound::Unbounded;
    let (mut again, mut read) = (0, 0);
    'again: loop {
        let view = shared.view();
        let start = match &from {
            Bound::Excluded(key) => Bound::Excluded(Vec::as_slice(key)),
            _ => Bound::Unbounded,
        };
        let mut walk = view.walk(start, usize::MAX, Patience::Wait);
        let mut last = None;
        loop {
            match walk.next() {
                Ok(None) => break 'again,
                Ok(Some(row)) => {
                    report.rows += 1;
                    let value = row.value.as_ref().map_or(0, |value| value.len());
                    let bytes = u64::try_from(row.key.len() + value).unwrap_or(0);
                    if row.value.is_none() {
                        lost += 1;
                        if report.damaged.len() < NAMED {
                            let key = Key::from(row.key.as_slice());
                            report.damaged.push(format!("the row {key} was lost to damage of the disk; write it anew or restore a backup"));
                        }
                    }
                    last = Some(row.key);
                    if !counted(bytes, report) {
                        return Ok(false);
                    }
                }
                // Two snapshots were made meanwhile: on from here as the store is now.
                Err(ReadError::Moved) => {
                    again = if report.rows > read { 0 } else { again + 1 };
                    read = report.rows;
                    if again == AGAIN {
                        return Err(restless());
                    }
                    if let Some(last) = last {
                        from = Bound::Excluded(last);
                    }
                    continue 'again;
                }
                Err(error) => {
                    report.damaged.push(StoreError::from(error).to_string());
                    break 'again;
                }
            }
        }
    }
    if lost > u64::try_from(NAMED).unwrap_or(u64::MAX) {
        report.damaged.push(format!("{lost} rows were lost in all"));
    }
    Ok(true)
}

fn restless() -> StoreError {
    StoreError::Unavailable(
        "so much is being written that the journal went faster than it could be read through; verify again when less is going on".into(),
    )
}

/// Reads a segment as it is on the disk under its name.
fn read_segment(shared: &Shared, first: u64, open: &File) -> Result<Vec<u8>, String> {
    let path = shared.folder.journal().join(format!("{first:016x}.wal"));
    let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
    let expected = open.metadata().map_or(0, |meta| meta.len());
    match u64::try_from(bytes.len()).unwrap_or(u64::MAX) == expected {
        true => Ok(bytes),
        false => Err("it has another length than when it was opened".into()),
    }
}

/// What the index says that the journal does not, or the other way round. Rows newer than `last` are left out.
fn compare(
    view: &View,
    entries: &HashMap<Vec<u8>, Entry>,
    last: u64,
) -> Result<Option<String>, StoreError> {
    let differs = || Ok(Some("the index contradicted the journal".to_owned()));
    for (key, entry) in entries {
        match view.entry(key) {
            Ok(Some(found)) if found == *entry || found.rev() > last => {}
            Ok(_) => return differs(),
            Err(error) => return Ok(Some(error.to_string())),
        }
    }
    let layers: [Option<&Delta>; 2] = [Some(&view.delta), view.frozen.as_deref()];
    for delta in layers.into_iter().flatten() {
        let mut more = false;
        let read = delta.each(|key, entry| {
            more = entry.rev() <= last && !entries.contains_key(key);
            !more
        });
        if let Err(error) = read {
            return Ok(Some(error.to_string()));
        }
        if more {
            return differs();
        }
    }
    Ok(None)
}

fn mend(shared: &Shared, seen: u64, careful: bool, damaged: &[String], report: &mut ScrubReport) {
    let mended = ask(shared, |reply| Request::Mend {
        seen,
        careful,
        reply,
    });
    match mended {
        Ok(mended) => {
            report.mended.extend(mended);
            for what in damaged {
                if !report.mended.iter().any(|said| said.starts_with(what)) {
                    report.mended.push(format!("{what}; mended"));
                }
            }
        }
        Err(error) => report.damaged.push(error.to_string()),
    }
}

fn snapshot(shared: &Shared) -> Result<(), StoreError> {
    ask(shared, Request::Snapshot)
}

/// Asks the writer and waits for its answer. A snapshot of much takes minutes, so the only writer that is not waited for is one that
/// is stuck.
fn ask<T>(
    shared: &Shared,
    request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Request,
) -> Result<T, StoreError> {
    let stuck = || *shared.stuck.borrow();
    let gone = || {
        StoreError::Unavailable(
            shared
                .failure()
                .unwrap_or_else(|| "the store is closed".into()),
        )
    };
    let (reply, mut answer) = oneshot::channel();
    let requests = shared.requests().ok_or_else(gone)?;
    let mut request = request(reply);
    loop {
        match requests.try_send(request) {
            Ok(()) => break,
            Err(TrySendError::Full(back)) if !stuck() => request = back,
            Err(_) => return Err(gone()),
        }
        std::thread::sleep(LOOK);
    }
    // So that the writer ends when the store is closed meanwhile.
    drop(requests);
    loop {
        match answer.try_recv() {
            Ok(answer) => return answer,
            Err(TryRecvError::Empty) if !stuck() => std::thread::sleep(LOOK),
            Err(_) => return Err(gone()),
        }
    }
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
