//! One refresh at a time, durable before it is used.
//!
//! Providers that rotate refresh tokens treat a second use of one as theft and kill the whole grant. So, over all hosts:
//! one lease per connection, held in the store and longer than the request may take; the record is read again after
//! taking it; that a refresh is under way is durable *before* the request leaves, and its answer *before* anybody uses
//! it. Whether a result may be written is decided by the revision, not by the lease: a late answer that is the only
//! valid token must not be thrown away.
//!
//! Everything runs in a task of its own: a caller that goes away does not take an answer with it.
//!
//! | module | what lives in it |
//! |---|---|
//! | this one | whether a token is to be renewed now, and that one caller at a time does it |
//! | [`spend`] | the old token is spent: intent, request, what its failure means |
//! | [`keep`] | the answer is written down |
//!
//! When a token is due without anybody using it is [`crate::alive`]'s business; what the request looks like is
//! [`super::renew`]'s.

mod keep;
mod spend;

use std::time::Duration;

use super::gate;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::fault;
use crate::record::{Connection, Stored, Token};
use crate::view::{ConnectionState, Reason};

/// How much longer than the request the lease lasts: time to write the answer down.
const LEASE_MARGIN: Duration = Duration::from_secs(15);
/// A token that has just been renewed is not renewed again for this long, whatever its answer said about its end and
/// whatever the app says about it: a provider whose clock is off or that answers nonsense is not asked in a loop.
const COOLDOWN_MS: i64 = 30_000;

/// Why a token is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Somebody is about to use it.
    Use,
    /// The app has just refused the token of this generation.
    Refused(u64),
    /// It is due, and nobody waits for it.
    Ahead,
}

impl Need {
    fn refused(self) -> Option<u64> {
        match self {
            Need::Refused(generation) => Some(generation),
            Need::Use | Need::Ahead => None,
        }
    }
}

impl Engine {
    /// The connection with a token that is good for use: renewed when it is about to end, or when its generation is
    /// `stale` (the app has just refused it). Without a way to renew it, it comes back as it is.
    pub(crate) async fn fresh(
        &self,
        stored: Stored<Connection>,
        stale: Option<u64>,
    ) -> Result<Stored<Connection>, ConnectError> {
        self.fresh_for(stored, stale.map_or(Need::Use, Need::Refused))
            .await
    }

    /// [`Engine::fresh`], for what it is needed.
    pub(crate) async fn fresh_for(
        &self,
        stored: Stored<Connection>,
        need: Need,
    ) -> Result<Stored<Connection>, ConnectError> {
        let Some(token) = stored.sealed()?.token.as_ref() else {
            return self.fresh_session(stored, need.refused()).await;
        };
        let timing = self.timing(&stored.clear);
        let now = self.now();
        let wanted = match need {
            Need::Use => timing.ends_soon(token, now),
            Need::Refused(generation) => generation == token.generation,
            Need::Ahead => true,
        };
        if !self.renews(&stored) || !wanted || cooling(token, now) {
            return Ok(stored);
        }
        let (id, seen) = (stored.id().to_owned(), token.generation);
        if self.backing_off(&stored) {
            return self.old_or_down(stored, need.refused());
        }
        let engine = self.clone();
        let renewed = tokio::spawn(async move { engine.refresh(&id, seen, need).await }).await;
        match renewed {
            Ok(Ok(fresh)) => Ok(fresh),
            // A token that still lives is used while the app's sign-in service is away.
            Ok(Err(ConnectError::App {
                means: keyport_manifest::Means::ProviderDown,
                ..
            })) => {
                let stored = self.load(stored.id()).await?;
                self.old_or_down(stored, need.refused())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ConnectError::internal(
                "refresh_failed",
                "renewing the token failed on this host; try again",
            )),
        }
    }

    fn backing_off(&self, stored: &Stored<Connection>) -> bool {
        stored
            .clear
            .refresh_not_before
            .is_some_and(|at| self.now() < at)
    }

    fn old_or_down(
        &self,
        stored: Stored<Connection>,
        stale: Option<u64>,
    ) -> Result<Stored<Connection>, ConnectError> {
        let alive = stored.sealed()?.token.as_ref().is_some_and(|token| {
            stale != Some(token.generation) && token.expires_at.is_none_or(|at| self.now() < at)
        });
        if alive {
            Ok(stored)
        } else {
            Err(down(
                stored
                    .clear
                    .refresh_not_before
                    .map(|at| at.saturating_sub(self.now())),
            ))
        }
    }

    /// Renews the token of generation `seen`, unless somebody has done so.
    async fn refresh(
        &self,
        id: &str,
        seen: u64,
        need: Need,
    ) -> Result<Stored<Connection>, ConnectError> {
        let patience = self.inner.options.token_request + gate::PATIENCE + LEASE_MARGIN;
        let settled = |stored: Stored<Connection>| {
            match generation(&stored)? {
                Some(now) if now == seen => {}
                _ => return Ok(Some(stored)),
            }
            // Those who waited for one that failed learn how it went; they do not ask again.
            if let Some(error) = verdict_of_another(&stored) {
                return Err(error);
            }
            match self.backing_off(&stored) {
                true => self.old_or_down(stored, need.refused()).map(Some),
                false => Ok(None),
            }
        };
        self.in_turn(id, patience, settled, || self.refresh_leased(id, seen))
            .await?
            .ok_or_else(|| down(None))
    }
}

/// Whether a renewed token is too young to be renewed again. A token that lives shorter than that is left alone for
/// three quarters of its life; one that came from a sign-in may be renewed at once.
fn cooling(token: &Token, now: i64) -> bool {
    let age = now.saturating_sub(token.obtained_at);
    let life = token
        .expires_at
        .map(|at| at.saturating_sub(token.obtained_at));
    let usual = fault::cooldown_ms(COOLDOWN_MS);
    let cooldown = match life {
        Some(life) if life >= 1000 => (life / 4 * 3).min(usual),
        _ => usual,
    };
    // A clock that was set back makes an age below zero: that is no reason to wait for it to catch up.
    token.generation > 1 && (0..cooldown).contains(&age)
}

/// The verdict that somebody else's attempt at the same token came to, where only the person can mend it.
fn verdict_of_another(stored: &Stored<Connection>) -> Option<ConnectError> {
    let dead = stored.clear.state == ConnectionState::NeedsReconnect;
    let reason = stored.clear.reason.as_ref().filter(|_| dead)?;
    matches!(
        reason.code.as_str(),
        "revoked" | "refresh_interrupted" | "restored"
    )
    .then(|| needs_reconnect(reason))
}

/// The error for a connection that only the person can mend.
pub(crate) fn needs_reconnect(reason: &Reason) -> ConnectError {
    ConnectError::App {
        means: keyport_manifest::Means::NeedsReconnect,
        code: reason.code.clone(),
        say: reason.say.clone(),
        retry_after_ms: None,
    }
}

fn down(wait_ms: Option<i64>) -> ConnectError {
    ConnectError::App {
        means: keyport_manifest::Means::ProviderDown,
        code: "provider_down".into(),
        say: "the app's sign-in service cannot be reached at the moment; try again later".into(),
        retry_after_ms: wait_ms.and_then(|ms| u64::try_from(ms).ok()),
    }
}

/// The token's generation; `None` for a connection that was signed out meanwhile.
fn generation(stored: &Stored<Connection>) -> Result<Option<u64>, ConnectError> {
    if stored.clear.state == ConnectionState::Disconnected {
        return Ok(None);
    }
    Ok(stored
        .sealed()?
        .token
        .as_ref()
        .map(|token| token.generation))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(generation: u64, obtained_at: i64, expires_at: Option<i64>) -> Token {
        Token {
            obtained_at,
            expires_at,
            generation,
            ..Token::default()
        }
    }

    #[test]
    fn a_token_that_was_just_renewed_is_not_renewed_again_whatever_its_answer_said() {
        // The provider's clock is five minutes behind or its answer says zero: the token looks as if it had ended.
        for expires_at in [None, Some(1_000_000), Some(700_000)] {
            assert!(cooling(&token(2, 1_000_000, expires_at), 1_001_000));
            assert!(!cooling(&token(2, 1_000_000, expires_at), 1_030_000));
        }
    }

    #[test]
    fn a_short_lived_token_is_left_alone_for_most_of_its_life_only() {
        let token = token(2, 0, Some(2000));
        assert!(cooling(&token, 1000));
        assert!(!cooling(&token, 1600));
    }

    #[test]
    fn a_first_token_may_be_renewed_at_once_and_a_clock_that_was_set_back_does_not_hold_it() {
        assert!(!cooling(&token(1, 1_000_000, None), 1_000_001));
        assert!(!cooling(&token(2, 5_000_000, None), 1_000_000));
    }
}
