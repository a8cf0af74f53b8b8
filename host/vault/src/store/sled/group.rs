//! A group of requests that the writer decides and stores together.
//!
//! Each is judged as if those before it in the group had already happened. Nobody is answered before the group is stored:
//! not even a conflict, which may have been with a commit of the same group.

use std::collections::HashMap;
use std::sync::PoisonError;

use tokio::sync::oneshot;

use super::frame::{Frame, Raw, Tree};
use super::shared::{DONE_MAX, Shared};
use super::view::View as Layers;
use super::writer::{LeaseAnswer, LeaseAsk};
use crate::ids::Rev;
use crate::store::judge::{Holder, Revs};
use crate::store::{Change, Commit, CommitId, Committed, Key, LeaseName, Op, StoreError};

/// Where the answer to a commit goes.
pub(super) type CommitReply = oneshot::Sender<Result<Committed, StoreError>>;
/// Where the answer about a lease goes.
pub(super) type LeaseReply = oneshot::Sender<Result<LeaseAnswer, StoreError>>;

/// What is written in groups.
pub(super) enum Ask {
    Commit(Commit, CommitReply),
    Lease(LeaseAsk, LeaseReply),
}

/// What is being decided, and who is to be told.
#[derive(Default)]
pub(super) struct Group {
    pub(super) frame: Frame,
    pub(super) bytes: usize,
    /// Rows that the group has changed so far.
    pub(super) revs: HashMap<Key, Option<Rev>>,
    changes: Vec<Change>,
    done: Vec<(CommitId, Rev)>,
    pub(super) commits: Vec<(CommitId, CommitReply, Result<Committed, StoreError>)>,
    pub(super) leases: Vec<(LeaseReply, Result<LeaseAnswer, StoreError>)>,
}

/// Rows as the group would leave them.
pub(super) struct View<'a> {
    pub(super) layers: &'a Layers,
    pub(super) revs: &'a HashMap<Key, Option<Rev>>,
}

impl Revs for View<'_> {
    fn rev(&self, key: &Key) -> Result<Option<Rev>, StoreError> {
        match self.revs.get(key) {
            Some(rev) => Ok(*rev),
            None => self.layers.rev(key),
        }
    }
}

/// How writing a group ended.
pub(super) enum Failure {
    /// Nothing of it was stored.
    Refused(String),
    /// It is not known what was stored.
    Unsure(String),
}

impl Group {
    pub(super) fn next(&mut self) -> u64 {
        self.frame.last += 1;
        self.frame.last
    }

    pub(super) fn commit(&mut self, commit: Commit) -> Committed {
        let rev = Rev(self.next());
        let keys = commit.ops.iter().map(|op| op.key().clone()).collect();
        for op in commit.ops {
            let (key, value, now) = match op {
                Op::Put(key, value) => {
                    let mut row = Vec::with_capacity(8 + value.len());
                    row.extend_from_slice(&rev.0.to_be_bytes());
                    row.extend_from_slice(&value);
                    (key, Some(row), Some(rev))
                }
                Op::Del(key) => (key, None, None),
            };
            self.change(Tree::Rows, key.as_bytes().to_vec(), value);
            self.revs.insert(key, now);
        }
        let slot = rev.0 % u64::try_from(DONE_MAX).unwrap_or(1);
        let mut done = rev.0.to_be_bytes().to_vec();
        done.extend_from_slice(&commit.id.0);
        self.change(Tree::Done, slot.to_be_bytes().to_vec(), Some(done));
        self.done.push((commit.id, rev));
        self.changes.push(Change {
            rev,
            keys,
            own: true,
        });
        Committed { rev }
    }

    /// Leaves out all revisions up to this one.
    pub(super) fn raise(&mut self, above: Rev) {
        if above.0 <= self.frame.last {
            return;
        }
        self.frame.last = above.0;
        // A frame has changes: this one is a commit of nobody's.
        let mut nobody = above.0.to_be_bytes().to_vec();
        nobody.extend_from_slice(&[0; 16]);
        let slot = above.0 % u64::try_from(DONE_MAX).unwrap_or(1);
        self.change(Tree::Done, slot.to_be_bytes().to_vec(), Some(nobody));
    }

    pub(super) fn lease(&mut self, name: &LeaseName, holder: Option<&Holder>) {
        let value = holder.map(|holder| {
            let mut value = holder.token.to_be_bytes().to_vec();
            value.extend_from_slice(&holder.until_ms.to_be_bytes());
            value.extend_from_slice(holder.who.as_bytes());
            value
        });
        self.change(Tree::Leases, name.0.as_bytes().to_vec(), value);
    }

    pub(super) fn change(&mut self, tree: Tree, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        self.frame.changes.push(Raw { tree, key, value });
    }

    /// Puts a request in only to be told that the store has failed.
    pub(super) fn refuse(&mut self, ask: Ask) {
        let failed = || StoreError::Unavailable(String::new());
        match ask {
            Ask::Commit(commit, reply) => self.commits.push((commit.id, reply, Err(failed()))),
            Ask::Lease(_, reply) => self.leases.push((reply, Err(failed()))),
        }
    }

    pub(super) fn answer(self, shared: &Shared, done: Result<(), Failure>) {
        if done.is_ok() {
            let mut known = shared.done.lock().unwrap_or_else(PoisonError::into_inner);
            for (id, rev) in self.done {
                known.add(id, rev);
            }
            drop(known);
            for change in self.changes {
                let _ = shared.changes.send(change);
            }
        }
        for (id, reply, answer) in self.commits {
            let answer = match (&done, answer) {
                (Ok(()), answer) => answer,
                (Err(Failure::Refused(why)), _) => Err(StoreError::Unavailable(why.clone())),
                // A conflict is a conflict; but a commit may or may not be in the journal.
                (Err(Failure::Unsure(_)), Err(error)) => Err(error),
                (Err(Failure::Unsure(_)), Ok(_)) => Err(StoreError::Unknown(id)),
            };
            let _ = reply.send(answer);
        }
        for (reply, answer) in self.leases {
            let answer = match &done {
                Ok(()) => answer,
                Err(Failure::Refused(why) | Failure::Unsure(why)) => {
                    Err(StoreError::Unavailable(why.clone()))
                }
            };
            let _ = reply.send(answer);
        }
    }
}
