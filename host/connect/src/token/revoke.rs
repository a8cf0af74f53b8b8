//! A grant is ended at the app.
//!
//! By RFC 7009 (the refresh token first, then the access token), or by the request that the manifest declares. Whatever
//! the app answers, the credentials are destroyed here by the caller; a revocation that failed is told, not hidden.

use std::time::Duration;

use keyport_egress::{Body, Purpose};
use keyport_manifest::{AuthMethod, HostPattern, Oauth2, RequestSpec, Revoke};
use keyport_vault::Owner;
use oauth2::{AccessToken, RefreshToken, RevocationUrl, StandardRevocableToken};
use url::Url;

use super::client::{For, Revoker, TokenClient, TokenFailure};
use crate::configuration::fixed_hosts;
use crate::engine::Engine;
use crate::hidden::Hidden;
use crate::record::{Connection, ConnectionClear, ConnectionSealed, Stored};
use crate::use_::pass::PassParts;
use crate::view::Revoked;

/// How long a person who signs out waits for an app that asks to be asked again.
const WAIT_AT_MOST_MS: u64 = 3000;

impl Engine {
    /// Ends a connection's grant at the app, as far as the app lets one. Never fails; says what became of it.
    pub(crate) async fn revoke(&self, stored: &Stored<Connection>) -> (Revoked, String) {
        let Some(sealed) = &stored.sealed else {
            return (
                Revoked::NotSupported,
                "there was nothing left to revoke".into(),
            );
        };
        let Ok(entry) = self.inner.catalogue.get(&stored.clear.app) else {
            return (
                Revoked::No,
                "the app is not in the catalogue any more; revoke the access there".into(),
            );
        };
        let name = &entry.manifest.name;
        if let Ok(AuthMethod::Session(session)) = entry.method(&stored.clear.method) {
            return self.log_out(stored, sealed, &entry, session).await;
        }
        let Ok(oauth) = entry.oauth(&stored.clear.method) else {
            return (
                Revoked::NotSupported,
                format!("the key was deleted here; to end it for good, delete it at {name} too"),
            );
        };
        let found = sealed
            .endpoints
            .as_ref()
            .is_some_and(|endpoints| endpoints.revoke.is_some());
        let done = match &oauth.revoke {
            // A server that was found out may say itself how a grant is ended.
            None | Some(Revoke::None { .. }) if found => {
                self.revoke_tokens(stored.owner(), &stored.clear, sealed, oauth)
                    .await
            }
            None | Some(Revoke::None { .. }) => {
                return (
                    Revoked::NotSupported,
                    format!("{name} has no way to be told; the credentials were deleted here"),
                );
            }
            Some(Revoke::Rfc7009 { .. }) => {
                self.revoke_tokens(stored.owner(), &stored.clear, sealed, oauth)
                    .await
            }
            Some(Revoke::Request(request)) => {
                self.revoke_by_request(stored, sealed, oauth, request).await
            }
        };
        match done {
            Ok(()) => (Revoked::Yes, format!("{name} has ended this access")),
            Err(failure) => {
                tracing::warn!(
                    connection = stored.id(),
                    code = failure.code(),
                    "a grant was not revoked"
                );
                (
                    Revoked::No,
                    format!("{name} did not confirm it; to be sure, remove the access there"),
                )
            }
        }
    }

    async fn revoke_tokens(
        &self,
        owner: &Owner,
        clear: &ConnectionClear,
        sealed: &ConnectionSealed,
        oauth: &Oauth2,
    ) -> Result<(), TokenFailure> {
        let Some(token) = &sealed.token else {
            return Ok(());
        };
        let (keys, endpoints, seen) = self.client_of(owner, clear, sealed, oauth).await?;
        let client = TokenClient {
            engine: self,
            owner,
            app: &clear.app,
            method: &clear.method,
            oauth,
            keys: &keys,
            endpoints: &endpoints,
            scope: &seen,
            purpose: For::Other,
        };
        // The refresh token first: it is the grant. The access token after it whatever became of that: one of the two that
        // ends is better than none.
        let mut grant = None;
        if let Some(refresh) = &token.refresh {
            let make = || {
                StandardRevocableToken::RefreshToken(RefreshToken::new(refresh.expose().to_owned()))
            };
            grant = Some(self.revoke_patiently(&client, make).await);
        }
        let make = || {
            StandardRevocableToken::AccessToken(AccessToken::new(token.access.expose().to_owned()))
        };
        let access = self.revoke_patiently(&client, make).await;
        match (grant, access) {
            (Some(Err(failure)), _) => Err(failure),
            // With the grant its access tokens end (RFC 7009, 2.1); some servers end nothing else (2.2.1).
            (Some(Ok(())), Err(TokenFailure::Unreadable { code })) if code == "http_400" => Ok(()),
            (_, access) => access,
        }
    }

    /// One revocation; once more where the app asks to wait for a moment (RFC 7009, 2.2.1).
    async fn revoke_patiently(
        &self,
        client: &TokenClient<'_>,
        make: impl Fn() -> StandardRevocableToken + Send,
    ) -> Result<(), TokenFailure> {
        let first = self.revoke_one(client, make()).await;
        let Err(TokenFailure::Down {
            retry_after_ms: Some(wait),
            unseen: false,
            ..
        }) = first
        else {
            return first;
        };
        if wait > WAIT_AT_MOST_MS {
            return first;
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
        self.revoke_one(client, make()).await
    }

    async fn revoke_one(
        &self,
        client: &TokenClient<'_>,
        token: StandardRevocableToken,
    ) -> Result<(), TokenFailure> {
        let broken = || TokenFailure::misconfigured("bad_revocation_url");
        let url = client.endpoints.revoke.clone().ok_or_else(broken)?;
        let basic = client
            .basic()
            .set_revocation_url(RevocationUrl::new(url).map_err(|_| broken())?);
        let request = basic.revoke_token(token).map_err(|_| broken())?;
        let http = Revoker {
            client,
            sent: std::sync::Mutex::new(None),
        };
        let confirmed = request.request_async(&http).await.is_ok();
        match http
            .sent
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
        {
            Some(Err(failure)) => Err(failure),
            Some(Ok(_)) if confirmed => Ok(()),
            Some(Ok(told)) if told.status >= 500 || told.status == 429 => Err(TokenFailure::Down {
                code: format!("http_{}", told.status),
                unseen: false,
                retry_after_ms: told.retry_after.map(|seconds| seconds.saturating_mul(1000)),
            }),
            Some(Ok(told)) => Err(TokenFailure::Unreadable {
                code: format!("http_{}", told.status),
            }),
            None => Err(broken()),
        }
    }

    async fn revoke_by_request(
        &self,
        stored: &Stored<Connection>,
        sealed: &ConnectionSealed,
        oauth: &Oauth2,
        request: &RequestSpec,
    ) -> Result<(), TokenFailure> {
        let broken = |code: &str| TokenFailure::Misconfigured {
            code: code.to_owned(),
        };
        let entry = self
            .inner
            .catalogue
            .get(&stored.clear.app)
            .map_err(|_| broken("app_gone"))?;
        // What the operator grants of hosts is for calls; a sign-out goes where the manifest says.
        let config = self.config_of(stored).await.ok().flatten();
        let config = config.map(|config| crate::record::ConfigurationSealed {
            grants: crate::view::GrantsView::default(),
            ..config
        });
        let parts = PassParts {
            entry: &entry,
            owner: stored.owner(),
            method: &stored.clear.method,
            sealed,
            account: stored.clear.account.as_ref(),
            config: config.as_ref(),
        };
        let (mut pass, mut known) = self
            .pass(&parts, Purpose::Flow)
            .await
            .map_err(|_| broken("no_credentials"))?;
        // Some apps end a grant with the client's own credentials; those go to pinned hosts only.
        let names_secret = request.templates().iter().any(|(_, template)| {
            let refs = template.refs();
            let mut all = refs.iter();
            all.any(|at| at.root == "app" && at.name() == Some("client_secret"))
        });
        let client = self
            .client_of(stored.owner(), &stored.clear, sealed, oauth)
            .await;
        if let Ok((keys, _, _)) = &client {
            let secret = keys.secret.as_ref().map(Hidden::expose).unwrap_or_default();
            known.set(
                "app",
                serde_json::json!({ "client_id": keys.id, "client_secret": secret }),
            );
        }
        let plain = request
            .build(&known)
            .map_err(|_| broken("bad_revocation_request"))?;
        let own_authorization = plain
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if own_authorization {
            pass.credential = None;
        }
        let url = Url::parse(&plain.url).ok();
        if names_secret {
            let (keys, _, _) = client.as_ref().map_err(Clone::clone)?;
            let pins = keys.pins.as_ref();
            let pinned = pins.is_none_or(|pins| {
                let at = url.as_ref().or(pass.base_url.as_ref());
                let mut pins = pins
                    .iter()
                    .filter_map(|pin| pin.parse::<HostPattern>().ok());
                at.is_some_and(|at| pins.any(|pin| pin.allows(at)))
            });
            if !pinned {
                return Err(broken("client_not_for_this_host"));
            }
        }
        // One that the manifest writes out is the vendor's, whatever host it is.
        let written = |url: &Url| {
            let fixed = fixed_hosts(&request.path, &entry.manifest);
            fixed.iter().any(|host| host.allows(url))
        };
        if let Some(url) = url
            && !pass.hosts.allows(&url)
        {
            let endpoints = client.map(|(_, endpoints, _)| endpoints)?;
            let known_host = [&endpoints.token, &endpoints.authorize]
                .into_iter()
                .flatten()
                .filter_map(|known| Url::parse(known).ok())
                .any(|known| known.origin() == url.origin());
            if !known_host && !written(&url) {
                return Err(broken("revocation_host_not_allowed"));
            }
            pass.credential = None;
            pass.hosts
                .push(HostPattern::of_url(&url).map_err(|_| broken("bad_revocation_url"))?);
        }
        pass.limits.total = self.inner.options.token_request;
        let mut builder = http::Request::builder()
            .method(plain.method.as_str())
            .uri(plain.url.as_str());
        for (name, value) in &plain.headers {
            builder = builder.header(name, value);
        }
        let request = builder
            .body(plain.body.map_or_else(Body::empty, Body::from_bytes))
            .map_err(|_| broken("bad_revocation_request"))?;
        let response = self
            .send_plain(&pass, request, 1 << 20)
            .await
            .map_err(|error| TokenFailure::Down {
                code: error.code().to_owned(),
                unseen: error.before_sending(),
                retry_after_ms: None,
            })?;
        // A grant that the app does not know any more is as good as ended.
        if (200..300).contains(&response.status) || matches!(response.status, 401 | 404 | 410) {
            Ok(())
        } else {
            Err(TokenFailure::Unreadable {
                code: format!("http_{}", response.status),
            })
        }
    }
}
