//! The schedule: what is due is asked, by one host at a time, and what fails is left alone for longer each time.
//!
//! A lease keeps two hosts from asking the same thing at once; the revision of the subscription decides what may be written, so a host
//! that was too slow hands nothing on. The next look is put off by up to a tenth of the interval, always another one, so that what
//! was subscribed together is not asked together.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use keyport_manifest::{Means, Trigger};
use keyport_vault::{Expect, LeaseTry};

use super::DUE;
use crate::actor::Actor;
use crate::alive::spread;
use crate::catalogue::AppEntry;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{
    self, Connection, Seal, Stored, Subscription, SubscriptionClear, SubscriptionSealed,
};
use crate::use_::scope;
use crate::view::{Reason, SubscriptionKind, SubscriptionState, SubscriptionView};

/// How many subscriptions are looked at at once.
const AT_ONCE: usize = 8;
/// How many rows are read at a time.
const PAGE: usize = 64;
/// How long a host that has died keeps others from looking. A look may take longer: then two may ask, and one hands on.
const LEASE: Duration = Duration::from_secs(120);
/// Polls in a row while the app says that there is more.
const PAGES: usize = 20;
/// The same of the first look, which has to reach the end.
const FIRST_PAGES: usize = 50;
/// The longest pause after failures, in milliseconds.
const PAUSE_MOST_MS: i64 = 60 * 60 * 1000;
/// How long a connection that cannot be used is left alone, in milliseconds.
pub(super) const WAIT_MS: i64 = 5 * 60 * 1000;
/// A cursor above this is a component's mistake, in bytes: a row of the store holds half a megabyte.
const CURSOR_MOST: usize = 128 * 1024;

impl Engine {
    /// Asks what is due. One trouble does not stop the rest. How many were asked.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn poll_due(&self) -> Result<usize, ConnectError> {
        let rows = self.due_in(&DUE, PAGE).await?;
        let mut running = stream::iter(rows)
            .map(|(at, id)| {
                let engine = self.clone();
                async move {
                    let asked = engine.look(at, &id).await;
                    if let Err(error) = &asked {
                        tracing::info!(
                            subscription = id,
                            code = error.code(),
                            "a subscription was not looked at; it is tried again"
                        );
                    }
                    asked.unwrap_or(false)
                }
            })
            .buffer_unordered(AT_ONCE);
        let mut count = 0;
        while let Some(asked) = running.next().await {
            count += usize::from(asked);
        }
        Ok(count)
    }

    /// Asks the app now, whenever it would be asked next. A failure is told by the subscription's state.
    ///
    /// # Errors
    ///
    /// When there is no such subscription, it is paused, or the app sends its events by itself.
    pub async fn poll_subscription(
        &self,
        actor: &Actor,
        id: &str,
    ) -> Result<SubscriptionView, ConnectError> {
        let view = self.subscription(actor, id).await?;
        if view.kind != SubscriptionKind::Polling {
            return Ok(view);
        }
        let stored: Stored<Subscription> = self.load(id).await?;
        let Some(at) = stored.clear.due else {
            return Err(ConnectError::state(
                "paused",
                "this subscription is paused; resume it first",
            ));
        };
        self.look(at, id).await?;
        self.subscription(actor, id).await
    }

    async fn look(&self, at: i64, id: &str) -> Result<bool, ConnectError> {
        let name = format!("poll:{id}");
        let LeaseTry::Got(lease) = self.inner.vault.lease(&name, LEASE).await? else {
            return Ok(false);
        };
        let done = match self.look_leased(at, id).await {
            // Whatever it was, the row must not stay in front of all others.
            Err(error) => match self.load(id).await {
                Ok(stored) => self.failed_to_poll(stored, &error).await.map(|()| false),
                Err(_) => Err(error),
            },
            done => done,
        };
        if let Err(error) = self.inner.vault.release(lease).await {
            tracing::debug!(%error, "a poll's lease runs out by itself");
        }
        done
    }

    async fn look_leased(&self, at: i64, id: &str) -> Result<bool, ConnectError> {
        let stored: Stored<Subscription> = match self.load::<Subscription>(id).await {
            Ok(stored) if stored.clear.due == Some(at) => stored,
            Ok(other) => {
                let mut writes = vec![DUE.strike(at, id)];
                writes.extend(other.clear.due.map(|due| DUE.enter(due, id)));
                self.commit(writes).await?;
                return Ok(false);
            }
            Err(ConnectError::NotFound { .. }) => {
                self.commit(vec![DUE.strike(at, id)]).await?;
                return Ok(false);
            }
            Err(other) => return Err(other),
        };
        let connection = stored.clear.connection_id.clone();
        let ready = match self.ready(&Actor::Host, &connection, None).await {
            Ok(ready) => ready,
            Err(ConnectError::NotFound { .. }) => {
                self.drop_subscription(&Actor::Host, &stored, "subscription.ended")
                    .await?;
                return Ok(false);
            }
            Err(ConnectError::State { .. }) => {
                self.put_off_subscription(stored, unusable(), WAIT_MS, false)
                    .await?;
                return Ok(false);
            }
            Err(other) => {
                self.failed_to_poll(stored, &other).await?;
                return Ok(true);
            }
        };
        if stored.clear.kind != SubscriptionKind::Polling {
            // One whose connection could not be used; the app is told anew.
            return match self.subscribe_there(id).await {
                Ok(()) => Ok(true),
                Err(error) => {
                    let stored = self.load(id).await?;
                    self.failed_to_poll(stored, &error).await?;
                    Ok(true)
                }
            };
        }
        let entry = self.inner.catalogue.get(&stored.clear.app)?.clone();
        let Some(declared) = entry.manifest.triggers.get(&stored.clear.trigger) else {
            let reason = Reason {
                code: "no_such_trigger".into(),
                say: "the app has this trigger no more; subscribe another".into(),
            };
            self.put_off_subscription(stored, reason, PAUSE_MOST_MS, true)
                .await?;
            return Ok(false);
        };
        match self.poll_pages(ready, &entry, declared, stored).await {
            Ok(()) => Ok(true),
            Err((stored, error)) => {
                self.failed_to_poll(*stored, &error).await?;
                Ok(true)
            }
        }
    }

    /// Polls until the app has no more, handing on after each answer. An error comes with the subscription as it is by then.
    async fn poll_pages(
        &self,
        ready: Stored<Connection>,
        entry: &AppEntry,
        declared: &Trigger,
        mut stored: Stored<Subscription>,
    ) -> Result<(), (Box<Stored<Subscription>>, ConnectError)> {
        let id = stored.id().to_owned();
        let pages = if stored.clear.marked {
            PAGES
        } else {
            FIRST_PAGES
        };
        for page in 1..=pages {
            let done: Result<bool, ConnectError> = async {
                let sealed = stored.sealed()?;
                let found = self
                    .poll_with(
                        ready.clone(),
                        entry,
                        &stored.clear.trigger,
                        &sealed.input,
                        sealed.cursor.as_ref(),
                    )
                    .await?;
                cursor_fits(&found.cursor)?;
                let over = !found.more || page == pages;
                let now = self.now();
                let mut clear = stored.clear.clone();
                clear.state = SubscriptionState::Active;
                clear.reason = None;
                clear.failures = 0;
                clear.last_polled_at = Some(now);
                // A first look that has not reached the end goes on soon, and still hands nothing on.
                let marks = !clear.marked;
                clear.marked = clear.marked || !found.more;
                if over {
                    let wait = if found.more { 1000 } else { clear.every_ms };
                    let salt = u32::try_from(now.rem_euclid(i64::from(u32::MAX))).unwrap_or(0);
                    clear.due = Some(now + wait + spread(&id, salt, wait / 10));
                }
                let scope = scope::of_connection(ready.sealed()?, ready.clear.account.as_ref())
                    .with("input", sealed.input.clone());
                self.hand_on(&stored, clear, declared, &scope, found, marks)
                    .await?;
                Ok(over)
            }
            .await;
            match done {
                Ok(true) => return Ok(()),
                Ok(false) => match self.load(&id).await {
                    Ok(next) => stored = next,
                    Err(error) => return Err((Box::new(stored), error)),
                },
                Err(error) => {
                    let now = match self.load(&id).await {
                        Ok(now) => now,
                        Err(_) => stored,
                    };
                    return Err((Box::new(now), error));
                }
            }
        }
        Ok(())
    }

    /// The first look of a subscription that is being made.
    pub(super) async fn mark(
        &self,
        ready: Stored<Connection>,
        entry: &AppEntry,
        declared: &Trigger,
        clear: &mut SubscriptionClear,
        sealed: &mut SubscriptionSealed,
    ) -> Result<(), ConnectError> {
        let scope = scope::of_connection(ready.sealed()?, ready.clear.account.as_ref())
            .with("input", sealed.input.clone());
        for _ in 0..FIRST_PAGES {
            let found = self
                .poll_with(
                    ready.clone(),
                    entry,
                    &clear.trigger,
                    &sealed.input,
                    sealed.cursor.as_ref(),
                )
                .await?;
            cursor_fits(&found.cursor)?;
            let keys = super::found::keys(declared, &scope, &found.events)?;
            super::found::remember(&mut sealed.seen, keys);
            sealed.cursor = Some(found.cursor);
            if !found.more {
                clear.marked = true;
                break;
            }
        }
        clear.last_polled_at = Some(self.now());
        Ok(())
    }

    /// A poll that failed: the app is left alone, for longer each time, or for as long as it asks.
    async fn failed_to_poll(
        &self,
        stored: Stored<Subscription>,
        error: &ConnectError,
    ) -> Result<(), ConnectError> {
        if matches!(error, ConnectError::Stale) {
            // Somebody else was faster and has moved it.
            return Ok(());
        }
        let failures = stored.clear.failures.min(16);
        let pause = stored
            .clear
            .every_ms
            .saturating_mul(1_i64 << failures)
            .min(PAUSE_MOST_MS)
            .max(stored.clear.every_ms.min(PAUSE_MOST_MS));
        let asked = error
            .retry_after_ms()
            .and_then(|ms| i64::try_from(ms).ok())
            .unwrap_or(0);
        let means = match error {
            ConnectError::App { means, .. } => *means,
            _ => Means::Other,
        };
        let reason = Reason {
            code: match means {
                Means::Other => error.code().to_owned(),
                means => means.as_str().to_owned(),
            },
            say: error.to_string(),
        };
        self.put_off_subscription(stored, reason, pause.max(asked), true)
            .await
    }

    /// Puts the next look off.
    async fn put_off_subscription(
        &self,
        stored: Stored<Subscription>,
        reason: Reason,
        pause: i64,
        counts: bool,
    ) -> Result<(), ConnectError> {
        let now = self.now();
        let mut clear = stored.clear.clone();
        if clear.state != SubscriptionState::Paused {
            clear.state = SubscriptionState::Failing;
            clear.reason = Some(reason);
        }
        // One that is paused waits only for what the app has yet to be told.
        if clear.state != SubscriptionState::Paused || clear.due.is_some() {
            clear.due = Some(now + pause + spread(stored.id(), clear.failures, pause / 10));
        }
        if counts {
            clear.failures = clear.failures.saturating_add(1);
            clear.last_polled_at = Some(now);
        }
        let mut writes = DUE.shift(stored.clear.due, clear.due, stored.id());
        writes.push(record::put::<Subscription>(
            &stored.id,
            Expect::At(stored.rev),
            &clear,
            Seal::Keep,
        )?);
        match self.commit(writes).await {
            // Somebody has changed it meanwhile: what they wrote holds.
            Ok(_) | Err(ConnectError::Stale) => Ok(()),
            Err(other) => Err(other),
        }
    }
}

pub(super) fn unusable() -> Reason {
    Reason {
        code: "connection_not_usable".into(),
        say: "the connection cannot be used at the moment; it goes on when that is mended".into(),
    }
}

fn cursor_fits(cursor: &serde_json::Value) -> Result<(), ConnectError> {
    if cursor.to_string().len() > CURSOR_MOST {
        return Err(ConnectError::internal(
            "cursor_too_large",
            format!(
                "the trigger's cursor is larger than {CURSOR_MOST} bytes; its component must keep it small"
            ),
        ));
    }
    Ok(())
}
