//! Writing: several records in one commit, or none of them.
//!
//! Each attempt reads the rows concerned, decides against what it read, and commits under the condition that they are
//! still so. When others were faster it begins again; what the *caller* expected is judged anew each time, so a real
//! conflict ends as [`VaultError::Conflict`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{KEY_USES_MAX, Vault, index_owner, record_place};
use crate::envelope;
use crate::error::VaultError;
use crate::ids::{Owner, RecordId, Rev, check_id};
use crate::keys;
use crate::owner_keys::OwnerKeys;
use crate::row;
use crate::secret::SecretBytes;
use crate::store::{Commit, CommitId, Key, Op, Pre, Rec, StoreError};

/// The most records in one commit.
pub const WRITES_MAX: usize = 128;
const ATTEMPTS: u32 = 32;
/// How often a lost reply is asked after, with pauses doubling from 5 ms: about two and a half seconds in all.
const SETTLE_ATTEMPTS: u32 = 9;

/// One change to one record.
pub enum Write {
    /// Makes or replaces the record.
    Put {
        /// Which.
        id: RecordId,
        /// What must be so.
        expect: Expect,
        /// The new clear part; at most 256 KiB of JSON.
        clear: Value,
        /// What becomes of the secret.
        secret: SecretWrite,
    },
    /// Removes it. With [`Expect::Any`] it may be gone already.
    Delete {
        /// Which.
        id: RecordId,
        /// What must be so.
        expect: Expect,
    },
}

/// What must be so for a write to go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is no such record.
    Absent,
    /// It is there, with this revision.
    At(Rev),
    /// It is there.
    Exists,
    /// Either.
    Any,
}

/// What becomes of a record's secret.
pub enum SecretWrite {
    /// It stays as it is; a new record has none.
    Keep,
    /// This is the new one; at most 128 KiB.
    Put(SecretBytes),
    /// It is removed.
    Destroy,
}

impl Write {
    fn id(&self) -> &RecordId {
        match self {
            Self::Put { id, .. } | Self::Delete { id, .. } => id,
        }
    }

    fn expect(&self) -> Expect {
        match self {
            Self::Put { expect, .. } | Self::Delete { expect, .. } => *expect,
        }
    }
}

/// A commit being put together.
#[derive(Default)]
struct Draft {
    pre: Vec<Pre>,
    ops: Vec<Op>,
    /// The keys of the owners for whom something is sealed.
    owners: HashMap<Owner, Sealing>,
}

struct Sealing {
    keys: Arc<OwnerKeys>,
    /// A key is made in this very commit.
    new: bool,
    /// How often the active key seals in it.
    uses: u64,
}

/// How a commit ended, once that is certain.
pub(crate) enum Settled {
    Done(Rev),
    /// Somebody else was faster, or the commit was lost on the way: read again and repeat.
    Again,
}

impl Vault {
    /// Writes all of it or nothing; durable when it returns. The result is the revision of every record written.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] when a record is not as expected, [`VaultError::IdTaken`],
    /// [`VaultError::Damaged`] when a secret is to be kept that lies in an altered row, [`VaultError::Unknown`] when the
    /// outcome cannot be found out, and the store's.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<Rev, VaultError> {
        check(&writes)?;
        for _ in 0..ATTEMPTS {
            let draft = self.draft(&writes).await?;
            if draft.ops.is_empty() {
                // Only deletions of what is gone already.
                return Ok(self.inner.store.last_rev().await?);
            }
            let settled = self
                .settle(Commit {
                    id: CommitId::random()?,
                    pre: draft.pre,
                    ops: draft.ops,
                })
                .await;
            let again = !matches!(settled, Ok(Settled::Done(_)));
            let mut made_keys = false;
            for (owner, sealing) in draft.owners {
                // Its row was changed by this commit, or perhaps by the one that was faster.
                if sealing.new || sealing.uses > 1 || again {
                    self.forget(&owner);
                }
                made_keys |= sealing.new;
            }
            match settled? {
                Settled::Done(rev) => return Ok(rev),
                Settled::Again => {
                    if made_keys {
                        self.reload_keyring().await?;
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
        Err(VaultError::Busy)
    }

    /// Commits once and finds out what became of it, even if the reply was lost.
    pub(crate) async fn settle(&self, commit: Commit) -> Result<Settled, VaultError> {
        let _gate = self.inner.gate.read().await;
        match self.inner.store.commit(commit).await {
            Ok(done) => Ok(Settled::Done(done.rev)),
            Err(StoreError::Conflict { .. }) => Ok(Settled::Again),
            Err(StoreError::Unknown(id)) => {
                let mut pause = Duration::from_millis(5);
                for _ in 0..SETTLE_ATTEMPTS {
                    match self.inner.store.outcome(&id).await {
                        Ok(Some(done)) => return Ok(Settled::Done(done.rev)),
                        Ok(None) => return Ok(Settled::Again),
                        Err(_) => tokio::time::sleep(pause).await,
                    }
                    pause *= 2;
                }
                Err(VaultError::Unknown)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn draft(&self, writes: &[Write]) -> Result<Draft, VaultError> {
        let mut names = Vec::with_capacity(writes.len() * 2);
        for write in writes {
            let id = write.id();
            names.push(keys::record(id));
            names.push(keys::index(id.kind, &id.id));
        }
        let mut rows = self.inner.store.get_many(&names).await?.into_iter();
        // After the rows: whatever was deleted before them has a smaller revision than this.
        let last = self.revision().await?;
        let mut names = names.into_iter();
        let mut draft = Draft::default();
        for write in writes {
            let (Some(at), Some(index_at)) = (names.next(), names.next()) else {
                break;
            };
            let current = rows.next().flatten();
            let index = rows.next().flatten();
            judge(write, current.as_ref())?;
            match write {
                Write::Delete { id, .. } => draft.delete(id, at, current, index_at, index),
                Write::Put {
                    id, clear, secret, ..
                } => {
                    draft.index(id, current.as_ref(), index_at, index)?;
                    let row = self
                        .row(&mut draft, id, &at, current.as_ref(), last, clear, secret)
                        .await?;
                    draft.pre.push(unchanged(&at, current.as_ref()));
                    draft.ops.push(Op::Put(at, row));
                }
            }
        }
        for (owner, sealing) in &mut draft.owners {
            // Nothing is sealed under a key that is being destroyed at this moment.
            let at = keys::owner_keys(owner);
            draft.pre.push(match sealing.keys.rev {
                Some(rev) => Pre::At(at.clone(), rev),
                None => Pre::Absent(at.clone()),
            });
            if sealing.uses > 1 && Arc::get_mut(&mut sealing.keys).is_none() {
                // A copy of one's own; should it be newer, the condition above does not hold and all is repeated.
                sealing.keys = Arc::new(self.load_owner_keys(owner).await?);
            }
            if let Some(own) = Arc::get_mut(&mut sealing.keys)
                && (sealing.new || sealing.uses > 1)
            {
                own.count_extra(sealing.uses.saturating_sub(1));
                draft
                    .ops
                    .push(Op::Put(at, own.row(&self.inner.row_mac, owner)));
            }
            if sealing.new {
                // And nothing is wrapped under a term that is being let go of.
                draft
                    .pre
                    .push(Pre::At(keys::keyring(), self.inner.keyring().rev));
            }
        }
        Ok(draft)
    }

    /// The new row of a record. Its generation is the one before plus one with every new secret. A new record begins
    /// above the store's last revision: since each generation costs a commit, none that a deleted namesake ever had
    /// can come again, and its old sealed values do not open here.
    #[expect(clippy::too_many_arguments, reason = "private; what a row is made of")]
    async fn row(
        &self,
        draft: &mut Draft,
        id: &RecordId,
        at: &Key,
        current: Option<&Rec>,
        last: Rev,
        clear: &Value,
        secret: &SecretWrite,
    ) -> Result<Bytes, VaultError> {
        let current = current.map(|rec| self.inner.row(at, rec));
        let previous = match &current {
            Some(row) if !row.damaged => row.generation,
            _ => last.0,
        };
        let (generation, sealed) = match secret {
            SecretWrite::Keep => match current {
                // Writing the row anew would make whatever is in it genuine.
                Some(row) if row.damaged => return Err(VaultError::Damaged { id: id.clone() }),
                Some(row) => (previous, row.sealed),
                None => (previous, None),
            },
            SecretWrite::Destroy => (previous.saturating_add(1), None),
            SecretWrite::Put(secret) => {
                let generation = previous.saturating_add(1);
                let owner_keys = self.sealing_keys(draft, &id.owner, last).await?;
                let key = owner_keys.active().ok_or(VaultError::Sealing)?;
                let sealed = envelope::seal(key, record_place(id, at, generation), secret)?;
                (generation, Some(Bytes::from(sealed)))
            }
        };
        row::encode(
            &self.inner.row_mac,
            at,
            generation,
            clear,
            sealed.as_deref(),
        )
        .map_err(|_| CLEAR_TOO_LONG)
    }

    /// The keys of an owner with an active one among them, made now if there is none or if it is worn out.
    async fn sealing_keys<'d>(
        &self,
        draft: &'d mut Draft,
        owner: &Owner,
        last: Rev,
    ) -> Result<&'d OwnerKeys, VaultError> {
        if !draft.owners.contains_key(owner) {
            let sealing = Sealing {
                keys: self.owner_keys(owner, false).await?,
                new: false,
                uses: 0,
            };
            let sealing = if self.can_seal(&sealing.keys, last) {
                sealing
            } else {
                let makes_one = draft.owners.values().any(|sealing| sealing.new);
                self.with_new_key(owner, last, makes_one).await?
            };
            draft.owners.insert(owner.clone(), sealing);
        }
        let sealing = draft.owners.get_mut(owner).ok_or(VaultError::Sealing)?;
        sealing.uses += 1;
        Ok(&sealing.keys)
    }

    fn can_seal(&self, owner_keys: &OwnerKeys, now: Rev) -> bool {
        let uses_max = self.inner.options.uses_max.min(KEY_USES_MAX);
        owner_keys.active().is_some()
            && owner_keys
                .active_facts()
                .is_some_and(|facts| facts.uses(now.0) < uses_max)
    }

    async fn with_new_key(
        &self,
        owner: &Owner,
        now: Rev,
        makes_one: bool,
    ) -> Result<Sealing, VaultError> {
        let mut own = self.load_owner_keys(owner).await?;
        let mut new = false;
        if !self.can_seal(&own, now) {
            if makes_one {
                // One wrap per commit, so that a term's uses can be told from revisions alone.
                self.make_owner_key(owner).await?;
                own = self.load_owner_keys(owner).await?;
            } else {
                self.add_key(&mut own, owner, now)?;
                new = true;
            }
        }
        Ok(Sealing {
            keys: Arc::new(own),
            new,
            uses: 0,
        })
    }
}

impl Draft {
    fn delete(
        &mut self,
        id: &RecordId,
        at: Key,
        current: Option<Rec>,
        index_at: Key,
        index: Option<Rec>,
    ) {
        let Some(current) = current else {
            return;
        };
        self.pre.push(Pre::At(at.clone(), current.rev));
        self.ops.push(Op::Del(at));
        if let Some(index) = index.filter(|rec| index_owner(&rec.value).as_ref() == Some(&id.owner))
        {
            self.pre.push(Pre::At(index_at.clone(), index.rev));
            self.ops.push(Op::Del(index_at));
        }
    }

    /// Keeps the way from the id to its owner in step, and the id unique.
    fn index(
        &mut self,
        id: &RecordId,
        current: Option<&Rec>,
        index_at: Key,
        index: Option<Rec>,
    ) -> Result<(), VaultError> {
        match index {
            Some(rec) if index_owner(&rec.value).as_ref() == Some(&id.owner) => {
                if current.is_none() {
                    self.pre.push(Pre::At(index_at, rec.rev));
                }
            }
            // Damaged, or leading to where there is nothing: the record itself is here, so this is its id.
            Some(rec) if current.is_some() => {
                self.pre.push(Pre::At(index_at.clone(), rec.rev));
                let owner = Bytes::copy_from_slice(id.owner.as_str().as_bytes());
                self.ops.push(Op::Put(index_at, owner));
            }
            Some(_) => return Err(VaultError::IdTaken),
            None => {
                self.pre.push(Pre::Absent(index_at.clone()));
                let owner = Bytes::copy_from_slice(id.owner.as_str().as_bytes());
                self.ops.push(Op::Put(index_at, owner));
            }
        }
        Ok(())
    }
}

const CLEAR_TOO_LONG: VaultError =
    VaultError::Refused("a record's clear part may be at most 256 KiB of JSON");

fn unchanged(at: &Key, current: Option<&Rec>) -> Pre {
    match current {
        Some(rec) => Pre::At(at.clone(), rec.rev),
        None => Pre::Absent(at.clone()),
    }
}

fn judge(write: &Write, current: Option<&Rec>) -> Result<(), VaultError> {
    let actual = current.map(|rec| rec.rev);
    let holds = match write.expect() {
        Expect::Absent => actual.is_none(),
        Expect::At(rev) => actual == Some(rev),
        Expect::Exists => actual.is_some(),
        Expect::Any => true,
    };
    if holds {
        return Ok(());
    }
    Err(VaultError::Conflict {
        id: write.id().clone(),
        actual,
    })
}

fn check(writes: &[Write]) -> Result<(), VaultError> {
    if writes.is_empty() || writes.len() > WRITES_MAX {
        return Err(VaultError::Refused("a commit has 1 to 128 writes"));
    }
    let mut seen = HashSet::new();
    for write in writes {
        let id = write.id();
        check_id(&id.id)?;
        if !seen.insert((id.kind, id.id.as_str())) {
            return Err(VaultError::Refused("a commit may write a record only once"));
        }
    }
    Ok(())
}
