//! Connections, time limits, and trying again.
//!
//! Every piece of work gets a connection, a time limit and, when it certainly did not happen, another try after a short
//! random pause. There is no `statement_timeout`: a server that waits for its standby at COMMIT would, when it runs out,
//! acknowledge what the standby does not have. Instead the limit is ours: the connection is dropped and the commit is
//! unknown. A transaction that we abandon is ended by the server after 5 seconds (below the patience of `feed.rs`), so it cannot hold its locks for longer.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{Connection as _, Postgres, Row as _};

use super::fault::{self, Fault};
use super::{PostgresOptions, schema};
use crate::store::{StoreError, millis};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(4);
/// The same for a commit, which may wait for a standby.
const ATTEMPT_COMMIT: Duration = Duration::from_secs(8);
/// The same for the watch, which asks small questions often.
const ASIDE: Duration = Duration::from_secs(2);
/// How long all attempts together may take where others were faster.
const BUDGET: Duration = Duration::from_secs(15);
/// The same where the database does not answer: whoever waits is told soon, and comes again.
const BUDGET_DOWN: Duration = Duration::from_secs(3);
/// How long to wait for a connection: the first one at the start, and one of the pool.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
pub(super) const ACQUIRE: Duration = Duration::from_secs(2);

/// How long a connection may be unused, and how long it is used at most.
const UNUSED: Duration = Duration::from_secs(300);
const LIFETIME: Duration = Duration::from_secs(1800);

/// How a transaction begins, in one round trip.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '4s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '5s'";
/// The same where the server's own setting would acknowledge what is not on its disk.
const BEGIN_DURABLE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '4s'; \
                             SET LOCAL idle_in_transaction_session_timeout = '5s'; \
                             SET LOCAL synchronous_commit = on";

/// One thing to be done on a connection. It may be tried several times.
pub(super) trait Work: Sync {
    type Out: Send;

    /// Does it once.
    fn attempt(&self, on: &mut On<'_>) -> impl Future<Output = Result<Self::Out, Fault>> + Send;

    /// What it is worth when the attempt ended in the middle of COMMIT. Only commits can.
    fn lost(&self) -> Option<StoreError> {
        None
    }
}

/// A connection, and how to speak to this server.
pub(super) struct On<'c> {
    pub(super) connection: &'c mut PgConnection,
    pub(super) sql: Sql,
}

/// How to speak to this server.
#[derive(Clone, Copy)]
pub(super) struct Sql {
    prepared: bool,
    pub(super) begin: &'static str,
}

pub(super) type Statement<'q> = Query<'q, Postgres, sqlx::postgres::PgArguments>;

impl Sql {
    /// A statement, kept prepared only where that is safe.
    pub(super) fn say<'q>(self, text: &'static str) -> Statement<'q> {
        sqlx::query(text).persistent(self.prepared)
    }
}

/// The database: a bounded pool of connections.
pub(super) struct Db {
    options: PostgresOptions,
    pool: RwLock<(u64, PgPool)>,
    /// The watch has its own, so that a busy host still hears of what others revoke.
    aside: RwLock<(u64, PgPool)>,
    sql: Sql,
}

impl Db {
    /// Connects once to tell what is wrong, and makes or completes the tables.
    pub(super) async fn connect(options: PostgresOptions) -> Result<Self, StoreError> {
        if let Some(warning) = options.warning {
            tracing::warn!(database = options.shown, "{warning}");
        }
        let shown = options.shown.clone();
        let connecting = PgConnection::connect_with(&options.connect);
        let mut connection = match tokio::time::timeout(CONNECT, connecting).await {
            Ok(connected) => connected.map_err(|error| fault::connecting(&error, &shown))?,
            Err(_) => {
                return Err(StoreError::Unavailable(format!(
                    "the database at {shown} does not answer within 5 seconds"
                )));
            }
        };
        let say = |text| sqlx::query(text).persistent(options.prepared);
        let failed = |error: sqlx::Error| fault::connecting(&error, &shown);
        let setting = |row: PgRow| row.try_get::<String, _>(0);
        let synchronous = say("SHOW synchronous_commit")
            .fetch_one(&mut connection)
            .await
            .and_then(setting)
            .map_err(failed)?;
        let sql = Sql {
            prepared: options.prepared,
            begin: match synchronous.as_str() {
                "off" | "local" => BEGIN_DURABLE,
                _ => BEGIN,
            },
        };
        // What does not have the setting does not have the fault.
        if let Ok(row) = say("SHOW fsync").fetch_one(&mut connection).await
            && setting(row).is_ok_and(|fsync| fsync == "off")
        {
            tracing::warn!(
                database = shown,
                "this database runs with fsync = off: a power cut loses what it has acknowledged"
            );
        }
        schema::bring_up(&mut connection, sql).await?;
        // Goodbye is a courtesy.
        let _ = connection.close().await;
        let (pool, aside) = (pool(&options, options.connections), pool(&options, 1));
        Ok(Self {
            pool: RwLock::new((0, pool)),
            aside: RwLock::new((0, aside)),
            options,
            sql,
        })
    }

    /// Does the work, again where it certainly did not happen.
    pub(super) async fn run<W: Work>(&self, work: &W) -> Result<W::Out, StoreError> {
        let begun = Instant::now();
        let mut tries = 0;
        loop {
            let limit = match work.lost() {
                Some(_) => ATTEMPT_COMMIT,
                None => ATTEMPT,
            };
            let fault = match self.attempt(&self.pool, limit, work).await {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            let budget = match fault {
                Fault::Broken { .. } => BUDGET_DOWN,
                _ => BUDGET,
            };
            let why = match fault {
                Fault::Final(error) => return Err(error),
                Fault::Lost(why) => {
                    tracing::warn!(why, "the answer to a commit was lost");
                    return Err(work.lost().unwrap_or(StoreError::Unavailable(why)));
                }
                Fault::Again(why) => why.to_owned(),
                Fault::Broken { why, .. } => why,
            };
            if begun.elapsed() >= budget {
                return Err(StoreError::Unavailable(format!(
                    "the database at {}: {why}; tried for {} seconds",
                    self.options.shown,
                    begun.elapsed().as_secs()
                )));
            }
            tries += 1;
            tokio::time::sleep(pause(tries)).await;
        }
    }

    /// Does the work once.
    pub(super) async fn once<W: Work>(&self, work: &W) -> Result<W::Out, StoreError> {
        self.attempt(&self.pool, ATTEMPT, work)
            .await
            .map_err(|fault| self.said(fault))
    }

    /// Does the watch's work once, on its own connection.
    pub(super) async fn once_aside<W: Work>(&self, work: &W) -> Result<W::Out, StoreError> {
        self.attempt(&self.aside, ASIDE, work)
            .await
            .map_err(|fault| self.said(fault))
    }

    /// What a connection of one's own needs: how to connect, how to speak, and what to call the database.
    pub(super) fn how(&self) -> (&sqlx::postgres::PgConnectOptions, Sql, &str) {
        (&self.options.connect, self.sql, &self.options.shown)
    }

    fn said(&self, fault: Fault) -> StoreError {
        match fault {
            Fault::Final(error) => error,
            Fault::Again(why) => StoreError::Unavailable(why.to_owned()),
            Fault::Broken { why, .. } | Fault::Lost(why) => {
                StoreError::Unavailable(format!("the database at {}: {why}", self.options.shown))
            }
        }
    }

    async fn attempt<W: Work>(
        &self,
        from: &RwLock<(u64, PgPool)>,
        limit: Duration,
        work: &W,
    ) -> Result<W::Out, Fault> {
        let (epoch, pool) = from.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut connection = pool.acquire().await?;
        let mut on = On {
            connection: &mut connection,
            sql: self.sql,
        };
        let done = match tokio::time::timeout(limit, work.attempt(&mut on)).await {
            Ok(done) => done,
            Err(_) => Err(match work.lost() {
                Some(_) => Fault::Lost("the database did not answer in time".into()),
                None => Fault::Broken {
                    why: "the database did not answer in time".into(),
                    elsewhere: true,
                },
            }),
        };
        match &done {
            Ok(_) | Err(Fault::Final(_) | Fault::Again(_)) => {}
            Err(Fault::Broken {
                elsewhere: false, ..
            }) => connection.close_on_drop(),
            Err(Fault::Broken { .. } | Fault::Lost(_)) => {
                connection.close_on_drop();
                self.renew(from, epoch);
            }
        }
        done
    }

    /// All connections anew: the old ones lead to a server that has changed its role or does not answer.
    fn renew(&self, from: &RwLock<(u64, PgPool)>, epoch: u64) {
        let mut held = from.write().unwrap_or_else(PoisonError::into_inner);
        if held.0 != epoch {
            return;
        }
        let size = held.1.options().get_max_connections();
        let old = std::mem::replace(&mut *held, (epoch + 1, pool(&self.options, size)));
        drop(held);
        // Waits for those in use; they have their own time limits.
        tokio::spawn(async move { old.1.close().await });
    }
}

fn pool(options: &PostgresOptions, size: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(size)
        .min_connections(0)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(UNUSED)
        .max_lifetime(LIFETIME)
        // A dead connection shows itself in use, and what did not happen is tried again: no round trip for asking.
        .test_before_acquire(false)
        .connect_lazy_with(options.connect.clone())
}

/// A random pause of up to 250 ms that grows with the tries, so that those who met do not meet again.
pub(super) fn pause(tries: u32) -> Duration {
    let most = millis(Duration::from_millis(4)) << tries.min(6);
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    Duration::from_millis(1 + u64::from(random) % most.min(250))
}
