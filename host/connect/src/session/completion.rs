//! Completion: a connection that a *connect* session made counts only when the platform's own server says so.
//!
//! Threat: somebody opens a session for themselves and sends the link on. The victim's browser then holds a good cookie
//! and a good state, and the victim's account would end up with the attacker. Nothing in the browser can tell this apart;
//! the platform's server can, because it knows who is signed in. So the browser gets a one-time code, good for two
//! minutes, and the server that redeems it must name the session's owner.
//!
//! The code is derived from the flow and the session with a key of the vault, so the page can ask for it again while
//! only its hash is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use keyport_vault::{Expect, Write};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::address;
use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::ids;
use crate::record::{self, CompletionRecord, Connection, Seal, Session, SessionStatus, Stored};
use crate::view::{
    CompleteSession, Completion, ConnectionState, KeyScope, SessionCompleted, SessionCtx,
};

const CODE: &str = "completion code";

impl Engine {
    /// The code that takes `connection` over, for this session.
    pub(crate) fn completion_code(
        &self,
        session: &str,
        connection: &str,
        until: i64,
    ) -> Result<Zeroizing<String>, ConnectError> {
        let key = self.inner.vault.mac_key("completion code");
        let mut mac = <Hmac<Sha256>>::new_from_slice(key.as_ref())
            .map_err(|_| ConnectError::internal("mac", "the completion code cannot be made"))?;
        for part in [session, connection, &until.to_string()] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        Ok(Zeroizing::new(
            URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()),
        ))
    }

    /// The write that makes `connection` the one that this session may hand over, until `until`.
    pub(crate) async fn offer_completion(
        &self,
        session: &str,
        connection: &str,
        until: i64,
    ) -> Result<Write, ConnectError> {
        let stored: Stored<Session> = self.load(session).await?;
        if stored.clear.status != SessionStatus::Opened {
            return Err(ConnectError::expired(
                "session_over",
                "this session is over; open it anew",
            ));
        }
        let mut sealed = stored.sealed()?.clone();
        let code = self.completion_code(session, connection, until)?;
        sealed.completion = Some(CompletionRecord {
            code: ids::hash(CODE, &code),
            connection_id: connection.to_owned(),
            until,
        });
        record::put::<Session>(
            &stored.id,
            Expect::At(stored.rev),
            &stored.clear,
            Seal::Put(&sealed),
        )
    }

    /// What the page hands to the platform for a connection that waits, if it still does.
    pub(crate) fn completion(
        &self,
        session: &SessionCtx,
        connection: &str,
        until: i64,
    ) -> Result<Option<Completion>, ConnectError> {
        if self.now() >= until {
            return Ok(None);
        }
        let code = self.completion_code(&session.id, connection, until)?;
        let return_url = session
            .return_url
            .as_deref()
            .map(|url| address::with_params(url, &[("session", &session.id), ("code", &code)]))
            .transpose()?;
        Ok(Some(Completion {
            session: session.id.clone(),
            code: code.to_string(),
            target_origins: session.origins.clone(),
            return_url,
        }))
    }

    /// The person picks an account that is connected already.
    ///
    /// # Errors
    ///
    /// When the session is not one that hands something over, or the connection is not theirs or does not work.
    pub async fn pick(
        &self,
        session: &SessionCtx,
        connection_id: &str,
    ) -> Result<Completion, ConnectError> {
        if !super::needs_completion(session.kind) {
            return Err(ConnectError::state(
                "not_a_connect_session",
                "this page manages accounts; there is nothing to pick for",
            ));
        }
        let connection = self
            .connection_of(&Actor::Session(session.clone()), connection_id)
            .await?;
        session.allows_app(&connection.clear.app)?;
        if !matches!(
            connection.clear.state,
            ConnectionState::Connected | ConnectionState::Failing
        ) || !connection.clear.enabled
        {
            return Err(ConnectError::state(
                "not_connected",
                "this account needs to be signed in again before it can be used",
            ));
        }
        let until = self.after(self.inner.options.completion);
        let offer = self
            .offer_completion(&session.id, connection_id, until)
            .await?;
        self.commit(vec![offer]).await?;
        self.completion(session, connection_id, until)?
            .ok_or_else(|| {
                ConnectError::internal("completion", "the account cannot be handed over; try again")
            })
    }

    /// The platform's backend takes over what its user connected. `complete.owner` is the user that its own server has
    /// signed in: it must be the session's.
    ///
    /// # Errors
    ///
    /// `wrong_owner`, `completion_invalid` (no such code, used, or too late). After `wrong_owner` the grant is revoked at
    /// once: somebody connected an account for somebody else.
    pub async fn complete_session(
        &self,
        actor: &Actor,
        id: &str,
        complete: CompleteSession,
    ) -> Result<SessionCompleted, ConnectError> {
        actor.require(KeyScope::Connect)?;
        let stored: Stored<Session> = self.load(id).await?;
        let sealed = stored.sealed()?;
        let offered = sealed
            .completion
            .as_ref()
            .filter(|offered| ids::matches(CODE, &complete.code, &offered.code))
            .filter(|_| stored.clear.status == SessionStatus::Opened)
            .ok_or_else(completion_invalid)?
            .clone();
        let connection: Stored<Connection> =
            self.load(&offered.connection_id)
                .await
                .map_err(|error| match error {
                    ConnectError::NotFound { .. } => completion_invalid(),
                    other => other,
                })?;
        if complete.owner != stored.owner().as_str() {
            self.abandon(connection, "wrong_owner").await?;
            self.spend(actor, &stored, SessionStatus::Closed, Vec::new())
                .await?;
            return Err(ConnectError::forbidden(
                "wrong_owner",
                "this account was connected for somebody else than who is signed in; it was let go again",
            ));
        }
        if self.now() >= offered.until {
            self.abandon(connection, "not_taken_over").await?;
            return Err(completion_invalid());
        }
        // The session is spent and the connection made usable in one commit: a code works once, and never half.
        let (final_id, writes) = self.promotion(actor, &connection).await?;
        self.spend(actor, &stored, SessionStatus::Completed, writes)
            .await?;
        self.tell("connection", stored.owner(), &final_id);
        let connection = self.get(&Actor::Host, &final_id).await?;
        Ok(SessionCompleted {
            session_id: id.to_owned(),
            connection,
        })
    }

    async fn spend(
        &self,
        actor: &Actor,
        session: &Stored<Session>,
        status: SessionStatus,
        mut writes: Vec<Write>,
    ) -> Result<(), ConnectError> {
        let mut clear = session.clear.clone();
        clear.status = status;
        let mut sealed = session.sealed()?.clone();
        sealed.completion = None;
        let kind = if status == SessionStatus::Completed {
            "session.completed"
        } else {
            "session.closed"
        };
        writes.push(record::put::<Session>(
            &session.id,
            Expect::At(session.rev),
            &clear,
            Seal::Put(&sealed),
        )?);
        writes.push(
            self.note(
                Note::by(actor, kind)
                    .owner(session.owner())
                    .code(session.id()),
            )?,
        );
        self.commit(writes).await.map_err(|error| match error {
            ConnectError::Stale => completion_invalid(),
            other => other,
        })?;
        Ok(())
    }
}

fn completion_invalid() -> ConnectError {
    ConnectError::expired(
        "completion_invalid",
        "this code is not valid, was used before or is too old; let the person connect again",
    )
}
