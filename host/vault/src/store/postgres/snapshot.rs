//! All rows as of one moment: a transaction that only reads, on a connection of its own.
//!
//! A backup follows what changes while it reads where a store has no such thing; over several hosts that cannot be, since
//! what others commit is heard of some 200 ms late. So here the database holds the moment. Dropped half-way, the connection
//! goes away and the server ends the transaction.

use async_trait::async_trait;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};

use super::fault::Fault;
use super::read::{Scan, number};
use super::session::{Db, On, Sql, Work};
use crate::ids::Rev;
use crate::store::{Key, Rec, Snapshot, StoreError};

/// The moment is chosen by the first statement after this.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// One reading.
pub(super) struct Moment {
    connection: PgConnection,
    sql: Sql,
    rev: Rev,
    shown: String,
}

impl Moment {
    /// Begins to read.
    pub(super) async fn begin(db: &Db) -> Result<Self, StoreError> {
        let (mut connection, sql, shown) = db.own_connection().await?;
        let rev = first(&mut connection, sql)
            .await
            .map_err(|fault| said(fault, &shown))?;
        Ok(Self {
            connection,
            sql,
            rev,
            shown,
        })
    }
}

/// Begins the transaction. The revision is that of the newest row or commit in it: the sequence itself stands outside of
/// transactions and may be ahead.
async fn first(connection: &mut PgConnection, sql: Sql) -> Result<Rev, Fault> {
    sqlx::raw_sql(BEGIN).execute(&mut *connection).await?;
    let row = sql
        .say(
            "SELECT GREATEST(COALESCE((SELECT MAX(rev) FROM keyport_log), 0), \
             COALESCE((SELECT MAX(rev) FROM keyport_kv), 0))",
        )
        .fetch_one(&mut *connection)
        .await?;
    let _: i64 = row.try_get(0)?;
    Ok(Rev(number(&row, 0)?))
}

#[async_trait]
impl Snapshot for Moment {
    fn rev(&self) -> Rev {
        self.rev
    }

    async fn page(
        &mut self,
        after: Option<&Key>,
        limit: u32,
    ) -> Result<Vec<(Key, Rec)>, StoreError> {
        let scan = Scan {
            prefix: b"",
            after,
            limit,
        };
        let mut on = On {
            connection: &mut self.connection,
            sql: self.sql,
        };
        scan.attempt(&mut on)
            .await
            .map_err(|fault| said(fault, &self.shown))
    }
}

fn said(fault: Fault, shown: &str) -> StoreError {
    match fault {
        Fault::Final(error) => error,
        Fault::Again(why) => StoreError::Unavailable(why.to_owned()),
        Fault::Broken { why, .. } | Fault::Lost(why) => {
            StoreError::Unavailable(format!("the database at {shown}: {why}; begin again"))
        }
    }
}

impl Db {
    /// A connection that belongs to nobody else: what is long must not take one from the pool.
    async fn own_connection(&self) -> Result<(PgConnection, Sql, String), StoreError> {
        let (options, sql, shown) = self.how();
        let connecting = PgConnection::connect_with(options);
        match tokio::time::timeout(super::session::ACQUIRE, connecting).await {
            Ok(connected) => connected
                .map(|connection| (connection, sql, shown.to_owned()))
                .map_err(|error| super::fault::connecting(&error, shown)),
            Err(_) => Err(StoreError::Unavailable(format!(
                "the database at {shown} does not answer within 5 seconds"
            ))),
        }
    }
}
