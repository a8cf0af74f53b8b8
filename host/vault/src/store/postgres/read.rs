//! Reading: each a single statement, which sees one moment.

use std::collections::HashMap;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::fault::Fault;
use super::session::{On, Work};
use crate::ids::Rev;
use crate::store::{Key, Rec, StoreError};

/// One row.
pub(super) struct Get<'a>(pub(super) &'a Key);

impl Work for Get<'_> {
    type Out = Option<Rec>;

    async fn attempt(&self, on: &mut On<'_>) -> Result<Self::Out, Fault> {
        let row = on
            .sql
            .say("SELECT rev, v FROM keyport_kv WHERE k = $1")
            .bind(self.0.as_bytes())
            .fetch_optional(&mut *on.connection)
            .await?;
        row.map(|row| rec(&row, 0, 1)).transpose()
    }
}

/// Several rows as of one moment.
pub(super) struct GetMany<'a>(pub(super) &'a [Key]);

impl Work for GetMany<'_> {
    type Out = Vec<Option<Rec>>;

    async fn attempt(&self, on: &mut On<'_>) -> Result<Self::Out, Fault> {
        let names: Vec<&[u8]> = self.0.iter().map(Key::as_bytes).collect();
        let rows = on
            .sql
            .say("SELECT k, rev, v FROM keyport_kv WHERE k = ANY($1)")
            .bind(names)
            .fetch_all(&mut *on.connection)
            .await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            found.insert(key(row, 0)?, rec(row, 1, 2)?);
        }
        Ok(self.0.iter().map(|name| found.get(name).cloned()).collect())
    }
}

/// A range.
pub(super) struct Scan<'a> {
    pub(super) prefix: &'a [u8],
    pub(super) after: Option<&'a Key>,
    pub(super) limit: u32,
}

impl Work for Scan<'_> {
    type Out = Vec<(Key, Rec)>;

    async fn attempt(&self, on: &mut On<'_>) -> Result<Self::Out, Fault> {
        let end = end_of(self.prefix);
        let after = self
            .after
            .map(Key::as_bytes)
            .filter(|after| *after >= self.prefix);
        // The text is chosen rather than built: an open end or a condition that is always true would cost the index.
        let query = match (after, &end) {
            (None, None) => on
                .sql
                .say("SELECT k, rev, v FROM keyport_kv WHERE k >= $1 ORDER BY k LIMIT $2")
                .bind(self.prefix),
            (Some(after), None) => on
                .sql
                .say("SELECT k, rev, v FROM keyport_kv WHERE k > $1 ORDER BY k LIMIT $2")
                .bind(after),
            (None, Some(_)) => on
                .sql
                .say(
                    "SELECT k, rev, v FROM keyport_kv WHERE k >= $1 AND k < $3 ORDER BY k LIMIT $2",
                )
                .bind(self.prefix),
            (Some(after), Some(_)) => on
                .sql
                .say("SELECT k, rev, v FROM keyport_kv WHERE k > $1 AND k < $3 ORDER BY k LIMIT $2")
                .bind(after),
        };
        let mut query = query.bind(i64::from(self.limit));
        if let Some(end) = &end {
            query = query.bind(end.as_slice());
        }
        let rows = query.fetch_all(&mut *on.connection).await?;
        rows.iter()
            .map(|row| Ok((key(row, 0)?, rec(row, 1, 2)?)))
            .collect()
    }
}

/// The first key after all that begin with `prefix`; `None`: there is no end.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// A bound for all revisions so far: what is drawn, committed or not.
pub(super) struct LastRev;

impl Work for LastRev {
    type Out = Rev;

    async fn attempt(&self, on: &mut On<'_>) -> Result<Self::Out, Fault> {
        let row = on
            .sql
            .say("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM keyport_rev")
            .fetch_one(&mut *on.connection)
            .await?;
        Ok(Rev(number(&row, 0)?))
    }
}

/// Makes all later revisions larger than this one.
pub(super) struct Raise(pub(super) Rev);

impl Work for Raise {
    type Out = ();

    async fn attempt(&self, on: &mut On<'_>) -> Result<(), Fault> {
        let above = i64::try_from(self.0.0)
            .ok()
            .filter(|above| *above < i64::MAX / 2)
            .ok_or(Fault::Final(StoreError::Refused(
                "a revision that is too high",
            )))?;
        if above == 0 {
            return Ok(());
        }
        on.sql
            .say("SELECT setval('keyport_rev', GREATEST($1, (SELECT last_value FROM keyport_rev)))")
            .bind(above)
            .execute(&mut *on.connection)
            .await?;
        Ok(())
    }
}

/// Whether the server takes writes.
pub(super) struct Writable;

impl Work for Writable {
    type Out = bool;

    async fn attempt(&self, on: &mut On<'_>) -> Result<bool, Fault> {
        let row = on
            .sql
            .say("SHOW transaction_read_only")
            .fetch_one(&mut *on.connection)
            .await?;
        Ok(row.try_get::<String, _>(0)? != "on")
    }
}

/// A name of a row in a result.
pub(super) fn key(row: &PgRow, at: usize) -> Result<Key, Fault> {
    Ok(Key::from(row.try_get::<&[u8], _>(at)?))
}

fn rec(row: &PgRow, rev: usize, value: usize) -> Result<Rec, Fault> {
    Ok(Rec {
        rev: Rev(number(row, rev)?),
        value: row.try_get::<Vec<u8>, _>(value)?.into(),
    })
}

/// A number that is never negative in a table of ours.
pub(super) fn number(row: &PgRow, at: usize) -> Result<u64, Fault> {
    u64::try_from(row.try_get::<i64, _>(at)?).map_err(|_| {
        Fault::Final(StoreError::Corrupt(
            "the database holds a negative revision".into(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn the_end_of_a_range_is_the_next_prefix() {
        for (prefix, end) in [
            (&b"r/"[..], Some(&b"r0"[..])),
            (b"", None),
            (b"a\xff", Some(b"b")),
            (b"\xff\xff", None),
        ] {
            assert_eq!(end_of(prefix).as_deref(), end);
        }
    }
}
