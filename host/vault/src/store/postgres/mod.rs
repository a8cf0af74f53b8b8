//! The store for several machines: PostgreSQL, or what speaks its wire protocol.
//!
//! ```text
//! commit ─▶ BEGIN ─▶ lock the rows ─▶ judge ─▶ revision, log ─▶ rows ─▶ COMMIT        reads ─▶ one statement each
//! watch  ◀─ the log, read again every 200 ms
//! ```
//! Plain SQL that CockroachDB and YugabyteDB have too: no advisory locks, no LISTEN, no arrays of rows. A commit locks the
//! rows that it judges, so that what it judged is so until it ends (two-phase locking per row, also for rows that are
//! not there yet: a unique key is held by who inserts it). Its revision is drawn from a sequence *under* those locks; it
//! writes its id into the log in the same transaction, so a lost reply is settled by asking for the id.
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | the address: what may stand in it, and when TLS is required |
//! | `schema.rs` | the tables, and how they come to be |
//! | `session.rs`, `fault.rs` | connections, time limits, what is tried again and what never is |
//! | `read.rs` | get, scan, revisions |
//! | `snapshot.rs` | all rows as of one moment, for backups |
//! | `commit.rs` | commits, and how a lost reply is settled |
//! | `lease.rs` | leases, by the database's clock alone |
//! | `feed.rs`, `prune.rs` | what was committed, told to those who watch; the log kept short |
//!
//! Threat: a network and hosts that stop at any point. Whatever is not certain is [`StoreError::Unknown`]; nothing is
//! repeated that could have happened. Left out: reading from standbys (a stale read would serve a revoked credential).

mod commit;
mod fault;
mod feed;
mod lease;
mod options;
mod prune;
mod read;
mod schema;
mod session;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use self::commit::{CommitWork, OutcomeWork};
use self::feed::Feed;
use self::lease::{Release, Renew, Try};
use self::read::{Get, GetMany, LastRev, Raise, Scan, Writable};
use self::session::Db;
use self::snapshot::Moment;
use super::{
    Change, Commit, CommitId, Committed, Health, Key, Lease, LeaseName, LeaseTry, NodeId, Rec,
    Snapshot, Store, StoreError, judge,
};
use crate::ids::Rev;

pub use self::options::PostgresOptions;

/// How long a question after the store's health may take.
const HEALTH: Duration = Duration::from_secs(3);

/// The shared store. Dropping it closes its connections.
pub struct PostgresStore {
    db: Arc<Db>,
    feed: Arc<Feed>,
    tasks: Vec<JoinHandle<()>>,
}

impl PostgresStore {
    /// Connects, makes or completes the tables, and begins to watch.
    ///
    /// # Errors
    /// [`StoreError::Setup`] when the address, the server's TLS or its permissions do not allow it, or when the tables
    /// are of a newer Keyport; [`StoreError::Unavailable`] when the server cannot be reached.
    pub async fn open(options: PostgresOptions) -> Result<Self, StoreError> {
        let db = Arc::new(Db::connect(options).await?);
        let feed = Arc::new(Feed::begin(Arc::clone(&db)).await?);
        let tasks = vec![
            tokio::spawn(Arc::clone(&feed).run()),
            tokio::spawn(prune::run(Arc::clone(&db), Arc::clone(&feed))),
        ];
        Ok(Self { db, feed, tasks })
    }
}

/// Runs to its end even when the caller goes away: a transaction is not left open half-way.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    lost: StoreError,
) -> Result<T, StoreError> {
    tokio::spawn(work).await.unwrap_or(Err(lost))
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn get(&self, key: &Key) -> Result<Option<Rec>, StoreError> {
        self.db.run(&Get(key)).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Rec>>, StoreError> {
        self.db.run(&GetMany(keys)).await
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&Key>,
        limit: u32,
    ) -> Result<Vec<(Key, Rec)>, StoreError> {
        self.db
            .run(&Scan {
                prefix,
                after,
                limit,
            })
            .await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        judge::limits(&commit)?;
        let id = commit.id;
        let (db, feed) = (Arc::clone(&self.db), Arc::clone(&self.feed));
        let work = async move {
            feed.ours(id);
            let done = db.run(&CommitWork::new(&commit)?).await;
            match &done {
                Ok(_) => feed.nudge(),
                Err(StoreError::Unknown(_)) => {}
                Err(_) => feed.not_ours(&id),
            }
            done
        };
        whole(work, StoreError::Unknown(id)).await
    }

    async fn outcome(&self, id: &CommitId) -> Result<Option<Committed>, StoreError> {
        let (db, id) = (Arc::clone(&self.db), *id);
        let work = async move { db.run(&OutcomeWork(id)).await };
        whole(work, ended()).await
    }

    async fn last_rev(&self) -> Result<Rev, StoreError> {
        self.db.run(&LastRev).await
    }

    async fn raise_rev(&self, above: Rev) -> Result<(), StoreError> {
        self.db.run(&Raise(above)).await
    }

    async fn lease_try(
        &self,
        name: &LeaseName,
        who: &NodeId,
        ttl: Duration,
    ) -> Result<LeaseTry, StoreError> {
        let ttl_ms = judge::lease_request(name, who, ttl)?;
        let work = Try::new(name, who, ttl_ms)?;
        let db = Arc::clone(&self.db);
        whole(async move { db.run(&work).await }, ended()).await
    }

    async fn lease_renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        let ttl_ms = judge::lease_request(&lease.name, &NodeId(String::new()), ttl)?;
        self.db.run(&Renew { lease, ttl_ms }).await
    }

    async fn lease_release(&self, lease: Lease) -> Result<(), StoreError> {
        self.db.run(&Release(&lease)).await
    }

    fn watch(&self) -> broadcast::Receiver<Change> {
        self.feed.subscribe()
    }

    async fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError> {
        Ok(Some(Box::new(Moment::begin(&self.db).await?)))
    }

    fn shared(&self) -> bool {
        true
    }

    fn watch_is_current(&self) -> bool {
        self.feed.is_current()
    }

    async fn health(&self) -> Health {
        // A connection that lay in the pool while the server restarted says nothing of the server now: the second question
        // decides.
        let asking = async {
            match self.db.once(&Writable).await {
                Err(_) => self.db.once(&Writable).await,
                answered => answered,
            }
        };
        let asked = tokio::time::timeout(HEALTH, asking).await;
        match asked {
            Ok(Ok(true)) => Health::Ok,
            Ok(Ok(false)) => Health::Failed(
                "the database takes no writes (a standby, or set to read-only); point the store's address at the primary"
                    .into(),
            ),
            Ok(Err(error)) => Health::Failed(error.to_string()),
            Err(_) => Health::Failed("the database does not answer within 3 seconds".into()),
        }
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("the request ended early; try again".into())
}
