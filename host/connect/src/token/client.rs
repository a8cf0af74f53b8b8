//! Requests to a token endpoint: parameters by the `oauth2` crate or by us, written by the manifest's rules, sent by egress.
//!
//! The crate builds RFC 6749 requests and reads RFC 6749 answers; real apps deviate in both. So the client in its slot
//! takes only the grant's parameters from what the crate built: [`outgoing::token_request`] writes the request that is sent,
//! the same piece of code that `keyport render` shows to authors, and the crate gets a normalised answer. What has no room
//! there (captures, second tokens, status, `Retry-After`) is kept on the side. Grants that the crate does not know go the
//! same way without it.
//!
//! The crate's own parse error carries the raw body, tokens included, so it is dropped here and never printed.

use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use keyport_manifest::rules::outgoing;
use keyport_manifest::{
    CertificateAt, ClientAuth, Jwt, Oauth2, PlainRequest, PlainResponse, Scope, Slot, TokenAnswer,
    refresh_answer, token_answer,
};
use keyport_vault::Owner;
use oauth2::basic::BasicClient;
use oauth2::{AsyncHttpClient, AuthType, ClientId, HttpRequest, HttpResponse};
use serde_json::json;
use url::Url;

pub(crate) use super::failure::TokenFailure;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::ids;
use crate::jose;
use crate::record::{ClientKeys, Endpoints};
use crate::token::gate::{Closed, Seen};

/// The type of a JWT that proves a client (RFC 7523, 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a request is for: which declared parameters go along, and how its answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// A first token.
    Grant,
    /// A renewed token: captures that are missing then stay as they were.
    Refresh,
    /// Something else that the client must prove itself for: a device's code, a revocation.
    Other,
}

/// One client at one sign-in server.
pub(crate) struct TokenClient<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) owner: &'a Owner,
    /// The app, and the way to sign in to it.
    pub(crate) app: &'a str,
    pub(crate) method: &'a str,
    pub(crate) oauth: &'a Oauth2,
    pub(crate) keys: &'a ClientKeys,
    pub(crate) endpoints: &'a Endpoints,
    /// What templates see; see [`token_scope`](super::exchange::token_scope).
    pub(crate) scope: &'a Scope,
    pub(crate) purpose: For,
}

/// What came back on the side of what the `oauth2` crate reads.
#[derive(Default)]
pub(crate) struct Side(Mutex<Option<Result<TokenAnswer, TokenFailure>>>);

impl Side {
    fn put(&self, result: Result<TokenAnswer, TokenFailure>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }

    /// What was put, once.
    pub(crate) fn take(&self) -> Result<TokenAnswer, TokenFailure> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_else(|| Err(TokenFailure::misconfigured("no_request")))
    }
}

/// Our HTTP client in the crate's slot, for token requests.
pub(crate) struct Carrier<'a> {
    pub(crate) client: &'a TokenClient<'a>,
    pub(crate) side: &'a Side,
}

impl<'c> AsyncHttpClient<'c> for Carrier<'_> {
    type Error = NoAnswer;
    type Future = BoxFuture<'c, Result<HttpResponse, NoAnswer>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.client.carry(request, self.side))
    }
}

/// The same for revocations, whose answers have no body worth reading (RFC 7009, 2.2).
pub(crate) struct Revoker<'a> {
    pub(crate) client: &'a TokenClient<'a>,
    pub(crate) sent: Mutex<Option<Result<Told, TokenFailure>>>,
}

/// What a revocation endpoint said, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: u16,
    /// Seconds after which it may be asked again.
    pub(crate) retry_after: Option<u64>,
}

impl<'c> AsyncHttpClient<'c> for Revoker<'_> {
    type Error = NoAnswer;
    type Future = BoxFuture<'c, Result<HttpResponse, NoAnswer>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let told = match grant_of(&request) {
                Ok((url, params)) => self.client.send(&url, &params).await.map(|response| Told {
                    status: response.status,
                    retry_after: response
                        .header("retry-after")
                        .and_then(|text| text.trim().parse().ok()),
                }),
                Err(failure) => Err(failure),
            };
            let confirmed = matches!(
                told,
                Ok(Told {
                    status: 200..=299,
                    ..
                })
            );
            *self.sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
            if !confirmed {
                return Err(NoAnswer);
            }
            http::Response::builder()
                .status(200)
                .body(Vec::new())
                .map_err(|_| NoAnswer)
        })
    }
}

/// What the slot answers the crate with when there is nothing to read. The reason is in [`Side`].
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
pub(crate) struct NoAnswer;

/// The address and the parameters of what the crate built. How the client proves itself is not the crate's to say.
fn grant_of(request: &HttpRequest) -> Result<(Url, Vec<(String, String)>), TokenFailure> {
    let url = Url::parse(&request.uri().to_string())
        .map_err(|_| TokenFailure::misconfigured("bad_token_url"))?;
    let params = url::form_urlencoded::parse(request.body())
        .into_owned()
        .filter(|(name, _)| name != "client_id" && name != "client_secret")
        .collect();
    Ok((url, params))
}

impl TokenClient<'_> {
    /// The `oauth2` crate's client for these keys. It builds; proving the client is [`outgoing::token_request`]'s.
    pub(crate) fn basic(&self) -> BasicClient {
        BasicClient::new(ClientId::new(self.keys.id.clone())).set_auth_type(AuthType::RequestBody)
    }

    /// The HTTP client in the crate's slot for a token request.
    async fn carry(&self, request: HttpRequest, side: &Side) -> Result<HttpResponse, NoAnswer> {
        let result = match grant_of(&request) {
            Ok((url, params)) => self.ask(&url, &params).await,
            Err(failure) => Err(failure),
        };
        let json = result.as_ref().ok().map(TokenAnswer::to_json);
        side.put(result);
        let json = json.ok_or(NoAnswer)?;
        http::Response::builder()
            .status(json.status)
            .header(CONTENT_TYPE, "application/json")
            .body(json.body.expose().as_bytes().to_vec())
            .map_err(|_| NoAnswer)
    }

    /// Asks for a token with these parameters of a grant, and reads what comes.
    pub(crate) async fn ask(
        &self,
        url: &Url,
        params: &[(String, String)],
    ) -> Result<TokenAnswer, TokenFailure> {
        let response = match &self.oauth.by_component {
            // Boxed: a call into a component is large, and most sign-ins have none.
            Some(_) if self.purpose != For::Other => {
                Box::pin(self.by_component(url, params)).await?
            }
            _ => self.send(url, params).await?,
        };
        let read = match self.purpose {
            For::Refresh => refresh_answer,
            For::Grant | For::Other => token_answer,
        };
        let now = self.engine.now().div_euclid(1000);
        read(self.oauth, &response, now)
            .map_err(|error| TokenFailure::from(error).seen_by(self.keys.whose))
    }

    /// Writes a request as the manifest says and sends it.
    pub(crate) async fn send(
        &self,
        url: &Url,
        params: &[(String, String)],
    ) -> Result<PlainResponse, TokenFailure> {
        // Sign-ins that need more are refused before they begin; an app whose manifest changed since is refused here.
        if self.oauth.why_not_run().is_some() {
            return Err(TokenFailure::misconfigured("not_run_here"));
        }
        self.pinned(url)?;
        let own = self.oauth.refresh.client_auth;
        let own = own.filter(|_| self.purpose == For::Refresh);
        let auth = own.or(self.keys.auth).unwrap_or(self.oauth.client_auth);
        let mut params: Vec<(&str, &str)> = params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        if self.purpose != For::Other {
            params.extend(self.endpoints.resources().map(|uri| ("resource", uri)));
        }
        let assertion = match auth {
            ClientAuth::PrivateKeyJwt | ClientAuth::ClientSecretJwt => {
                Some(self.assertion(auth, url)?)
            }
            _ => None,
        };
        if let Some(assertion) = &assertion {
            params.push(("client_assertion_type", JWT_BEARER));
            params.push(("client_assertion", assertion.expose()));
        }
        let bad = |_| TokenFailure::misconfigured("bad_token_request");
        let declared = match self.purpose {
            For::Grant => Some(&self.oauth.token_params),
            For::Refresh => Some(&self.oauth.refresh_params),
            For::Other => None,
        };
        let further = match declared {
            Some(declared) => outgoing::rendered(declared, self.scope, Slot::Raw).map_err(bad)?,
            None => Vec::new(),
        };
        let mut headers =
            outgoing::rendered(&self.oauth.token_headers, self.scope, Slot::Header).map_err(bad)?;
        if self.purpose == For::Refresh {
            let own = &self.oauth.refresh.headers;
            for (name, value) in outgoing::rendered(own, self.scope, Slot::Header).map_err(bad)? {
                headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
                headers.push((name, value));
            }
        }
        let client = (
            self.keys.id.as_str(),
            self.keys.secret.as_ref().map(Hidden::expose),
        );
        // Only token requests are written in the app's own way; what RFC 7009 and 8628 ask for is a form.
        let (oauth, scope) = (self.written(auth), self.scope);
        let request =
            outgoing::token_request(&oauth, url, &params, &further, &headers, client, scope)
                .map_err(bad)?;
        let mut pass = self.engine.own_pass(self.owner, url)?;
        let shown = self
            .oauth
            .client_certificate
            .as_ref()
            .is_some_and(|own| own.at != CertificateAt::Api);
        if auth == ClientAuth::Tls || shown {
            pass.identity = Some(self.certificate(&pass.hosts)?);
        }
        self.send_in_turn(url, &pass, request).await
    }

    /// Sends a request when it is its turn at that host. A renewal is not sent to a host that is down, as far as is known; a
    /// person who waits in front of a sign-in always gets to try.
    pub(crate) async fn send_in_turn(
        &self,
        url: &Url,
        pass: &keyport_egress::Pass,
        request: PlainRequest,
    ) -> Result<PlainResponse, TokenFailure> {
        let sent = async {
            let response = self.engine.send_own(pass, request).await?;
            Ok((response.status >= 500, response))
        };
        self.in_turn_of(url, sent).await
    }

    /// The same for what is not one request of the host's own.
    pub(super) async fn in_turn<T>(
        &self,
        url: &Url,
        work: impl Future<Output = Result<T, TokenFailure>>,
    ) -> Result<T, TokenFailure> {
        let work = async { work.await.map(|done| (false, done)) };
        self.in_turn_of(url, work).await
    }

    /// Work that tells whether the host is down beside what it gives.
    async fn in_turn_of<T>(
        &self,
        url: &Url,
        work: impl Future<Output = Result<(bool, T), TokenFailure>>,
    ) -> Result<T, TokenFailure> {
        let gate = &self.engine.inner.gate;
        let renewal = self.purpose == For::Refresh;
        let turn = gate
            .enter(url, renewal, self.engine.now())
            .await
            .map_err(|closed| TokenFailure::Down {
                code: "left_alone".into(),
                unseen: true,
                retry_after_ms: match closed {
                    Closed::Open { wait_ms } => u64::try_from(wait_ms).ok(),
                    Closed::Crowded => None,
                },
            })?;
        let result = work.await;
        let seen = match &result {
            Ok((true, _)) | Err(TokenFailure::Down { .. }) => Seen::Down,
            Ok((false, _)) => Seen::Up,
            Err(_) => Seen::Nothing,
        };
        turn.end(seen, self.engine.now());
        result.map(|(_, done)| done)
    }

    /// Refuses an address that this client's secret may not go to, however it was made.
    pub(crate) fn pinned(&self, url: &Url) -> Result<(), TokenFailure> {
        let Some(pins) = &self.keys.pins else {
            return Ok(());
        };
        let pins: keyport_manifest::AllowedHosts =
            pins.iter().filter_map(|pin| pin.parse().ok()).collect();
        if pins.allows(url) {
            Ok(())
        } else {
            Err(TokenFailure::misconfigured("client_not_for_this_host"))
        }
    }

    /// The method as this request is written.
    fn written(&self, auth: ClientAuth) -> Oauth2 {
        let mut oauth = self.oauth.clone();
        oauth.client_auth = auth;
        if self.purpose == For::Other {
            oauth.token_method = keyport_manifest::TokenMethod::Post;
            oauth.token_body = keyport_manifest::TokenBody::Form;
        }
        oauth
    }

    /// The JWT that proves the client to exactly this server.
    ///
    /// Its audience is the issuer where there is one, else the very address that it is sent to (R43; RFC 9700 update,
    /// 2.1.2): a server that names somebody else's address gets nothing that is good there. An author may write another one.
    fn assertion(&self, auth: ClientAuth, url: &Url) -> Result<Hidden, TokenFailure> {
        let random = ids::random_secret(self.engine.inner.entropy.as_ref()).map_err(|_| {
            TokenFailure::Down {
                code: "no_entropy".into(),
                unseen: true,
                retry_after_ms: None,
            }
        })?;
        let audience = match self.endpoints.one_issuer() {
            Some(issuer) if self.endpoints.found => issuer.to_owned(),
            _ => url.to_string(),
        };
        let usual = [
            ("iss", json!(self.keys.id)),
            ("sub", json!(self.keys.id)),
            ("aud", json!(audience)),
            ("jti", json!(random.as_str())),
        ];
        let own;
        let jwt = match &self.oauth.client_assertion {
            Some(declared) => declared.as_ref(),
            None => {
                own = usual_assertion(auth)
                    .ok_or_else(|| TokenFailure::misconfigured("client_assertion_not_declared"))?;
                &own
            }
        };
        let now = self.engine.now().div_euclid(1000);
        Ok(jose::mint(jwt, self.scope, &usual, now)?)
    }

    /// The client's own certificate (RFC 8705), for the hosts of this request.
    pub(super) fn certificate(
        &self,
        hosts: &keyport_manifest::AllowedHosts,
    ) -> Result<keyport_egress::Identity, TokenFailure> {
        let broken = |_| TokenFailure::misconfigured("bad_certificate");
        let declared = self
            .oauth
            .client_certificate
            .as_ref()
            .ok_or_else(|| TokenFailure::misconfigured("client_certificate_not_declared"))?;
        let render = |template: &keyport_manifest::Template| {
            template
                .render_secret(self.scope, Slot::Raw)
                .map_err(broken)
        };
        let (certificate, key) = (
            render(&declared.certificate)?,
            render(&declared.private_key)?,
        );
        keyport_egress::Identity::from_pem(certificate.expose(), key.expose(), hosts.clone())
            .map_err(|_| TokenFailure::misconfigured("bad_certificate"))
    }
}

/// The assertion where the manifest says nothing: the secret signs it, or the private key that stands in its place does.
fn usual_assertion(auth: ClientAuth) -> Option<Jwt> {
    let alg = match auth {
        ClientAuth::ClientSecretJwt => "HS256",
        ClientAuth::PrivateKeyJwt => "RS256",
        _ => return None,
    };
    serde_json::from_value(json!({ "alg": alg, "key": "{{ app.client_secret }}" })).ok()
}

impl From<&ConnectError> for TokenFailure {
    fn from(error: &ConnectError) -> Self {
        match error {
            ConnectError::Unavailable { code, .. } => TokenFailure::Down {
                code: (*code).to_owned(),
                unseen: true,
                retry_after_ms: None,
            },
            other => TokenFailure::misconfigured(other.code()),
        }
    }
}
