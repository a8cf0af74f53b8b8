//! What operators do to the vault while it serves: rotate and retire keys, verify, back up. Each is audited.
//!
//! Long work runs in a task of its own; whoever asked looks at [`Engine::upkeep`] for how far it is, and may go away. A rotation that
//! a crash interrupted goes on by itself ([`Engine::resume_upkeep`], called with housekeeping).

use std::sync::{Mutex, PoisonError};

use keyport_vault::backup::{Backup, BackupMade};
use keyport_vault::{Activity, Inventory, Level, Owner, Remembered, RootKey, Vault, VaultError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::AsyncWrite;
use utoipa::ToSchema;

use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::view::KeyScope;

/// What can be rotated and retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rotate {
    /// The keyring's term: one small row per owner is written.
    Terms,
    /// Every owner's key: every secret is sealed anew.
    Owners,
    /// The root key. Retiring ends its change.
    Root,
}

/// How the vault's keys are, and what is being done.
#[derive(Debug, Clone, Serialize)]
pub struct UpkeepStatus {
    /// Which keys there are.
    pub keys: Inventory,
    /// What is being done, or was done last on this host.
    pub work: Option<Activity>,
    /// What the last work that has ended found.
    pub report: Option<Value>,
    /// The vault's revision.
    pub revision: u64,
    /// When this data came out of a backup, in milliseconds of Unix time.
    pub restored_at_ms: Option<u64>,
    /// Set when the store was older at the start than this host had seen it: what was found, in words.
    pub older: Option<String>,
}

/// What an engine remembers of it.
#[derive(Default)]
pub(crate) struct Upkeep {
    report: Mutex<Option<Value>>,
    older: Mutex<Option<String>>,
}

impl Engine {
    /// How the vault's keys are. With `owners`, all owners' keys are counted, which takes a moment.
    ///
    /// # Errors
    ///
    /// When the actor may not, or the store cannot be read.
    pub async fn upkeep(&self, actor: &Actor, owners: bool) -> Result<UpkeepStatus, ConnectError> {
        actor.require(KeyScope::Manage)?;
        let vault = &self.inner.vault;
        let report = self.report().clone();
        Ok(UpkeepStatus {
            keys: vault.inventory(owners).await.map_err(told)?,
            work: vault.activity(),
            report,
            revision: vault.revision().await.map_err(told)?.0,
            restored_at_ms: vault.restored_at_ms(),
            older: self.older(),
        })
    }

    /// What was found wrong at the start about how far the store is.
    #[must_use]
    pub fn older(&self) -> Option<String> {
        let older = self.inner.upkeep.older.lock();
        older.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_older(&self, what: &str) {
        let older = self.inner.upkeep.older.lock();
        *older.unwrap_or_else(PoisonError::into_inner) = Some(what.to_owned());
    }

    /// Begins to rotate; returns when it has begun.
    ///
    /// # Errors
    ///
    /// When the actor may not, or something else is under way.
    pub async fn rotate(
        &self,
        actor: &Actor,
        level: Level,
        rate: Option<u32>,
    ) -> Result<(), ConnectError> {
        actor.require(KeyScope::Manage)?;
        self.idle()?;
        self.tell_upkeep(actor, "vault.rotating", level.as_str())
            .await?;
        let engine = self.clone();
        self.work(async move {
            engine.inner.vault.rotate(level, rate).await?;
            engine.told_after("vault.rotated", level.as_str()).await;
            Ok(Value::Bool(true))
        });
        Ok(())
    }

    /// Begins to destroy old keys that nothing needs any more. For the root key: ends its change, and returns when that is done.
    ///
    /// # Errors
    ///
    /// When the actor may not, something else is under way, or the root key cannot be retired yet.
    pub async fn retire(&self, actor: &Actor, what: Rotate) -> Result<(), ConnectError> {
        actor.require(KeyScope::Manage)?;
        self.idle()?;
        let level = match what {
            Rotate::Terms => Level::Terms,
            Rotate::Owners => Level::Owners,
            Rotate::Root => {
                let done = self.inner.vault.retire_root().await;
                *self.report() = None;
                done.map_err(told)?;
                return self.tell_upkeep(actor, "vault.retired", "root").await;
            }
        };
        self.tell_upkeep(actor, "vault.retiring", level.as_str())
            .await?;
        let engine = self.clone();
        self.work(async move {
            let retired = engine.inner.vault.retire(level).await?;
            engine.told_after("vault.retired", level.as_str()).await;
            Ok(serde_json::to_value(retired).unwrap_or_default())
        });
        Ok(())
    }

    /// Makes `new` a root key beside the present one. Only for the operator at the machine: a root key never comes over the network.
    ///
    /// # Errors
    ///
    /// When the actor may not, the configured key is not the present one, or it cannot be had.
    pub async fn change_root(&self, actor: &Actor, new: &RootKey) -> Result<(), ConnectError> {
        at_the_machine(actor)?;
        self.inner.vault.change_root(new).await.map_err(told)?;
        *self.report() = None;
        self.tell_upkeep(actor, "vault.rotated", "root").await
    }

    /// Begins to open every record. With `against`, a backup kept off the machine, also tells what was put back to an older state.
    ///
    /// # Errors
    ///
    /// When the actor may not, something else is under way, or the backup cannot be used.
    pub async fn verify_vault(
        &self,
        actor: &Actor,
        rate: Option<u32>,
        against: Option<Remembered>,
    ) -> Result<(), ConnectError> {
        actor.require(KeyScope::Manage)?;
        self.idle()?;
        let engine = self.clone();
        self.work(async move {
            let report = engine.inner.vault.verify(rate, against.as_ref()).await?;
            Ok(serde_json::to_value(report).unwrap_or_default())
        });
        Ok(())
    }

    /// What a backup file remembers, read with the root key that this host is configured with.
    ///
    /// # Errors
    ///
    /// When the actor may not, or the backup cannot be used.
    pub async fn remembered(
        &self,
        actor: &Actor,
        path: std::path::PathBuf,
        root: RootKey,
    ) -> Result<Remembered, ConnectError> {
        at_the_machine(actor)?;
        tokio::task::spawn_blocking(move || Backup::open(path, &root, &mut |_, _| {})?.remembered())
            .await
            .map_err(|_| ConnectError::internal("backup_unread", "reading the backup ended early"))?
            .map_err(told)
    }

    /// Writes a backup, or with `for_root` an export that opens with that key instead.
    ///
    /// # Errors
    ///
    /// When the actor may not, something else is under way, or writing fails.
    pub async fn backup(
        &self,
        actor: &Actor,
        out: &mut (dyn AsyncWrite + Send + Unpin),
        for_root: Option<&RootKey>,
    ) -> Result<BackupMade, ConnectError> {
        actor.require(KeyScope::Manage)?;
        let what = match for_root {
            Some(_) => {
                at_the_machine(actor)?;
                "vault.exported"
            }
            None => "vault.backed_up",
        };
        // Written down before a byte leaves.
        self.tell_upkeep(actor, what, "all").await?;
        let made = self.inner.vault.backup(out, for_root).await;
        let made = made.map_err(told)?;
        *self.report() = serde_json::to_value(&made).ok();
        Ok(made)
    }

    /// What all rows hash to.
    ///
    /// # Errors
    ///
    /// When the actor may not, or the store cannot be read.
    pub async fn digest(&self, actor: &Actor) -> Result<String, ConnectError> {
        actor.require(KeyScope::Manage)?;
        self.inner.vault.digest().await.map_err(told)
    }

    /// Destroys an owner's keys: their secrets never open again, here or from a later backup.
    ///
    /// # Errors
    ///
    /// When the actor may not, the owner is reserved, or the store cannot be written.
    pub async fn destroy_owner(&self, actor: &Actor, owner: &str) -> Result<(), ConnectError> {
        actor.require(KeyScope::Manage)?;
        let owner =
            Owner::new(owner).map_err(|error| ConnectError::invalid("owner", error.to_string()))?;
        self.inner.vault.destroy_owner(&owner).await.map_err(told)?;
        let note = Note::by(actor, "vault.owner_destroyed").owner(&owner);
        self.commit(vec![self.note(note)?]).await?;
        Ok(())
    }

    /// Goes on with a rotation that was interrupted, if there is one and nobody else does.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn resume_upkeep(&self) -> Result<(), ConnectError> {
        if self.idle().is_err() {
            return Ok(());
        }
        let Some(level) = self.inner.vault.unfinished().await.map_err(told)? else {
            return Ok(());
        };
        let engine = self.clone();
        self.work(async move {
            match engine.inner.vault.rotate(level, None).await {
                // It was only begun a moment ago, by another host.
                Err(VaultError::WorkElsewhere | VaultError::Working(_)) => Ok(Value::Bool(true)),
                Err(error) => Err(error),
                Ok(()) => {
                    engine.told_after("vault.rotated", level.as_str()).await;
                    Ok(Value::Bool(true))
                }
            }
        });
        Ok(())
    }

    /// The vault, for commands that need no rule.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    fn work(&self, work: impl Future<Output = Result<Value, VaultError>> + Send + 'static) {
        let engine = self.clone();
        *self.report() = None;
        tokio::spawn(async move {
            match work.await {
                Ok(report) => *engine.report() = Some(report),
                Err(error) => tracing::error!(%error, "work on the vault ended early"),
            }
        });
    }

    fn idle(&self) -> Result<(), ConnectError> {
        match self.inner.vault.activity() {
            Some(activity) if !activity.ended => Err(told(VaultError::Working(activity.work))),
            _ => Ok(()),
        }
    }

    async fn tell_upkeep(
        &self,
        actor: &Actor,
        kind: &'static str,
        what: &str,
    ) -> Result<(), ConnectError> {
        self.commit(vec![self.note(Note::by(actor, kind).code(what))?])
            .await?;
        Ok(())
    }

    async fn told_after(&self, kind: &'static str, what: &str) {
        if let Err(error) = self.tell_upkeep(&Actor::Host, kind, what).await {
            tracing::warn!(
                code = error.code(),
                "the end of work on the vault was not written down"
            );
        }
    }

    fn report(&self) -> std::sync::MutexGuard<'_, Option<Value>> {
        self.inner
            .upkeep
            .report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn at_the_machine(actor: &Actor) -> Result<(), ConnectError> {
    match actor {
        Actor::Host => Ok(()),
        Actor::Platform(_) | Actor::Session(_) => Err(ConnectError::forbidden(
            "only_at_the_machine",
            "this takes a root key or a file, so it is done at the machine: `keyport vault`",
        )),
    }
}

/// The vault's errors are made for operators: who keeps keys gets to read them.
fn told(error: VaultError) -> ConnectError {
    match error {
        VaultError::Store(_) | VaultError::Unknown | VaultError::Busy => error.into(),
        other => ConnectError::state("vault", other.to_string()),
    }
}
