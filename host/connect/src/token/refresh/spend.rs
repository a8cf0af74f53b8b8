//! The old token is spent: that it will be is durable first, then it is asked for the new one, and a failure is judged.
//!
//! After a crash in between nobody knows whether the old token was spent. It is tried once more; if the app then refuses
//! it, the person is told that the refresh was interrupted rather than that they were signed out.
//!
//! | what comes back | what it means |
//! |---|---|
//! | `invalid_grant` and what the manifest lists | dead: `needs_reconnect`, at once |
//! | nothing that can be read, once | a hiccup: asked again later |
//! | nothing that can be read, after an attempt that ended without an answer | dead: `refresh_interrupted` |
//! | the client is refused | the operator's to mend; the old token is used while it lives |
//! | 5xx, 429, time-out, no connection | the app is down: asked again later, further apart each time |

use std::time::Duration;

use keyport_vault::Expect;

use super::super::client::TokenFailure;
use super::{generation, needs_reconnect};
use crate::alive::spread;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::fault;
use crate::record::{Connection, RefreshIntent, Seal, Stored};
use crate::view::Reason;

/// How long the token endpoint is left alone after it could not be reached for the first time; doubled with each further
/// one, to at most [`BACK_OFF_MOST_MS`]. Up to a fifth less, so that those who failed together do not come back together.
const BACK_OFF_MS: i64 = 30_000;
const BACK_OFF_MOST_MS: i64 = 30 * 60_000;
/// The longest wait that an app may ask for.
const RETRY_AFTER_MOST_MS: i64 = 3_600_000;

impl Engine {
    pub(super) async fn refresh_leased(
        &self,
        id: &str,
        seen: u64,
    ) -> Result<Stored<Connection>, ConnectError> {
        let begun = self.begin_refresh(id, seen).await?;
        let Some(intent) = begun
            .clear
            .refresh
            .clone()
            .filter(|intent| intent.generation == seen)
        else {
            return Ok(begun);
        };
        fault::point("refresh.intended").await;
        let answer = self.renew(&begun).await;
        fault::point("refresh.answered").await;
        match answer {
            Ok(granted) => self.keep_refresh(begun, seen, granted).await,
            Err(TokenFailure::Refused { code }) => {
                self.client_forgotten(&begun, &code).await;
                self.refresh_refused(id, seen, &intent).await
            }
            // Some servers answer a spent token with nothing that can be read. Once is a hiccup; after an attempt that
            // ended without an answer it is the verdict.
            Err(TokenFailure::Unreadable { .. }) if intent.interrupted => {
                self.refresh_refused(id, seen, &intent).await
            }
            Err(failure) => self.refresh_failed(id, failure).await,
        }
    }

    /// A server that has forgotten the client that registered there will not know it at the next sign-in either.
    async fn client_forgotten(&self, begun: &Stored<Connection>, code: &str) {
        let sealed = begun.sealed.as_ref();
        let endpoints = sealed.and_then(|sealed| sealed.endpoints.as_ref());
        if let (Some(endpoints), Some(config), "invalid_client") =
            (endpoints, &begun.clear.config, code)
        {
            self.forget_registration(begun.owner(), endpoints, config, None)
                .await;
        }
    }

    /// Makes it durable that the token of generation `seen` is about to be spent.
    async fn begin_refresh(&self, id: &str, seen: u64) -> Result<Stored<Connection>, ConnectError> {
        let now = self.now();
        for _ in 0..8 {
            let mut stored: Stored<Connection> = self.load(id).await?;
            if generation(&stored)? != Some(seen) {
                return Ok(stored);
            }
            let interrupted = stored
                .clear
                .refresh
                .as_ref()
                .is_some_and(|intent| intent.generation == seen);
            stored.clear.refresh = Some(RefreshIntent {
                at: now,
                generation: seen,
                interrupted,
            });
            let writes = self.put_connection(
                &stored.id,
                Expect::At(stored.rev),
                &mut stored.clear,
                Seal::Keep,
            )?;
            match self.commit(writes).await {
                Ok(rev) => {
                    stored.rev = rev;
                    return Ok(stored);
                }
                Err(ConnectError::Stale) => {}
                Err(other) => return Err(other),
            }
        }
        Err(ConnectError::Stale)
    }

    /// The app could not be asked, or its answer is no verdict on the grant: back off, and use the old token while it lives.
    async fn refresh_failed(
        &self,
        id: &str,
        failure: TokenFailure,
    ) -> Result<Stored<Connection>, ConnectError> {
        let (unseen, asked) = match &failure {
            TokenFailure::Down {
                unseen,
                retry_after_ms,
                ..
            } => (*unseen, *retry_after_ms),
            TokenFailure::Misconfigured { .. } => (true, None),
            TokenFailure::Unreadable { .. } | TokenFailure::Refused { .. } => (false, None),
        };
        let asked = asked.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0);
        let now = self.now();
        let begun = self
            .settle(id, move |clear| {
                if unseen {
                    clear.refresh = None;
                }
                clear.refresh_failures = clear.refresh_failures.saturating_add(1);
                let wait = back_off(id, clear.refresh_failures)
                    .max(asked)
                    .min(RETRY_AFTER_MOST_MS);
                clear.refresh_not_before = Some(now.saturating_add(wait));
                Some(None)
            })
            .await?;
        tracing::warn!(
            connection = id,
            code = failure.code(),
            "a token was not renewed"
        );
        let error = ConnectError::from(failure);
        let reason = Reason {
            code: error.code().to_owned(),
            say: error.to_string(),
        };
        self.judge(id, &crate::connection::Verdict::Down(reason), false)
            .await?;
        // While the old token lives it is used; a client that is refused is the operator's to mend.
        let alive = begun
            .sealed()?
            .token
            .as_ref()
            .is_some_and(|token| token.expires_at.is_none_or(|at| self.now() < at));
        if alive && !matches!(error, ConnectError::App { .. }) {
            self.load(id).await
        } else {
            Err(error)
        }
    }

    async fn refresh_refused(
        &self,
        id: &str,
        seen: u64,
        intent: &RefreshIntent,
    ) -> Result<Stored<Connection>, ConnectError> {
        // Another host may have been faster and its write still on the way: look again before anything is concluded.
        let mut from_backup = false;
        for pause in [0, 200, 400] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let again: Stored<Connection> = self.load(id).await?;
            if generation(&again)? != Some(seen) {
                return Ok(again);
            }
            from_backup = self.is_from_backup(&again);
        }
        let reason = if from_backup {
            Reason {
                code: "restored".into(),
                say: "this sign-in comes from a backup and was renewed after it was made; sign in again".into(),
            }
        } else if intent.interrupted {
            Reason {
                code: "refresh_interrupted".into(),
                say: "renewing this sign-in was interrupted and the app no longer accepts it; sign in again".into(),
            }
        } else {
            Reason {
                code: "revoked".into(),
                say: "the app no longer accepts this sign-in; sign in again".into(),
            }
        };
        let error = needs_reconnect(&reason);
        self.settle(id, |clear| {
            clear.refresh = None;
            Some(None)
        })
        .await?;
        self.judge(id, &crate::connection::Verdict::Refused(reason), false)
            .await?;
        Err(error)
    }
}

impl Engine {
    /// Whether a token was there before this data came out of a backup: then whoever ran on meanwhile may have renewed it.
    fn is_from_backup(&self, stored: &Stored<Connection>) -> bool {
        let restored = self.inner.vault.restored_at_ms();
        let obtained = stored
            .sealed
            .as_ref()
            .and_then(|sealed| sealed.token.as_ref())
            .map(|token| token.obtained_at);
        match (restored.and_then(|ms| i64::try_from(ms).ok()), obtained) {
            (Some(restored), Some(obtained)) => obtained <= restored,
            _ => false,
        }
    }
}

/// How long the token endpoint is left alone after this many failures in a row, in milliseconds.
fn back_off(id: &str, failures: u32) -> i64 {
    let doubled = BACK_OFF_MS
        .saturating_mul(1_i64 << failures.saturating_sub(1).min(10))
        .min(BACK_OFF_MOST_MS);
    doubled.saturating_sub(spread(id, failures, doubled / 5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_in_a_row_waits_longer_to_a_bound_and_not_all_wait_alike() {
        let waits: Vec<i64> = (1..=12).map(|n| back_off("con_a", n)).collect();
        assert!((24_000..=30_000).contains(&waits[0]), "{waits:?}");
        assert!((48_000..=60_000).contains(&waits[1]), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= BACK_OFF_MOST_MS));
        assert!(waits[11] >= BACK_OFF_MOST_MS / 5 * 4);
        let first: std::collections::BTreeSet<i64> =
            (0..100).map(|n| back_off(&format!("con_{n}"), 1)).collect();
        assert!(first.len() > 50, "those who fail together come back apart");
    }
}
