//! Long work over all rows: one at a time over all hosts, at a stated pace, with progress that can be asked for.
//!
//! A lease keeps two hosts from doing the same twice; nothing rests on it, because every step is a commit with conditions that
//! may be repeated. Between steps the worker waits such that it stays below its rate; readers and writers never wait for it.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::Vault;
use crate::error::VaultError;
use crate::store::{Key, Lease, LeaseName, LeaseTry, Rec};

/// Rows read at once.
const PAGE: u32 = 256;
const LEASE: &str = "vault/work";

/// What a vault is doing, or did last.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Activity {
    /// The work: `rotate terms`, `verify`, …
    pub work: &'static str,
    /// Where in it: `adding`, `waiting`, `sealing`, …
    pub stage: &'static str,
    /// Rows done in this stage.
    pub done: u64,
    /// Rows there are in this stage, as counted at its begin.
    pub total: u64,
    /// When it began, in milliseconds of Unix time.
    pub started_ms: u64,
    /// Whether it has ended.
    pub ended: bool,
    /// How it ended, when that was an error.
    pub error: Option<String>,
}

/// The right to work, and the pace.
pub(crate) struct Worker<'a> {
    pub(crate) vault: &'a Vault,
    lease: Option<Lease>,
    renewed: Instant,
    began: Instant,
    steps: u64,
    /// Steps per second; `None`: as fast as it goes.
    rate: Option<u32>,
}

impl Vault {
    /// What is being done, or was done last in this process.
    #[must_use]
    pub fn activity(&self) -> Option<Activity> {
        self.inner
            .activity
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_activity(&self, change: impl FnOnce(&mut Activity)) {
        let mut activity = self
            .inner
            .activity
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(activity) = activity.as_mut() {
            change(activity);
        }
    }

    /// Begins work, unless some is under way here or elsewhere.
    pub(crate) async fn begin(
        &self,
        work: &'static str,
        rate: Option<u32>,
    ) -> Result<Worker<'_>, VaultError> {
        {
            let mut activity = self
                .inner
                .activity
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(under_way) = activity.as_ref().filter(|activity| !activity.ended) {
                return Err(VaultError::Working(under_way.work));
            }
            *activity = Some(Activity {
                work,
                stage: "beginning",
                done: 0,
                total: 0,
                started_ms: self.inner.now_ms(),
                ended: false,
                error: None,
            });
        }
        let mut worker = Worker {
            vault: self,
            lease: None,
            renewed: Instant::now(),
            began: Instant::now(),
            steps: 0,
            rate: rate.filter(|rate| *rate > 0),
        };
        let ttl = self.inner.options.work_lease;
        let name = LeaseName(LEASE.to_owned());
        let asked = self
            .inner
            .store
            .lease_try(&name, &self.inner.node, ttl)
            .await;
        let error = match asked {
            Ok(LeaseTry::Got(lease)) => {
                worker.lease = Some(lease);
                return Ok(worker);
            }
            Ok(LeaseTry::Held { .. }) => VaultError::WorkElsewhere,
            Err(error) => error.into(),
        };
        worker.end(Err(error)).await
    }
}

impl Worker<'_> {
    /// Ends the work and passes its outcome on.
    pub(crate) async fn end<T>(mut self, outcome: Result<T, VaultError>) -> Result<T, VaultError> {
        if let Some(lease) = self.lease.take()
            && let Err(error) = self.vault.inner.store.lease_release(lease).await
        {
            tracing::debug!(%error, "the lease for work on the keys runs out by itself");
        }
        self.vault.set_activity(|activity| {
            activity.ended = true;
            activity.error = outcome.as_ref().err().map(ToString::to_string);
        });
        outcome
    }

    /// Goes on to the next part of the work.
    pub(crate) fn stage(&self, stage: &'static str, total: u64) {
        self.vault.set_activity(|activity| {
            activity.stage = stage;
            activity.done = 0;
            activity.total = total;
        });
    }

    /// Counts steps, keeps the lease, and waits as the rate says.
    pub(crate) async fn pace(&mut self, steps: u64) -> Result<(), VaultError> {
        self.vault
            .set_activity(|activity| activity.done = activity.done.saturating_add(steps));
        self.steps = self.steps.saturating_add(steps);
        if let Some(rate) = self.rate {
            let due = Duration::from_secs_f64(self.steps as f64 / f64::from(rate));
            let pause = due.saturating_sub(self.began.elapsed());
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        self.keep().await
    }

    /// Waits, keeping the lease.
    pub(crate) async fn wait(&mut self, mut time: Duration) -> Result<(), VaultError> {
        let step = self.vault.inner.options.work_lease / 4;
        while !time.is_zero() {
            let now = time.min(step);
            tokio::time::sleep(now).await;
            time = time.saturating_sub(now);
            self.keep().await?;
        }
        Ok(())
    }

    async fn keep(&mut self) -> Result<(), VaultError> {
        let ttl = self.vault.inner.options.work_lease;
        if self.renewed.elapsed() < ttl / 4 {
            return Ok(());
        }
        if let Some(lease) = &self.lease
            && !self.vault.inner.store.lease_renew(lease, ttl).await?
        {
            return Err(VaultError::WorkElsewhere);
        }
        self.renewed = Instant::now();
        Ok(())
    }

    /// The next rows of a prefix; empty at the end.
    pub(crate) async fn page(
        &self,
        prefix: &str,
        after: Option<&Key>,
    ) -> Result<Vec<(Key, Rec)>, VaultError> {
        Ok(self
            .vault
            .inner
            .store
            .scan(prefix.as_bytes(), after, PAGE)
            .await?)
    }

    /// How many rows a prefix has.
    pub(crate) async fn count(&mut self, prefix: &str) -> Result<u64, VaultError> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.page(prefix, after.as_ref()).await?;
            count += page.len() as u64;
            let Some((last, _)) = page.into_iter().next_back() else {
                return Ok(count);
            };
            after = Some(last);
            self.keep().await?;
        }
    }
}
