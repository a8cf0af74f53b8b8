//! Keeps the log short: what is older than [`KEPT`] by the database's clock goes, and leases that nobody gave back.
//!
//! Every host does it; the row `pruned` lets one at a time. How far the log was cut stands there, so that a host which was
//! away for longer knows that it missed something. A lost reply must be asked after within [`KEPT`]; the vault does so
//! within seconds.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;

use super::fault::Fault;
use super::feed::Feed;
use super::read::number;
use super::session::{Db, On, Work, pause};

/// How long commits can be asked after.
const KEPT: Duration = Duration::from_secs(15 * 60);
/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60);
/// The most entries removed in one transaction.
const BATCH: i64 = 5000;

pub(super) async fn run(db: Arc<Db>, feed: Arc<Feed>) {
    // What was the newest at each look; the one from before `KEPT` may go.
    let looks = usize::try_from(KEPT.as_secs() / EVERY.as_secs()).unwrap_or(usize::MAX);
    let mut newest = std::collections::VecDeque::from([feed.seen()]);
    loop {
        // Hosts that were started together do not look together.
        tokio::time::sleep(EVERY + pause(6) * 20).await;
        newest.push_back(feed.seen());
        if newest.len() <= looks {
            continue;
        }
        let Some(below) = newest.pop_front() else {
            continue;
        };
        loop {
            match db.once(&Prune { below }).await {
                Ok(more) if more => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!(%error, "the log was not cut this time");
                    break;
                }
            }
        }
    }
}

/// Removes old entries up to a revision; true: there are more.
struct Prune {
    below: u64,
}

impl Work for Prune {
    type Out = bool;

    async fn attempt(&self, on: &mut On<'_>) -> Result<bool, Fault> {
        let sql = on.sql;
        let below = i64::try_from(self.below).unwrap_or(i64::MAX);
        let mut transaction = on.connection.begin_with(sql.begin).await?;
        // Waits for its turn here.
        sql.say("SELECT n FROM keyport_meta WHERE name = 'pruned' FOR UPDATE")
            .fetch_one(&mut *transaction)
            .await?;
        let removed = sql
            .say(
                "WITH gone AS (DELETE FROM keyport_log WHERE id IN (SELECT id FROM keyport_log WHERE rev <= $1 \
                 AND at < clock_timestamp() - interval '15 minutes' ORDER BY rev LIMIT $2) RETURNING rev) \
                 SELECT count(*), COALESCE(max(rev), 0) FROM gone",
            )
            .bind(below)
            .bind(BATCH)
            .fetch_one(&mut *transaction)
            .await?;
        let (count, highest) = (number(&removed, 0)?, number(&removed, 1)?);
        sql.say("UPDATE keyport_meta SET n = GREATEST(n, $1) WHERE name = 'pruned'")
            .bind(i64::try_from(highest).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
        sql.say(
            "DELETE FROM keyport_lease WHERE until_ms < CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) - 86400000",
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(i64::try_from(count).is_ok_and(|count| count >= BATCH))
    }
}
