//! Another root key. While it is changed there are two, and either opens.
//!
//! 1. [`Vault::change_root`] has both keys: it adds a second wrap of the same keyring under the new one, reads both back and
//!    opens each with its own key. Only the same keyring both times is a success.
//! 2. The operator puts the new key into the configuration of every host; each may restart when it likes.
//! 3. [`Vault::retire_root`] takes the key from the configuration as it is now. If it is the new one, the keyring is
//!    sealed with it in the first place and the old wrap goes, in one commit.
//!
//! A crash anywhere leaves one wrap or two, and either way a key that opens. Other rotations wait for the end of this one.

use bytes::Bytes;

use crate::error::VaultError;
use crate::keyring::{self, Keyring, Wrap};
use crate::keys;
use crate::root_key::RootKey;
use crate::store::{Commit, CommitId, Op, Pre, Rec};
use crate::vault::Vault;
use crate::vault::commit::Settled;

impl Vault {
    /// Makes `new` a root key beside the present one, and proves that each opens the same keyring. Repeating it is no error;
    /// another `new` takes the place of one that was not finished.
    ///
    /// # Errors
    /// [`VaultError::WrongRootKey`] when the configured key is not the present one, [`VaultError::NoRootSource`],
    /// [`VaultError::RootKey`], and the store's.
    pub async fn change_root(&self, new: &RootKey) -> Result<(), VaultError> {
        let old = self.ask_root().await?;
        let worker = self.begin("rotate root", None).await?;
        let done = self.add_wrap(&old, new).await;
        worker.end(done).await
    }

    async fn add_wrap(&self, old: &RootKey, new: &RootKey) -> Result<(), VaultError> {
        let (row, next) = self.wraps().await?;
        let keyring = match Keyring::open(old, Wrap::Present, &row.value, row.rev) {
            Ok(keyring) => keyring,
            // The configuration names the new one already: there is nothing left to add.
            Err(_) => {
                let next = next.ok_or(VaultError::WrongRootKey)?;
                return match Keyring::open(old, Wrap::Next, &next.value, row.rev) {
                    Ok(_) => Err(VaultError::RootChangeUnderWay),
                    Err(_) => Err(VaultError::WrongRootKey),
                };
            }
        };
        let at = keys::next_keyring();
        let commit = Commit {
            id: CommitId::random()?,
            pre: vec![
                Pre::At(keys::keyring(), row.rev),
                match &next {
                    Some(next) => Pre::At(at.clone(), next.rev),
                    None => Pre::Absent(at.clone()),
                },
            ],
            ops: vec![
                Op::Put(at, Bytes::from(keyring.seal(new, Wrap::Next)?)),
                Op::Put(
                    keys::next_check(),
                    Bytes::from(keyring::seal_check(new, Wrap::Next)?),
                ),
            ],
        };
        if let Settled::Again = self.settle(commit).await? {
            return Err(VaultError::Busy);
        }
        // Both ways, from what is stored.
        let (row, next) = self.wraps().await?;
        let next = next.ok_or(VaultError::KeyringDamaged)?;
        let by_old = Keyring::open(old, Wrap::Present, &row.value, row.rev)
            .map_err(|_| VaultError::KeyringDamaged)?;
        let by_new = Keyring::open(new, Wrap::Next, &next.value, row.rev)
            .map_err(|_| VaultError::KeyringDamaged)?;
        if !by_old.same(&by_new) {
            return Err(VaultError::KeyringDamaged);
        }
        Ok(())
    }

    /// Ends a change of the root key: the configured key must be the new one, and is proven before the old wrap goes.
    ///
    /// # Errors
    /// [`VaultError::RootNotRetired`] when none is under way or the configured key is still the old one.
    pub async fn retire_root(&self) -> Result<(), VaultError> {
        let root = self.ask_root().await?;
        let worker = self.begin("retire root", None).await?;
        let done = self.drop_wrap(&root).await;
        worker.end(done).await
    }

    async fn drop_wrap(&self, root: &RootKey) -> Result<(), VaultError> {
        self.reload_keyring().await?;
        let (row, next) = self.wraps().await?;
        let Some(next) = next else {
            return Err(VaultError::RootNotRetired("no change of it is under way"));
        };
        let Ok(keyring) = Keyring::open(root, Wrap::Next, &next.value, row.rev) else {
            return Err(VaultError::RootNotRetired(
                "the configuration does not name the new key yet; put it there, then repeat this",
            ));
        };
        let keyring = keyring.successor().ok_or(VaultError::Sealing)?;
        if !keyring.same(&self.inner.keyring()) {
            return Err(VaultError::KeyringDamaged);
        }
        let sealed = Bytes::from(keyring.seal(root, Wrap::Present)?);
        // Proven before it takes the place of what the old key opens.
        let back = Keyring::open(root, Wrap::Present, &sealed, row.rev)
            .map_err(|_| VaultError::Sealing)?;
        if !back.same(&keyring) {
            return Err(VaultError::Sealing);
        }
        let at = keys::keyring();
        let commit = Commit {
            id: CommitId::random()?,
            pre: vec![
                Pre::At(at.clone(), row.rev),
                Pre::At(keys::next_keyring(), next.rev),
            ],
            ops: vec![
                Op::Put(at, sealed),
                Op::Put(
                    keys::check(),
                    Bytes::from(keyring::seal_check(root, Wrap::Present)?),
                ),
                Op::Put(keys::terms(), Bytes::from(keyring.told())),
                Op::Del(keys::next_keyring()),
                Op::Del(keys::next_check()),
            ],
        };
        match self.settle(commit).await? {
            Settled::Done(rev) => {
                let mut keyring = keyring;
                keyring.rev = rev;
                self.inner.set_keyring(keyring);
                Ok(())
            }
            Settled::Again => Err(VaultError::Busy),
        }
    }

    /// The keyring under the present root key, and under the next one if there is one.
    async fn wraps(&self) -> Result<(Rec, Option<Rec>), VaultError> {
        let rows = self
            .inner
            .store
            .get_many(&[keys::keyring(), keys::next_keyring()])
            .await?;
        let mut rows = rows.into_iter();
        let present = rows.next().flatten().ok_or(VaultError::NoKeyring)?;
        Ok((present, rows.next().flatten()))
    }

    /// Whether two root keys open at present.
    ///
    /// # Errors
    /// The store's.
    pub async fn root_change_under_way(&self) -> Result<bool, VaultError> {
        Ok(self.wraps().await?.1.is_some())
    }
}
