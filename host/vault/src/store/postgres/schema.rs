//! The tables, and how they come to be.
//!
//! | table | what |
//! |---|---|
//! | `keyport_kv` | the rows: key, revision of the commit that wrote it, sealed bytes |
//! | `keyport_log` | the latest commits: id, revision, the keys they wrote, when. Answers lost replies; feeds the watch |
//! | `keyport_lease` | who holds which lease, until when by the database's clock (milliseconds of Unix time) |
//! | `keyport_meta` | `schema`: which version these tables are of; `pruned`: up to which revision the log was cut |
//! | sequences `keyport_rev`, `keyport_token` | revisions and lease tokens; never go back, whatever happens to rows |
//!
//! Versions only go up, one step at a time, each in a transaction that holds the row `schema`: of several hosts that start
//! at once one does the work. A host that is older than the tables says so and does nothing. A user without the right to
//! make tables is enough once they are there.

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::fault::Fault;
use super::read::number;
use super::session::{Sql, pause};
use crate::store::StoreError;

/// Each step's statements. Never change one that was released; add another.
const STEPS: &[&[&str]] = &[&[
    "CREATE TABLE keyport_kv (k bytea PRIMARY KEY, rev bigint NOT NULL, v bytea NOT NULL)",
    "CREATE TABLE keyport_log (id bytea PRIMARY KEY, rev bigint NOT NULL, keys bytea NOT NULL, \
     at timestamptz NOT NULL DEFAULT clock_timestamp())",
    "CREATE INDEX keyport_log_rev ON keyport_log (rev)",
    "CREATE TABLE keyport_lease (name text PRIMARY KEY, holder text NOT NULL, token bigint NOT NULL, \
     until_ms bigint NOT NULL)",
    "CREATE SEQUENCE keyport_rev CACHE 1",
    "CREATE SEQUENCE keyport_token CACHE 1",
    "INSERT INTO keyport_meta (name, n) VALUES ('pruned', 0)",
]];

const TRIES: u32 = 20;

/// Makes the tables what this version needs.
pub(super) async fn bring_up(connection: &mut PgConnection, sql: Sql) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        match step(connection, sql).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(Fault::Final(error)) if !made_by_another(&error) => return Err(error),
            // Two hosts that make the first table at once: PostgreSQL tells one of them so in odd ways.
            Err(Fault::Final(_) | Fault::Again(_)) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(pause(tries)).await;
            }
            Err(Fault::Final(error)) => return Err(error),
            Err(Fault::Again(why)) => return Err(StoreError::Unavailable(why.into())),
            Err(Fault::Broken { why, .. } | Fault::Lost(why)) => {
                return Err(StoreError::Unavailable(format!(
                    "the tables could not be made: {why}; start again"
                )));
            }
        }
    }
}

/// SQLSTATE 23505, 42P07 or 42710 over a table or type of the same name.
fn made_by_another(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(said) if ["23505", "42P07", "42710"].iter().any(|code| said.contains(code)))
}

/// One step; true when nothing is left to do.
async fn step(connection: &mut PgConnection, sql: Sql) -> Result<bool, Fault> {
    let present = sql
        .say("SELECT count(*) FROM information_schema.tables WHERE table_name = 'keyport_meta' AND table_schema = current_schema()")
        .fetch_one(&mut *connection)
        .await?;
    if number(&present, 0)? == 0 {
        sql.say(
            "CREATE TABLE IF NOT EXISTS keyport_meta (name text PRIMARY KEY, n bigint NOT NULL)",
        )
        .execute(&mut *connection)
        .await?;
    }
    let found = sql
        .say("SELECT n FROM keyport_meta WHERE name = 'schema'")
        .fetch_optional(&mut *connection)
        .await?;
    let found = found.map(|row| number(&row, 0)).transpose()?;
    if found.is_none() {
        // The table may be another host's, who has not come to this yet.
        sql.say(
            "INSERT INTO keyport_meta (name, n) VALUES ('schema', 0) ON CONFLICT (name) DO NOTHING",
        )
        .execute(&mut *connection)
        .await?;
    }
    if judge(found)? {
        return Ok(true);
    }
    let mut transaction = connection.begin_with(sql.begin).await?;
    let locked = sql
        .say("SELECT n FROM keyport_meta WHERE name = 'schema' FOR UPDATE")
        .fetch_one(&mut *transaction)
        .await?;
    let version = number(&locked, 0)?;
    if judge(Some(version))? {
        return Ok(true);
    }
    let next = usize::try_from(version)
        .ok()
        .and_then(|version| STEPS.get(version));
    for text in next.into_iter().copied().flatten() {
        sql.say(text).execute(&mut *transaction).await?;
    }
    sql.say("UPDATE keyport_meta SET n = n + 1 WHERE name = 'schema'")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    tracing::info!(
        schema = version + 1,
        "the database's tables were brought up to this version"
    );
    Ok(false)
}

/// Whether these tables are the ones; an error when they are of a newer version.
fn judge(found: Option<u64>) -> Result<bool, Fault> {
    let known = u64::try_from(STEPS.len()).unwrap_or(u64::MAX);
    match found {
        Some(version) if version > known => Err(Fault::Final(StoreError::Setup(format!(
            "the database was brought to schema {version} by a newer keyport, this one knows schema {known}; start the newer \
             version (nothing was changed)"
        )))),
        found => Ok(found == Some(known)),
    }
}
