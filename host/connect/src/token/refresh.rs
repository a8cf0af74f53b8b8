//! One refresh at a time, durable before it is used.
//!
//! Providers that rotate refresh tokens treat a second use of one as theft and kill the whole grant. So, over all hosts:
//! one lease per connection, held in the store and longer than the request may take; the record is read again after
//! taking it; that a refresh is under way is durable *before* the request leaves, and its answer *before* anybody uses
//! it. Whether a result may be written is decided by the revision, not by the lease: a late answer that is the only
//! valid token must not be thrown away.
//!
//! After a crash in between nobody knows whether the old token was spent. It is tried once more; if the app then refuses
//! it, the person is told that the refresh was interrupted rather than that they were signed out.
//!
//! Everything runs in a task of its own: a caller that goes away does not take an answer with it.

use std::time::Duration;

use keyport_manifest::{Oauth2, Slot};
use keyport_vault::{Expect, LeaseTry, Owner};
use oauth2::{RefreshToken, RequestTokenError, TokenUrl};

use super::client::{Carrier, Side, TokenClient, TokenFailure, params};
use super::exchange::{Granted, token_scope};
use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::flow::client;
use crate::record::{
    self, Connection, ConnectionClear, ConnectionSealed, RefreshIntent, Seal, Stored, Token,
};
use crate::use_::scope;
use crate::view::{ConnectionState, Reason};

/// How much longer than the request the lease lasts: time to write the answer down.
const LEASE_MARGIN: Duration = Duration::from_secs(15);
/// How long the token endpoint is left alone after it could not be reached.
const BACK_OFF_MS: i64 = 30_000;
/// How often storing an answer is tried: it is the only copy of a token that may have cost the old one.
const STORE_TRIES: u32 = 40;

impl Engine {
    /// The connection with a token that is good for use: renewed when it is about to end, or when its generation is
    /// `stale` (the app has just refused it). Without a way to renew it, it comes back as it is.
    pub(crate) async fn fresh(
        &self,
        stored: Stored<Connection>,
        stale: Option<u64>,
    ) -> Result<Stored<Connection>, ConnectError> {
        let Some(token) = stored.sealed()?.token.as_ref() else {
            return Ok(stored);
        };
        let ahead = self.refresh_ahead(&stored.clear);
        let ending = token
            .expires_at
            .is_some_and(|at| at.saturating_sub(self.now()) <= ahead.min(token.lead()));
        if token.refresh.is_none() || !(ending || stale == Some(token.generation)) {
            return Ok(stored);
        }
        let (id, seen) = (stored.id().to_owned(), token.generation);
        if self.backing_off(&stored.clear) {
            return self.old_or_down(stored, stale);
        }
        let engine = self.clone();
        match tokio::spawn(async move { engine.refresh(&id, seen, stale.is_some()).await }).await {
            Ok(Ok(fresh)) => Ok(fresh),
            // A token that still lives is used while the app's sign-in service is away.
            Ok(Err(ConnectError::App {
                means: keyport_manifest::Means::ProviderDown,
                ..
            })) => {
                let stored = self.load(stored.id()).await?;
                self.old_or_down(stored, stale)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ConnectError::internal(
                "refresh_failed",
                "renewing the token failed on this host; try again",
            )),
        }
    }

    fn refresh_ahead(&self, clear: &ConnectionClear) -> i64 {
        let declared = self
            .inner
            .catalogue
            .get(&clear.app)
            .ok()
            .and_then(|entry| {
                entry
                    .oauth(&clear.method)
                    .ok()
                    .and_then(|oauth| oauth.refresh.early)
            })
            .map(Duration::from_secs);
        millis(declared.unwrap_or(self.inner.options.refresh_ahead))
    }

    fn backing_off(&self, clear: &ConnectionClear) -> bool {
        clear.refresh_not_before.is_some_and(|at| self.now() < at)
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
        refused: bool,
    ) -> Result<Stored<Connection>, ConnectError> {
        // One at a time in this process; those who wait find the result when their turn comes.
        let turn = self.turn(id);
        let _mine = turn.lock().await;
        let mut pause = Duration::from_millis(50);
        let mut waited = Duration::ZERO;
        let patience = self.inner.options.token_request + LEASE_MARGIN;
        loop {
            let stored: Stored<Connection> = self.load(id).await?;
            match generation(&stored)? {
                Some(now) if now == seen => {}
                _ => return Ok(stored),
            }
            if self.backing_off(&stored.clear) {
                return self.old_or_down(stored, refused.then_some(seen));
            }
            match self
                .inner
                .vault
                .lease(&format!("refresh/{id}"), patience)
                .await?
            {
                LeaseTry::Got(lease) => {
                    let result = self.refresh_leased(id, seen).await;
                    if let Err(error) = self.inner.vault.release(lease).await {
                        tracing::warn!(connection = id, %error, "a refresh lease was not given back and will run out");
                    }
                    return result;
                }
                LeaseTry::Held { .. } if waited < patience => {
                    tokio::time::sleep(pause).await;
                    waited += pause;
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
                LeaseTry::Held { .. } => return Err(down(None)),
            }
        }
    }

    async fn refresh_leased(
        &self,
        id: &str,
        seen: u64,
    ) -> Result<Stored<Connection>, ConnectError> {
        let mut begun = self.begin_refresh(id, seen).await?;
        let Some(intent) = begun
            .clear
            .refresh
            .clone()
            .filter(|intent| intent.generation == seen)
        else {
            return Ok(begun);
        };
        match self.ask_for_refresh(&begun).await {
            Ok(granted) => self.keep_refresh(begun, seen, granted).await,
            Err(TokenFailure::Refused { .. }) => self.refresh_refused(id, seen, &intent).await,
            // Some servers answer a spent token with nothing that can be read. Once is a hiccup; after an attempt that
            // ended without an answer it is the verdict.
            Err(TokenFailure::Unreadable { .. }) if intent.interrupted => {
                self.refresh_refused(id, seen, &intent).await
            }
            Err(failure) => {
                let (unseen, wait) = match &failure {
                    TokenFailure::Down {
                        unseen,
                        retry_after_ms,
                        ..
                    } => (*unseen, *retry_after_ms),
                    TokenFailure::Misconfigured { .. } => (true, None),
                    TokenFailure::Unreadable { .. } | TokenFailure::Refused { .. } => (false, None),
                };
                let wait = wait
                    .and_then(|ms| i64::try_from(ms).ok())
                    .unwrap_or(0)
                    .clamp(BACK_OFF_MS, 3_600_000);
                let not_before = self.now().saturating_add(wait);
                begun = self
                    .settle(id, move |clear| {
                        if unseen {
                            clear.refresh = None;
                        }
                        clear.refresh_not_before = Some(not_before);
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
                let alive = token_of(&begun)?
                    .expires_at
                    .is_none_or(|at| self.now() < at);
                if alive && !matches!(error, ConnectError::App { .. }) {
                    self.load(id).await
                } else {
                    Err(error)
                }
            }
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
            let write = record::put::<Connection>(
                &stored.id,
                Expect::At(stored.rev),
                &stored.clear,
                Seal::Keep,
            )?;
            match self.commit(vec![write]).await {
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

    async fn ask_for_refresh(&self, stored: &Stored<Connection>) -> Result<Granted, TokenFailure> {
        let broken = |code: &str| TokenFailure::Misconfigured {
            code: code.to_owned(),
        };
        let entry = self
            .inner
            .catalogue
            .get(&stored.clear.app)
            .map_err(|_| broken("app_gone"))?;
        let oauth = entry
            .oauth(&stored.clear.method)
            .map_err(|_| broken("method_gone"))?;
        let sealed = stored.sealed().map_err(|_| broken("no_credentials"))?;
        let (keys, endpoints, known) = self
            .client_of(stored.owner(), &stored.clear, sealed, oauth)
            .await?;
        let refresh = sealed
            .token
            .as_ref()
            .and_then(|token| token.refresh.as_ref())
            .ok_or_else(|| broken("no_refresh_token"))?;
        let mut headers = params(&oauth.token_headers, &known, Slot::Header)?;
        for (name, value) in params(&oauth.refresh.headers, &known, Slot::Header)? {
            // Replaces rather than repeats: a header that is there twice means something else to every server.
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            headers.push((name, value));
        }
        let client = TokenClient {
            engine: self,
            owner: stored.owner(),
            oauth,
            keys: &keys,
            params: params(&oauth.refresh_params, &known, Slot::Raw)?,
            headers,
            refresh: true,
        };
        let token_url = TokenUrl::new(endpoints.refresh).map_err(|_| broken("bad_token_url"))?;
        let basic = client.basic().set_token_uri(token_url);
        let token = RefreshToken::new(refresh.expose().to_owned());
        let request = basic.exchange_refresh_token(&token);
        let side = Side::default();
        let http = Carrier {
            client: &client,
            side: &side,
        };
        let read = request
            .request_async(&http)
            .await
            .map_err(|error: RequestTokenError<_, _>| drop(error));
        let answer = side.take()?;
        read.map_err(|()| TokenFailure::Unreadable {
            code: "token_answer".into(),
        })?;
        let generation = sealed.token.as_ref().map_or(0, |token| token.generation);
        Ok(Granted::from_answer(
            answer,
            self.now(),
            generation.saturating_add(1),
        ))
    }

    /// The OAuth client and endpoints of a connection as they are now. The pins hold here as they did at the start.
    pub(super) async fn client_of(
        &self,
        owner: &Owner,
        clear: &ConnectionClear,
        sealed: &ConnectionSealed,
        oauth: &Oauth2,
    ) -> Result<
        (
            record::ClientKeys,
            record::Endpoints,
            keyport_manifest::Scope,
        ),
        TokenFailure,
    > {
        let broken = |code: &str| TokenFailure::Misconfigured {
            code: code.to_owned(),
        };
        let entry = self
            .inner
            .catalogue
            .get(&clear.app)
            .map_err(|_| broken("app_gone"))?;
        let known = entry
            .manifest
            .with_variant(&scope::of_connection(sealed, clear.account.as_ref()));
        let endpoints =
            scope::endpoints(entry, oauth, &known).map_err(|_| broken("bad_token_url"))?;
        let config = self
            .configuration_for(&clear.app, clear.config.as_deref())
            .await
            .map_err(|error| match error {
                ConnectError::NotFound { .. } => broken("configuration_gone"),
                _ => TokenFailure::Down {
                    code: "store_unavailable".into(),
                    unseen: true,
                    retry_after_ms: None,
                },
            })?;
        let config = config
            .as_ref()
            .map(Stored::sealed)
            .transpose()
            .map_err(|_| broken("configuration_damaged"))?;
        let keys = client::choose(oauth, &known, &endpoints, config).map_err(|error| {
            tracing::warn!(%owner, app = clear.app, code = error.code(), "no OAuth client for this connection");
            broken("client_not_for_this_host")
        })?;
        let known = token_scope(known, &keys);
        Ok((keys, endpoints, known))
    }

    /// Writes the answer down. Nobody has seen the new token before this returns.
    async fn keep_refresh(
        &self,
        mut stored: Stored<Connection>,
        seen: u64,
        granted: Granted,
    ) -> Result<Stored<Connection>, ConnectError> {
        let mut pause = Duration::from_millis(20);
        for _ in 0..STORE_TRIES {
            let mut sealed = stored.sealed()?.clone();
            let old = sealed.token.take();
            let mut token = granted.token.clone();
            // An answer without a refresh token keeps the one there is.
            token.refresh = token.refresh.or(old.and_then(|old| old.refresh));
            stored.clear.expires_at = token.expires_at;
            stored.clear.refresh = None;
            stored.clear.refresh_not_before = None;
            sealed.token = Some(token);
            if let Some(scopes) = &granted.scopes {
                sealed.scopes.clone_from(scopes);
            }
            sealed.capture.extend(granted.capture.clone());
            let writes = vec![
                record::put::<Connection>(
                    &stored.id,
                    Expect::At(stored.rev),
                    &stored.clear,
                    Seal::Put(&sealed),
                )?,
                self.note(
                    Note::by(&Actor::Host, "token.refreshed")
                        .owner(stored.owner())
                        .app(&stored.clear.app)
                        .connection(stored.id()),
                )?,
            ];
            match self.commit(writes).await {
                Ok(rev) => {
                    stored.rev = rev;
                    stored.sealed = Some(sealed);
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
                // Somebody newer has written, or the person has signed out meanwhile: nothing to keep.
                Ok(again) => return Ok(again),
                Err(error @ ConnectError::NotFound { .. }) => return Err(error),
                Err(_) => {}
            }
        }
        Err(ConnectError::Unavailable {
            code: "store_unavailable",
            say: "the renewed token could not be stored".into(),
        })
    }

    async fn refresh_refused(
        &self,
        id: &str,
        seen: u64,
        intent: &RefreshIntent,
    ) -> Result<Stored<Connection>, ConnectError> {
        // Another host may have been faster and its write still on the way: look again before anything is concluded.
        for pause in [0, 200, 400] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let again: Stored<Connection> = self.load(id).await?;
            if generation(&again)? != Some(seen) {
                return Ok(again);
            }
        }
        let reason = if intent.interrupted {
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

fn token_of(stored: &Stored<Connection>) -> Result<&Token, ConnectError> {
    stored
        .sealed()?
        .token
        .as_ref()
        .ok_or_else(|| ConnectError::internal("no_token", "this connection has no token to renew"))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
