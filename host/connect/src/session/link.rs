//! Links that are sent to somebody, by e-mail for instance, instead of being opened by the platform's own page.
//!
//! Such a link lives for an hour and not for a minute, so others get to see it: whoever it is passed on to, and programs that
//! look into mail. Its page says who asks, for which app and who will have the account, and opens it only after a click; and what
//! is connected over it leads back to the platform, whose backend sees who that is ([`super::completion`]; A2, A3). There is no
//! other way to end it.

use std::time::Duration;

use super::{TOKEN, link_invalid};
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{Entity as _, Session, SessionStatus, Stored};
use crate::view::{LinkView, SentLink, SessionKind};
use crate::{clock, ids};

/// How long a link opens that is sent to somebody, in minutes: usually, and at most.
const LINK_MINUTES: u32 = 60;
const LINK_MINUTES_MOST: u32 = 24 * 60;

impl Engine {
    /// What the page of a link that was sent says before it opens: whoever it reached has to see what they are asked for, and
    /// programs that look into mail do not use it up. `None` for a link that opens at once.
    ///
    /// # Errors
    ///
    /// `link_invalid`, as [`Engine::open_session`].
    pub async fn sent_link(&self, token: &str) -> Result<Option<LinkView>, ConnectError> {
        let (id, secret) = ids::split_bearer(Session::PREFIX, token).ok_or_else(link_invalid)?;
        let stored: Stored<Session> = self.load(id).await.map_err(|error| match error {
            ConnectError::NotFound { .. } => link_invalid(),
            other => other,
        })?;
        let sealed = stored.sealed()?;
        let fresh =
            stored.clear.status == SessionStatus::Created && self.now() < stored.clear.idle_until;
        if !ids::matches(TOKEN, secret, &sealed.token) || !fresh {
            return Err(link_invalid());
        }
        let platform = sealed
            .return_url
            .as_deref()
            .and_then(|url| url::Url::parse(url).ok())
            .and_then(|url| {
                let host = url.host_str()?;
                Some(
                    url.port()
                        .map_or(host.to_owned(), |port| format!("{host}:{port}")),
                )
            });
        let Some(platform) = platform.filter(|_| sealed.link) else {
            return Ok(None);
        };
        let named = |id: &String| match self.inner.catalogue.get(id) {
            Ok(entry) => entry.manifest.name.clone(),
            Err(_) => id.clone(),
        };
        Ok(Some(LinkView {
            platform,
            owner: stored.owner().to_string(),
            owner_label: sealed.owner_label.clone(),
            apps: sealed.apps.iter().flatten().map(named).collect(),
            purpose: sealed.purpose.clone(),
            expires_at: clock::rfc3339(stored.clear.idle_until),
        }))
    }
}

/// How long a link that is sent opens. Whoever it reaches holds a good link: what they connect only counts once the platform's
/// backend has seen who they are ([`completion`]), so there must be an address of the platform's to go back to.
pub(super) fn opens_for(
    link: &SentLink,
    kind: SessionKind,
    return_url: Option<&str>,
) -> Result<Duration, ConnectError> {
    if kind != SessionKind::Connect {
        return Err(ConnectError::invalid(
            "link",
            "a link that is sent connects one account; the page of all accounts opens from your own page alone",
        ));
    }
    if return_url.is_none() {
        return Err(ConnectError::invalid(
            "return_url",
            "a link that is sent needs an address of yours to return to, where you see who has followed it",
        ));
    }
    let minutes = link.minutes.unwrap_or(LINK_MINUTES);
    if !(1..=LINK_MINUTES_MOST).contains(&minutes) {
        return Err(ConnectError::invalid(
            "link",
            format!("a link lives for 1 to {LINK_MINUTES_MOST} minutes"),
        ));
    }
    Ok(Duration::from_secs(u64::from(minutes) * 60))
}
