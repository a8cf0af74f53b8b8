//! What happened: one list that is the audit trail and the product's events at once.
//!
//! An event is written in the same commit as the change that it tells, so that neither is there without the other. It
//! names who did it and what; it never holds a secret, a credential's name or a provider's own words.

use keyport_vault::{Expect, Owner, Write};
use tokio::sync::broadcast::error::RecvError;

use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{self, Event, EventClear, Seal};
use crate::view::{Change, EventView, Page};
use crate::{clock, ids};

/// The kinds of records that a page shows.
const SHOWN: [&str; 2] = ["connection", "flow"];

/// What to write down. Built up at the place where it happens.
pub(crate) struct Note<'a> {
    kind: &'static str,
    actor: String,
    owner: Option<&'a Owner>,
    app: Option<&'a str>,
    connection: Option<&'a str>,
    code: Option<&'a str>,
    say: Option<&'a str>,
}

impl<'a> Note<'a> {
    pub(crate) fn by(actor: &Actor, kind: &'static str) -> Self {
        Note {
            kind,
            actor: actor.name(),
            owner: None,
            app: None,
            connection: None,
            code: None,
            say: None,
        }
    }

    pub(crate) fn owner(mut self, owner: &'a Owner) -> Self {
        self.owner = Some(owner);
        self
    }

    pub(crate) fn app(mut self, app: &'a str) -> Self {
        self.app = Some(app);
        self
    }

    pub(crate) fn connection(mut self, id: &'a str) -> Self {
        self.connection = Some(id);
        self
    }

    pub(crate) fn code(mut self, code: &'a str) -> Self {
        self.code = Some(code);
        self
    }

    pub(crate) fn say(mut self, say: &'a str) -> Self {
        self.say = Some(say);
        self
    }
}

impl Engine {
    /// The write that keeps `note`; it goes into the commit of what it tells.
    pub(crate) fn note(&self, note: Note<'_>) -> Result<Write, ConnectError> {
        let now = self.now();
        let id = ids::timed_id(self.inner.entropy.as_ref(), "evt_", now)?;
        tracing::info!(
            event = note.kind,
            actor = note.actor,
            owner = note.owner.map(ToString::to_string),
            app = note.app,
            connection = note.connection,
            code = note.code,
            "event"
        );
        let clear = EventClear {
            at: now,
            kind: note.kind.to_owned(),
            actor: note.actor,
            owner: note.owner.map(ToString::to_string),
            app: note.app.map(ToOwned::to_owned),
            connection_id: note.connection.map(ToOwned::to_owned),
            code: note.code.map(ToOwned::to_owned),
            say: note.say.map(ToOwned::to_owned),
        };
        record::put::<Event>(
            &record::record_id::<Event>(&Owner::keyport(), &id),
            Expect::Absent,
            &clear,
            Seal::Keep,
        )
    }

    /// Tells the pages that watch. A hint: whoever gets it asks again.
    pub(crate) fn tell(&self, kind: &str, owner: &Owner, id: &str) {
        // Nobody listening is not an error.
        let _ = self.inner.changes.send(Change {
            kind: kind.to_owned(),
            id: id.to_owned(),
            owner: owner.to_string(),
        });
    }

    /// From now on tells the pages of this host, too, what other hosts change, for as long as the engine lives.
    pub(crate) fn hear(&self) {
        // Without a runtime there are no pages either.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let mut watch = self.inner.vault.watch();
        let engine = std::sync::Arc::downgrade(&self.inner);
        runtime.spawn(async move {
            loop {
                let heard = watch.recv().await;
                let Some(inner) = engine.upgrade() else {
                    return;
                };
                let change = match heard {
                    // What this host does, it tells at once by itself.
                    Ok(changed) if changed.own || !SHOWN.contains(&changed.kind.as_str()) => {
                        continue;
                    }
                    Ok(changed) => Change {
                        kind: changed.kind,
                        id: changed.id,
                        owner: changed.owner.to_string(),
                    },
                    Err(RecvError::Lagged(_)) => Change::look_again(),
                    Err(RecvError::Closed) => return,
                };
                // Nobody listening is not an error.
                let _ = inner.changes.send(change);
            }
        });
    }

    /// What happened, oldest first, of one owner or of all. `limit` is 1 to 200, 50 when absent.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or the cursor is not one.
    pub async fn events(
        &self,
        owner: Option<&str>,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Page<EventView>, ConnectError> {
        let limit = limit.unwrap_or(50).clamp(1, 200);
        if let Some(of) = owner.and_then(|owner| Owner::new(owner).ok())
            && self.events_are_indexed().await?
        {
            return self.owners_events(&of, cursor, limit).await;
        }
        let mut items = Vec::new();
        let mut after = cursor.map(ToOwned::to_owned);
        loop {
            let wanted = limit - items.len();
            let page = self
                .inner
                .vault
                .list(
                    <Event as record::Entity>::KIND,
                    Some(&Owner::keyport()),
                    after.as_deref(),
                    wanted,
                )
                .await?;
            for head in page.heads {
                let Some(stored) = record::read_listed::<Event>(head) else {
                    continue;
                };
                if owner.is_none() || stored.clear.owner.as_deref() == owner {
                    items.push(view(stored.id(), &stored.clear));
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
}

pub(crate) fn view(id: &str, event: &EventClear) -> EventView {
    EventView {
        id: id.to_owned(),
        at: clock::rfc3339(event.at),
        kind: event.kind.clone(),
        actor: event.actor.clone(),
        owner: event.owner.clone(),
        app: event.app.clone(),
        connection_id: event.connection_id.clone(),
        code: event.code.clone(),
        say: event.say.clone(),
    }
}
