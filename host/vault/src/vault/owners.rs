//! Owners' keys: loaded when first needed, kept unwrapped in memory, destroyed on request.

use std::sync::{Arc, PoisonError};

use super::Vault;
use super::commit::Settled;
use crate::error::VaultError;
use crate::ids::{NameError, Owner};
use crate::keys;
use crate::owner_keys::OwnerKeys;
use crate::store::{Commit, CommitId, Op, Pre};

/// How many owners' keys are kept unwrapped. Each is a few hundred bytes; loading one again costs a read and two
/// decryptions.
const CACHE_MAX: usize = 20_000;
const ATTEMPTS: u32 = 16;

impl Vault {
    /// Destroys the keys of an owner: what was sealed for them can never be opened again, here or in a later backup.
    /// Their records stay listed, as damaged, until deleted. If the owner connects again, they get a new key.
    ///
    /// Not covered yet: bytes of the wrapped key that remain in the store's free space or in older backups, which
    /// open for whoever holds the root key too.
    ///
    /// # Errors
    /// The reserved owner is refused; otherwise the store's.
    pub async fn destroy_owner(&self, owner: &Owner) -> Result<(), VaultError> {
        if *owner == Owner::keyport() {
            return Err(NameError::Reserved.into());
        }
        for _ in 0..ATTEMPTS {
            let at = keys::owner_keys(owner);
            let Some(rec) = self.inner.store.get(&at).await? else {
                self.forget(owner);
                return Ok(());
            };
            // A row that cannot be read is replaced whole: destroying must always work.
            let mut owner_keys = OwnerKeys::read(&self.inner.keyring, owner, &rec)
                .unwrap_or_else(|_| OwnerKeys::none());
            owner_keys.destroy();
            let commit = Commit {
                id: CommitId::random()?,
                pre: vec![Pre::At(at.clone(), rec.rev)],
                ops: vec![Op::Put(at, owner_keys.row())],
            };
            let done = self.settle(commit).await;
            self.forget(owner);
            match done? {
                Settled::Done(_) => return Ok(()),
                Settled::Again => tokio::task::yield_now().await,
            }
        }
        Err(VaultError::Busy)
    }

    /// An owner's keys, from memory unless `fresh`.
    pub(super) async fn owner_keys(
        &self,
        owner: &Owner,
        fresh: bool,
    ) -> Result<Arc<OwnerKeys>, VaultError> {
        if !fresh && let Some(owner_keys) = self.remembered(owner) {
            return Ok(owner_keys);
        }
        let owner_keys = Arc::new(self.load_owner_keys(owner).await?);
        self.remember(owner, &owner_keys);
        Ok(owner_keys)
    }

    /// An owner's keys as the store has them now.
    pub(super) async fn load_owner_keys(&self, owner: &Owner) -> Result<OwnerKeys, VaultError> {
        match self.inner.store.get(&keys::owner_keys(owner)).await? {
            Some(rec) => OwnerKeys::read(&self.inner.keyring, owner, &rec)
                .map_err(|_| VaultError::OwnerKeysDamaged),
            None => Ok(OwnerKeys::none()),
        }
    }

    fn remembered(&self, owner: &Owner) -> Option<Arc<OwnerKeys>> {
        self.inner
            .owners
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(owner)
            .cloned()
    }

    fn remember(&self, owner: &Owner, owner_keys: &Arc<OwnerKeys>) {
        let mut owners = self
            .inner
            .owners
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if owners.len() >= CACHE_MAX
            && let Some(other) = owners.keys().next().cloned()
        {
            owners.remove(&other);
        }
        // Two loads may end in the other order than they began: the newer row wins.
        let newer = owners
            .get(owner)
            .is_none_or(|known| known.rev <= owner_keys.rev);
        if newer {
            owners.insert(owner.clone(), Arc::clone(owner_keys));
        }
    }

    pub(super) fn forget(&self, owner: &Owner) {
        self.inner
            .owners
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(owner);
    }
}
