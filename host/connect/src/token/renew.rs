//! What a renewal asks for, by the way the connection signed in. It runs under the refresh's lease and writes nothing.
//!
//! Threat: an answer that goes to another client or host than the grant was made with. So the client and its pins are
//! looked up as they are now, and the endpoints are rendered from the connection's own values.

use keyport_manifest::{Oauth2, Slot};
use keyport_vault::Owner;
use oauth2::{RefreshToken, RequestTokenError, TokenUrl};

use super::client::{Carrier, Side, TokenClient, TokenFailure, params};
use super::exchange::{Granted, token_scope};
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::flow::client;
use crate::record::{self, Connection, ConnectionClear, ConnectionSealed, Stored};
use crate::use_::scope;

impl Engine {
    /// Whether there is a way to renew this connection's token without its person.
    pub(crate) fn renews(&self, stored: &Stored<Connection>) -> bool {
        stored
            .sealed
            .as_ref()
            .is_some_and(|sealed| self.renews_with(&stored.clear, sealed))
    }

    /// [`Engine::renews`], before the two parts are a record.
    pub(crate) fn renews_with(&self, _: &ConnectionClear, sealed: &ConnectionSealed) -> bool {
        sealed
            .token
            .as_ref()
            .is_some_and(|token| token.refresh.is_some())
    }

    /// Asks for a new token in the place of the one that there is.
    pub(crate) async fn renew(&self, stored: &Stored<Connection>) -> Result<Granted, TokenFailure> {
        self.ask_for_refresh(stored).await
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
    pub(crate) async fn client_of(
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
}
