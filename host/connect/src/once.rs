//! What is asked for twice under one key is done once (`Idempotency-Key`).
//!
//! The record says which request a key stands for, whether it is running, and what was answered; it is in the store, so that it
//! holds over hosts and restarts. Keys belong to the platform key that sent them. Answers are sealed: they may hold one-time
//! links and people's data; and they go after a day. They are the host's own records, so destroying an owner's key does not reach them
//! before that day is over.
//!
//! A host that stops while a request runs leaves behind that it ran, and nobody knows whether it was done. Then the key stays used
//! and that is said: doing it again could do it twice.

use std::time::Duration;

use keyport_vault::{Expect, Kind, Owner, Rev};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::Engine;
use crate::error::ConnectError;
use crate::ids;
use crate::record::{self, Entity, Seal, Stored};
use crate::timetable::Timetable;

/// A day covers any sensible retry.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// A request that runs longer than this was cut off: far above the limit of any call.
const RUNNING: Duration = Duration::from_secs(5 * 60);
/// When records end.
const ENDS: Timetable = Timetable(Kind::new("once_end"));
/// How many ended records are removed in one go.
const PAGE: usize = 100;

pub(crate) struct Once;

impl Entity for Once {
    const KIND: Kind = Kind::new("once");
    const PREFIX: &'static str = "onc_";
    const WHAT: &'static str = "idempotency record";
    type Clear = OnceClear;
    type Sealed = OnceSealed;
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OnceClear {
    /// Over the address and the body, keyed: see [`Engine::once_begin`].
    fingerprint: String,
    answered: bool,
    since: i64,
    ends: i64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct OnceSealed {
    answer: String,
}

/// A request under way; hand it back with its answer, or to be forgotten.
pub struct Ticket {
    id: String,
    rev: Rev,
    clear: OnceClear,
}

/// What a key stands for.
pub enum Begun {
    /// Nothing yet: run the request.
    Run(Box<Ticket>),
    /// A request that was answered; the answer as it was kept.
    Answered(String),
    /// A request that still runs.
    Running,
    /// A request that was cut off; nobody knows what became of it.
    CutOff,
    /// Another request.
    Different,
}

impl Engine {
    /// What `key` of this platform key stands for. `request` is the address and the body, of which only a digest is kept.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written: then the request must not run.
    pub async fn once_begin(
        &self,
        platform_key: &str,
        key: &str,
        request: &[&[u8]],
    ) -> Result<Begun, ConnectError> {
        let id = ids::id_of_digest(
            Once::PREFIX,
            &digest(&[platform_key.as_bytes(), key.as_bytes()]),
        );
        // Keyed with a secret of this vault's: a body may be guessable, and the digest is kept in the clear.
        let mac_key = self.inner.vault.mac_key("once");
        let mut parts: Vec<&[u8]> = vec![mac_key.as_slice()];
        parts.extend(request);
        let fingerprint = ids::id_of_digest("", &digest(&parts));
        let now = self.now();
        let at = record::record_id::<Once>(&Owner::keyport(), &id);
        for _ in 0..4 {
            let found = match self.load::<Once>(&id).await {
                Ok(found) => Some(found),
                Err(ConnectError::NotFound { .. }) => None,
                Err(other) => return Err(other),
            };
            let expect = match &found {
                None => Expect::Absent,
                Some(old) if now >= old.clear.ends => Expect::At(old.rev),
                Some(known) => return Ok(judged(known, &fingerprint, now)),
            };
            let clear = OnceClear {
                fingerprint: fingerprint.clone(),
                answered: false,
                since: now,
                ends: self.after(LIFETIME),
            };
            let old_end = found.map(|old| old.clear.ends);
            let mut writes = ENDS.shift(old_end, Some(clear.ends), &id);
            writes.push(record::put::<Once>(&at, expect, &clear, Seal::Destroy)?);
            match self.commit(writes).await {
                Ok(rev) => return Ok(Begun::Run(Box::new(Ticket { id, rev, clear }))),
                Err(ConnectError::Stale) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(Begun::Running)
    }

    /// Keeps the answer of a request.
    ///
    /// # Errors
    ///
    /// When the store cannot be written: repetitions are then told that it is not known what became of it.
    pub async fn once_answered(&self, ticket: Ticket, answer: String) -> Result<(), ConnectError> {
        let clear = OnceClear {
            answered: true,
            ..ticket.clear
        };
        let at = record::record_id::<Once>(&Owner::keyport(), &ticket.id);
        let sealed = OnceSealed { answer };
        let write = record::put::<Once>(&at, Expect::At(ticket.rev), &clear, Seal::Put(&sealed))?;
        self.commit(vec![write]).await.map(drop)
    }

    /// Lets a repetition run again: what was asked for was not done.
    ///
    /// # Errors
    ///
    /// As [`Engine::once_answered`].
    pub async fn once_forget(&self, ticket: Ticket) -> Result<(), ConnectError> {
        let at = record::record_id::<Once>(&Owner::keyport(), &ticket.id);
        let writes = vec![
            record::delete(&at, Expect::At(ticket.rev)),
            ENDS.strike(ticket.clear.ends, &ticket.id),
        ];
        self.commit(writes).await.map(drop)
    }

    /// Removes records whose day is over; how many.
    pub(crate) async fn sweep_once(&self) -> Result<usize, ConnectError> {
        let mut removed = 0;
        loop {
            let rows = self.due_in(&ENDS, PAGE).await?;
            for (at, id) in &rows {
                let mut writes = vec![ENDS.strike(*at, id)];
                match self.load::<Once>(id).await {
                    Ok(stored) if stored.clear.ends <= self.now() => {
                        writes.push(record::delete(&stored.id, Expect::At(stored.rev)));
                    }
                    Ok(_) | Err(ConnectError::NotFound { .. }) => {}
                    Err(other) => return Err(other),
                }
                match self.commit(writes).await {
                    Ok(_) => removed += 1,
                    // Somebody used the key again in this moment.
                    Err(ConnectError::Stale) => {}
                    Err(other) => return Err(other),
                }
            }
            if rows.len() < PAGE {
                return Ok(removed);
            }
        }
    }
}

fn judged(known: &Stored<Once>, fingerprint: &str, now: i64) -> Begun {
    if known.clear.fingerprint != fingerprint {
        return Begun::Different;
    }
    match &known.sealed {
        Some(sealed) if known.clear.answered => Begun::Answered(sealed.answer.clone()),
        _ if known.clear.answered => Begun::CutOff,
        _ => {
            let limit = i64::try_from(RUNNING.as_millis()).unwrap_or(i64::MAX);
            if now.saturating_sub(known.clear.since) < limit {
                Begun::Running
            } else {
                Begun::CutOff
            }
        }
    }
}

/// SHA-256 over the parts, each with its length before it.
fn digest(parts: &[&[u8]]) -> Vec<u8> {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        sha.update(part);
    }
    sha.finalize().to_vec()
}
