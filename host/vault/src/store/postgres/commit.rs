//! Commits, and how a lost reply is settled.
//!
//! In one transaction: lock every row that is judged or written and is there (in the order of keys, so that two commits
//! rarely wait for each other in a circle); judge; write the commit's id and the keys into the log, which draws the
//! revision *under* these locks; write the rows. A row that must be absent is inserted, and its unique key is held until the
//! end; where it is only judged, it is removed again in the same transaction. So what was judged holds at COMMIT.
//!
//! **A lost reply** is settled by inserting the same id into the log in a transaction that is then undone: the insert waits
//! until the first transaction has ended, one way or the other. Merely reading the log would answer "no" for a commit
//! that is still on its way.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::fault::Fault;
use super::feed::write_keys;
use super::read::{key, number};
use super::session::{On, Sql, Work};
use crate::ids::Rev;
use crate::store::judge::{self, Revs};
use crate::store::{Commit, CommitId, Committed, Key, Op, Pre, StoreError};

/// One commit.
pub(super) struct CommitWork<'a> {
    commit: &'a Commit,
    /// Rows that it writes or removes: no one else may as much as lock them.
    written: Vec<&'a [u8]>,
    /// Rows that it only judges: others may judge them, too. All of an owner's commits judge the row of the owner's keys.
    judged: Vec<&'a [u8]>,
    /// Rows that must not be there.
    absent: Vec<&'a [u8]>,
    puts: (Vec<&'a [u8]>, Vec<&'a [u8]>),
    deletes: Vec<&'a [u8]>,
    keys: Vec<u8>,
    sent: AtomicBool,
}

impl<'a> CommitWork<'a> {
    pub(super) fn new(commit: &'a Commit) -> Result<Self, StoreError> {
        let written: BTreeSet<&[u8]> = commit.ops.iter().map(|op| op.key().as_bytes()).collect();
        let (mut judged, mut absent) = (BTreeSet::new(), BTreeSet::new());
        for pre in &commit.pre {
            let (Pre::Absent(key) | Pre::At(key, _) | Pre::Exists(key)) = pre;
            if !written.contains(key.as_bytes()) {
                judged.insert(key.as_bytes());
            }
            if matches!(pre, Pre::Absent(_)) {
                absent.insert(key.as_bytes());
            }
        }
        let mut puts: Vec<(&[u8], &[u8])> = commit
            .ops
            .iter()
            .filter_map(|op| match op {
                Op::Put(key, value) => Some((key.as_bytes(), value.as_ref())),
                Op::Del(_) => None,
            })
            .collect();
        let mut deletes: BTreeSet<&[u8]> = commit
            .ops
            .iter()
            .filter_map(|op| match op {
                Op::Del(key) => Some(key.as_bytes()),
                Op::Put(..) => None,
            })
            .collect();
        // Held by being inserted, and removed again.
        for key in &absent {
            if !puts.iter().any(|(put, _)| put == key) {
                puts.push((key, b""));
                deletes.insert(key);
            }
        }
        puts.sort_unstable();
        Ok(Self {
            commit,
            written: written.into_iter().collect(),
            judged: judged.into_iter().collect(),
            absent: absent.into_iter().collect(),
            puts: puts.into_iter().unzip(),
            deletes: deletes.into_iter().collect(),
            keys: write_keys(commit.ops.iter().map(Op::key))?,
            sent: AtomicBool::new(false),
        })
    }

    async fn write(&self, sql: Sql, connection: &mut PgConnection) -> Result<Committed, Fault> {
        let locked = sql
            .say(
                "WITH written AS (SELECT k, rev FROM keyport_kv WHERE k = ANY($1) ORDER BY k FOR UPDATE), \
                 judged AS (SELECT k, rev FROM keyport_kv WHERE k = ANY($2) ORDER BY k FOR SHARE) \
                 SELECT k, rev FROM written UNION ALL SELECT k, rev FROM judged",
            )
            .bind(&self.written)
            .bind(&self.judged)
            .fetch_all(&mut *connection)
            .await?;
        let mut there = There::default();
        for row in &locked {
            there.0.insert(key(row, 0)?, Rev(number(row, 1)?));
        }
        judge::commit(&there, self.commit).map_err(Fault::Final)?;
        let logged = sql
            .say(
                "INSERT INTO keyport_log (id, rev, keys) VALUES ($1, nextval('keyport_rev'), $2) \
                 ON CONFLICT (id) DO NOTHING RETURNING rev",
            )
            .bind(&self.commit.id.0[..])
            .bind(&self.keys)
            .fetch_optional(&mut *connection)
            .await?
            .ok_or(Fault::Final(StoreError::Refused(
                "a commit with an id that was used before",
            )))?;
        let rev = number(&logged, 0)?;
        if !self.puts.0.is_empty() {
            self.put(sql, connection, rev).await?;
        }
        if !self.deletes.is_empty() {
            sql.say("DELETE FROM keyport_kv WHERE k = ANY($1)")
                .bind(&self.deletes)
                .execute(&mut *connection)
                .await?;
        }
        Ok(Committed { rev: Rev(rev) })
    }

    async fn put(&self, sql: Sql, connection: &mut PgConnection, rev: u64) -> Result<(), Fault> {
        let signed = i64::try_from(rev)
            .map_err(|_| Fault::Final(StoreError::Refused("a revision that is too high")))?;
        let done = sql
            .say(
                "INSERT INTO keyport_kv (k, rev, v) SELECT n.k, $3, n.v FROM unnest($1::bytea[], $2::bytea[]) AS n(k, v) \
                 ON CONFLICT (k) DO UPDATE SET rev = excluded.rev, v = excluded.v \
                 WHERE keyport_kv.rev < excluded.rev AND NOT (keyport_kv.k = ANY($4))",
            )
            .bind(&self.puts.0)
            .bind(&self.puts.1)
            .bind(signed)
            .bind(&self.absent)
            .execute(&mut *connection)
            .await?;
        if usize::try_from(done.rows_affected()).is_ok_and(|rows| rows == self.puts.0.len()) {
            return Ok(());
        }
        // Somebody made a row after we looked: one that must be absent, or one that we write without a condition.
        let others = sql
            .say("SELECT k, rev FROM keyport_kv WHERE k = ANY($1) AND rev <> $2 ORDER BY k LIMIT 1")
            .bind(&self.absent)
            .bind(signed)
            .fetch_optional(&mut *connection)
            .await?;
        match others {
            Some(row) => Err(Fault::Final(StoreError::Conflict {
                key: key(&row, 0)?,
                actual: Some(Rev(number(&row, 1)?)),
            })),
            None => Err(Fault::Again("others keep making the same rows")),
        }
    }
}

impl Work for CommitWork<'_> {
    type Out = Committed;

    async fn attempt(&self, on: &mut On<'_>) -> Result<Committed, Fault> {
        self.sent.store(false, Ordering::Relaxed);
        let mut transaction = on.connection.begin_with(on.sql.begin).await?;
        match self.write(on.sql, &mut transaction).await {
            Ok(done) => {
                self.sent.store(true, Ordering::Relaxed);
                transaction.commit().await.map_err(Fault::at_commit)?;
                Ok(done)
            }
            Err(fault) => {
                // If it cannot be said, the connection goes, and with it the transaction.
                match transaction.rollback().await {
                    Ok(()) => Err(fault),
                    Err(error) => match fault {
                        Fault::Final(_) => Err(fault),
                        _ => Err(error.into()),
                    },
                }
            }
        }
    }

    fn lost(&self) -> Option<StoreError> {
        self.sent
            .load(Ordering::Relaxed)
            .then_some(StoreError::Unknown(self.commit.id))
    }
}

/// The rows that are there, locked.
#[derive(Default)]
struct There(HashMap<Key, Rev>);

impl Revs for There {
    fn rev(&self, key: &Key) -> Result<Option<Rev>, StoreError> {
        Ok(self.0.get(key).copied())
    }
}

/// What became of a commit.
pub(super) struct OutcomeWork(pub(super) CommitId);

impl Work for OutcomeWork {
    type Out = Option<Committed>;

    async fn attempt(&self, on: &mut On<'_>) -> Result<Self::Out, Fault> {
        let id = &self.0.0[..];
        let mut transaction = on.connection.begin_with(on.sql.begin).await?;
        let free = on
            .sql
            .say("INSERT INTO keyport_log (id, rev, keys) VALUES ($1, 0, $2) ON CONFLICT (id) DO NOTHING")
            .bind(id)
            .bind(&b""[..])
            .execute(&mut *transaction)
            .await?
            .rows_affected()
            > 0;
        transaction.rollback().await?;
        if free {
            return Ok(None);
        }
        let row = on
            .sql
            .say("SELECT rev FROM keyport_log WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *on.connection)
            .await?;
        match row {
            Some(row) => Ok(Some(Committed {
                rev: Rev(number(&row, 0)?),
            })),
            // Another who asked was undone meanwhile.
            None => Err(Fault::Again("others keep asking after the same commit")),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::feed::read_keys;
    use super::*;

    #[test]
    fn a_row_that_is_only_to_be_absent_is_held_and_removed_again() {
        let commit = Commit {
            id: CommitId([1; 16]),
            pre: vec![
                Pre::Absent("a".into()),
                Pre::Absent("b".into()),
                Pre::Exists("c".into()),
            ],
            ops: vec![Op::Put("b".into(), Bytes::from("1"))],
        };
        let work = CommitWork::new(&commit).unwrap();
        assert_eq!(work.written, [b"b"]);
        assert_eq!(work.judged, [b"a", b"c"]);
        assert_eq!(work.absent, [b"a", b"b"]);
        assert_eq!(work.puts.0, [b"a", b"b"]);
        assert_eq!(work.deletes, [b"a"]);
        assert_eq!(read_keys(&work.keys), Some(vec![Key::from("b")]));
    }
}
