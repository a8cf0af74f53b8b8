//! New keys for each level, and the end of old ones; while everything is served.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | beginning, resuming: the row `s/job` says what is under way |
//! | `terms.rs` | a new term of the keyring; owners' keys are wrapped anew |
//! | `owners.rs` | a new key for every owner; their records are sealed anew |
//! | `root.rs` | another root key: both open while it is changed |
//! | `retire.rs` | old keys go once a full count finds no use of them |
//!
//! Every step is a commit on conditions, and finding it done already is no error: a rotation that is killed anywhere goes on
//! from its last mark when it is called again, and repeats at most some steps.

mod owners;
mod retire;
mod root;
mod terms;

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::retire::Retired;
use super::commit::Settled;
use super::work::Worker;
use super::{RootSource, Vault};
use crate::error::VaultError;
use crate::keys;
use crate::root_key::RootKey;
use crate::store::{Commit, CommitId, Key, Op};

/// Rows between two marks: what is repeated after a crash at most.
const MARK: u64 = 1024;

/// What can be rotated apart from the root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The keyring's active term. Owners' keys are wrapped anew: one small row per owner.
    Terms,
    /// Every owner's key. Every secret is sealed anew.
    Owners,
}

impl Level {
    /// As in `keyport vault rotate …`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terms => "terms",
            Self::Owners => "owners",
        }
    }

    fn work(self) -> &'static str {
        match self {
            Self::Terms => "rotate terms",
            Self::Owners => "rotate owners",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// New keys are made, pending.
    Adding,
    /// Every host gets the time to learn of them, then they become active.
    Activating,
    /// What the old ones sealed is sealed with them.
    Sealing,
}

/// The row `s/job`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Job {
    level: Level,
    /// The vault's revision before it began: keys that are younger are its own, or as good.
    started_rev: u64,
    stage: Stage,
    /// The last row that is done in this stage.
    cursor: Option<Vec<u8>>,
}

impl Vault {
    /// Rotates a level, or goes on with a rotation of it that was interrupted. Returns when all of it is done; `rate` is the
    /// most rows per second. Progress is in [`Vault::activity`].
    ///
    /// # Errors
    /// [`VaultError::RotationUnfinished`] when one of another level has to end first, [`VaultError::Working`],
    /// [`VaultError::WorkElsewhere`], [`VaultError::RootChangeUnderWay`], and the store's.
    pub async fn rotate(&self, level: Level, rate: Option<u32>) -> Result<(), VaultError> {
        let worker = self.begin(level.work(), rate).await?;
        self.rotate_in(level, worker).await
    }

    /// Which rotation was begun and has not ended.
    ///
    /// # Errors
    /// The store's.
    pub async fn unfinished(&self) -> Result<Option<Level>, VaultError> {
        Ok(self.job().await?.map(|job| job.level))
    }

    async fn rotate_in(&self, level: Level, mut worker: Worker<'_>) -> Result<(), VaultError> {
        let done = async {
            let job = match self.job().await? {
                Some(job) if job.level == level => job,
                Some(job) => return Err(VaultError::RotationUnfinished(job.level.as_str())),
                None => Job {
                    level,
                    started_rev: self.revision().await?.0,
                    stage: Stage::Adding,
                    cursor: None,
                },
            };
            match level {
                Level::Terms => self.rotate_terms(job, &mut worker).await?,
                Level::Owners => self.rotate_owners(job, &mut worker).await?,
            }
            self.put_job(None).await
        }
        .await;
        worker.end(done).await
    }

    async fn job(&self) -> Result<Option<Job>, VaultError> {
        let Some(rec) = self.inner.store.get(&keys::job()).await? else {
            return Ok(None);
        };
        let job = serde_json::from_slice(&rec.value).ok();
        if job.is_none() {
            tracing::warn!("the mark of an unfinished rotation cannot be read; it begins anew");
        }
        Ok(job)
    }

    async fn put_job(&self, job: Option<&Job>) -> Result<(), VaultError> {
        let op = match job {
            Some(job) => Op::Put(keys::job(), job.row()?),
            None => Op::Del(keys::job()),
        };
        let commit = Commit {
            id: CommitId::random()?,
            pre: vec![],
            ops: vec![op],
        };
        match self.settle(commit).await? {
            Settled::Done(_) => Ok(()),
            Settled::Again => Err(VaultError::Busy),
        }
    }

    /// How long every host needs at most to learn of a new key: twice the time that one keeps keys in memory.
    fn spread(&self) -> Duration {
        if self.inner.store.shared() {
            self.inner.options.key_cache * 2
        } else {
            Duration::ZERO
        }
    }

    /// The root key, from where it can be had.
    async fn ask_root(&self) -> Result<RootKey, VaultError> {
        let source: RootSource = self
            .inner
            .options
            .root
            .clone()
            .ok_or(VaultError::NoRootSource)?;
        tokio::task::spawn_blocking(move || source())
            .await
            .map_err(|_| VaultError::RootKey("asking for it ended without an answer".into()))?
            .map_err(|error| VaultError::RootKey(error.to_string()))
    }
}

impl Job {
    fn row(&self) -> Result<Bytes, VaultError> {
        serde_json::to_vec(self)
            .map(Bytes::from)
            .map_err(|_| VaultError::Sealing)
    }

    fn after(&self) -> Option<Key> {
        self.cursor.as_deref().map(Key::from)
    }

    /// Goes on to a stage, durably.
    async fn enter(&mut self, vault: &Vault, stage: Stage) -> Result<(), VaultError> {
        self.stage = stage;
        self.cursor = None;
        vault.put_job(Some(self)).await
    }
}

/// What is done with each row of a stage.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Owners' keys are wrapped under the active term.
    Rewrap,
    /// An owner gets a new key, unless they got one since this revision.
    AddKey(u64),
    /// An owner's pending key becomes active.
    Activate,
    /// A record's secret is sealed with its owner's active key.
    Reseal,
}

impl Step {
    fn prefix(self) -> &'static str {
        match self {
            Self::Rewrap | Self::AddKey(_) | Self::Activate => keys::OWNERS,
            Self::Reseal => keys::RECORDS,
        }
    }

    fn stage(self) -> &'static str {
        match self {
            Self::Rewrap => "wrapping",
            Self::AddKey(_) => "adding",
            Self::Activate => "activating",
            Self::Reseal => "sealing",
        }
    }
}

impl Vault {
    async fn step(&self, step: Step, key: &Key, rec: crate::store::Rec) -> Result<(), VaultError> {
        match step {
            Step::Rewrap => self.rewrap(key, rec).await,
            Step::AddKey(started_rev) => self.add_owner_key(key, started_rev).await,
            Step::Activate => self.activate_owner_key(key).await,
            Step::Reseal => self.reseal(key, rec).await,
        }
    }

    /// Goes through all rows of a stage from the job's mark on, several at once, and leaves marks.
    async fn through(
        &self,
        job: &mut Job,
        worker: &mut Worker<'_>,
        step: Step,
    ) -> Result<(), VaultError> {
        let total = worker.count(step.prefix()).await?;
        worker.stage(step.stage(), total);
        let mut unmarked = 0;
        loop {
            let page = worker.page(step.prefix(), job.after().as_ref()).await?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            let last = last.as_bytes().to_vec();
            // Together, so that their commits share the store's syncs.
            for some in page.chunks(32) {
                let steps = some
                    .iter()
                    .map(|(key, rec)| self.step(step, key, rec.clone()));
                futures_util::future::try_join_all(steps).await?;
                worker.pace(some.len() as u64).await?;
                unmarked += some.len() as u64;
            }
            job.cursor = Some(last);
            if unmarked >= MARK {
                unmarked = 0;
                self.put_job(Some(job)).await?;
            }
        }
    }
}
