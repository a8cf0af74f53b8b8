//! The answer is written down. Nobody has seen the new token before that.
//!
//! It may be the only token that still works, so storing it is tried for long, and only two things keep it out: somebody
//! newer has written, or the person has signed out meanwhile. In the latter case the new token is ended at the app too,
//! for nobody else knows of it.

use std::time::Duration;

use keyport_vault::Expect;

use super::super::exchange::Granted;
use super::generation;
use crate::actor::Actor;
use crate::connection::scopes::scopes_changed;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::fault;
use crate::record::{Connection, ConnectionSealed, Seal, Stored};
use crate::view::ConnectionState;

/// How often storing an answer is tried: it is the only copy of a token that may have cost the old one.
const STORE_TRIES: u32 = 40;

impl Engine {
    pub(super) async fn keep_refresh(
        &self,
        mut stored: Stored<Connection>,
        seen: u64,
        granted: Granted,
    ) -> Result<Stored<Connection>, ConnectError> {
        let mut pause = Duration::from_millis(20);
        for _ in 0..STORE_TRIES {
            let sealed = renewed(stored.sealed()?, &granted);
            stored.clear.refresh = None;
            stored.clear.refresh_not_before = None;
            stored.clear.refresh_failures = 0;
            let shrunk = scopes_changed(&mut stored.clear, &sealed);
            let mut writes = self.put_connection(
                &stored.id,
                Expect::At(stored.rev),
                &mut stored.clear,
                Seal::Put(&sealed),
            )?;
            writes.push(
                self.note(
                    Note::by(&Actor::Host, "token.refreshed")
                        .owner(stored.owner())
                        .app(&stored.clear.app)
                        .connection(stored.id()),
                )?,
            );
            fault::point("refresh.sealed").await;
            match self.commit(writes).await {
                Ok(rev) => {
                    fault::point("refresh.committed").await;
                    stored.rev = rev;
                    stored.sealed = Some(sealed);
                    if shrunk {
                        self.test_later(stored.id());
                    }
                    return Ok(stored);
                }
                Err(ConnectError::Stale) => {}
                Err(error) => {
                    tracing::error!(
                        connection = stored.id(),
                        code = error.code(),
                        "a new token is not stored yet; trying again"
                    );
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
            }
            match self.load::<Connection>(stored.id()).await {
                Ok(again) if generation(&again)? == Some(seen) => stored = again,
                Ok(again) => {
                    if again.clear.state == ConnectionState::Disconnected {
                        self.end_unkept(stored, &granted).await;
                    }
                    return Ok(again);
                }
                Err(error @ ConnectError::NotFound { .. }) => {
                    self.end_unkept(stored, &granted).await;
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        Err(ConnectError::Unavailable {
            code: "store_unavailable",
            say: "the renewed token could not be stored".into(),
        })
    }

    /// The person has signed out while the token was renewed: what came is ended as well.
    async fn end_unkept(&self, mut stored: Stored<Connection>, granted: &Granted) {
        if let Ok(sealed) = stored.sealed() {
            stored.sealed = Some(renewed(sealed, granted));
        }
        let (revoked, _) = self.revoke(&stored).await;
        tracing::info!(
            connection = stored.id(),
            ?revoked,
            "a token that came after the sign-out was let go"
        );
    }
}

/// What is kept after a refresh: an answer without a refresh token, a scope or a capture keeps the one there is.
fn renewed(before: &ConnectionSealed, granted: &Granted) -> ConnectionSealed {
    let mut sealed = before.clone();
    let old = sealed.token.take();
    let mut token = granted.token.clone();
    // What was counted from the sign-in goes on.
    token.ends_at = token.ends_at.or(old.as_ref().and_then(|old| old.ends_at));
    token.refresh = token.refresh.or(old.and_then(|old| old.refresh));
    sealed.token = Some(token);
    sealed.tokens.extend(granted.tokens.clone());
    if let Some(scopes) = &granted.scopes {
        sealed.scopes.clone_from(scopes);
    }
    sealed.capture.extend(granted.capture.clone());
    sealed
}
