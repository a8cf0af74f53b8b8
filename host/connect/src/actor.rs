//! Who asks: every verb on a connection is given one, and sees only what that one may see.

use keyport_vault::Owner;

use crate::error::ConnectError;
use crate::view::{KeyScope, SessionCtx};

/// A platform key that was presented and holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformKey {
    /// `key_…`.
    pub id: String,
    /// What it may do.
    pub scopes: Vec<KeyScope>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The platform's backend: sees every owner, within its key's scopes.
    Platform(PlatformKey),
    /// One owner's browser: sees that owner only, and never a credential.
    Session(SessionCtx),
    /// The operator at the command line, and the host's own start-up.
    Host,
}

impl Actor {
    /// How the audit trail names it.
    pub(crate) fn name(&self) -> String {
        match self {
            Actor::Platform(key) => format!("key:{}", key.id),
            Actor::Session(session) => format!("session:{}", session.id),
            Actor::Host => "keyport".into(),
        }
    }

    /// Whether this one may see what belongs to `owner`.
    pub(crate) fn sees(&self, owner: &Owner) -> bool {
        match self {
            Actor::Platform(_) | Actor::Host => true,
            Actor::Session(session) => session.owner == *owner,
        }
    }

    /// Refuses an actor that lacks `scope`. A session may do what its page offers and nothing that a scope guards.
    pub(crate) fn require(&self, scope: KeyScope) -> Result<(), ConnectError> {
        match self {
            Actor::Host => Ok(()),
            Actor::Platform(key) if key.scopes.contains(&scope) => Ok(()),
            Actor::Platform(_) | Actor::Session(_) => Err(ConnectError::forbidden(
                "missing_scope",
                format!(
                    "this needs a platform key with the scope {}",
                    scope.as_str()
                ),
            )),
        }
    }

    /// Refuses an actor that has none of `scopes`.
    pub(crate) fn require_any(&self, scopes: &[KeyScope]) -> Result<(), ConnectError> {
        match scopes.iter().find_map(|scope| self.require(*scope).ok()) {
            Some(()) => Ok(()),
            None => scopes.first().map_or(Ok(()), |first| self.require(*first)),
        }
    }

    /// As [`Actor::require`], but a session may do it to what is its owner's.
    pub(crate) fn require_or_session(&self, scope: KeyScope) -> Result<(), ConnectError> {
        match self {
            Actor::Session(_) => Ok(()),
            Actor::Platform(_) | Actor::Host => self.require(scope),
        }
    }
}
