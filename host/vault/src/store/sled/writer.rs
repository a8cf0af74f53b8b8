//! The one thread that writes.
//!
//! It takes a request, and with it whatever else is waiting, judges each against the rows *and* what the group has decided
//! so far, writes the group as one frame, and answers only when that is on the disk and in the index. If the disk
//! refuses cleanly (it is full), the group fails and the store lives on; if it is not known what the disk holds, the store takes
//! no more writes: the journal tells after a restart. If the *index* fails, it is made anew from the journal and the group is good.
//! Snapshots and mending (`upkeep.rs`) pass through this thread too, between groups.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{mpsc, oneshot};

use super::entry::Entry;
use super::frame::{ChangeRef, Encoded, Tree};
use super::group::{Ask, Failure, Group, View};
use super::journal::{AppendError, Journal};
use super::recover::Smalls;
use super::shared::Shared;
use super::upkeep::Upkeep;
use crate::ids::Rev;
use crate::store::judge::{self, Holder};
use crate::store::{CommitId, Lease, LeaseName, LeaseTry, StoreError};

/// The most requests and bytes in one group: keeps the wait of the first one short.
const GROUP_MAX: usize = 256;
const GROUP_BYTES: usize = 1024 * 1024;

pub(super) enum Request {
    Ask(Ask),
    /// The layers with this number do not agree with the disk; make them anew. `careful`: it was a snapshot.
    Mend {
        seen: u64,
        careful: bool,
        reply: oneshot::Sender<Result<Vec<String>, StoreError>>,
    },
    /// Make a snapshot now, and say when it is there.
    Snapshot(oneshot::Sender<Result<(), StoreError>>),
    /// A snapshot was made, or could not be: look at it.
    Made,
}

pub(super) enum LeaseAsk {
    Try {
        name: LeaseName,
        who: String,
        ttl_ms: u64,
    },
    Renew {
        name: LeaseName,
        token: u64,
        ttl_ms: u64,
    },
    /// Not a lease, but like one it is neither a row nor a commit.
    Raise {
        above: Rev,
    },
    Release {
        name: LeaseName,
        token: u64,
    },
}

pub(super) enum LeaseAnswer {
    Try(LeaseTry),
    Renewed(bool),
    Released,
}

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) journal: Journal,
    /// The sequence of the last commit that is on the disk.
    pub(super) last: u64,
    pub(super) smalls: Smalls,
    pub(super) upkeep: Upkeep,
    leases: HashMap<LeaseName, Holder>,
    /// Leases with a token up to this one were held by an earlier life of this store. The folder's lock says that it is
    /// over, so nobody waits for them: a process that was killed in the middle would otherwise keep its own work from its
    /// successor until they run out.
    inherited: u64,
    /// What came while a group was being filled and is not for a group.
    aside: VecDeque<Request>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        journal: Journal,
        last: u64,
        smalls: Smalls,
        upkeep: Upkeep,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            leases: read_leases(&smalls, last)?,
            inherited: last,
            shared,
            journal,
            last,
            smalls,
            upkeep,
            aside: VecDeque::new(),
        })
    }

    /// Works until there is nobody left who could ask.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        while let Some(request) = self.aside.pop_front().or_else(|| queue.blocking_recv()) {
            self.shared.mark_busy(true);
            match request {
                Request::Ask(first) => self.group(first, &mut queue),
                other => self.upkeep(other),
            }
            self.snapshots();
            self.shared.mark_busy(false);
        }
        drop(queue);
        self.shared.mark_busy(true);
        self.close();
    }

    fn group(&mut self, first: Ask, queue: &mut mpsc::Receiver<Request>) {
        let mut group = Group::default();
        let done = match self.shared.failure() {
            Some(why) => {
                group.refuse(first);
                Err(Failure::Refused(why))
            }
            None => catch_unwind(AssertUnwindSafe(|| {
                self.fill(&mut group, first, queue);
                self.write(&group)
            }))
            .unwrap_or_else(|_| Err(Failure::Unsure("the store panicked".into()))),
        };
        if let Err(failure) = &done {
            self.recover(failure);
        }
        group.answer(&self.shared, done);
    }

    fn fill(&mut self, group: &mut Group, first: Ask, queue: &mut mpsc::Receiver<Request>) {
        group.frame.first = self.last + 1;
        group.frame.last = self.last;
        self.take(group, first);
        let mut taken = 1;
        while taken < GROUP_MAX && group.bytes < GROUP_BYTES {
            match queue.try_recv() {
                Ok(Request::Ask(ask)) => self.take(group, ask),
                Ok(other) => self.aside.push_back(other),
                Err(_) => break,
            }
            taken += 1;
        }
    }

    fn take(&mut self, group: &mut Group, ask: Ask) {
        match ask {
            Ask::Commit(commit, reply) => {
                let id = commit.id;
                let mut judged = self.judge(group, &commit);
                if let Err(StoreError::Corrupt(what) | StoreError::Unavailable(what)) = &judged
                    && self.mend(what, true).is_ok()
                {
                    judged = self.judge(group, &commit);
                }
                let answer = judged.map(|()| group.commit(commit));
                group.commits.push((id, reply, answer));
            }
            Ask::Lease(ask, reply) => {
                let answer = self.lease(group, ask);
                group.leases.push((reply, Ok(answer)));
            }
        }
    }

    fn judge(&self, group: &Group, commit: &crate::store::Commit) -> Result<(), StoreError> {
        let layers = self.shared.view();
        let view = View {
            layers: &layers,
            revs: &group.revs,
        };
        judge::commit(&view, commit)
    }

    fn lease(&mut self, group: &mut Group, ask: LeaseAsk) -> LeaseAnswer {
        let now_ms = self.shared.options.clock.now_ms();
        match ask {
            LeaseAsk::Try { name, who, ttl_ms } => {
                if let Some(until_ms) = judge::held(self.leases.get(&name), now_ms) {
                    return LeaseAnswer::Try(LeaseTry::Held { until_ms });
                }
                let token = group.next();
                let until_ms = now_ms.saturating_add(ttl_ms);
                let holder = Holder {
                    who,
                    token,
                    until_ms,
                };
                group.lease(&name, Some(&holder));
                self.leases.insert(name.clone(), holder);
                LeaseAnswer::Try(LeaseTry::Got(Lease {
                    name,
                    token,
                    until_ms,
                }))
            }
            LeaseAsk::Renew {
                name,
                token,
                ttl_ms,
            } => {
                let Some(holder) = self
                    .leases
                    .get_mut(&name)
                    .filter(|holder| judge::still_ours(Some(holder), token, now_ms))
                else {
                    return LeaseAnswer::Renewed(false);
                };
                holder.until_ms = now_ms.saturating_add(ttl_ms);
                group.next();
                group.lease(&name, Some(holder));
                LeaseAnswer::Renewed(true)
            }
            LeaseAsk::Raise { above } => {
                group.raise(above);
                LeaseAnswer::Released
            }
            LeaseAsk::Release { name, token } => {
                if self
                    .leases
                    .get(&name)
                    .is_some_and(|holder| holder.token == token)
                {
                    self.leases.remove(&name);
                    group.next();
                    group.lease(&name, None);
                }
                LeaseAnswer::Released
            }
        }
    }

    fn write(&mut self, group: &Group) -> Result<(), Failure> {
        if group.frame.changes.is_empty() {
            return Ok(());
        }
        let Encoded { bytes, values } = group
            .frame
            .encode()
            .map_err(|error| Failure::Refused(error.to_string()))?;
        if !self.journal.fits(bytes.len()) {
            self.next_segment(bytes.len())
                .map_err(|error| match error {
                    StoreError::Unavailable(why) => Failure::Refused(why),
                    other => Failure::Refused(other.to_string()),
                })?;
        }
        let (segment, _) = self.journal.segment();
        let at = self
            .journal
            .append(&bytes, group.frame.last)
            .map_err(|error| match error {
                AppendError::Clean(why) => Failure::Refused(why),
                AppendError::Unsure(why) => Failure::Unsure(why),
            })?;
        let mut entries = Vec::new();
        for (change, value) in group.frame.changes.iter().zip(&values) {
            if change.tree != Tree::Rows {
                let key = (change.tree.number(), change.key.clone());
                match &change.value {
                    Some(value) => self.smalls.insert(key, value.clone()),
                    None => self.smalls.remove(&key),
                };
                continue;
            }
            let change = ChangeRef {
                tree: change.tree,
                key: &change.key,
                value: change.value.as_deref(),
                at: value.as_ref().map_or(0, |value| value.start),
            };
            if let Some(entry) = Entry::of(&change, group.frame.last, segment, at) {
                entries.push((change.key.to_vec(), entry));
            }
        }
        if let Err(error) = self.shared.view().apply(&entries) {
            // The journal has it, so an index made from the journal has it too.
            self.mend(&error.to_string(), false)
                .map_err(|error| Failure::Unsure(error.to_string()))?;
        }
        self.last = group.frame.last;
        self.shared.last.store(self.last, Ordering::Release);
        self.upkeep.journal_bytes += u64::try_from(bytes.len()).unwrap_or(0);
        Ok(())
    }

    fn recover(&mut self, failure: &Failure) {
        match failure {
            Failure::Unsure(why) => self.shared.fail(why),
            Failure::Refused(_) if self.shared.failure().is_some() => {}
            Failure::Refused(why) => {
                tracing::error!(why, "the store could not write");
                // What the group decided about leases did not happen.
                match read_leases(&self.smalls, self.inherited) {
                    Ok(leases) => self.leases = leases,
                    Err(error) => self.shared.fail(&error.to_string()),
                }
            }
        }
    }

    /// Leaves the index complete, so that the next start has little to apply.
    fn close(mut self) {
        self.stop_making();
        self.finish_closing();
        if self.shared.failure().is_some() {
            return;
        }
        if let Err(error) = self.shared.view().delta.flush() {
            tracing::warn!(%error, "the index was not closed cleanly; the next start brings it up to date");
        }
    }
}

/// Reads an entry of the latest commits.
pub(super) fn read_done(value: &[u8]) -> Option<(Rev, CommitId)> {
    let (rev, id) = value.split_first_chunk::<8>()?;
    Some((
        Rev(u64::from_be_bytes(*rev)),
        CommitId(*id.first_chunk::<16>()?),
    ))
}

/// Reads a lease.
pub(super) fn read_holder(value: &[u8]) -> Option<Holder> {
    let (token, rest) = value.split_first_chunk::<8>()?;
    let (until, who) = rest.split_first_chunk::<8>()?;
    Some(Holder {
        who: String::from_utf8(who.to_vec()).ok()?,
        token: u64::from_be_bytes(*token),
        until_ms: u64::from_be_bytes(*until),
    })
}

/// The leases that somebody in this process holds.
fn read_leases(smalls: &Smalls, inherited: u64) -> Result<HashMap<LeaseName, Holder>, StoreError> {
    let broken = || StoreError::Corrupt("the store contains a lease that cannot be read".into());
    smalls
        .iter()
        .filter(|((tree, _), _)| *tree == Tree::Leases.number())
        .map(|((_, name), value)| {
            let name = String::from_utf8(name.clone()).map_err(|_| broken())?;
            Ok((LeaseName(name), read_holder(value).ok_or_else(broken)?))
        })
        .filter(|lease| {
            !lease
                .as_ref()
                .is_ok_and(|(_, holder)| holder.token <= inherited)
        })
        .collect()
}
