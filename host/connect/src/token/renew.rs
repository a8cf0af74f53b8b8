//! What a token is renewed with: its refresh token, the further exchange, or the grant asked for again.
//!
//! When, and by whom, is [`super::refresh`]'s.

use indexmap::IndexMap;
use keyport_manifest::rules::prolonged;
use keyport_manifest::{Oauth2, RefreshBy, Scope};
use keyport_vault::Owner;
use oauth2::{RefreshToken, TokenUrl};

use super::client::{Carrier, For, Side, TokenClient, TokenFailure};
use super::exchange::{Granted, known, or_token, taken, token_scope};
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::flow::client;
use crate::record::{
    ClientKeys, Connection, ConnectionClear, ConnectionSealed, Endpoints, Stored, Token,
};
use crate::use_::scope;

/// Whether this token can be renewed without its person.
pub(crate) fn renewable(oauth: &Oauth2, token: &Token) -> bool {
    let unattended = oauth.grant.is_unattended();
    match oauth.refresh.by {
        RefreshBy::RefreshToken => token.refresh.is_some() || unattended,
        RefreshBy::Exchange => oauth.exchange.is_some(),
        RefreshBy::SignInAgain => unattended,
    }
}

impl Engine {
    /// Whether there is a way to renew this connection's token without its person.
    pub(crate) fn renews(&self, stored: &Stored<Connection>) -> bool {
        stored
            .sealed
            .as_ref()
            .is_some_and(|sealed| self.renews_with(&stored.clear, sealed))
    }

    /// [`Engine::renews`], before the two parts are a record. An app that is gone is taken to be able to what its token says.
    pub(crate) fn renews_with(&self, clear: &ConnectionClear, sealed: &ConnectionSealed) -> bool {
        let Some(token) = &sealed.token else {
            return false;
        };
        let entry = self.inner.catalogue.get(&clear.app);
        match entry.as_ref().map(|entry| entry.oauth(&clear.method)) {
            Ok(Ok(oauth)) => renewable(oauth, token),
            _ => token.refresh.is_some(),
        }
    }

    /// Asks the app for a younger token. Writes nothing down.
    pub(crate) async fn renew(&self, stored: &Stored<Connection>) -> Result<Granted, TokenFailure> {
        let broken = TokenFailure::misconfigured;
        let entry = self
            .inner
            .catalogue
            .get(&stored.clear.app)
            .map_err(|_| broken("app_gone"))?;
        let oauth = entry
            .oauth(&stored.clear.method)
            .map_err(|_| broken("method_gone"))?;
        let sealed = stored.sealed().map_err(|_| broken("no_credentials"))?;
        let (keys, endpoints, seen) = self
            .client_of(stored.owner(), &stored.clear, sealed, oauth)
            .await?;
        let token = sealed.token.as_ref().ok_or_else(|| broken("no_token"))?;
        let generation = token.generation.saturating_add(1);
        let client = TokenClient {
            engine: self,
            owner: stored.owner(),
            app: &stored.clear.app,
            method: &stored.clear.method,
            oauth,
            keys: &keys,
            endpoints: &endpoints,
            scope: &seen,
            purpose: For::Refresh,
        };
        let again = || TokenClient {
            purpose: For::Grant,
            ..client
        };
        match (oauth.refresh.by, &token.refresh) {
            (RefreshBy::Exchange, _) => {
                let exchange = oauth
                    .exchange
                    .as_ref()
                    .ok_or_else(|| broken("exchange_not_declared"))?;
                self.exchange_further(&client, exchange, token).await
            }
            // No new token comes: the old one lives on.
            (RefreshBy::RefreshToken, Some(refresh)) if oauth.refresh.prolongs.is_some() => {
                let url = known(or_token(&endpoints), "bad_token_url")?;
                let params = [
                    ("grant_type".to_owned(), "refresh_token".to_owned()),
                    ("refresh_token".to_owned(), refresh.expose().to_owned()),
                ];
                let response = client.send(&url, &params).await?;
                let prolongs = oauth.refresh.prolongs.as_ref();
                let prolongs = prolongs.ok_or_else(|| broken("prolongs_not_declared"))?;
                let seconds = prolonged(oauth, prolongs, &response)
                    .map_err(|error| TokenFailure::from(error).seen_by(keys.whose))?;
                let now = self.now();
                let lives = i64::try_from(seconds).unwrap_or(i64::MAX);
                Ok(Granted {
                    token: Token {
                        expires_at: Some(now.saturating_add(lives.saturating_mul(1000))),
                        obtained_at: now,
                        generation,
                        ..token.clone()
                    },
                    tokens: IndexMap::new(),
                    scopes: None,
                    capture: IndexMap::new(),
                    tenant: None,
                })
            }
            (RefreshBy::RefreshToken, Some(refresh)) => {
                let url = known(or_token(&endpoints), "bad_token_url")?;
                let basic = client.basic().set_token_uri(TokenUrl::from_url(url));
                let refresh = RefreshToken::new(refresh.expose().to_owned());
                let request = basic.exchange_refresh_token(&refresh);
                let side = Side::default();
                let http = Carrier {
                    client: &client,
                    side: &side,
                };
                let read = request.request_async(&http).await;
                let answer = taken(&side, read)?;
                self.granted(&client, answer, generation, None, Some(token))
                    .await
            }
            (RefreshBy::RefreshToken | RefreshBy::SignInAgain, _) => {
                let scopes = self.asked_for(&stored.clear, oauth, &seen).await?;
                self.ask_unattended(&again(), &scopes, generation).await
            }
        }
    }

    /// The scopes that a sign-in of this connection asks for now.
    async fn asked_for(
        &self,
        clear: &ConnectionClear,
        oauth: &Oauth2,
        seen: &Scope,
    ) -> Result<Vec<String>, TokenFailure> {
        let config = self
            .configuration_for(&clear.app, clear.config.as_deref())
            .await
            .map_err(|error| TokenFailure::from(&error))?;
        let own = config
            .as_ref()
            .and_then(|config| config.sealed.as_ref())
            .and_then(|sealed| sealed.scopes.clone());
        match own {
            Some(chosen) => oauth.scopes.chosen(&chosen, seen),
            None => oauth.scopes.defaults(seen),
        }
        .map_err(|_| TokenFailure::misconfigured("bad_scope"))
    }

    /// The OAuth client and endpoints of a connection as they are now. The pins hold here as they did at the start; what
    /// was found out then stays as it was.
    pub(crate) async fn client_of(
        &self,
        owner: &Owner,
        clear: &ConnectionClear,
        sealed: &ConnectionSealed,
        oauth: &Oauth2,
    ) -> Result<(ClientKeys, Endpoints, Scope), TokenFailure> {
        let broken = TokenFailure::misconfigured;
        let entry = self
            .inner
            .catalogue
            .get(&clear.app)
            .map_err(|_| broken("app_gone"))?;
        let seen = entry
            .manifest
            .with_variant(&scope::of_connection(sealed, clear.account.as_ref()));
        let endpoints = match &sealed.endpoints {
            Some(pinned) => pinned.clone(),
            None => scope::endpoints(&entry, oauth, &seen).map_err(|_| broken("bad_token_url"))?,
        };
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
        let config_id = config.as_ref().map(|config| config.id().to_owned());
        let config = config
            .as_ref()
            .map(Stored::sealed)
            .transpose()
            .map_err(|_| broken("configuration_damaged"))?;
        let chosen = match client::choose(oauth, &seen, &endpoints, config) {
            // What was registered for the sign-in, and nothing else: a new registration could not refresh this grant.
            Err(_) if endpoints.found && oauth.register => match config_id {
                Some(config) => self
                    .registered(owner, &endpoints, &config)
                    .await
                    .map_err(|error| TokenFailure::from(&error))?
                    .ok_or_else(|| TokenFailure::Refused {
                        code: "registration_gone".into(),
                    }),
                None => Err(broken("configuration_gone")),
            },
            Err(error) => {
                tracing::warn!(%owner, app = clear.app, code = error.code(), "no OAuth client for this connection");
                Err(broken("client_not_for_this_host"))
            }
            Ok(keys) => Ok(keys),
        };
        let keys = chosen?;
        let seen = token_scope(seen, &keys, self.now());
        Ok((keys, endpoints, seen))
    }
}
