//! A new key for every owner; every secret is sealed anew with it.
//!
//! A record that is sealed anew gets a new revision and the next generation, like any new secret; its clear part stays as it
//! is. Whoever writes at the same moment wins, and the rotation looks at that record again.

use bytes::Bytes;

use super::{Job, Stage, Step};
use crate::envelope::{self, Place};
use crate::error::VaultError;
use crate::ids::Owner;
use crate::keyring::State;
use crate::keys;
use crate::owner_keys::{Found, OwnerKeys};
use crate::row;
use crate::store::{Commit, CommitId, Key, Op, Pre, Rec};
use crate::vault::Vault;
use crate::vault::commit::Settled;
use crate::vault::work::Worker;

const ATTEMPTS: u32 = 16;

impl Vault {
    pub(super) async fn rotate_owners(
        &self,
        mut job: Job,
        worker: &mut Worker<'_>,
    ) -> Result<(), VaultError> {
        if job.stage == Stage::Adding {
            if job.cursor.is_none() {
                job.enter(self, Stage::Adding).await?;
            }
            let step = Step::AddKey(job.started_rev);
            self.through(&mut job, worker, step).await?;
            job.enter(self, Stage::Activating).await?;
        }
        if job.stage == Stage::Activating {
            if self.inner.store.shared() {
                if job.cursor.is_none() {
                    worker.stage("waiting", 1);
                    worker.wait(self.spread()).await?;
                }
                self.through(&mut job, worker, Step::Activate).await?;
            }
            job.enter(self, Stage::Sealing).await?;
        }
        self.through(&mut job, worker, Step::Reseal).await
    }

    pub(super) async fn add_owner_key(
        &self,
        key: &Key,
        started_rev: u64,
    ) -> Result<(), VaultError> {
        let pending = self.inner.store.shared();
        let now = self.revision().await?;
        self.change_owner_keys(key, |owner, owner_keys| {
            let newest = owner_keys
                .facts()
                .filter(|facts| facts.state != State::Destroyed)
                .last();
            // None: the owner was destroyed and gets a key only by coming back.
            if newest.is_none_or(|facts| facts.since_rev >= started_rev) {
                return Ok(false);
            }
            let keyring = self.inner.keyring();
            owner_keys.add(&keyring, owner, pending, self.inner.now_ms(), now.0)?;
            Ok(true)
        })
        .await
    }

    pub(super) async fn activate_owner_key(&self, key: &Key) -> Result<(), VaultError> {
        self.change_owner_keys(key, |_, owner_keys| Ok(owner_keys.activate()))
            .await
    }

    /// Changes the row of an owner's keys; `change` says whether there is anything to write.
    pub(super) async fn change_owner_keys(
        &self,
        key: &Key,
        change: impl Fn(&Owner, &mut OwnerKeys) -> Result<bool, VaultError> + Send + Sync,
    ) -> Result<(), VaultError> {
        let Some(owner) = keys::parse_owner(key) else {
            return Ok(());
        };
        for _ in 0..ATTEMPTS {
            let mut owner_keys = match self.load_owner_keys(&owner).await {
                Ok(owner_keys) => owner_keys,
                Err(VaultError::OwnerKeysDamaged) => {
                    tracing::error!(%owner, "the keys of an owner cannot be read and stay as they are");
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            if !change(&owner, &mut owner_keys)? {
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

    /// Seals a record's secret with its owner's active key, unless it is already.
    pub(super) async fn reseal(&self, key: &Key, rec: Rec) -> Result<(), VaultError> {
        let Some((kind, owner, _)) = keys::parse_record(key) else {
            return Ok(());
        };
        let mut current = Some(rec);
        for _ in 0..ATTEMPTS {
            let rec = match current.take() {
                Some(rec) => rec,
                None => match self.inner.rec(key).await? {
                    Some(rec) => rec,
                    None => return Ok(()),
                },
            };
            let row = self.inner.row(key, &rec);
            let Some(sealed) = row.sealed.filter(|_| !row.damaged) else {
                return Ok(());
            };
            let owner_keys = match self.owner_keys(&owner, false).await {
                Err(VaultError::OwnerKeysDamaged) => return Ok(()),
                other => other?,
            };
            let Some(active) = owner_keys.active() else {
                return Ok(());
            };
            let Ok((version, _)) = envelope::peek(&sealed) else {
                return Ok(());
            };
            if version == active.id {
                return Ok(());
            }
            let place = |generation| Place {
                owner: owner.as_str(),
                store_key: key.as_bytes(),
                record_type: kind,
                generation,
            };
            let Found::Key(old) = owner_keys.find(version) else {
                // Destroyed, or not known from memory: then a fresh look decides.
                if self.owner_keys(&owner, true).await?.rev == owner_keys.rev {
                    return Ok(());
                }
                continue;
            };
            let Ok(secret) = envelope::open(old, place(row.generation), &sealed) else {
                // Damage; `verify` tells it.
                return Ok(());
            };
            let generation = row.generation.saturating_add(1);
            let again = envelope::seal(active, place(generation), &secret)?;
            let value = row::encode(
                &self.inner.row_mac,
                key,
                generation,
                &row.clear,
                Some(&again),
            )
            .map_err(|_| VaultError::Sealing)?;
            let owner_at = keys::owner_keys(&owner);
            let commit = Commit {
                id: CommitId::random()?,
                pre: vec![
                    Pre::At(key.clone(), rec.rev),
                    match owner_keys.rev {
                        Some(rev) => Pre::At(owner_at, rev),
                        None => Pre::Absent(owner_at),
                    },
                ],
                ops: vec![Op::Put(key.clone(), Bytes::clone(&value))],
            };
            match self.settle(commit).await? {
                Settled::Done(_) => return Ok(()),
                Settled::Again => self.forget(&owner),
            }
        }
        Err(VaultError::Busy)
    }
}
