//! The end of old keys: only those that a count over every row finds no use of.
//!
//! Uses of a decrypt-only key only ever go down: whoever seals requires the row that says which key is active unchanged. So
//! what a full scan has counted as unused stays unused, although the scan is no snapshot.
//!
//! Old backups carry the keys that they need; retiring here does not shut them.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use crate::envelope;
use crate::error::VaultError;
use crate::ids::Owner;
use crate::keyring::State;
use crate::keys;
use crate::owner_keys::OwnerKeys;
use crate::store::Op;
use crate::vault::work::Worker;
use crate::vault::{Level, Vault};

/// What retiring did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Retired {
    /// How many keys were destroyed.
    pub destroyed: u64,
    /// How many old keys stay because something needs them.
    pub kept: u64,
    /// How many rows need those.
    pub uses: u64,
}

impl Vault {
    /// Destroys old keys of a level that nothing needs any more.
    ///
    /// # Errors
    /// [`VaultError::CannotCount`] when rows that may need them cannot be read, [`VaultError::RotationUnfinished`], and the
    /// store's.
    pub async fn retire(&self, level: Level) -> Result<Retired, VaultError> {
        let work = match level {
            Level::Terms => "retire terms",
            Level::Owners => "retire owners",
        };
        let mut worker = self.begin(work, None).await?;
        let done = async {
            if let Some(unfinished) = self.unfinished().await? {
                return Err(VaultError::RotationUnfinished(unfinished.as_str()));
            }
            match level {
                Level::Terms => self.retire_terms(&mut worker).await,
                Level::Owners => self.retire_owners(&mut worker).await,
            }
        }
        .await;
        worker.end(done).await
    }

    async fn retire_terms(&self, worker: &mut Worker<'_>) -> Result<Retired, VaultError> {
        self.reload_keyring().await?;
        let mut uses: BTreeMap<u32, u64> = BTreeMap::new();
        let mut unreadable = 0;
        let total = worker.count(keys::OWNERS).await?;
        worker.stage("counting", total);
        let mut after = None;
        loop {
            let page = worker.page(keys::OWNERS, after.as_ref()).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, rec) in &page {
                let readable = keys::parse_owner(key)
                    .is_some_and(|owner| self.read_owner_keys(&owner, rec).is_ok());
                if !readable {
                    unreadable += 1;
                }
                for term in OwnerKeys::terms_of(&rec.value) {
                    *uses.entry(term).or_default() += 1;
                }
            }
            worker.pace(page.len() as u64).await?;
        }
        let old: Vec<u32> = self
            .inner
            .keyring()
            .facts()
            .filter(|facts| facts.state == State::DecryptOnly)
            .map(|facts| facts.id)
            .collect();
        let (unused, used): (Vec<u32>, Vec<u32>) =
            old.into_iter().partition(|id| !uses.contains_key(id));
        let mut retired = Retired {
            destroyed: 0,
            kept: used.len() as u64,
            uses: used.iter().filter_map(|id| uses.get(id)).sum(),
        };
        if unused.is_empty() {
            return Ok(retired);
        }
        if unreadable > 0 {
            return Err(VaultError::CannotCount(unreadable));
        }
        worker.stage("destroying", unused.len() as u64);
        let root = self.ask_root().await?;
        self.change_keyring(&root, |keyring| {
            let mut ops = Vec::new();
            for id in &unused {
                keyring.destroy(*id);
                // The row that led to it, and the one that it led from.
                ops.push(Op::Del(keys::term(*id)));
            }
            let orphans = keyring.facts().filter_map(|facts| {
                let before = facts.id.checked_sub(1)?;
                (facts.state != State::Destroyed && unused.contains(&before)).then_some(facts.id)
            });
            ops.extend(orphans.map(|id| Op::Del(keys::term(id))));
            Ok(ops)
        })
        .await?;
        retired.destroyed = unused.len() as u64;
        Ok(retired)
    }

    async fn retire_owners(&self, worker: &mut Worker<'_>) -> Result<Retired, VaultError> {
        let old = self.old_owner_keys(worker).await?;
        let mut used: HashMap<Owner, HashSet<u32>> = HashMap::new();
        let mut uses = 0;
        let total = worker.count(keys::RECORDS).await?;
        worker.stage("counting", total);
        let mut after = None;
        loop {
            let page = worker.page(keys::RECORDS, after.as_ref()).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, rec) in &page {
                let Some((_, owner, _)) = keys::parse_record(key) else {
                    continue;
                };
                let Some(versions) = old.get(&owner) else {
                    continue;
                };
                // A row whose MAC is wrong counts too: what it says it needs stays.
                let sealed = self.inner.row(key, rec).sealed;
                if let Some(Ok((version, _))) = sealed.as_deref().map(envelope::peek)
                    && versions.contains(&version)
                {
                    used.entry(owner).or_default().insert(version);
                    uses += 1;
                }
            }
            worker.pace(page.len() as u64).await?;
        }
        let mut retired = Retired {
            uses,
            ..Retired::default()
        };
        worker.stage("destroying", old.len() as u64);
        for (owner, versions) in old {
            let needed = used.remove(&owner).unwrap_or_default();
            let gone: HashSet<u32> = versions.difference(&needed).copied().collect();
            retired.kept += needed.len() as u64;
            if !gone.is_empty() {
                self.change_owner_keys(&keys::owner_keys(&owner), |_, owner_keys| {
                    Ok(owner_keys.destroy_where(|facts| {
                        facts.state == State::DecryptOnly && gone.contains(&facts.version)
                    }))
                })
                .await?;
                retired.destroyed += gone.len() as u64;
            }
            worker.pace(1).await?;
        }
        Ok(retired)
    }

    /// The decrypt-only keys of every owner who has some.
    async fn old_owner_keys(
        &self,
        worker: &mut Worker<'_>,
    ) -> Result<BTreeMap<Owner, HashSet<u32>>, VaultError> {
        let total = worker.count(keys::OWNERS).await?;
        worker.stage("looking", total);
        let mut old: BTreeMap<Owner, HashSet<u32>> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = worker.page(keys::OWNERS, after.as_ref()).await?;
            let Some((last, _)) = page.last() else {
                return Ok(old);
            };
            after = Some(last.clone());
            for (key, rec) in &page {
                let Some(owner) = keys::parse_owner(key) else {
                    continue;
                };
                let Ok(owner_keys) = self.read_owner_keys(&owner, rec) else {
                    continue;
                };
                let versions: HashSet<u32> = owner_keys
                    .facts()
                    .filter(|facts| facts.state == State::DecryptOnly)
                    .map(|facts| facts.version)
                    .collect();
                if !versions.is_empty() {
                    old.insert(owner, versions);
                }
            }
            worker.pace(page.len() as u64).await?;
        }
    }
}
