//! Which keys there are: states, ages, uses. For the operator's schedule and for metrics; nothing here is secret.

use serde::Serialize;

use super::Vault;
use crate::error::VaultError;
use crate::keyring::State;
use crate::keys;

/// One key of the keyring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyFacts {
    /// Its number.
    pub id: u32,
    /// `pending`, `active`, `decrypt-only` or `destroyed`.
    pub state: &'static str,
    /// When it was made, in milliseconds of Unix time; absent when it is older than the record of it.
    pub since_ms: Option<u64>,
    /// The most often that it can have sealed by now; absent once it is destroyed.
    pub uses: Option<u64>,
}

/// All keys of a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// How many root keys open: two while it is being changed.
    pub root_keys: u32,
    /// How often the keyring was sealed.
    pub keyring_generation: u64,
    /// The terms of the keyring, oldest first.
    pub terms: Vec<KeyFacts>,
    /// How many owners have keys; absent where they were not counted.
    pub owners: Option<OwnerInventory>,
    /// A rotation that has begun and not ended.
    pub unfinished: Option<&'static str>,
    /// After how many uses a key is replaced.
    pub uses_max: u64,
}

/// The keys of all owners together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OwnerInventory {
    /// Rows of owners' keys.
    pub owners: u64,
    /// Active keys.
    pub active: u64,
    /// Keys that only open.
    pub decrypt_only: u64,
    /// Keys that do not count yet.
    pub pending: u64,
    /// Numbers of keys that are gone.
    pub destroyed: u64,
    /// Rows that cannot be read.
    pub unreadable: u64,
    /// When the oldest active key was made.
    pub oldest_active_ms: Option<u64>,
    /// The most often that one active key can have sealed by now.
    pub most_uses: u64,
    /// How many keys each term wraps, by term.
    pub wrapped_by: std::collections::BTreeMap<u32, u64>,
}

impl Vault {
    /// The keys of the keyring, from memory; with `owners`, every owner's too, which reads a row per owner.
    ///
    /// # Errors
    /// The store's.
    pub async fn inventory(&self, owners: bool) -> Result<Inventory, VaultError> {
        let now = self.revision().await?;
        let keyring = self.inner.keyring();
        let terms = keyring
            .facts()
            .map(|facts| KeyFacts {
                id: facts.id,
                state: facts.state.as_str(),
                since_ms: (facts.since_ms > 0).then_some(facts.since_ms),
                uses: (facts.state != State::Destroyed)
                    .then_some(now.0.saturating_sub(facts.since_rev)),
            })
            .collect();
        Ok(Inventory {
            root_keys: 1 + u32::from(self.root_change_under_way().await?),
            keyring_generation: keyring.generation,
            terms,
            owners: match owners {
                true => Some(self.owner_inventory(now.0).await?),
                false => None,
            },
            unfinished: self.unfinished().await?.map(super::Level::as_str),
            uses_max: self.inner.options.uses_max.min(super::KEY_USES_MAX),
        })
    }

    async fn owner_inventory(&self, now: u64) -> Result<OwnerInventory, VaultError> {
        let mut all = OwnerInventory::default();
        let mut after = None;
        loop {
            let page = self
                .inner
                .store
                .scan(keys::OWNERS.as_bytes(), after.as_ref(), 256)
                .await?;
            let Some((last, _)) = page.last() else {
                return Ok(all);
            };
            after = Some(last.clone());
            for (key, rec) in &page {
                all.owners += 1;
                let read =
                    keys::parse_owner(key).and_then(|owner| self.read_owner_keys(&owner, rec).ok());
                let Some(owner_keys) = read else {
                    all.unreadable += 1;
                    continue;
                };
                for facts in owner_keys.facts() {
                    match facts.state {
                        State::Pending => all.pending += 1,
                        State::DecryptOnly => all.decrypt_only += 1,
                        State::Destroyed => all.destroyed += 1,
                        State::Active => {
                            all.active += 1;
                            all.most_uses = all.most_uses.max(facts.uses(now));
                            let oldest = all.oldest_active_ms.unwrap_or(u64::MAX);
                            all.oldest_active_ms = Some(oldest.min(facts.since_ms));
                        }
                    }
                    if let Some(term) = facts.term {
                        *all.wrapped_by.entry(term).or_default() += 1;
                    }
                }
            }
        }
    }
}
