//! Owners' keys: loaded when first needed, kept unwrapped in memory, destroyed on request.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::Vault;
use super::commit::Settled;
use crate::error::VaultError;
use crate::ids::{NameError, Owner, Rev};
use crate::keyring::State;
use crate::keys;
use crate::owner_keys::OwnerKeys;
use crate::store::{Commit, CommitId, Op, Pre, Rec};

/// How many owners' keys are kept unwrapped. Each is a few hundred bytes; loading one again costs a read and two
/// decryptions.
const CACHE_MAX: usize = 200_000;
const ATTEMPTS: u32 = 16;

/// An owner's keys in memory.
pub(super) struct Cached {
    keys: Arc<OwnerKeys>,
    since: Instant,
}

impl Vault {
    /// Destroys the keys of an owner: what was sealed for them can never be opened again, here or in a later backup.
    /// Their records stay listed, as damaged, until deleted. If the owner connects again, they get a new key.
    ///
    /// Not covered: bytes of the wrapped key that remain in the store's free space or in older backups, which open for
    /// whoever holds the root key too.
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
            let mut owner_keys = self
                .read_owner_keys(owner, &rec)
                .unwrap_or_else(|_| OwnerKeys::none());
            owner_keys.destroy();
            let commit = Commit {
                id: CommitId::random()?,
                pre: vec![Pre::At(at.clone(), rec.rev)],
                ops: vec![Op::Put(at, owner_keys.row(&self.inner.row_mac, owner))],
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

    /// An owner's keys as the store has them now. A term that is not known makes the keyring be read again, once.
    pub(super) async fn load_owner_keys(&self, owner: &Owner) -> Result<OwnerKeys, VaultError> {
        let Some(rec) = self.inner.store.get(&keys::owner_keys(owner)).await? else {
            return Ok(OwnerKeys::none());
        };
        let read = self.read_owner_keys(owner, &rec)?;
        let keyring = self.inner.keyring();
        let unknown = read.facts().any(|facts| {
            facts.state != State::Destroyed
                && !facts.opens
                && facts.term.is_some_and(|term| !keyring.knows(term))
        });
        // A term that nobody has is damage, told by the record that needs it.
        if unknown && self.reload_keyring().await.unwrap_or(false) {
            return self.read_owner_keys(owner, &rec);
        }
        Ok(read)
    }

    /// The keys that the vault holds in memory, by what they are.
    #[cfg(test)]
    pub(crate) async fn keys_for_tests(
        &self,
        owner: &Owner,
    ) -> Vec<(&'static str, zeroize::Zeroizing<Vec<u8>>)> {
        let copy = |key: &crate::secret::Key32| zeroize::Zeroizing::new(key.expose().to_vec());
        let owner_keys = self.owner_keys(owner, false).await.unwrap();
        let (term, macs) = self.inner.keyring().keys_for_tests();
        vec![
            ("owner's key", copy(&owner_keys.active().unwrap().key)),
            ("term", term),
            ("MAC secret", macs),
        ]
    }

    /// Reads a row of owner's keys.
    pub(super) fn read_owner_keys(
        &self,
        owner: &Owner,
        rec: &Rec,
    ) -> Result<OwnerKeys, VaultError> {
        OwnerKeys::read(&self.inner.keyring(), &self.inner.row_mac, owner, rec)
            .map_err(|_| VaultError::OwnerKeysDamaged)
    }

    /// Adds an active key to `owner_keys`, wrapped by the active term.
    pub(super) fn add_key(
        &self,
        owner_keys: &mut OwnerKeys,
        owner: &Owner,
        now: Rev,
    ) -> Result<(), VaultError> {
        let keyring = self.inner.keyring();
        let term = keyring.active().ok_or(VaultError::Sealing)?;
        if now.0.saturating_sub(term.since_rev) >= u64::from(u32::MAX) {
            return Err(VaultError::TermWornOut);
        }
        owner_keys.add(&keyring, owner, false, self.inner.now_ms(), now.0)?;
        Ok(())
    }

    /// Makes an active key for an owner in a commit of its own.
    pub(super) async fn make_owner_key(&self, owner: &Owner) -> Result<(), VaultError> {
        for _ in 0..ATTEMPTS {
            let mut owner_keys = self.load_owner_keys(owner).await?;
            let before = owner_keys.rev;
            let now = self.revision().await?;
            self.add_key(&mut owner_keys, owner, now)?;
            let done = self.put_owner_keys(owner, before, &owner_keys).await?;
            if done {
                return Ok(());
            }
        }
        Err(VaultError::Busy)
    }

    /// Writes an owner's keys, if neither they nor the keyring were changed. `false`: they were; read again and repeat.
    pub(super) async fn put_owner_keys(
        &self,
        owner: &Owner,
        before: Option<Rev>,
        owner_keys: &OwnerKeys,
    ) -> Result<bool, VaultError> {
        let at = keys::owner_keys(owner);
        let commit = Commit {
            id: CommitId::random()?,
            pre: vec![
                match before {
                    Some(rev) => Pre::At(at.clone(), rev),
                    None => Pre::Absent(at.clone()),
                },
                Pre::At(keys::keyring(), self.inner.keyring().rev),
            ],
            ops: vec![Op::Put(at, owner_keys.row(&self.inner.row_mac, owner))],
        };
        let done = self.settle(commit).await;
        self.forget(owner);
        match done? {
            Settled::Done(_) => Ok(true),
            Settled::Again => {
                self.reload_keyring().await?;
                Ok(false)
            }
        }
    }

    fn remembered(&self, owner: &Owner) -> Option<Arc<OwnerKeys>> {
        let owners = self
            .inner
            .owners
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let cached = owners.get(owner)?;
        let store = &self.inner.store;
        // Neither for long, nor while it is not heard what others destroy.
        let good = !store.shared()
            || (store.watch_is_current() && cached.since.elapsed() < self.inner.options.key_cache);
        good.then(|| Arc::clone(&cached.keys))
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
            .is_none_or(|known| known.keys.rev <= owner_keys.rev);
        if newer {
            let cached = Cached {
                keys: Arc::clone(owner_keys),
                since: Instant::now(),
            };
            owners.insert(owner.clone(), cached);
        }
    }

    pub(super) fn forget(&self, owner: &Owner) {
        self.inner
            .owners
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(owner);
    }

    /// Forgets an owner's keys if they are older than this revision.
    pub(super) fn forget_before(&self, owner: &Owner, rev: Rev) {
        let mut owners = self
            .inner
            .owners
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if owners
            .get(owner)
            .is_some_and(|known| known.keys.rev < Some(rev))
        {
            owners.remove(owner);
        }
    }

    pub(super) fn forget_all(&self) {
        self.inner
            .owners
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
