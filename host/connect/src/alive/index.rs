//! The due-index: what is due next is found without looking at every connection.
//!
//! One row for each connection that has something due, named by the time, so that a listing begins with what is due
//! first. It is written in the same commit as the connection, which remembers the time of its row: the two cannot
//! disagree, whatever crashes. Most writes leave it where it is; those that move it (a refresh, a test) pay two small
//! rows more. What a row says is never acted upon: whoever finds it computes anew.
//!
//! Data from before the index existed is entered by [`Engine::fill_due_index`], once.

use keyport_vault::{Expect, Kind, Owner, RecordId, Write};

use crate::engine::Engine;
use crate::error::ConnectError;
use crate::ids;
use crate::record::{
    self, Connection, ConnectionClear, ConnectionSealed, Due, DueClear, Entity as _, Seal, Stored,
};

/// Says that all connections are in the index.
const FILLED: Kind = Kind::new("due_index");

impl Engine {
    /// The writes of a connection: itself, and its row in the due-index where that has to move. What the clear part says
    /// about its token follows the sealed part.
    pub(crate) fn put_connection(
        &self,
        id: &RecordId,
        expect: Expect,
        clear: &mut ConnectionClear,
        seal: Seal<'_, ConnectionSealed>,
    ) -> Result<Vec<Write>, ConnectError> {
        match &seal {
            Seal::Put(sealed) => {
                let session = sealed.session.as_ref().and_then(|life| life.expires_at);
                let token = sealed.token.as_ref().and_then(|token| token.expires_at);
                clear.expires_at = token.or(session);
                clear.token_at = sealed.token.as_ref().map(|token| token.obtained_at);
                clear.idle_until = sealed.token.as_ref().and_then(|token| token.idle_until);
                clear.ends_at = sealed.token.as_ref().and_then(|token| token.ends_at);
                clear.renews = self.renews_with(clear, sealed);
            }
            Seal::Destroy => {
                clear.expires_at = None;
                clear.token_at = None;
                clear.idle_until = None;
                clear.ends_at = None;
                clear.renews = false;
            }
            Seal::Keep => {}
        }
        let next = self.timing(clear).due(&id.id, clear);
        let mut writes = Vec::with_capacity(3);
        if next != clear.due {
            writes.extend(Self::move_due(&id.id, clear, next)?);
        }
        writes.push(record::put::<Connection>(id, expect, clear, seal)?);
        Ok(writes)
    }

    /// The writes that remove a connection and its row.
    pub(crate) fn drop_connection(
        id: &RecordId,
        expect: Expect,
        clear: &ConnectionClear,
    ) -> Vec<Write> {
        let mut writes = vec![record::delete(id, expect)];
        writes.extend(clear.due.map(|at| delete_due(at, &id.id)));
        writes
    }

    /// Puts a connection's row where it belongs after it was looked at. What is still due could not be done: it is looked at
    /// again after `pause`, in milliseconds, not at once.
    pub(super) async fn put_off(&self, id: &str, pause: i64) -> Result<(), ConnectError> {
        for _ in 0..8 {
            let mut stored: Stored<Connection> = match self.load(id).await {
                Ok(stored) => stored,
                Err(ConnectError::NotFound { .. }) => return Ok(()),
                Err(other) => return Err(other),
            };
            let next = self.timing(&stored.clear).due(id, &stored.clear).map(|at| {
                if at <= self.now() {
                    self.now() + pause
                } else {
                    at
                }
            });
            if next == stored.clear.due {
                return Ok(());
            }
            let mut writes = Self::move_due(id, &mut stored.clear, next)?;
            writes.push(record::put::<Connection>(
                &stored.id,
                Expect::At(stored.rev),
                &stored.clear,
                Seal::Keep,
            )?);
            match self.commit(writes).await {
                Ok(_) => return Ok(()),
                Err(ConnectError::Stale) => {}
                Err(other) => return Err(other),
            }
        }
        Err(ConnectError::Stale)
    }

    /// Removes a row whose connection is gone or names another one, and makes sure that the one it names is there.
    pub(super) async fn drop_due(
        &self,
        at: i64,
        id: &str,
        named: Option<i64>,
    ) -> Result<(), ConnectError> {
        let mut writes = vec![delete_due(at, id)];
        if let Some(named) = named {
            writes.push(put_due(named, id)?);
        }
        self.commit(writes).await?;
        Ok(())
    }

    fn move_due(
        id: &str,
        clear: &mut ConnectionClear,
        next: Option<i64>,
    ) -> Result<Vec<Write>, ConnectError> {
        let mut writes: Vec<Write> = clear
            .due
            .filter(|before| Some(*before) != next)
            .map(|before| delete_due(before, id))
            .into_iter()
            .collect();
        if let Some(at) = next {
            writes.push(put_due(at, id)?);
        }
        clear.due = next;
        Ok(writes)
    }

    /// The rows that are due at `now`, earliest first; at most `limit`. (Time of the row, id.)
    pub(super) async fn due_rows(
        &self,
        now: i64,
        limit: usize,
    ) -> Result<Vec<(i64, String)>, ConnectError> {
        let page = self
            .inner
            .vault
            .list(Due::KIND, Some(&Owner::keyport()), None, limit)
            .await?;
        Ok(page
            .heads
            .into_iter()
            .filter_map(|head| {
                let at = ids::time_of(Due::PREFIX, &head.id.id)?;
                let row = record::read_listed::<Due>(head)?;
                Some((at, row.clear.id))
            })
            .take_while(|(at, _)| *at <= now)
            .collect())
    }

    /// Enters connections that were made before there was an index. Does nothing where that was done.
    pub(crate) async fn fill_due_index(&self) -> Result<(), ConnectError> {
        let mark = RecordId {
            kind: FILLED,
            owner: Owner::keyport(),
            id: "filled".to_owned(),
        };
        if self.inner.vault.head(&mark).await?.is_some() {
            return Ok(());
        }
        for head in self.heads::<Connection>(None).await? {
            if head.clear.due.is_some() {
                continue;
            }
            // Opened once, because the clear part of old data does not say whether its token can be renewed.
            let mut stored: Stored<Connection> = self.load(head.id()).await?;
            let writes = match stored.sealed.take() {
                Some(sealed) => self.put_connection(
                    &stored.id,
                    Expect::At(stored.rev),
                    &mut stored.clear,
                    Seal::Put(&sealed),
                )?,
                None => continue,
            };
            match self.commit(writes).await {
                // Whoever wrote in between has entered it.
                Ok(_) | Err(ConnectError::Stale) => {}
                Err(other) => return Err(other),
            }
        }
        self.commit(vec![Write::Put {
            id: mark,
            expect: Expect::Any,
            clear: serde_json::json!({}),
            secret: keyport_vault::SecretWrite::Keep,
        }])
        .await?;
        Ok(())
    }
}

/// The time, then the connection's own random part: no two connections share a row, and a listing is in order of time.
fn due_id(at: i64, id: &str) -> RecordId {
    let own = id.rsplit('_').next().unwrap_or(id);
    RecordId {
        kind: Due::KIND,
        owner: Owner::keyport(),
        id: format!("{}{}{own}", Due::PREFIX, ids::time_chars(at)),
    }
}

fn put_due(at: i64, id: &str) -> Result<Write, ConnectError> {
    let row = DueClear { id: id.to_owned() };
    record::put::<Due>(&due_id(at, id), Expect::Any, &row, Seal::Keep)
}

fn delete_due(at: i64, id: &str) -> Write {
    record::delete(&due_id(at, id), Expect::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_sort_by_time_and_tell_it_again() {
        let times = [0, 61, 1_800_000_000_000, 1_800_000_000_001];
        let ids: Vec<String> = times
            .iter()
            .map(|at| due_id(*at, "con_0000000000000000000000").id)
            .collect();
        let mut sorted = ids.clone();
        sorted.sort();
        assert_eq!(ids, sorted);
        let back: Vec<i64> = ids
            .iter()
            .map(|id| ids::time_of("due_", id).unwrap())
            .collect();
        assert_eq!(back, times);
    }
}
