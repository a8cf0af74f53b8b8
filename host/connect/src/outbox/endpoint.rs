//! Where events are sent: addresses, kinds, secrets.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyport_vault::{Expect, Owner};
use url::{Host, Url};

use super::DUE;
use super::sign::SECRET_PREFIX;
use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::hidden::Hidden;
use crate::record::{
    self, Delivery, Endpoint, EndpointClear, EndpointSealed, Entity as _, Seal, Stored,
};
use crate::view::{
    CreatedWebhook, DeliveryState, DeliveryView, KeyScope, NewWebhook, Page, WebhookPatch,
    WebhookView,
};
use crate::{clock, ids};

/// More than any platform needs; each event is sent to all, and its deliveries are written with it: five events in a commit of 128 rows.
const MOST: usize = 10;
/// How long an old secret signs beside the new one.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

impl Engine {
    /// Adds an address that events are sent to. Its secret is in the answer and nowhere else.
    ///
    /// # Errors
    ///
    /// When the address is not one, there are too many, or the store cannot be written.
    pub async fn create_webhook(
        &self,
        actor: &Actor,
        new: NewWebhook,
    ) -> Result<CreatedWebhook, ConnectError> {
        actor.require(KeyScope::Manage)?;
        let url = address(&new.url)?;
        let kinds = check_kinds(new.kinds.unwrap_or_default())?;
        let description = match new.description.as_deref() {
            None | Some("") => String::new(),
            Some(text) => self.check_name("description", text)?,
        };
        if self.heads::<Endpoint>(Some(&Owner::keyport())).await?.len() >= MOST {
            return Err(ConnectError::state(
                "too_many_webhooks",
                format!("there are {MOST} webhooks; remove one that nobody needs"),
            ));
        }
        let id = ids::random_id(self.inner.entropy.as_ref(), Endpoint::PREFIX)?;
        let now = self.now();
        let clear = EndpointClear {
            description,
            kinds,
            enabled: true,
            disabled_because: None,
            created_at: now,
            updated_at: now,
        };
        let sealed = EndpointSealed {
            url,
            secret: self.webhook_secret()?,
            before: None,
            before_until: 0,
        };
        let at = record::record_id::<Endpoint>(&Owner::keyport(), &id);
        self.commit(vec![
            record::put::<Endpoint>(&at, Expect::Absent, &clear, Seal::Put(&sealed))?,
            self.note(Note::by(actor, "webhook.created").code(&id))?,
        ])
        .await?;
        Ok(created(&id, &clear, &sealed))
    }

    /// All webhooks.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn webhooks(&self, actor: &Actor) -> Result<Page<WebhookView>, ConnectError> {
        actor.require(KeyScope::Manage)?;
        let mut items = Vec::new();
        for head in self.heads::<Endpoint>(Some(&Owner::keyport())).await? {
            let stored: Stored<Endpoint> = self.load(head.id()).await?;
            items.push(view(head.id(), &stored.clear, stored.sealed()?));
        }
        Ok(Page {
            items,
            next_cursor: None,
        })
    }

    /// One webhook.
    ///
    /// # Errors
    ///
    /// When there is none with this id.
    pub async fn webhook(&self, actor: &Actor, id: &str) -> Result<WebhookView, ConnectError> {
        actor.require(KeyScope::Manage)?;
        let stored: Stored<Endpoint> = self.load(id).await?;
        Ok(view(id, &stored.clear, stored.sealed()?))
    }

    /// Changes a webhook.
    ///
    /// # Errors
    ///
    /// When there is none with this id or a value is not acceptable.
    pub async fn update_webhook(
        &self,
        actor: &Actor,
        id: &str,
        patch: WebhookPatch,
    ) -> Result<WebhookView, ConnectError> {
        actor.require(KeyScope::Manage)?;
        let mut stored: Stored<Endpoint> = self.load(id).await?;
        let mut sealed = stored.sealed()?.clone();
        let clear = &mut stored.clear;
        if let Some(url) = &patch.url {
            sealed.url = address(url)?;
        }
        if let Some(kinds) = patch.kinds {
            clear.kinds = check_kinds(kinds)?;
        }
        if let Some(text) = patch.description.as_deref() {
            clear.description = match text {
                "" => String::new(),
                text => self.check_name("description", text)?,
            };
        }
        if let Some(enabled) = patch.enabled {
            clear.enabled = enabled;
            clear.disabled_because = None;
        }
        clear.updated_at = self.now();
        self.put_webhook(actor, &stored, &sealed, "webhook.changed")
            .await?;
        Ok(view(id, &stored.clear, &sealed))
    }

    /// Gives a webhook a new secret. The old one signs beside it for a day, so that the platform can change over.
    ///
    /// # Errors
    ///
    /// When there is none with this id.
    pub async fn rotate_webhook_secret(
        &self,
        actor: &Actor,
        id: &str,
    ) -> Result<CreatedWebhook, ConnectError> {
        actor.require(KeyScope::Manage)?;
        let stored: Stored<Endpoint> = self.load(id).await?;
        let mut sealed = stored.sealed()?.clone();
        let old = std::mem::replace(&mut sealed.secret, self.webhook_secret()?);
        sealed.before = Some(old);
        sealed.before_until = self.after(OVERLAP);
        self.put_webhook(actor, &stored, &sealed, "webhook.secret_changed")
            .await?;
        Ok(created(id, &stored.clear, &sealed))
    }

    /// Removes a webhook. What it was to be sent is given up.
    ///
    /// # Errors
    ///
    /// When there is none with this id.
    pub async fn delete_webhook(&self, actor: &Actor, id: &str) -> Result<(), ConnectError> {
        actor.require(KeyScope::Manage)?;
        let stored: Stored<Endpoint> = self.load(id).await?;
        self.commit(vec![
            record::delete(&stored.id, Expect::At(stored.rev)),
            self.note(Note::by(actor, "webhook.deleted").code(id))?,
        ])
        .await
        .map(drop)
    }

    /// What was and will be sent to a webhook, oldest first.
    ///
    /// # Errors
    ///
    /// When there is none with this id or the store cannot be read.
    pub async fn deliveries(
        &self,
        actor: &Actor,
        webhook: &str,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Page<DeliveryView>, ConnectError> {
        actor.require(KeyScope::Manage)?;
        let stored: Stored<Endpoint> = self.load(webhook).await?;
        let limit = limit.unwrap_or(50).clamp(1, 200);
        let mut items = Vec::new();
        let mut after = cursor.map(ToOwned::to_owned);
        loop {
            let page = self
                .inner
                .vault
                .list(
                    Delivery::KIND,
                    Some(&Owner::keyport()),
                    after.as_deref(),
                    limit - items.len(),
                )
                .await?;
            for head in page.heads {
                if let Some(head) = record::read_listed::<Delivery>(head)
                    && head.clear.endpoint == stored.id()
                {
                    items.push(delivery_view(&head));
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

    /// Sends a delivery again, whatever became of it.
    ///
    /// # Errors
    ///
    /// When there is none with this id for this webhook.
    pub async fn resend(
        &self,
        actor: &Actor,
        webhook: &str,
        delivery: &str,
    ) -> Result<DeliveryView, ConnectError> {
        actor.require(KeyScope::Manage)?;
        let mut stored: Stored<Delivery> = self.load(delivery).await?;
        if stored.clear.endpoint != webhook {
            return Err(ConnectError::not_found(Delivery::WHAT));
        }
        let now = self.now();
        let mut writes = DUE.shift(stored.clear.due, Some(now), delivery);
        stored.clear.due = Some(now);
        stored.clear.state = DeliveryState::Waiting;
        stored.clear.tried = 0;
        writes.push(record::put::<Delivery>(
            &stored.id,
            Expect::At(stored.rev),
            &stored.clear,
            Seal::Keep,
        )?);
        self.commit(writes).await?;
        Ok(delivery_view(&stored))
    }

    pub(super) async fn put_webhook(
        &self,
        actor: &Actor,
        stored: &Stored<Endpoint>,
        sealed: &EndpointSealed,
        kind: &'static str,
    ) -> Result<(), ConnectError> {
        self.commit(vec![
            record::put::<Endpoint>(
                &stored.id,
                Expect::At(stored.rev),
                &stored.clear,
                Seal::Put(sealed),
            )?,
            self.note(Note::by(actor, kind).code(stored.id()))?,
        ])
        .await
        .map(drop)
    }

    fn webhook_secret(&self) -> Result<Hidden, ConnectError> {
        let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
        self.inner.entropy.fill(bytes.as_mut())?;
        Ok(Hidden::new(STANDARD.encode(bytes.as_ref())))
    }
}

/// https, no user-info, no fragment. What lies behind the name is looked at when something is sent.
fn address(text: &str) -> Result<Hidden, ConnectError> {
    let good = Url::parse(text).is_ok_and(|url| {
        url.scheme() == "https"
            // A name, which egress looks up and whose addresses it judges.
            && matches!(url.host(), Some(Host::Domain(_)))
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    });
    if !good || text.len() > 2000 {
        return Err(ConnectError::invalid(
            "url",
            "events are sent to https and a host name, without user name and fragment, such as https://app.example.com/keyport",
        ));
    }
    Ok(Hidden::new(text))
}

fn check_kinds(kinds: Vec<String>) -> Result<Vec<String>, ConnectError> {
    let good = |kind: &String| {
        let name = kind.strip_suffix('*').unwrap_or(kind);
        !name.is_empty()
            && name.len() <= 100
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_')
    };
    if kinds.len() > 50 || !kinds.iter().all(good) {
        return Err(ConnectError::invalid(
            "kinds",
            "name kinds of events such as trigger.event or connection.*; leave it out for all",
        ));
    }
    Ok(kinds)
}

fn view(id: &str, clear: &EndpointClear, sealed: &EndpointSealed) -> WebhookView {
    WebhookView {
        id: id.to_owned(),
        url: sealed.url.expose().to_owned(),
        description: clear.description.clone(),
        kinds: clear.kinds.clone(),
        enabled: clear.enabled,
        disabled_because: clear.disabled_because.clone(),
        created_at: clock::rfc3339(clear.created_at),
    }
}

fn created(id: &str, clear: &EndpointClear, sealed: &EndpointSealed) -> CreatedWebhook {
    CreatedWebhook {
        webhook: view(id, clear, sealed),
        secret: format!("{SECRET_PREFIX}{}", sealed.secret.expose()),
    }
}

fn delivery_view(stored: &Stored<Delivery>) -> DeliveryView {
    let clear = &stored.clear;
    DeliveryView {
        id: stored.id().to_owned(),
        event_id: clear.event.clone(),
        kind: clear.kind.clone(),
        state: clear.state,
        tried: clear.tried,
        attempts: clear.attempts.clone(),
        next_at: clear.due.map(clock::rfc3339),
        created_at: clock::rfc3339(clear.created_at),
    }
}
