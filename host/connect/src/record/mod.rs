//! What is kept, typed: one pair of types per kind of record.
//!
//! `Clear` is what a listing needs (ids, app, owner, title, who is connected, state, times) and what survives a
//! disconnect. `Sealed` is everything else, and everything that could be a secret. This is the only module that turns
//! either into bytes. Every write names the revision it is based on; who comes second learns it and reads again.

mod configuration;
mod connection;
mod due;
mod event;
mod flow;
mod flow1;
mod key;
mod outbox;
mod registration;
mod session;
mod subscription;

pub(crate) use configuration::*;
pub(crate) use connection::*;
pub(crate) use due::*;
pub(crate) use event::*;
pub(crate) use flow::*;
pub(crate) use flow1::*;
pub(crate) use key::*;
pub(crate) use outbox::*;
pub(crate) use registration::*;
pub(crate) use session::*;
pub(crate) use subscription::*;

use keyport_vault::{
    Expect, Head, Kind, Owner, Record, RecordId, Rev, Secret, SecretBytes, SecretWrite, VaultError,
    Write,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::Engine;
use crate::error::ConnectError;
use crate::ids;

/// A kind of record.
pub(crate) trait Entity: Sized {
    /// The vault's name of the kind.
    const KIND: Kind;
    /// What its ids start with.
    const PREFIX: &'static str;
    /// What messages call it.
    const WHAT: &'static str;
    /// In the clear.
    type Clear: Serialize + DeserializeOwned + Clone + Send + Sync;
    /// Sealed.
    type Sealed: Serialize + DeserializeOwned + Send + Sync;

    /// What was read, brought to the form that this version of the host and of the apps expects.
    fn brought_up(
        _engine: &Engine,
        stored: Stored<Self>,
    ) -> impl Future<Output = Result<Stored<Self>, ConnectError>> + Send {
        async { Ok(stored) }
    }
}

/// A record as it was read. `sealed` is absent once it was destroyed, and for kinds that have none.
pub(crate) struct Stored<E: Entity> {
    pub(crate) id: RecordId,
    pub(crate) rev: Rev,
    pub(crate) clear: E::Clear,
    pub(crate) sealed: Option<E::Sealed>,
    /// Why the sealed part does not open. A state of this one record; listings and the others go on.
    pub(crate) damaged: bool,
}

impl<E: Entity> Clone for Stored<E>
where
    E::Sealed: Clone,
{
    fn clone(&self) -> Self {
        Stored {
            id: self.id.clone(),
            rev: self.rev,
            clear: self.clear.clone(),
            sealed: self.sealed.clone(),
            damaged: self.damaged,
        }
    }
}

impl<E: Entity> Stored<E> {
    pub(crate) fn owner(&self) -> &Owner {
        &self.id.owner
    }

    pub(crate) fn id(&self) -> &str {
        &self.id.id
    }

    /// The sealed part, where the record must have one.
    pub(crate) fn sealed(&self) -> Result<&E::Sealed, ConnectError> {
        self.sealed.as_ref().ok_or_else(|| {
            if self.damaged {
                ConnectError::internal(
                    "damaged_record",
                    format!("the stored data of this {} cannot be opened; restore it from a backup or make it anew", E::WHAT),
                )
            } else {
                ConnectError::state("no_secret", format!("this {} holds no credentials any more", E::WHAT))
            }
        })
    }
}

/// What becomes of the sealed part in a write.
pub(crate) enum Seal<'a, S> {
    Keep,
    Put(&'a S),
    Destroy,
}

pub(crate) fn record_id<E: Entity>(owner: &Owner, id: &str) -> RecordId {
    RecordId {
        kind: E::KIND,
        owner: owner.clone(),
        id: id.to_owned(),
    }
}

/// One write of a commit.
pub(crate) fn put<E: Entity>(
    id: &RecordId,
    expect: Expect,
    clear: &E::Clear,
    seal: Seal<'_, E::Sealed>,
) -> Result<Write, ConnectError> {
    let clear = serde_json::to_value(clear).map_err(|_| unwritable(E::WHAT))?;
    let secret = match seal {
        Seal::Keep => SecretWrite::Keep,
        Seal::Destroy => SecretWrite::Destroy,
        Seal::Put(sealed) => SecretWrite::Put(SecretBytes::new(
            serde_json::to_vec(sealed).map_err(|_| unwritable(E::WHAT))?,
        )),
    };
    Ok(Write::Put {
        id: id.clone(),
        expect,
        clear,
        secret,
    })
}

/// The removal of a record, in a commit.
pub(crate) fn delete(id: &RecordId, expect: Expect) -> Write {
    Write::Delete {
        id: id.clone(),
        expect,
    }
}

fn unwritable(what: &str) -> ConnectError {
    ConnectError::internal("unwritable", format!("this {what} cannot be written down"))
}

fn read_clear<E: Entity>(clear: serde_json::Value) -> Result<E::Clear, ConnectError> {
    serde_json::from_value(clear).map_err(|_| {
        ConnectError::internal(
            "damaged_record",
            format!("the stored data of a {} cannot be read", E::WHAT),
        )
    })
}

fn read<E: Entity>(record: Record) -> Result<Stored<E>, ConnectError> {
    let clear = read_clear::<E>(record.clear)?;
    let (sealed, damaged) = match record.secret {
        Secret::None => (None, false),
        Secret::Damaged(_) => (None, true),
        Secret::Open(bytes) => match serde_json::from_slice(bytes.expose()) {
            Ok(sealed) => (Some(sealed), false),
            Err(_) => (None, true),
        },
    };
    Ok(Stored {
        id: record.id,
        rev: record.rev,
        clear,
        sealed,
        damaged,
    })
}

/// A head of a listing, typed. Never decrypts.
pub(crate) fn read_head<E: Entity>(head: Head) -> Result<Stored<E>, ConnectError> {
    Ok(Stored {
        clear: read_clear::<E>(head.clear)?,
        id: head.id,
        rev: head.rev,
        sealed: None,
        damaged: head.damaged,
    })
}

/// [`read_head`] for lists, which live on: a row that can't be read is told to the operator and passed over.
pub(crate) fn read_listed<E: Entity>(head: Head) -> Option<Stored<E>> {
    let id = head.id.id.clone();
    match read_head(head) {
        Ok(stored) => Some(stored),
        Err(error) => {
            tracing::error!(
                what = E::WHAT,
                id,
                code = error.code(),
                "a record of the store can't be read; restore it from a backup"
            );
            None
        }
    }
}

impl Engine {
    /// The record with this id, whoever owns it. Callers check the owner.
    pub(crate) async fn load<E: Entity>(&self, id: &str) -> Result<Stored<E>, ConnectError> {
        let stored = self.load_as_it_is(id).await?;
        E::brought_up(self, stored).await
    }

    /// [`Engine::load`], as it was written.
    pub(crate) async fn load_as_it_is<E: Entity>(
        &self,
        id: &str,
    ) -> Result<Stored<E>, ConnectError> {
        if !ids::is_id(E::PREFIX, id) {
            return Err(ConnectError::not_found(E::WHAT));
        }
        let at = self
            .inner
            .vault
            .find(E::KIND, id)
            .await?
            .ok_or(ConnectError::not_found(E::WHAT))?;
        let record = self
            .inner
            .vault
            .get(&at)
            .await?
            .ok_or(ConnectError::not_found(E::WHAT))?;
        read::<E>(record)
    }

    /// Every record of a kind, of one owner or of all, without its sealed part. For kinds that stay few, and for sweeps.
    pub(crate) async fn heads<E: Entity>(
        &self,
        owner: Option<&Owner>,
    ) -> Result<Vec<Stored<E>>, ConnectError> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self
                .inner
                .vault
                .list(E::KIND, owner, after.as_deref(), 200)
                .await?;
            for head in page.heads {
                found.extend(read_listed::<E>(head));
            }
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// Commits; somebody else's change in between is [`ConnectError::Stale`].
    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<Rev, ConnectError> {
        let writes = crate::event_index::with_rows(writes)?;
        Ok(self.inner.vault.commit(writes).await?)
    }
}

impl From<VaultError> for ConnectError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Conflict { .. } => ConnectError::Stale,
            other => {
                tracing::error!(error = %other, "the store did not do it");
                ConnectError::Unavailable {
                    code: "store_unavailable",
                    say: "the store does not answer or takes no writes; try again in a moment (the host's logs and /readyz say why)".into(),
                }
            }
        }
    }
}
