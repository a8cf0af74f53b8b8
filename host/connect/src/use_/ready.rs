//! From an id to a connection that may be used now, with a token that is good.

use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{ConfigurationSealed, Connection, Stored};
use crate::view::{ConnectionState, Reason};

impl Engine {
    /// The connection behind `id`, if this actor may use it, with a fresh token. `stale` as in [`Engine::fresh`].
    pub(crate) async fn ready(
        &self,
        actor: &Actor,
        id: &str,
        stale: Option<u64>,
    ) -> Result<Stored<Connection>, ConnectError> {
        let stored = self.connection_of(actor, id).await?;
        usable(&stored)?;
        self.fresh(stored, stale).await
    }

    /// What the operator set for this connection's app.
    pub(crate) async fn config_of(
        &self,
        stored: &Stored<Connection>,
    ) -> Result<Option<ConfigurationSealed>, ConnectError> {
        let config = self
            .configuration_for(&stored.clear.app, stored.clear.config.as_deref())
            .await;
        match config {
            Ok(Some(config)) => Ok(Some(config.sealed()?.clone())),
            Ok(None) => Ok(None),
            // The configuration is gone: nothing is granted beyond the manifest, nothing is taken away either.
            Err(ConnectError::NotFound { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The app refused the credentials of a call. One refresh, where there is one; `None` when there is nothing better to
    /// try, and then the test call decides what that means, in the background.
    pub(crate) async fn after_refusal(
        &self,
        stored: &Stored<Connection>,
    ) -> Result<Option<Stored<Connection>>, ConnectError> {
        let seen = stored.sealed()?.generation();
        let again: Stored<Connection> = self.load(stored.id()).await?;
        let fresh = match seen {
            Some(_) => self.fresh(again, seen).await?,
            None => again,
        };
        let now = fresh.sealed()?.generation();
        if seen.is_some() && now != seen {
            return Ok(Some(fresh));
        }
        self.test_later(stored.id());
        Ok(None)
    }

    /// Lets the test call judge this connection, without making anybody wait.
    pub(crate) fn test_later(&self, id: &str) {
        let (engine, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            if let Err(error) = engine.test(&Actor::Host, &id).await {
                tracing::debug!(
                    connection = id,
                    code = error.code(),
                    "a test in the background did not run"
                );
            }
        });
    }
}

fn usable(stored: &Stored<Connection>) -> Result<(), ConnectError> {
    let say = |fallback: &str| {
        stored
            .clear
            .reason
            .as_ref()
            .map_or_else(|| fallback.to_owned(), |reason: &Reason| reason.say.clone())
    };
    match stored.clear.state {
        _ if !stored.clear.enabled => Err(ConnectError::state(
            "paused",
            "this connection is paused; resume it first",
        )),
        ConnectionState::Connected | ConnectionState::Failing => Ok(()),
        ConnectionState::Pending => Err(ConnectError::state(
            "pending",
            "this connection does not count yet: complete the session that made it",
        )),
        ConnectionState::NeedsReconnect => Err(ConnectError::state(
            "needs_reconnect",
            say("the person has to sign in to this account again"),
        )),
        ConnectionState::Disconnected => Err(ConnectError::state(
            "disconnected",
            "this account was disconnected; connect it again",
        )),
    }
}
