//! First tokens: for a code, for an assertion, for the client itself; and the further exchange that some apps need.
//!
//! Every grant ends in [`Engine::granted`]: who signed in is checked where a manifest keeps it, the further exchange is made,
//! and what is left is what is kept.

use indexmap::IndexMap;
use keyport_manifest::rules::{exchange_answer, outgoing};
use keyport_manifest::{Exchange, Oauth2Grant, RefreshBy, Scope, TokenAnswer};
use keyport_vault::Owner;
use oauth2::{AuthorizationCode, PkceCodeVerifier, RedirectUrl, RequestTokenError, TokenUrl};
use serde_json::json;
use url::Url;

use super::client::{Carrier, For, Side, TokenClient, TokenFailure};
use super::id_token::Claimant;
use crate::engine::Engine;
use crate::hidden::Hidden;
use crate::jose;
use crate::record::{ClientKeys, Endpoints, FlowSealed, Token};
use crate::use_::scope;

/// The grant of RFC 7523, 2.1.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What an answer of the token endpoint comes to.
pub(crate) struct Granted {
    pub(crate) token: Token,
    /// Further tokens, by their names in the manifest.
    pub(crate) tokens: IndexMap<String, Token>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) capture: IndexMap<String, Hidden>,
    /// The tenant of whoever signed in, where the issuer has a hole for it.
    pub(crate) tenant: Option<String>,
}

impl Granted {
    pub(crate) fn from_answer(answer: TokenAnswer, now_ms: i64, generation: u64) -> Self {
        let mut capture: IndexMap<String, Hidden> = answer
            .public_captures
            .into_iter()
            .map(|(id, value)| (id, Hidden::new(value)))
            .collect();
        capture.extend(
            answer
                .secret_captures
                .into_iter()
                .map(|(id, value)| (id, Hidden::new(value.expose()))),
        );
        let token = |access: &str, refresh: Option<&str>, ends: Option<i64>| Token {
            access: Hidden::new(access),
            refresh: refresh.map(Hidden::new),
            expires_at: ends.map(|seconds| seconds.saturating_mul(1000)),
            obtained_at: now_ms,
            idle_until: None,
            ends_at: None,
            generation,
        };
        let tokens: IndexMap<String, Token> = answer
            .also
            .into_iter()
            .map(|(name, also)| {
                let refresh = also.refresh_token.as_ref().map(|t| t.expose());
                let also = token(also.access_token.expose(), refresh, also.expires_at);
                (name, also)
            })
            .collect();
        let mut first = token(
            answer.access_token.expose(),
            answer.refresh_token.as_ref().map(|token| token.expose()),
            answer.expires_at,
        );
        let from_now = |seconds: Option<u64>| {
            let ms = i64::try_from(seconds?).ok()?.saturating_mul(1000);
            Some(now_ms.saturating_add(ms))
        };
        first.idle_until = from_now(answer.idle_in);
        first.ends_at = from_now(answer.ends_in);
        // They come from one answer and are renewed by one: the first to end decides when.
        first.expires_at = tokens
            .values()
            .filter_map(|also| also.expires_at)
            .chain(first.expires_at)
            .min();
        Granted {
            token: first,
            tokens,
            scopes: answer.scopes,
            capture,
            tenant: None,
        }
    }
}

/// The scope of token requests: everything that this host alone sends.
pub(crate) fn token_scope(mut scope: Scope, keys: &ClientKeys, now_ms: i64) -> Scope {
    let secret = keys.secret.as_ref().map(Hidden::expose).unwrap_or_default();
    scope.set(
        "app",
        json!({ "client_id": keys.id, "client_secret": secret }),
    );
    scope.set("now", json!(now_ms.div_euclid(1000)));
    scope
}

/// An address that must be known by now.
pub(crate) fn known(url: Option<&String>, code: &str) -> Result<Url, TokenFailure> {
    url.and_then(|url| Url::parse(url).ok())
        .ok_or_else(|| TokenFailure::misconfigured(code))
}

impl Engine {
    /// Redeems a code, once: whatever the answer is, the caller has spent the flow before. `returned` is the callback.
    pub(crate) async fn exchange(
        &self,
        (owner, app): (&Owner, &str),
        flow: &FlowSealed,
        code: &str,
        capture: &IndexMap<String, Hidden>,
        returned: &[(String, String)],
    ) -> Result<Granted, TokenFailure> {
        let mut seen = flow_scope(flow);
        seen.set("capture", scope::object(capture));
        let returned = returned
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        seen.set("callback", serde_json::Value::Object(returned));
        let endpoints = scope::completed(&flow.oauth, &flow.endpoints, &seen)
            .map_err(|_| TokenFailure::misconfigured("bad_token_url"))?;
        let seen = token_scope(seen, &flow.client, self.now());
        let client = TokenClient {
            engine: self,
            owner,
            app,
            method: &flow.method,
            oauth: &flow.oauth,
            keys: &flow.client,
            endpoints: &endpoints,
            scope: &seen,
            purpose: For::Grant,
        };
        if flow.oauth.grant == Oauth2Grant::AdminConsent {
            return self.ask_unattended(&client, &flow.scopes, 1).await;
        }
        let url = known(endpoints.token.as_ref(), "bad_token_url")?;
        let broken = |_| TokenFailure::misconfigured("bad_redirect_uri");
        let basic = client.basic().set_token_uri(TokenUrl::from_url(url));
        let redirect = flow.redirect_uri.clone();
        // An alias (eBay's RuName) is no address, and the crate takes nothing else: it is a parameter like any other.
        let alias = Url::parse(&redirect).is_err();
        let answer = if alias {
            let mut params = vec![
                ("grant_type".to_owned(), "authorization_code".to_owned()),
                ("code".to_owned(), code.to_owned()),
                ("redirect_uri".to_owned(), redirect),
            ];
            if let Some(verifier) = &flow.verifier {
                params.push(("code_verifier".to_owned(), verifier.expose().to_owned()));
            }
            let url = known(endpoints.token.as_ref(), "bad_token_url")?;
            client.ask(&url, &params).await?
        } else {
            let basic = basic.set_redirect_uri(RedirectUrl::new(redirect).map_err(broken)?);
            let mut request = basic.exchange_code(AuthorizationCode::new(code.to_owned()));
            if let Some(verifier) = &flow.verifier {
                request =
                    request.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
            }
            let side = Side::default();
            let http = Carrier {
                client: &client,
                side: &side,
            };
            // The crate's verdict on a normalised answer is the same as ours; its errors may carry raw bodies.
            let read = request.request_async(&http).await;
            taken(&side, read)?
        };
        self.granted(&client, answer, 1, flow.nonce.as_ref(), None)
            .await
    }

    /// Asks for a token without anybody there: as the client itself, or with a signed assertion.
    pub(crate) async fn ask_unattended(
        &self,
        client: &TokenClient<'_>,
        scopes: &[String],
        generation: u64,
    ) -> Result<Granted, TokenFailure> {
        let oauth = client.oauth;
        let url = known(client.endpoints.token.as_ref(), "bad_token_url")?;
        let scopes = oauth.scopes.join(scopes.iter().map(String::as_str));
        let mut params = Vec::new();
        match oauth.grant {
            Oauth2Grant::ClientCredentials | Oauth2Grant::AdminConsent => {
                params.push(("grant_type".to_owned(), "client_credentials".to_owned()));
            }
            Oauth2Grant::JwtBearer => {
                let declared = oauth
                    .assertion
                    .as_ref()
                    .ok_or_else(|| TokenFailure::misconfigured("assertion_not_declared"))?;
                // Some servers refuse an assertion that they have seen: two in one second must differ.
                let random = crate::ids::random_secret(self.inner.entropy.as_ref())
                    .map_err(|error| TokenFailure::from(&error))?;
                let usual = [
                    ("iss", json!(client.keys.id)),
                    ("aud", json!(url.as_str())),
                    ("jti", json!(random.as_str())),
                ];
                let now = self.now().div_euclid(1000);
                let minted = jose::mint(declared, client.scope, &usual, now)?;
                params.push(("grant_type".to_owned(), JWT_BEARER.to_owned()));
                params.push(("assertion".to_owned(), minted.expose().to_owned()));
            }
            Oauth2Grant::AuthorizationCode | Oauth2Grant::Device => {
                return Err(TokenFailure::misconfigured("needs_a_person"));
            }
        }
        if let Some(scopes) = scopes {
            params.push((oauth.scopes.param.clone(), scopes));
        }
        let answer = client.ask(&url, &params).await?;
        self.granted(client, answer, generation, None, None).await
    }

    /// What is kept of an answer: after the check of who signed in, and the further exchange. `before` is the token that is
    /// renewed: where the exchange cannot be made now, the answer's refresh token, perhaps the only one that still works, is
    /// kept beside it, and all is tried again soon.
    pub(crate) async fn granted(
        &self,
        client: &TokenClient<'_>,
        answer: TokenAnswer,
        generation: u64,
        nonce: Option<&Hidden>,
        before: Option<&Token>,
    ) -> Result<Granted, TokenFailure> {
        let tenant = self
            .check_claimant(&Claimant {
                client,
                id_token: answer.id_token.as_ref().map(|token| token.expose()),
                nonce: nonce.map(Hidden::expose),
            })
            .await?;
        let mut granted = Granted::from_answer(answer, self.now(), generation);
        granted.tenant = tenant;
        if let Some(exchange) = &client.oauth.exchange {
            let made = Box::pin(self.exchange_further(client, exchange, &granted.token)).await;
            let further = match (made, before) {
                (Ok(further), _) => further,
                (Err(failure), Some(before))
                    if !matches!(failure, TokenFailure::Refused { .. }) =>
                {
                    let now = self.now();
                    granted.token = Token {
                        access: before.access.clone(),
                        refresh: granted.token.refresh,
                        idle_until: granted.token.idle_until,
                        ends_at: granted.token.ends_at,
                        expires_at: Some(now),
                        obtained_at: now,
                        generation,
                    };
                    granted.tokens = IndexMap::new();
                    return Ok(granted);
                }
                (Err(failure), _) => return Err(failure),
            };
            let mut capture = std::mem::take(&mut granted.capture);
            capture.extend(further.capture);
            granted = Granted {
                tokens: std::mem::take(&mut granted.tokens),
                scopes: further.scopes.or(granted.scopes),
                capture,
                tenant: granted.tenant.take(),
                token: Token {
                    refresh: further.token.refresh.or(granted.token.refresh),
                    idle_until: granted.token.idle_until,
                    ends_at: granted.token.ends_at,
                    generation,
                    ..further.token
                },
            };
        }
        self.ask_about(client, &mut granted).await?;
        Ok(granted)
    }

    /// Makes a token of a token: a long-lived one of a short-lived one, a younger one of one that is about to end.
    pub(crate) async fn exchange_further(
        &self,
        client: &TokenClient<'_>,
        exchange: &Exchange,
        token: &Token,
    ) -> Result<Granted, TokenFailure> {
        let mut seen = client.scope.clone();
        seen.set("token", json!({ "access_token": token.access.expose() }));
        if let Some(refresh) = &token.refresh {
            seen.set_value("token", "refresh_token", json!(refresh.expose()));
        }
        // After a refresh token did its work, it is made as after a sign-in.
        let refreshes =
            client.purpose == For::Refresh && client.oauth.refresh.by == RefreshBy::Exchange;
        let request = outgoing::exchange_request(client.oauth, exchange, refreshes, &seen)
            .map_err(|_| TokenFailure::misconfigured("bad_token_request"))?;
        let url =
            Url::parse(&request.url).map_err(|_| TokenFailure::misconfigured("bad_token_url"))?;
        client.pinned(&url)?;
        let pass = self.own_pass(client.owner, &url)?;
        let response = client.send_in_turn(&url, &pass, request).await?;
        let now = self.now();
        let answer = exchange_answer(client.oauth, exchange, &response, now.div_euclid(1000))
            .map_err(|error| TokenFailure::from(error).seen_by(client.keys.whose))?;
        Ok(Granted::from_answer(
            answer,
            now,
            token.generation.saturating_add(1),
        ))
    }
}

/// What templates see of a flow: its fields, its variant, its credentials.
pub(crate) fn flow_scope(flow: &FlowSealed) -> Scope {
    let mut seen = Scope::new();
    seen.set("fields", scope::object(&flow.fields));
    if let Some(variant) = &flow.variant {
        seen.set("variant", variant.clone());
    }
    seen.set("credentials", scope::object(&flow.credentials));
    seen
}

/// What came on the side of what the crate read; its own verdict only counts where ours was good.
pub(super) fn taken<T, RE, TE>(
    side: &Side,
    read: Result<T, RequestTokenError<RE, TE>>,
) -> Result<TokenAnswer, TokenFailure>
where
    RE: std::error::Error + 'static,
    TE: oauth2::ErrorResponse + 'static,
{
    let read = read.map(|_| ()).map_err(drop);
    let answer = side.take()?;
    read.map_err(|()| TokenFailure::Unreadable {
        code: "token_answer".into(),
    })?;
    Ok(answer)
}

/// Endpoints as text for those who only need one of them.
pub(crate) fn or_token(endpoints: &Endpoints) -> Option<&String> {
    endpoints.refresh.as_ref().or(endpoints.token.as_ref())
}
