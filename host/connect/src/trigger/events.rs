//! The events, for whoever asks instead of being sent them.
//!
//! An event is its owner's: sealed with their key, and gone with it. The list over all owners is a row for each under the host's own
//! name, in order of time. Events are kept for a week, for whoever was away; they are no archive.
//!
//! Between hosts whose clocks differ an event can be listed before an older one: whoever must miss nothing takes webhooks, or asks
//! again from a little earlier and knows events by their ids.

use keyport_vault::{Expect, Kind, Owner, RecordId, SecretWrite, Write};
use serde_json::{Value, json};

use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{self, Entity as _, Stored, TriggerEvent, TriggerEventClear};
use crate::session::parse_owner;
use crate::view::{KeyScope, Page, TriggerEventQuery, TriggerEventView};
use crate::{clock, ids};

/// The list of all.
const LIST: Kind = Kind::new("trigger_event_list");
/// How many are removed in one go.
const PAGE: usize = 100;

/// The row of an event in the list of all.
pub(super) fn listed(owner: &Owner, id: &str, clear: &TriggerEventClear) -> Write {
    Write::Put {
        id: row(id),
        expect: Expect::Absent,
        clear: json!({ "owner": owner.as_str(), "subscription": clear.subscription_id }),
        secret: SecretWrite::Keep,
    }
}

fn row(id: &str) -> RecordId {
    RecordId::new(LIST, Owner::keyport(), id)
}

impl Engine {
    /// What triggers found, oldest first.
    ///
    /// # Errors
    ///
    /// When the query is not acceptable or the store cannot be read.
    pub async fn trigger_events(
        &self,
        actor: &Actor,
        query: &TriggerEventQuery,
    ) -> Result<Page<TriggerEventView>, ConnectError> {
        actor.require(KeyScope::Actions)?;
        let owner = query.owner.as_deref().map(parse_owner).transpose()?;
        let limit = query.limit.unwrap_or(50).clamp(1, 200);
        let mut items = Vec::new();
        let mut after = query.cursor.clone();
        loop {
            let page = self
                .inner
                .vault
                .list(
                    LIST,
                    Some(&Owner::keyport()),
                    after.as_deref(),
                    limit - items.len(),
                )
                .await?;
            for head in page.heads {
                let text = |name: &str| head.clear.get(name).and_then(Value::as_str);
                let wanted = query.subscription_id.as_deref();
                let of_owner = owner.as_ref().map(Owner::as_str);
                if (of_owner.is_none() || text("owner") == of_owner)
                    && (wanted.is_none() || text("subscription") == wanted)
                    && let Some(event) = self.trigger_event(&head.id.id).await?
                {
                    items.push(event);
                }
            }
            after = page.next;
            if after.is_none() || items.len() >= limit {
                return Ok(Page {
                    items,
                    next_cursor: after,
                });
            }
        }
    }

    /// One event; `None` when it is gone.
    pub(crate) async fn trigger_event(
        &self,
        id: &str,
    ) -> Result<Option<TriggerEventView>, ConnectError> {
        let stored: Stored<TriggerEvent> = match self.load(id).await {
            Ok(stored) => stored,
            Err(ConnectError::NotFound { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        let clear = &stored.clear;
        Ok(Some(TriggerEventView {
            id: id.to_owned(),
            at: clock::rfc3339(clear.at),
            owner: stored.owner().to_string(),
            app: clear.app.clone(),
            trigger: clear.trigger.clone(),
            connection_id: clear.connection_id.clone(),
            subscription_id: clear.subscription_id.clone(),
            event: stored
                .sealed
                .and_then(|sealed| sealed.event)
                .unwrap_or(Value::Null),
        }))
    }

    /// Removes events whose time is over; how many.
    pub(crate) async fn age_trigger_events(&self) -> Result<usize, ConnectError> {
        let keep = i64::try_from(self.inner.options.trigger_events_keep.as_millis());
        let until = self.now().saturating_sub(keep.unwrap_or(i64::MAX));
        let mut removed = 0;
        loop {
            let page = self
                .inner
                .vault
                .list(LIST, Some(&Owner::keyport()), None, PAGE)
                .await?;
            let over: Vec<_> = page
                .heads
                .iter()
                .take_while(|head| {
                    ids::time_of(TriggerEvent::PREFIX, &head.id.id).is_none_or(|at| at <= until)
                })
                .collect();
            for head in &over {
                let mut writes = vec![record::delete(&head.id, Expect::Any)];
                if let Some(at) = self
                    .inner
                    .vault
                    .find(TriggerEvent::KIND, &head.id.id)
                    .await?
                {
                    writes.push(record::delete(&at, Expect::Any));
                }
                self.commit(writes).await?;
                removed += 1;
            }
            if over.len() < PAGE {
                return Ok(removed);
            }
        }
    }
}
