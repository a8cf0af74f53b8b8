//! Which events are about which owner.
//!
//! A row of an owner's own for each event that names them, written in the same commit as the event and removed with it. So an owner's
//! events are one range of the store, however many others there are. What a row says is never acted upon: the event itself is
//! read, and one that is gone is passed over.
//!
//! Events from before the index existed are entered by [`Engine::fill_event_index`], once; until that is done a list by owner reads
//! all events, as it used to.

use keyport_vault::{Expect, Kind, Owner, RecordId, SecretWrite, Write};

use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{self, Entity as _, Event, EventClear, OwnersEvent, Seal};
use crate::view::{EventView, Page};

/// Says that all events are in the index.
const FILLED: Kind = Kind::new("event_index");
/// Rows written in one commit.
const FILL: usize = 50;

/// The row of an event under its owner; `None`: it names nobody who could have rows.
pub(crate) fn row(id: &str, event: &EventClear) -> Option<RecordId> {
    let owner = Owner::new(event.owner.as_deref()?).ok()?;
    Some(RecordId::new(OwnersEvent::KIND, owner, id.to_owned()))
}

/// Adds the rows of the events among these writes.
pub(crate) fn with_rows(mut writes: Vec<Write>) -> Result<Vec<Write>, ConnectError> {
    let mut rows = Vec::new();
    for write in &writes {
        if let Write::Put { id, clear, .. } = write
            && id.kind == Event::KIND
            && let Ok(event) = serde_json::from_value::<EventClear>(clear.clone())
            && let Some(at) = row(&id.id, &event)
        {
            rows.push(record::put::<OwnersEvent>(
                &at,
                Expect::Any,
                &(),
                Seal::Keep,
            )?);
        }
    }
    writes.append(&mut rows);
    Ok(writes)
}

impl Engine {
    /// An owner's events, oldest first, from the index.
    pub(crate) async fn owners_events(
        &self,
        owner: &Owner,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<EventView>, ConnectError> {
        let vault = &self.inner.vault;
        let (mut items, mut after) = (Vec::new(), cursor.map(ToOwned::to_owned));
        loop {
            let page = vault
                .list(
                    OwnersEvent::KIND,
                    Some(owner),
                    after.as_deref(),
                    limit - items.len(),
                )
                .await?;
            for head in page.heads {
                let at = record::record_id::<Event>(&Owner::keyport(), &head.id.id);
                let event = vault.head(&at).await?;
                // Of an event that has just gone for its age.
                let Some(stored) = event.and_then(record::read_listed::<Event>) else {
                    continue;
                };
                if stored.clear.owner.as_deref() == Some(owner.as_str()) {
                    items.push(crate::event::view(stored.id(), &stored.clear));
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

    /// Whether all events are in the index.
    pub(crate) async fn events_are_indexed(&self) -> Result<bool, ConnectError> {
        Ok(self.inner.vault.head(&mark()).await?.is_some())
    }

    /// Enters events that were written before there was an index. Does nothing where that was done.
    pub(crate) async fn fill_event_index(&self) -> Result<(), ConnectError> {
        if self.events_are_indexed().await? {
            return Ok(());
        }
        let mut after: Option<String> = None;
        loop {
            let page = self
                .inner
                .vault
                .list(Event::KIND, Some(&Owner::keyport()), after.as_deref(), FILL)
                .await?;
            let mut writes = Vec::new();
            for stored in page
                .heads
                .into_iter()
                .filter_map(record::read_listed::<Event>)
            {
                if let Some(at) = row(stored.id(), &stored.clear) {
                    writes.push(record::put::<OwnersEvent>(
                        &at,
                        Expect::Any,
                        &(),
                        Seal::Keep,
                    )?);
                }
            }
            if !writes.is_empty() {
                self.inner.vault.commit(writes).await?;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mark = Write::Put {
            id: mark(),
            expect: Expect::Any,
            clear: serde_json::json!({}),
            secret: SecretWrite::Keep,
        };
        self.inner.vault.commit(vec![mark]).await?;
        Ok(())
    }
}

fn mark() -> RecordId {
    RecordId::new(FILLED, Owner::keyport(), "filled")
}
