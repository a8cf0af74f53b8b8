//! The one thread that writes.
//!
//! It takes a request, and with it whatever else is waiting, judges each against the index *and* what the group has decided
//! so far, writes the group as one frame, and answers only when that is on the disk and in the index. If the disk
//! refuses cleanly (it is full), the group fails and the store lives on; if it is not known what the disk holds, or sled
//! panics, the store takes no more writes: the journal tells after a restart.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc;

use super::Shared;
use super::frame::Tree;
use super::group::{CommitReply, Failure, Group, LeaseReply, View};
use super::index::Index;
use super::journal::{AppendError, Journal};
use crate::ids::Rev;
use crate::store::judge::{self, Holder};
use crate::store::{Commit, CommitId, Lease, LeaseName, LeaseTry, StoreError};

/// The most requests and bytes in one group: keeps the wait of the first one short.
const GROUP_MAX: usize = 256;
const GROUP_BYTES: usize = 1024 * 1024;

pub(super) enum Request {
    Commit(Commit, CommitReply),
    Lease(LeaseAsk, LeaseReply),
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
    shared: Arc<Shared>,
    journal: Journal,
    /// The sequence of the last commit that is on the disk.
    last: u64,
    leases: HashMap<LeaseName, Holder>,
    segment_bytes: u64,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        journal: Journal,
        last: u64,
        segment_bytes: u64,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            leases: read_leases(&shared.index)?,
            shared,
            journal,
            last,
            segment_bytes,
        })
    }

    /// Works until there is nobody left who could ask.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        while let Some(first) = queue.blocking_recv() {
            self.shared.mark_busy(true);
            let mut group = Group::default();
            let done = match self.shared.failure() {
                Some(why) => {
                    group.refuse(first);
                    Err(Failure::Refused(why))
                }
                None => catch_unwind(AssertUnwindSafe(|| {
                    self.fill(&mut group, first, &mut queue);
                    self.write(&group)
                }))
                .unwrap_or_else(|_| Err(Failure::Unsure("the index panicked".into()))),
            };
            if let Err(failure) = &done {
                self.recover(failure);
            }
            group.answer(&self.shared, done);
            self.shared.mark_busy(false);
        }
        self.close();
    }

    fn fill(&mut self, group: &mut Group, first: Request, queue: &mut mpsc::Receiver<Request>) {
        group.frame.first = self.last + 1;
        group.frame.last = self.last;
        self.take(group, first);
        let mut taken = 1;
        while taken < GROUP_MAX && group.bytes < GROUP_BYTES {
            let Ok(request) = queue.try_recv() else {
                break;
            };
            self.take(group, request);
            taken += 1;
        }
    }

    fn take(&mut self, group: &mut Group, request: Request) {
        match request {
            Request::Commit(commit, reply) => {
                let id = commit.id;
                let view = View {
                    index: &self.shared.index,
                    revs: &group.revs,
                };
                let judged = judge::commit(&view, &commit);
                let answer = judged.map(|()| group.commit(commit));
                group.commits.push((id, reply, answer));
            }
            Request::Lease(ask, reply) => {
                let answer = self.lease(group, ask);
                group.leases.push((reply, Ok(answer)));
            }
        }
    }

    fn lease(&mut self, group: &mut Group, ask: LeaseAsk) -> LeaseAnswer {
        let now_ms = self.shared.clock.now_ms();
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
        let frame = group
            .frame
            .encode()
            .map_err(|error| Failure::Refused(error.to_string()))?;
        self.journal.append(&frame).map_err(|error| match error {
            AppendError::Clean(why) => Failure::Refused(why),
            AppendError::Unsure(why) => Failure::Unsure(why),
        })?;
        let unsure = |error: StoreError| Failure::Unsure(error.to_string());
        {
            let _gate = self
                .shared
                .gate
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            self.shared.index.apply(&group.frame).map_err(unsure)?;
            self.last = group.frame.last;
            self.shared.last.store(self.last, Ordering::Release);
        }
        if self.journal.len() > self.segment_bytes {
            // The group itself is safe; if this fails, the next start replays a longer journal.
            let rotated = self
                .shared
                .index
                .checkpoint()
                .and_then(|()| self.journal.rotate(self.last + 1));
            if let Err(error) = rotated {
                self.shared.fail(&error.to_string());
            }
        }
        Ok(())
    }

    fn recover(&mut self, failure: &Failure) {
        match failure {
            Failure::Unsure(why) => self.shared.fail(why),
            Failure::Refused(_) if self.shared.failure().is_some() => {}
            Failure::Refused(why) => {
                tracing::error!(why, "the store could not write");
                // What the group decided about leases did not happen.
                match read_leases(&self.shared.index) {
                    Ok(leases) => self.leases = leases,
                    Err(error) => self.shared.fail(&error.to_string()),
                }
            }
        }
    }

    /// Leaves the index complete and the journal empty, so that the next start has nothing to apply.
    fn close(mut self) {
        if self.shared.failure().is_some() || self.journal.is_empty() {
            return;
        }
        let closed = catch_unwind(AssertUnwindSafe(|| {
            self.shared.index.checkpoint()?;
            self.journal.rotate(self.last + 1)
        }));
        if !matches!(closed, Ok(Ok(()))) {
            tracing::warn!("the store was not closed cleanly; the next start replays its journal");
        }
    }
}

/// Reads an entry of the tree of latest commits.
pub(super) fn read_done(value: &[u8]) -> Option<(Rev, CommitId)> {
    let (rev, id) = value.split_first_chunk::<8>()?;
    Some((
        Rev(u64::from_be_bytes(*rev)),
        CommitId(*id.first_chunk::<16>()?),
    ))
}

fn read_leases(index: &Index) -> Result<HashMap<LeaseName, Holder>, StoreError> {
    let broken = || StoreError::Corrupt("the index contains a lease that cannot be read".into());
    let mut leases = HashMap::new();
    for (name, value) in index.all(Tree::Leases)? {
        let (token, rest) = value.split_first_chunk::<8>().ok_or_else(broken)?;
        let (until, who) = rest.split_first_chunk::<8>().ok_or_else(broken)?;
        let holder = Holder {
            who: String::from_utf8(who.to_vec()).map_err(|_| broken())?,
            token: u64::from_be_bytes(*token),
            until_ms: u64::from_be_bytes(*until),
        };
        leases.insert(
            LeaseName(String::from_utf8(name).map_err(|_| broken())?),
            holder,
        );
    }
    Ok(leases)
}
