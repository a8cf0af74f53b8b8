//! Leases, by the database's clock alone: no host's clock is ever asked, so none can be wrong.
//!
//! Each attempt to take a lease carries a random mark. If its reply is lost, the same attempt may be made again and finds
//! its own mark: it holds the lease then, rather than waiting for itself. Tokens come from a sequence, so a lease that
//! was given back and forgotten never shows an old token again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::fault::Fault;
use super::read::number;
use super::session::{On, Work};
use crate::store::{CommitId, Lease, LeaseName, LeaseTry, NodeId, StoreError};

/// Milliseconds of Unix time by the database's clock, as of this very moment.
macro_rules! now {
    () => {
        "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"
    };
}

/// To take one.
pub(super) struct Try {
    name: LeaseName,
    holder: String,
    ttl_ms: i64,
}

impl Try {
    pub(super) fn new(name: &LeaseName, who: &NodeId, ttl_ms: u64) -> Result<Self, StoreError> {
        let mark = URL_SAFE_NO_PAD.encode(CommitId::random()?.0);
        Ok(Self {
            name: name.clone(),
            holder: format!("{}/{mark}", who.0),
            ttl_ms: signed(ttl_ms)?,
        })
    }
}

impl Work for Try {
    type Out = LeaseTry;

    async fn attempt(&self, on: &mut On<'_>) -> Result<LeaseTry, Fault> {
        let got = on
            .sql
            .say(concat!(
                "INSERT INTO keyport_lease (name, holder, token, until_ms) VALUES ($1, $2, nextval('keyport_token'), ",
                now!(),
                " + $3) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = excluded.token, until_ms = ",
                now!(),
                " + $3 WHERE keyport_lease.until_ms <= ",
                now!(),
                " OR keyport_lease.holder = excluded.holder RETURNING token, until_ms"
            ))
            .bind(&self.name.0)
            .bind(&self.holder)
            .bind(self.ttl_ms)
            .fetch_optional(&mut *on.connection)
            .await?;
        if let Some(row) = got {
            return Ok(LeaseTry::Got(Lease {
                name: self.name.clone(),
                token: number(&row, 0)?,
                until_ms: number(&row, 1)?,
            }));
        }
        let held = on
            .sql
            .say("SELECT until_ms FROM keyport_lease WHERE name = $1")
            .bind(&self.name.0)
            .fetch_optional(&mut *on.connection)
            .await?;
        match held {
            Some(row) => Ok(LeaseTry::Held {
                until_ms: number(&row, 0)?,
            }),
            // Given back in between.
            None => Err(Fault::Again("others keep taking the same lease")),
        }
    }
}

/// To prolong one.
pub(super) struct Renew<'a> {
    pub(super) lease: &'a Lease,
    pub(super) ttl_ms: u64,
}

impl Work for Renew<'_> {
    type Out = bool;

    async fn attempt(&self, on: &mut On<'_>) -> Result<bool, Fault> {
        let done = on
            .sql
            .say(concat!(
                "UPDATE keyport_lease SET until_ms = ",
                now!(),
                " + $3 WHERE name = $1 AND token = $2 AND until_ms > ",
                now!()
            ))
            .bind(&self.lease.name.0)
            .bind(signed(self.lease.token).map_err(Fault::Final)?)
            .bind(signed(self.ttl_ms).map_err(Fault::Final)?)
            .execute(&mut *on.connection)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}

/// To give one back.
pub(super) struct Release<'a>(pub(super) &'a Lease);

impl Work for Release<'_> {
    type Out = ();

    async fn attempt(&self, on: &mut On<'_>) -> Result<(), Fault> {
        on.sql
            .say("DELETE FROM keyport_lease WHERE name = $1 AND token = $2")
            .bind(&self.0.name.0)
            .bind(signed(self.0.token).map_err(Fault::Final)?)
            .execute(&mut *on.connection)
            .await?;
        Ok(())
    }
}

fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Refused("a number that is too high"))
}
