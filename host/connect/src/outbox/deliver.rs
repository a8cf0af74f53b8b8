//! What is due is sent; what is not accepted is tried again, for three days.
//!
//! Before a delivery is sent its next try is moved on, by whoever has the current revision: two hosts do not send the same at once,
//! and one that dies while sending leaves it to be tried again.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use keyport_egress::{Body, Pass, Purpose};
use keyport_manifest::{AllowedHosts, HostPattern};
use keyport_vault::{Expect, Owner};
use serde_json::{Value, json};
use url::Url;

use super::DUE;
use super::sign::signatures;
use crate::actor::Actor;
use crate::alive::spread;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{
    self, Delivery, DeliveryClear, Endpoint, EndpointSealed, Entity as _, Event, Seal, Stored,
};
use crate::view::{AttemptView, DeliveryState};
use crate::{clock, ids};

/// How many are sent at once.
const AT_ONCE: usize = 16;
/// How many rows are read at a time.
const PAGE: usize = 64;
/// How long a platform may take. It should answer at once and work later.
const TIME: Duration = Duration::from_secs(15);
/// Nobody else sends it within this time.
const CLAIM_MS: i64 = 60_000;
/// Of an answer no more is read than this, and nothing of it is kept.
const ANSWER: u64 = 64 * 1024;
/// Tries in the log.
const LOG: usize = 10;
/// Pauses between tries, in seconds: as the standard advises, up to three days in all.
const PAUSES: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

impl Engine {
    /// Sends what is due; how many were sent, accepted or not.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn deliver_due(&self) -> Result<usize, ConnectError> {
        let rows = self.due_in(&DUE, PAGE).await?;
        let mut running = stream::iter(rows)
            .map(|(at, id)| {
                let engine = self.clone();
                async move {
                    let sent = engine.deliver(at, &id).await;
                    if let Err(error) = &sent
                        && !matches!(error, ConnectError::Stale)
                    {
                        tracing::warn!(
                            delivery = id,
                            code = error.code(),
                            "a delivery was not looked at; it is tried again"
                        );
                    }
                    sent.unwrap_or(false)
                }
            })
            .buffer_unordered(AT_ONCE);
        let mut count = 0;
        while let Some(sent) = running.next().await {
            count += usize::from(sent);
        }
        Ok(count)
    }

    async fn deliver(&self, at: i64, id: &str) -> Result<bool, ConnectError> {
        let stored: Stored<Delivery> = match self.load::<Delivery>(id).await {
            Ok(stored) if stored.clear.due == Some(at) => stored,
            Ok(other) => {
                let mut writes = vec![DUE.strike(at, id)];
                writes.extend(other.clear.due.map(|due| DUE.enter(due, id)));
                return self.commit(writes).await.map(|_| false);
            }
            Err(ConnectError::NotFound { .. }) => {
                return self.commit(vec![DUE.strike(at, id)]).await.map(|_| false);
            }
            Err(other) => return Err(other),
        };
        let claimed = DeliveryClear {
            due: Some(self.now() + CLAIM_MS),
            tried: stored.clear.tried + 1,
            ..stored.clear.clone()
        };
        let rev = self.put_delivery(&stored, &claimed).await?;
        let stored = Stored {
            rev,
            clear: claimed,
            ..stored
        };
        let endpoint: Option<Stored<Endpoint>> = match self.load(&stored.clear.endpoint).await {
            Ok(endpoint) => Some(endpoint),
            Err(ConnectError::NotFound { .. }) => None,
            Err(other) => return Err(other),
        };
        let mut clear = stored.clear.clone();
        let payload = self.payload(&clear).await?;
        let (Some(endpoint), Some(payload)) = (endpoint.filter(|it| it.clear.enabled), payload)
        else {
            clear.state = DeliveryState::GivenUp;
            clear.due = None;
            self.put_delivery(&stored, &clear).await?;
            return Ok(false);
        };
        let begun = Instant::now();
        let answer = self.post(endpoint.sealed()?, &clear.event, payload).await;
        let attempt = AttemptView {
            at: clock::rfc3339(self.now()),
            status: answer.as_ref().ok().copied(),
            code: answer.as_ref().err().map(|code| (*code).to_owned()),
            ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        clear.attempts.push(attempt);
        let spare = clear.attempts.len().saturating_sub(LOG);
        clear.attempts.drain(..spare);
        match answer {
            Ok(200..=299) => {
                clear.state = DeliveryState::Delivered;
                clear.due = None;
            }
            Ok(410) => {
                clear.state = DeliveryState::GivenUp;
                clear.due = None;
                self.disable(&endpoint, "the address answered 410 Gone")
                    .await?;
            }
            _ => {
                let tried = usize::try_from(clear.tried).unwrap_or(usize::MAX);
                match PAUSES.get(tried.saturating_sub(1)) {
                    Some(seconds) => {
                        let pause = seconds * 1000;
                        clear.due = Some(self.now() + pause + spread(id, clear.tried, pause / 10));
                    }
                    None => {
                        clear.state = DeliveryState::GivenUp;
                        clear.due = None;
                    }
                }
            }
        }
        self.put_delivery(&stored, &clear).await?;
        Ok(true)
    }

    async fn put_delivery(
        &self,
        stored: &Stored<Delivery>,
        clear: &DeliveryClear,
    ) -> Result<keyport_vault::Rev, ConnectError> {
        let mut writes = DUE.shift(stored.clear.due, clear.due, stored.id());
        writes.push(record::put::<Delivery>(
            &stored.id,
            Expect::At(stored.rev),
            clear,
            Seal::Keep,
        )?);
        self.commit(writes).await
    }

    async fn disable(&self, endpoint: &Stored<Endpoint>, why: &str) -> Result<(), ConnectError> {
        let mut stored: Stored<Endpoint> = self.load(endpoint.id()).await?;
        let sealed = stored.sealed()?.clone();
        stored.clear.enabled = false;
        stored.clear.disabled_because = Some(why.to_owned());
        self.put_webhook(&Actor::Host, &stored, &sealed, "webhook.disabled")
            .await
    }

    /// What is sent: `type`, `timestamp`, `data`. `None` when the event is gone.
    async fn payload(&self, clear: &DeliveryClear) -> Result<Option<Vec<u8>>, ConnectError> {
        let (at, data) = if clear.event.starts_with(Event::PREFIX) {
            let stored: Stored<Event> = match self.load(&clear.event).await {
                Ok(stored) => stored,
                Err(ConnectError::NotFound { .. }) => return Ok(None),
                Err(other) => return Err(other),
            };
            let view = crate::event::view(stored.id(), &stored.clear);
            (view.at.clone(), json!(view))
        } else {
            match self.trigger_event(&clear.event).await? {
                Some(view) => (view.at.clone(), json!(view)),
                None => return Ok(None),
            }
        };
        let body: Value = json!({ "type": clear.kind, "timestamp": at, "data": data });
        Ok(Some(body.to_string().into_bytes()))
    }

    /// Posts a delivery: the status that was answered, or the code of what went wrong.
    async fn post(
        &self,
        endpoint: &EndpointSealed,
        event: &str,
        body: Vec<u8>,
    ) -> Result<u16, &'static str> {
        let url = Url::parse(endpoint.url.expose()).map_err(|_| "bad_url")?;
        let host = HostPattern::of_url(&url).map_err(|_| "bad_url")?;
        let hosts: AllowedHosts = [host].into_iter().collect();
        let mut pass = Pass::new(Owner::keyport().as_str(), Purpose::Flow, hosts);
        pass.limits.total = TIME;
        let seconds = self.now().div_euclid(1000);
        let mut secrets = vec![&endpoint.secret];
        if self.now() < endpoint.before_until {
            secrets.extend(&endpoint.before);
        }
        let request = http::Request::post(url.as_str())
            .header("content-type", "application/json")
            .header("user-agent", "Keyport")
            .header("webhook-id", event)
            .header("webhook-timestamp", seconds.to_string())
            .header(
                "webhook-signature",
                signatures(&secrets, event, seconds, &body),
            )
            .body(Body::from_bytes(body))
            .map_err(|_| "bad_url")?;
        let answer = self.inner.egress.send(&pass, request).await;
        let (parts, body) = answer.map_err(|error| error.code())?.into_parts();
        // Read so that the line can be used again; whatever it is, it is not kept.
        drop(body.collect(ANSWER).await);
        Ok(parts.status.as_u16())
    }

    /// Removes deliveries as old as the events that they are of may be; how many.
    pub(crate) async fn age_deliveries(&self) -> Result<usize, ConnectError> {
        let keep = i64::try_from(self.inner.options.trigger_events_keep.as_millis());
        let until = self.now().saturating_sub(keep.unwrap_or(i64::MAX));
        let mut removed = 0;
        loop {
            let page = self
                .inner
                .vault
                .list(Delivery::KIND, Some(&Owner::keyport()), None, PAGE)
                .await?;
            let mut over = 0;
            for head in page.heads {
                if ids::time_of(Delivery::PREFIX, &head.id.id).is_some_and(|at| at > until) {
                    break;
                }
                let due = record::read_listed::<Delivery>(head.clone())
                    .and_then(|stored| stored.clear.due);
                let mut writes = DUE.shift(due, None, &head.id.id);
                writes.push(record::delete(&head.id, Expect::Any));
                self.commit(writes).await?;
                over += 1;
            }
            removed += over;
            if over < PAGE {
                return Ok(removed);
            }
        }
    }
}
