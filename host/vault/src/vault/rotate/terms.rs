//! A new term of the keyring. Owners' keys are wrapped anew under it; no secret is touched.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Job, Stage, Step};
use crate::error::VaultError;
use crate::keyring::{Keyring, State, Wrap};
use crate::keys;
use crate::root_key::RootKey;
use crate::store::{Commit, CommitId, Key, Op, Pre, Rec};
use crate::vault::Vault;
use crate::vault::commit::Settled;
use crate::vault::work::Worker;

const ATTEMPTS: u32 = 16;

impl Vault {
    pub(super) async fn rotate_terms(
        &self,
        mut job: Job,
        worker: &mut Worker<'_>,
    ) -> Result<(), VaultError> {
        if job.stage == Stage::Adding {
            worker.stage("adding", 1);
            self.reload_keyring().await?;
            let pending = self
                .inner
                .keyring()
                .facts()
                .any(|facts| facts.state == State::Pending);
            if !pending {
                let root = self.ask_root().await?;
                job.stage = Stage::Activating;
                self.add_term(&root, &job).await?;
            }
            job.enter(self, Stage::Activating).await?;
        }
        if job.stage == Stage::Activating {
            let newest = self.inner.keyring().facts().last();
            if let Some(newest) = newest.filter(|facts| facts.state == State::Pending) {
                worker.stage("waiting", 1);
                let age = self.inner.now_ms().saturating_sub(newest.since_ms);
                worker
                    .wait(self.spread().saturating_sub(Duration::from_millis(age)))
                    .await?;
                let root = self.ask_root().await?;
                self.change_keyring(&root, |keyring| {
                    keyring.activate();
                    Ok(Vec::new())
                })
                .await?;
            }
            job.enter(self, Stage::Sealing).await?;
        }
        self.through(&mut job, worker, Step::Rewrap).await
    }

    /// Adds a term and says how other hosts come to it. With one host it is active at once.
    async fn add_term(&self, root: &RootKey, job: &Job) -> Result<(), VaultError> {
        let now = self.revision().await?;
        let marked = job.row()?;
        let shared = self.inner.store.shared();
        self.change_keyring(root, |keyring| {
            if keyring.facts().any(|facts| facts.state == State::Pending) {
                return Ok(Vec::new());
            }
            let id = keyring.add(self.inner.now_ms(), now.0)?;
            let sealed = keyring.seal_newest()?;
            if !shared {
                keyring.activate();
            }
            Ok(vec![
                Op::Put(keys::term(id), Bytes::from(sealed)),
                Op::Put(keys::job(), marked.clone()),
            ])
        })
        .await
    }

    /// Writes the keyring anew, as `change` makes it. Refused while there are two root keys.
    pub(super) async fn change_keyring(
        &self,
        root: &RootKey,
        change: impl Fn(&mut Keyring) -> Result<Vec<Op>, VaultError> + Send + Sync,
    ) -> Result<(), VaultError> {
        for _ in 0..ATTEMPTS {
            let at = keys::keyring();
            let next_at = keys::next_keyring();
            let rows = self
                .inner
                .store
                .get_many(&[at.clone(), next_at.clone()])
                .await?;
            let mut rows = rows.into_iter();
            let row = rows.next().flatten().ok_or(VaultError::NoKeyring)?;
            if rows.next().flatten().is_some() {
                return Err(VaultError::RootChangeUnderWay);
            }
            let present = Keyring::open(root, Wrap::Present, &row.value, row.rev)
                .map_err(|_| VaultError::WrongRootKey)?;
            let mut next = present.successor().ok_or(VaultError::Sealing)?;
            let mut ops = change(&mut next)?;
            if next.facts().eq(present.facts()) {
                self.inner.set_keyring(present);
                return Ok(());
            }
            let sealed = next.seal(root, Wrap::Present)?;
            ops.push(Op::Put(at.clone(), Bytes::from(sealed)));
            ops.push(Op::Put(keys::terms(), Bytes::from(next.told())));
            let commit = Commit {
                id: CommitId::random()?,
                pre: vec![Pre::At(at, row.rev), Pre::Absent(next_at)],
                ops,
            };
            if let Settled::Done(rev) = self.settle(commit).await? {
                next.rev = rev;
                self.inner.set_keyring(next);
                // What is in memory was read under the states before.
                self.forget_all();
                return Ok(());
            }
        }
        Err(VaultError::Busy)
    }

    /// Wraps an owner's keys under the active term.
    pub(super) async fn rewrap(&self, key: &Key, rec: Rec) -> Result<(), VaultError> {
        let Some(owner) = keys::parse_owner(key) else {
            return Ok(());
        };
        let mut rec = Some(rec);
        for _ in 0..ATTEMPTS {
            let read = match rec.take() {
                Some(rec) => self.read_owner_keys(&owner, &rec),
                None => self.load_owner_keys(&owner).await,
            };
            let mut owner_keys = match read {
                Ok(owner_keys) => owner_keys,
                Err(VaultError::OwnerKeysDamaged) => {
                    tracing::error!(%owner, "the keys of an owner cannot be read, so they keep their term");
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            let keyring: Arc<Keyring> = self.inner.keyring();
            if !owner_keys.rewrap(&keyring, &owner)? {
                return Ok(());
            }
            if self
                .put_owner_keys(&owner, owner_keys.rev, &owner_keys)
                .await?
            {
                return Ok(());
            }
        }
        Err(VaultError::Busy)
    }
}
