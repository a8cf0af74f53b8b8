//! Keys that other hosts changed: noticed through the store, learned without the root key.
//!
//! Where a store is shared, a task hears of every commit and forgets what it made stale; a notice that gets lost costs at
//! most the time that keys are kept in memory. Correctness never rests on it: whoever seals requires the rows unchanged, and
//! an unknown key number makes a reader ask once more.

use std::sync::{Arc, PoisonError, Weak};

use tokio::sync::broadcast::error::RecvError;

use super::{Inner, Vault};
use crate::error::VaultError;
use crate::keyring::Keyring;
use crate::keys;

/// Terms are few: one per rotation.
const TERMS_MAX: u32 = 10_000;

impl Vault {
    /// Reads the keyring's states and whatever terms are new. `true`: something was.
    pub(super) async fn reload_keyring(&self) -> Result<bool, VaultError> {
        let known = self.inner.keyring();
        let store = &self.inner.store;
        let rows = store.get_many(&[keys::keyring(), keys::terms()]).await?;
        let mut rows = rows.into_iter();
        let (Some(row), told) = (rows.next().flatten(), rows.next().flatten()) else {
            return Err(VaultError::NoKeyring);
        };
        if row.rev == known.rev {
            return Ok(false);
        }
        let told = told
            .and_then(|told| known.read_told(&told.value))
            .ok_or(VaultError::StaleKeyring)?;
        let sealed = store.scan(keys::TERM.as_bytes(), None, TERMS_MAX).await?;
        let find = |id: u32| {
            let at = keys::term(id);
            sealed
                .iter()
                .find(|(key, _)| *key == at)
                .map(|(_, rec)| &*rec.value)
        };
        let next = known
            .caught_up(row.rev, &told, find)
            .ok_or(VaultError::StaleKeyring)?;
        self.inner.set_keyring(next);
        tracing::info!("the keyring was changed by another host; this one has caught up");
        Ok(true)
    }

    /// Hears of what other hosts do to keys, for as long as this vault lives.
    pub(super) fn follow(&self) {
        let mut changes = self.inner.store.watch();
        let weak = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            loop {
                let heard = changes.recv().await;
                let Some(vault) = upgrade(&weak) else { return };
                match heard {
                    Ok(change) if !change.is_gap() => {
                        for key in change.keys.iter() {
                            if let Some(owner) = keys::parse_owner(key) {
                                vault.forget_before(&owner, change.rev);
                            } else if *key == keys::keyring()
                                && let Err(error) = vault.reload_keyring().await
                            {
                                tracing::error!(%error, "the changed keyring could not be read");
                            }
                        }
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {
                        vault.forget_all();
                        if let Err(error) = vault.reload_keyring().await {
                            tracing::error!(%error, "the keyring could not be read");
                        }
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        });
    }
}

fn upgrade(weak: &Weak<Inner>) -> Option<Vault> {
    weak.upgrade().map(|inner| Vault { inner })
}

impl Inner {
    /// Takes over a keyring unless a newer one is known.
    pub(super) fn set_keyring(&self, next: Keyring) {
        let mut known = self.keyring.write().unwrap_or_else(PoisonError::into_inner);
        if known.rev <= next.rev {
            *known = Arc::new(next);
        }
    }
}
