//! Every row opened, and what does not open told: kind, owner, id; never a secret.
//!
//! What can be seen without anything else: rows that were altered, moved, cut or belong to another key; an index that leads
//! nowhere or elsewhere; keys that do not unwrap. What cannot: a *whole* older row put back, with everything that belongs to
//! it. For that the caller brings what is remembered elsewhere, a backup kept off the machine (`generations`): a record whose
//! generation or revision is lower now than it was then was put back.

use std::collections::BTreeMap;

use serde::Serialize;

use super::work::Worker;
use super::{Vault, index_owner};
use crate::envelope::{self, Place};
use crate::error::VaultError;
use crate::ids::Owner;
use crate::keyring::State;
use crate::keys;
use crate::owner_keys::Found;
use crate::store::{Key, Rec};

/// The most findings that are listed; more are counted.
pub const FINDINGS_MAX: usize = 10_000;

/// One row that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The kind of record, or `owner_keys`, `index`, `keyring`.
    pub kind: String,
    /// Whose, where that can be told.
    pub owner: Option<String>,
    /// Its id, where it has one.
    pub id: Option<String>,
    /// What is wrong, in words.
    pub what: &'static str,
}

/// What verifying found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Records read.
    pub records: u64,
    /// Secrets that were opened.
    pub opened: u64,
    /// Secrets that are shut because their owner's keys were destroyed on request.
    pub destroyed: u64,
    /// Owners' keys that were unwrapped.
    pub owner_keys: u64,
    /// How many rows are not as they should be.
    pub damaged: u64,
    /// The first of them, at most 10,000.
    pub findings: Vec<Finding>,
}

impl VerifyReport {
    pub(crate) fn find(
        &mut self,
        kind: &str,
        owner: Option<&Owner>,
        id: Option<&str>,
        what: &'static str,
    ) {
        self.damaged += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding {
                kind: kind.to_owned(),
                owner: owner.map(ToString::to_string),
                id: id.map(ToOwned::to_owned),
                what,
            });
        }
    }
}

/// What was true of rows at an earlier time, kept where whoever can write the store cannot: revision and generation.
pub type Remembered = BTreeMap<Vec<u8>, (u64, u64)>;

impl Vault {
    /// Opens everything. With `remembered`, also tells records that were put back to an older state.
    ///
    /// # Errors
    /// The store's; damage is a finding, not an error.
    pub async fn verify(
        &self,
        rate: Option<u32>,
        remembered: Option<&Remembered>,
    ) -> Result<VerifyReport, VaultError> {
        let mut worker = self.begin("verify", rate).await?;
        let done = self.verify_in(&mut worker, remembered).await;
        worker.end(done).await
    }

    async fn verify_in(
        &self,
        worker: &mut Worker<'_>,
        remembered: Option<&Remembered>,
    ) -> Result<VerifyReport, VaultError> {
        let mut report = VerifyReport::default();
        for (stage, prefix) in [
            ("keys", keys::OWNERS),
            ("index", keys::INDEX),
            ("records", keys::RECORDS),
        ] {
            let total = worker.count(prefix).await?;
            worker.stage(stage, total);
            let mut after = None;
            loop {
                let page = worker.page(prefix, after.as_ref()).await?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                for (key, rec) in &page {
                    match prefix {
                        keys::OWNERS => self.verify_owner(key, rec, &mut report).await?,
                        keys::INDEX => self.verify_index(key, rec, &mut report).await?,
                        _ => {
                            self.verify_record(key, rec, remembered, &mut report)
                                .await?
                        }
                    }
                }
                worker.pace(page.len() as u64).await?;
            }
        }
        self.verify_keyring(&mut report).await?;
        Ok(report)
    }

    async fn verify_owner(
        &self,
        key: &Key,
        rec: &Rec,
        report: &mut VerifyReport,
    ) -> Result<(), VaultError> {
        let Some(owner) = keys::parse_owner(key) else {
            report.find("owner_keys", None, None, "the row has no owner");
            return Ok(());
        };
        let read = match self.read_owner_keys(&owner, rec) {
            Ok(read)
                if read
                    .facts()
                    .all(|facts| facts.opens || facts.state == State::Destroyed) =>
            {
                Ok(read)
            }
            // Perhaps only this host does not know a term yet.
            _ => self.load_owner_keys(&owner).await,
        };
        let owner_keys = match read {
            Ok(owner_keys) => owner_keys,
            Err(VaultError::OwnerKeysDamaged) => {
                report.find(
                    "owner_keys",
                    Some(&owner),
                    None,
                    "the row was altered or cannot be read; restore it from a backup, or destroy the owner's keys",
                );
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for facts in owner_keys.facts() {
            if facts.opens {
                report.owner_keys += 1;
            } else if facts.state != State::Destroyed {
                report.find(
                    "owner_keys",
                    Some(&owner),
                    Some(&facts.version.to_string()),
                    "a key does not unwrap",
                );
            }
        }
        Ok(())
    }

    async fn verify_index(
        &self,
        key: &Key,
        rec: &Rec,
        report: &mut VerifyReport,
    ) -> Result<(), VaultError> {
        let Some((kind, id)) = keys::parse_index(key) else {
            report.find("index", None, None, "the row has no id");
            return Ok(());
        };
        let Some(owner) = index_owner(&rec.value) else {
            report.find(kind, None, Some(&id), "the index names no owner");
            return Ok(());
        };
        let at = keys::record_named(kind, &owner, &id);
        // Read together: a record that goes away takes its index with it.
        let both = self.inner.store.get_many(&[key.clone(), at]).await?;
        let mut both = both.into_iter();
        let (index, record) = (both.next().flatten(), both.next().flatten());
        if index.is_some_and(|index| index.rev == rec.rev) && record.is_none() {
            report.find(
                kind,
                Some(&owner),
                Some(&id),
                "the index leads to a record that is missing",
            );
        }
        Ok(())
    }

    async fn verify_record(
        &self,
        key: &Key,
        rec: &Rec,
        remembered: Option<&Remembered>,
        report: &mut VerifyReport,
    ) -> Result<(), VaultError> {
        let Some((kind, owner, id)) = keys::parse_record(key) else {
            report.find("record", None, None, "the row's name cannot be read");
            return Ok(());
        };
        report.records += 1;
        let mut find = |what| report.find(kind, Some(&owner), Some(&id), what);
        let row = self.inner.row(key, rec);
        if row.damaged {
            find("the row was altered or cannot be read");
            return Ok(());
        }
        if let Some((rev, generation)) =
            remembered.and_then(|remembered| remembered.get(key.as_bytes()))
            && (row.generation < *generation || self.inner.over_floor(rec.rev).0 < *rev)
        {
            find("an older state of the record was put back");
        }
        let index = self.inner.rec(&keys::index_named(kind, &id)).await?;
        if index.and_then(|index| index_owner(&index.value)).as_ref() != Some(&owner)
            && self
                .inner
                .rec(key)
                .await?
                .is_some_and(|now| now.rev == rec.rev)
        {
            find("the index does not lead to the record");
        }
        let Some(sealed) = row.sealed else {
            return Ok(());
        };
        let opened = self
            .open_sealed(key, kind, &owner, row.generation, &sealed)
            .await?;
        match opened {
            Some(true) => report.opened += 1,
            None => report.destroyed += 1,
            Some(false) => {
                // It may have been written anew, under a key that is gone by now, since the page was read.
                let now = self.inner.rec(key).await?;
                if now.is_some_and(|now| now.rev == rec.rev) {
                    find("the secret does not open");
                }
            }
        }
        Ok(())
    }

    /// `None`: its key was destroyed.
    async fn open_sealed(
        &self,
        key: &Key,
        kind: &str,
        owner: &Owner,
        generation: u64,
        sealed: &[u8],
    ) -> Result<Option<bool>, VaultError> {
        let Ok((version, _)) = envelope::peek(sealed) else {
            return Ok(Some(false));
        };
        let mut fresh = false;
        loop {
            let owner_keys = match self.owner_keys(owner, fresh).await {
                Err(VaultError::OwnerKeysDamaged) => return Ok(Some(false)),
                other => other?,
            };
            return Ok(match owner_keys.find(version) {
                Found::Key(seal_key) => {
                    let place = Place {
                        owner: owner.as_str(),
                        store_key: key.as_bytes(),
                        record_type: kind,
                        generation,
                    };
                    Some(envelope::open(seal_key, place, sealed).is_ok())
                }
                Found::Destroyed => None,
                Found::None if !fresh => {
                    fresh = true;
                    continue;
                }
                Found::None => Some(false),
            });
        }
    }

    async fn verify_keyring(&self, report: &mut VerifyReport) -> Result<(), VaultError> {
        let rows = self
            .inner
            .store
            .get_many(&[keys::keyring(), keys::check(), keys::terms()])
            .await?;
        let mut rows = rows.into_iter();
        let mut row = || rows.next().flatten();
        let (keyring, check, terms) = (row(), row(), row());
        if keyring.is_none_or(|row| envelope::peek(&row.value).is_err()) {
            report.find(
                "keyring",
                None,
                None,
                "the keyring's row is missing or altered",
            );
        }
        if check.is_none_or(|row| envelope::peek(&row.value).is_err()) {
            report.find(
                "keyring",
                None,
                None,
                "the root key's check value is missing or altered",
            );
        }
        let known = self.inner.keyring();
        if terms.is_some_and(|row| known.read_told(&row.value).is_none()) {
            report.find(
                "keyring",
                None,
                None,
                "the row that tells other hosts of terms was altered",
            );
        }
        Ok(())
    }
}
