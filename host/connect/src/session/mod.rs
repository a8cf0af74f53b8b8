//! Sessions: a short-lived right for one owner's browser to connect or to manage.
//!
//! The platform's backend asks for one and hands the link to its user. The link's token lives in the URL's fragment (no
//! log, no referrer), opens the session once and within a minute, and is traded for a cookie. Of both only hashes are
//! kept, and both are sealed with the rest. A link that is sent by mail lives longer and says what it is for before it opens.
//!
//! Threats: a link that leaks later (used up or expired), a cookie that is guessed (256 bits), a return address or an
//! origin that an attacker supplies (only exact, registered ones are ever used), a session that goes on for ever (idle
//! and absolute limits). Who finishes a *connect* session is checked in [`completion`].

mod address;
mod completion;
mod link;

use keyport_vault::{Expect, Owner};

use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::record::{
    self, Connection, Entity as _, Seal, Session, SessionClear, SessionSealed, SessionStatus,
    Stored,
};
use crate::view::{
    CookieValue, KeyScope, NewSession, SessionCreated, SessionCtx, SessionKind, SessionView,
};
use crate::{clock, ids};

const TOKEN: &str = "session token";
const COOKIE: &str = "session cookie";
/// Idle time is written down in steps: a write per request would wear out the store.
const IDLE_STEP_MS: i64 = 60_000;

impl Engine {
    /// Makes a session and its link.
    ///
    /// # Errors
    ///
    /// When the owner, an app, an origin or the return address is not acceptable, or the connection that is to be
    /// signed in again is not this owner's.
    pub async fn create_session(
        &self,
        actor: &Actor,
        new: NewSession,
    ) -> Result<SessionCreated, ConnectError> {
        actor.require(KeyScope::Connect)?;
        let owner = parse_owner(&new.owner)?;
        let owner_label = match &new.owner_label {
            Some(label) => self.check_name("owner_label", label)?,
            None => new.owner.clone(),
        };
        let purpose = new
            .purpose
            .as_deref()
            .map(|text| self.check_name("for", text))
            .transpose()?;
        for app in new.apps.iter().flatten() {
            self.inner.catalogue.get(app)?;
        }
        let origins = new
            .origins
            .iter()
            .map(|origin| address::origin(origin))
            .collect::<Result<Vec<_>, _>>()?;
        let return_url = new
            .return_url
            .as_deref()
            .map(address::return_url)
            .transpose()?;
        if let Some(id) = &new.connection_id {
            let connection: Stored<Connection> = self.load(id).await?;
            if *connection.owner() != owner || connection.clear.replaces.is_some() {
                return Err(ConnectError::not_found(Connection::WHAT));
            }
        }

        let entropy = self.inner.entropy.as_ref();
        let id = ids::random_id(entropy, Session::PREFIX)?;
        let token = ids::random_secret(entropy)?;
        let options = &self.inner.options;
        let opens = match &new.link {
            Some(link) => link::opens_for(link, new.kind, return_url.as_deref())?,
            None => options.session_link,
        };
        let clear = SessionClear {
            kind: new.kind,
            status: SessionStatus::Created,
            created_at: self.now(),
            idle_until: self.after(opens),
            // Counted anew when it is opened.
            expires_at: self.after(opens + options.session_max),
        };
        let sealed = SessionSealed {
            token: ids::hash(TOKEN, &token),
            cookie: None,
            owner_label,
            apps: new.apps,
            connection_id: new.connection_id,
            purpose,
            origins,
            return_url,
            link: new.link.is_some(),
            completion: None,
        };
        let at = record::record_id::<Session>(&owner, &id);
        self.commit(vec![
            record::put::<Session>(&at, Expect::Absent, &clear, Seal::Put(&sealed))?,
            self.note(Note::by(actor, "session.created").owner(&owner).code(&id))?,
        ])
        .await?;
        Ok(SessionCreated {
            url: format!("{}#{}", self.here("/open"), &*ids::bearer(&id, &token)),
            expires_at: clock::rfc3339(clear.idle_until),
            id,
        })
    }

    /// Trades a link's token for a cookie. It works once.
    ///
    /// # Errors
    ///
    /// `link_invalid`: not a link of ours, used before, or too old. One answer for all three.
    pub async fn open_session(
        &self,
        token: &str,
    ) -> Result<(SessionView, CookieValue), ConnectError> {
        let (id, secret) = ids::split_bearer(Session::PREFIX, token).ok_or_else(link_invalid)?;
        let stored: Stored<Session> = self.load(id).await.map_err(|error| match error {
            ConnectError::NotFound { .. } => link_invalid(),
            other => other,
        })?;
        let mut sealed = stored.sealed()?.clone();
        let fresh =
            stored.clear.status == SessionStatus::Created && self.now() < stored.clear.idle_until;
        if !ids::matches(TOKEN, secret, &sealed.token) || !fresh {
            return Err(link_invalid());
        }
        let cookie = ids::random_secret(self.inner.entropy.as_ref())?;
        let mut clear = stored.clear.clone();
        clear.status = SessionStatus::Opened;
        clear.idle_until = self.after(self.inner.options.session_idle);
        clear.expires_at = self.after(self.inner.options.session_max);
        sealed.cookie = Some(ids::hash(COOKIE, &cookie));
        let opened = self
            .commit(vec![
                record::put::<Session>(
                    &stored.id,
                    Expect::At(stored.rev),
                    &clear,
                    Seal::Put(&sealed),
                )?,
                self.note(
                    Note::by(&Actor::Host, "session.opened")
                        .owner(stored.owner())
                        .code(stored.id()),
                )?,
            ])
            .await;
        match opened {
            Ok(_) => Ok((
                view(&stored, &clear, &sealed, self.now()),
                CookieValue(ids::bearer(id, &cookie)),
            )),
            // Two openings at once: one of them has it.
            Err(ConnectError::Stale) => Err(link_invalid()),
            Err(other) => Err(other),
        }
    }

    /// Whose cookie this is.
    ///
    /// # Errors
    ///
    /// `session_over`: unknown, closed, idle for too long or past its end.
    pub async fn session_by_cookie(&self, cookie: &str) -> Result<SessionCtx, ConnectError> {
        let (id, secret) = ids::split_bearer(Session::PREFIX, cookie).ok_or_else(session_over)?;
        let stored: Stored<Session> = self.load(id).await.map_err(|error| match error {
            ConnectError::NotFound { .. } => session_over(),
            other => other,
        })?;
        let sealed = stored.sealed()?;
        let now = self.now();
        let alive = matches!(
            stored.clear.status,
            SessionStatus::Opened | SessionStatus::Completed
        ) && now < stored.clear.idle_until
            && now < stored.clear.expires_at;
        if !sealed
            .cookie
            .as_deref()
            .is_some_and(|kept| ids::matches(COOKIE, secret, kept))
            || !alive
        {
            return Err(session_over());
        }
        let idle_until = self.after(self.inner.options.session_idle);
        if idle_until.saturating_sub(stored.clear.idle_until) >= IDLE_STEP_MS {
            let mut clear = stored.clear.clone();
            clear.idle_until = idle_until;
            // Whoever wrote in between has been here as well.
            let _ = self
                .commit(vec![record::put::<Session>(
                    &stored.id,
                    Expect::At(stored.rev),
                    &clear,
                    Seal::Keep,
                )?])
                .await;
        }
        Ok(SessionCtx {
            id: stored.id().to_owned(),
            owner: stored.owner().clone(),
            owner_label: sealed.owner_label.clone(),
            kind: stored.clear.kind,
            apps: sealed.apps.clone(),
            connection_id: sealed.connection_id.clone(),
            purpose: sealed.purpose.clone(),
            origins: sealed.origins.clone(),
            return_url: sealed.return_url.clone(),
        })
    }

    /// Whether somebody has ended this session; one that is gone is over as well.
    pub(crate) async fn session_is_closed(&self, id: &str) -> Result<bool, ConnectError> {
        match self.load::<Session>(id).await {
            Ok(stored) => Ok(stored.clear.status == SessionStatus::Closed),
            Err(ConnectError::NotFound { .. }) => Ok(true),
            Err(other) => Err(other),
        }
    }

    /// A session as its platform sees it.
    ///
    /// # Errors
    ///
    /// When there is none with this id.
    pub async fn session(&self, id: &str) -> Result<SessionView, ConnectError> {
        let stored: Stored<Session> = self.load(id).await?;
        let sealed = stored.sealed()?;
        Ok(view(&stored, &stored.clear, sealed, self.now()))
    }

    /// Ends a session: its cookie is of no more use. What it has left pending is revoked by the sweep.
    ///
    /// # Errors
    ///
    /// When there is none with this id, or it is somebody else's.
    pub async fn close_session(&self, actor: &Actor, id: &str) -> Result<(), ConnectError> {
        let stored: Stored<Session> = self.load(id).await?;
        match actor {
            Actor::Session(session) if session.id != id => {
                return Err(ConnectError::not_found(Session::WHAT));
            }
            Actor::Platform(_) => actor.require(KeyScope::Connect)?,
            Actor::Session(_) | Actor::Host => {}
        }
        let mut clear = stored.clear.clone();
        clear.status = SessionStatus::Closed;
        self.commit(vec![
            record::put::<Session>(&stored.id, Expect::At(stored.rev), &clear, Seal::Keep)?,
            self.note(
                Note::by(actor, "session.closed")
                    .owner(stored.owner())
                    .code(id),
            )?,
        ])
        .await?;
        Ok(())
    }
}

/// The owner's id as a platform names it.
pub(crate) fn parse_owner(text: &str) -> Result<Owner, ConnectError> {
    Owner::new(text).map_err(|_| {
        ConnectError::invalid(
            "owner",
            "use your own id of the user: 1 to 255 bytes, no control characters, no @ in front",
        )
    })
}

impl SessionCtx {
    /// Refuses an app that this session is not about.
    pub(crate) fn allows_app(&self, app: &str) -> Result<(), ConnectError> {
        match &self.apps {
            Some(apps) if !apps.iter().any(|allowed| allowed == app) => {
                Err(ConnectError::forbidden(
                    "app_not_in_session",
                    "this session was not opened for this app",
                ))
            }
            _ => Ok(()),
        }
    }
}

fn view(
    stored: &Stored<Session>,
    clear: &SessionClear,
    sealed: &SessionSealed,
    now: i64,
) -> SessionView {
    let over = now >= clear.idle_until || now >= clear.expires_at;
    let status = match clear.status {
        SessionStatus::Completed => "completed",
        SessionStatus::Closed => "closed",
        SessionStatus::Created | SessionStatus::Opened if over => "expired",
        SessionStatus::Created => "created",
        SessionStatus::Opened => "opened",
    };
    SessionView {
        id: stored.id().to_owned(),
        kind: clear.kind,
        owner: stored.owner().to_string(),
        owner_label: sealed.owner_label.clone(),
        status: status.to_owned(),
        apps: sealed.apps.clone(),
        connection_id: sealed.connection_id.clone(),
        purpose: sealed.purpose.clone(),
        origins: sealed.origins.clone(),
        return_url: sealed.return_url.clone(),
        expires_at: clock::rfc3339(if clear.status == SessionStatus::Created {
            clear.idle_until
        } else {
            clear.expires_at
        }),
    }
}

/// Whether a connection that this session makes counts at once, or waits for the platform's backend.
pub(crate) fn needs_completion(kind: SessionKind) -> bool {
    kind == SessionKind::Connect
}

fn link_invalid() -> ConnectError {
    ConnectError::expired(
        "link_invalid",
        "this link was used before or is too old; go back to where you came from and open it anew",
    )
}

fn session_over() -> ConnectError {
    ConnectError::expired(
        "session_over",
        "this session is over; go back to where you came from and open it anew",
    )
}
