//! An event becomes a delivery for each endpoint that wants it.
//!
//! What triggers find is written with its deliveries. Everything else (a connection that needs its person, a pause) is an event of
//! the audit trail, found here a moment later: deliveries are named by event and endpoint, so finding one again makes no second.

use std::collections::HashSet;
use std::time::Duration;

use keyport_vault::{Expect, Kind, LeaseTry, Owner, RecordId, SecretWrite, Write};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::DUE;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::ids;
use crate::record::{self, Delivery, DeliveryClear, Endpoint, Entity as _, Event, Seal};
use crate::view::DeliveryState;

const LEASE: Duration = Duration::from_secs(60);
/// Where finding stands.
const MARK: Kind = Kind::new("outbox_mark");
/// How much later than its own time an event may be found: other hosts' clocks, and commits that take long.
const LATE_MS: i64 = 120_000;
/// What of the audit trail is sent.
const SENT: [&str; 2] = ["connection.", "subscription."];

impl Engine {
    /// Writes deliveries for what has happened; how many. Called every few seconds.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    pub async fn fill_outbox(&self) -> Result<usize, ConnectError> {
        let LeaseTry::Got(lease) = self.inner.vault.lease("outbox", LEASE).await? else {
            return Ok(0);
        };
        let done = self.fill_leased().await;
        if let Err(error) = self.inner.vault.release(lease).await {
            tracing::debug!(%error, "the outbox's lease runs out by itself");
        }
        done
    }

    async fn fill_leased(&self) -> Result<usize, ConnectError> {
        let at = RecordId::new(MARK, Owner::keyport(), "mark");
        let found = self.inner.vault.head(&at).await?;
        let mark = found
            .as_ref()
            .and_then(|head| head.clear.get("seen").and_then(Value::as_i64));
        let Some(mark) = mark else {
            // From before there was an outbox nothing is sent.
            return self.write_mark(at, self.now()).await.map(|()| 0);
        };
        let from = mark.saturating_sub(LATE_MS);
        let before = RecordId::new(
            Event::KIND,
            Owner::keyport(),
            ids::first_at(Event::PREFIX, from),
        );
        let mut after = Some(self.inner.vault.cursor(&before));
        let (mut seen, mut count) = (mark, 0);
        loop {
            let page = self
                .inner
                .vault
                .list(Event::KIND, Some(&Owner::keyport()), after.as_deref(), 200)
                .await?;
            for head in page.heads {
                let id = head.id.id.clone();
                seen = seen.max(ids::time_of(Event::PREFIX, &id).unwrap_or(0));
                let Some(event) = record::read_listed::<Event>(head) else {
                    continue;
                };
                let kind = &event.clear.kind;
                if !SENT.iter().any(|prefix| kind.starts_with(prefix)) || self.was_filled(&id) {
                    continue;
                }
                for endpoint in self.endpoints_for(kind, event.clear.at).await? {
                    let writes = self.delivery_writes(&endpoint, &id, kind)?;
                    match self.commit(writes).await {
                        Ok(_) => count += 1,
                        // It is there already.
                        Err(ConnectError::Stale) => {}
                        Err(other) => return Err(other),
                    }
                }
                self.filled(id);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if seen != mark {
            self.write_mark(at, seen).await?;
        }
        Ok(count)
    }

    async fn write_mark(&self, at: RecordId, seen: i64) -> Result<(), ConnectError> {
        let write = Write::Put {
            id: at,
            expect: Expect::Any,
            clear: json!({ "seen": seen }),
            secret: SecretWrite::Keep,
        };
        self.commit(vec![write]).await.map(drop)
    }

    /// What this host has looked at lately is not looked at again at each turn.
    fn was_filled(&self, id: &str) -> bool {
        self.inner
            .filled
            .lock()
            .is_ok_and(|known| known.contains(id))
    }

    fn filled(&self, id: String) {
        if let Ok(mut known) = self.inner.filled.lock() {
            if known.len() > 20_000 {
                known.clear();
            }
            known.insert(id);
        }
    }

    /// Endpoints that want events of this kind and were there before this time: nothing from before is sent.
    pub(crate) async fn endpoints_for(
        &self,
        kind: &str,
        at: i64,
    ) -> Result<Vec<String>, ConnectError> {
        let all = self.heads::<Endpoint>(Some(&Owner::keyport())).await?;
        Ok(all
            .into_iter()
            .filter(|head| head.clear.enabled && head.clear.created_at < at)
            .filter(|head| wants(&head.clear.kinds, kind))
            .map(|head| head.id.id)
            .collect())
    }

    /// The writes of one delivery. Two of the same event for the same endpoint have the same id.
    pub(crate) fn delivery_writes(
        &self,
        endpoint: &str,
        event: &str,
        kind: &str,
    ) -> Result<Vec<Write>, ConnectError> {
        let prefix = event.split_once('_').map_or("", |(prefix, _)| prefix);
        let at = ids::time_of(&format!("{prefix}_"), event).unwrap_or_else(|| self.now());
        let digest = Sha256::digest(format!("{endpoint} {event}").as_bytes());
        let own: String = ids::id_of_digest("", &digest).chars().take(13).collect();
        let id = format!("{}{own}", ids::first_at(Delivery::PREFIX, at));
        let now = self.now();
        let clear = DeliveryClear {
            endpoint: endpoint.to_owned(),
            event: event.to_owned(),
            kind: kind.to_owned(),
            state: DeliveryState::Waiting,
            created_at: now,
            due: Some(now),
            tried: 0,
            attempts: Vec::new(),
        };
        let at = record::record_id::<Delivery>(&Owner::keyport(), &id);
        Ok(vec![
            record::put::<Delivery>(&at, Expect::Absent, &clear, Seal::Keep)?,
            DUE.enter(now, &id),
        ])
    }
}

/// Whether a list of kinds has this one; an empty list has all.
fn wants(kinds: &[String], kind: &str) -> bool {
    kinds.is_empty()
        || kinds.iter().any(|one| match one.strip_suffix('*') {
            Some(prefix) => kind.starts_with(prefix),
            None => one == kind,
        })
}

/// The set of what was looked at lately.
pub(crate) type Filled = std::sync::Mutex<HashSet<String>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_whole_or_end_in_a_star() {
        let kinds = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        assert!(wants(&[], "connection.paused"));
        assert!(wants(&kinds(&["connection.*"]), "connection.paused"));
        assert!(!wants(&kinds(&["connection.*"]), "trigger.event"));
        assert!(!wants(&kinds(&["trigger"]), "trigger.event"));
    }
}
