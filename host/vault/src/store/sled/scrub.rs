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

use tokio::sync::oneshot;

use super::Shared;
use super::delta::Delta;
use super::entry::Entry;
use super::files::Patience;
use super::journal::check_segment;
use super::recover::take;
use super::snapshot::ReadError;
use super::view::View;
use super::writer::Request;
use crate::store::{Key, ScrubReport, StoreError};

/// How many damaged rows are named before they are only counted.
const NAMED: usize = 100;

/// Reads everything. `pace` is told how many bytes were read since it was last called; `false` stops.
pub(super) fn scrub(
    shared: &Shared,
    mut pace: impl FnMut(u64) -> bool,
) -> Result<ScrubReport, StoreError> {
    let mut report = ScrubReport::default();
    let mut counted = |bytes: u64, report: &mut ScrubReport| {
        report.bytes += bytes;
        pace(bytes)
    };
    // Snapshots.
    let view = shared.view();
    let mut damaged = Vec::new();
    for snapshot in shared.kept() {
        match snapshot.check(|bytes| counted(bytes, &mut report)) {
            Ok(()) => {}
            Err(ReadError::WouldWait) => return Ok(report),
            Err(error) => damaged.push(StoreError::from(error).to_string()),
        }
    }
    if !damaged.is_empty() {
        mend(shared, view.number, true, &damaged, &mut report);
        // So that there are two again.
        if let Err(error) = snapshot(shared) {
            report
                .damaged
                .push(format!("no new snapshot could be made: {error}"));
        }
    }
    // The journal, and what it says about the index.
    let (view, last) = {
        let view = shared.view();
        let _gate = view.wait_for_gate();
        (Arc::clone(&view), shared.last())
    };
    let base = view.base.as_ref().map_or(0, |base| base.sequence);
    let mut entries = HashMap::new();
    let mut journal = Vec::new();
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
                if !counted(bytes, &mut report) {
                    return Ok(report);
                }
            }
            // One that a new snapshot has made needless meanwhile.
            Err(_) if view.segments.get(first).is_none() => {}
            Err(what) => journal.push(format!("the journal file {first:016x}.wal: {what}")),
        }
    }
    if journal.is_empty()
        && let Some(what) = compare(&view, &entries, last)?
    {
        mend(shared, view.number, false, &[what], &mut report);
    }
    drop(entries);
    // Every row.
    let view = shared.view();
    let mut lost = 0_u64;
    let mut walk = view.walk(Bound::Unbounded, usize::MAX, Patience::Wait);
    loop {
        match walk.next() {
            Ok(None) => break,
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
                if !counted(bytes, &mut report) {
                    return Ok(report);
                }
            }
            Err(error) => {
                report.damaged.push(StoreError::from(error).to_string());
                break;
            }
        }
    }
    if lost > u64::try_from(NAMED).unwrap_or(u64::MAX) {
        report.damaged.push(format!("{lost} rows were lost in all"));
    }
    // Rows that stand in a damaged stretch of journal and can be read still are brought out of it.
    if !journal.is_empty() {
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
    }
    Ok(report)
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
    let (reply, answer) = oneshot::channel();
    let sent = shared.requests().is_some_and(|requests| {
        requests
            .blocking_send(Request::Mend {
                seen,
                careful,
                reply,
            })
            .is_ok()
    });
    match answer.blocking_recv() {
        Ok(Ok(mended)) if sent => {
            report.mended.extend(mended);
            for what in damaged {
                if !report.mended.iter().any(|said| said.starts_with(what)) {
                    report.mended.push(format!("{what}; mended"));
                }
            }
        }
        Ok(Err(error)) => report.damaged.push(error.to_string()),
        _ => report.damaged.push("the store is closed".into()),
    }
}

fn snapshot(shared: &Shared) -> Result<(), StoreError> {
    let stopped = || StoreError::Unavailable("the store is closed".into());
    let (reply, answer) = oneshot::channel();
    shared
        .requests()
        .ok_or_else(stopped)?
        .blocking_send(Request::Snapshot(reply))
        .map_err(|_| stopped())?;
    answer.blocking_recv().map_err(|_| stopped())?
}
