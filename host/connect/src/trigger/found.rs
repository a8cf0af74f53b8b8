//! What was found becomes events: new ones only, in one commit with the place where to go on.
//!
//! Whether an event is new is told by its key (`dedupe`), of which a digest is remembered. More events than one commit takes are
//! written in several; the cursor moves with the last, and the keys with each, so a crash in between repeats none.

use keyport_manifest::{Scope, Trigger};
use keyport_vault::{Expect, RecordId, Write};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::DUE;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::ids;
use crate::record::{
    self, Entity as _, Seal, Stored, Subscription, SubscriptionClear, TriggerEvent,
    TriggerEventClear, TriggerEventSealed,
};
use crate::use_::call::rule_failed;
use crate::use_::held;
use crate::view::PollResult;

/// How many keys are remembered of one subscription.
const SEEN: usize = 2000;
/// Events in one commit: each is two rows, and two more for each webhook; a commit takes 128.
const AT_ONCE: u64 = 5;
/// An event above this is handed on without its content, in bytes: a row of the store holds half a megabyte.
const EVENT_MOST: usize = 256 * 1024;

impl Engine {
    /// Hands on what is new of `found` and moves the subscription to `clear`. `marks`: nothing is handed on, for these are from before.
    pub(super) async fn hand_on(
        &self,
        stored: &Stored<Subscription>,
        clear: SubscriptionClear,
        declared: &Trigger,
        scope: &Scope,
        found: PollResult,
        marks: bool,
    ) -> Result<usize, ConnectError> {
        let mut sealed = stored.sealed()?.clone();
        let keys = keys(declared, scope, &found.events)?;
        let mut fresh: Vec<(String, Value)> = Vec::new();
        let mut old: Vec<String> = Vec::new();
        for (key, event) in keys.into_iter().zip(found.events) {
            let known = sealed.seen.contains(&key) || fresh.iter().any(|(other, _)| *other == key);
            if marks || known {
                old.push(key);
            } else {
                fresh.push((key, event));
            }
        }
        if marks {
            remember(&mut sealed.seen, old);
        }
        let count = fresh.len();
        let endpoints = if fresh.is_empty() {
            Vec::new()
        } else {
            self.endpoints_for("trigger.event", i64::MAX).await?
        };
        let mut rev = stored.rev;
        let mut now_clear = stored.clear.clone();
        let mut rest = fresh.into_iter().peekable();
        loop {
            let mut writes: Vec<Write> = Vec::new();
            let mut taken: u64 = 0;
            while taken < AT_ONCE
                && let Some((key, event)) = rest.next()
            {
                let number = now_clear.events.saturating_add(taken);
                writes.extend(
                    self.event_writes(&stored.id, &clear, declared, event, &endpoints, number)?,
                );
                remember(&mut sealed.seen, vec![key]);
                taken += 1;
            }
            let last = rest.peek().is_none();
            let handed = now_clear.events.saturating_add(taken);
            let before = now_clear.due;
            if last {
                sealed.cursor = Some(found.cursor.clone());
                now_clear = clear.clone();
            }
            now_clear.events = handed;
            if taken > 0 {
                now_clear.last_event_at = Some(self.now());
            }
            writes.extend(DUE.shift(before, now_clear.due, stored.id()));
            writes.push(record::put::<Subscription>(
                &stored.id,
                Expect::At(rev),
                &now_clear,
                Seal::Put(&sealed),
            )?);
            rev = self.commit(writes).await?;
            if last {
                return Ok(count);
            }
        }
    }

    /// One event, its place in the list of all, and its deliveries.
    pub(super) fn event_writes(
        &self,
        subscription: &RecordId,
        of: &SubscriptionClear,
        declared: &Trigger,
        event: Value,
        endpoints: &[String],
        number: u64,
    ) -> Result<Vec<Write>, ConnectError> {
        if let Some(misfit) = held::event(&declared.output, &event) {
            tracing::warn!(
                app = of.app,
                trigger = of.trigger,
                misfit,
                "an event is not what its manifest promises; it is handed on all the same"
            );
        }
        let now = self.now();
        // Ids sort by time; those of one subscription in one millisecond by their number.
        let id = ids::numbered_id(
            self.inner.entropy.as_ref(),
            TriggerEvent::PREFIX,
            now,
            number,
        )?;
        let clear = TriggerEventClear {
            at: now,
            app: of.app.clone(),
            trigger: of.trigger.clone(),
            connection_id: of.connection_id.clone(),
            subscription_id: subscription.id.clone(),
        };
        let small = event.to_string().len() <= EVENT_MOST;
        let sealed = TriggerEventSealed {
            event: small.then_some(event),
        };
        let at = record::record_id::<TriggerEvent>(&subscription.owner, &id);
        let mut writes = vec![
            record::put::<TriggerEvent>(&at, Expect::Absent, &clear, Seal::Put(&sealed))?,
            super::events::listed(&subscription.owner, &id, &clear),
        ];
        for endpoint in endpoints {
            writes.extend(self.delivery_writes(endpoint, &id, "trigger.event")?);
        }
        Ok(writes)
    }
}

/// Digests of what tells these events apart.
pub(super) fn keys(
    declared: &Trigger,
    scope: &Scope,
    events: &[Value],
) -> Result<Vec<String>, ConnectError> {
    events
        .iter()
        .map(|event| {
            let key = keyport_manifest::dedupe_key(declared, scope, event).map_err(rule_failed)?;
            // `validate` asks for a key; without one, only the very same event is taken for the same.
            let text = key.unwrap_or_else(|| event.to_string());
            Ok(digest(&text))
        })
        .collect()
}

fn digest(key: &str) -> String {
    ids::id_of_digest("", &Sha256::digest(key.as_bytes()))
}

/// Remembers keys as the newest ones.
pub(super) fn remember(seen: &mut Vec<String>, keys: Vec<String>) {
    for key in keys {
        if let Some(at) = seen.iter().position(|known| *known == key) {
            seen.remove(at);
        }
        seen.push(key);
    }
    let spare = seen.len().saturating_sub(SEEN);
    seen.drain(..spare);
}
