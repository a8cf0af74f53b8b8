//! Requests to a token endpoint: built by the `oauth2` crate, carried by our own HTTP client in its slot.
//!
//! The crate builds RFC 6749 requests and reads RFC 6749 answers; real apps deviate in both. So the client in its slot
//! rewrites a request as the manifest says (JSON body, raw Basic, further parameters and headers), sends it through
//! egress like everything else, and hands the crate a normalised answer. What has no room there (captures, status,
//! `Retry-After`) is kept on the side.
//!
//! Redirects are never followed: a 307 would send the client's secret on. The crate's own parse error carries the raw
//! body, tokens included, so it is dropped here and never printed.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use indexmap::IndexMap;
use keyport_egress::{Body, Pass, Purpose};
use keyport_manifest::rules::TokenErrorKind;
use keyport_manifest::{
    AllowedHosts, ClientAuth, HostPattern, Oauth2, PlainResponse, Scope, Slot, Template,
    TokenAnswer, TokenBody, refresh_answer, token_answer,
};
use keyport_vault::Owner;
use oauth2::basic::BasicClient;
use oauth2::{AsyncHttpClient, AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse};
use url::Url;

use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::ClientKeys;
use crate::token::gate::{Closed, Seen};

/// The largest token answer: tokens are a few kilobytes.
const MAX_ANSWER: u64 = 256 << 10;

/// Why no token came. Holds no token and no raw answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenFailure {
    /// The code or the refresh token is dead: only the person can mend it.
    #[error("the app no longer accepts this sign-in ({code})")]
    Refused { code: String },
    /// The operator's client or the manifest is at fault.
    #[error("the app refuses this platform's client ({code}); tell the operator")]
    Misconfigured { code: String },
    /// The app is down or asks to wait. `unseen` when it cannot have seen the request.
    #[error("the app's sign-in service cannot be reached at the moment ({code})")]
    Down {
        code: String,
        unseen: bool,
        retry_after_ms: Option<u64>,
    },
    /// The answer makes no sense: it may or may not have done something.
    #[error("the app's sign-in service gave an answer that makes no sense ({code})")]
    Unreadable { code: String },
}

impl TokenFailure {
    pub(crate) fn code(&self) -> &str {
        match self {
            TokenFailure::Refused { code }
            | TokenFailure::Misconfigured { code }
            | TokenFailure::Down { code, .. }
            | TokenFailure::Unreadable { code } => code,
        }
    }
}

/// One client at one token endpoint.
pub(crate) struct TokenClient<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) owner: &'a Owner,
    pub(crate) oauth: &'a Oauth2,
    pub(crate) keys: &'a ClientKeys,
    /// Further parameters, rendered by [`params`].
    pub(crate) params: Vec<(String, String)>,
    /// Further headers.
    pub(crate) headers: Vec<(String, String)>,
    /// Whether this renews a token: captures that are missing then stay as they were.
    pub(crate) refresh: bool,
}

/// What came back on the side of what the `oauth2` crate reads.
#[derive(Default)]
pub(crate) struct Side(Mutex<Option<Result<TokenAnswer, TokenFailure>>>);

impl Side {
    fn put(&self, result: Result<TokenAnswer, TokenFailure>) {
        *self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result);
    }

    /// What was put, once.
    pub(crate) fn take(&self) -> Result<TokenAnswer, TokenFailure> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take()
            .unwrap_or_else(|| {
                Err(TokenFailure::Misconfigured {
                    code: "no_request".into(),
                })
            })
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
            let told = self.client.send(request).await.map(|response| Told {
                status: response.status,
                retry_after: response
                    .header("retry-after")
                    .and_then(|text| text.trim().parse().ok()),
            });
            let confirmed = matches!(
                told,
                Ok(Told {
                    status: 200..=299,
                    ..
                })
            );
            *self
                .sent
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(told);
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

impl TokenClient<'_> {
    /// The `oauth2` crate's client for these keys.
    pub(crate) fn basic(&self) -> BasicClient {
        let client = BasicClient::new(ClientId::new(self.keys.id.clone())).set_auth_type(
            match self.oauth.client_auth {
                ClientAuth::Basic => AuthType::BasicAuth,
                ClientAuth::Body
                | ClientAuth::BasicRaw
                | ClientAuth::None
                | ClientAuth::PrivateKeyJwt
                | ClientAuth::ClientSecretJwt
                | ClientAuth::Tls => AuthType::RequestBody,
            },
        );
        match &self.keys.secret {
            Some(secret)
                if matches!(
                    self.oauth.client_auth,
                    ClientAuth::Body | ClientAuth::Basic | ClientAuth::BasicRaw
                ) =>
            {
                client.set_client_secret(ClientSecret::new(secret.expose().to_owned()))
            }
            _ => client,
        }
    }

    /// The HTTP client in the crate's slot for a token request.
    async fn carry(&self, request: HttpRequest, side: &Side) -> Result<HttpResponse, NoAnswer> {
        let read = if self.refresh {
            refresh_answer
        } else {
            token_answer
        };
        let result = self.send(request).await.and_then(|response| {
            read(self.oauth, &response, self.engine.now().div_euclid(1000)).map_err(|error| {
                match error.kind {
                    TokenErrorKind::Refused => TokenFailure::Refused { code: error.error },
                    TokenErrorKind::Misconfigured => {
                        TokenFailure::Misconfigured { code: error.error }
                    }
                    TokenErrorKind::Unreadable => TokenFailure::Unreadable { code: error.error },
                    TokenErrorKind::Retry => TokenFailure::Down {
                        code: error.error,
                        unseen: false,
                        retry_after_ms: error.retry_after_ms,
                    },
                }
            })
        });
        let json = match &result {
            Ok(answer) => Some(answer.to_json()),
            Err(_) => None,
        };
        side.put(result);
        let json = json.ok_or(NoAnswer)?;
        http::Response::builder()
            .status(json.status)
            .header(CONTENT_TYPE, "application/json")
            .body(json.body.expose().as_bytes().to_vec())
            .map_err(|_| NoAnswer)
    }

    /// Rewrites a request as the manifest says and sends it.
    pub(crate) async fn send(&self, request: HttpRequest) -> Result<PlainResponse, TokenFailure> {
        let broken = |code: &str| TokenFailure::Misconfigured {
            code: code.to_owned(),
        };
        // Sign-ins that need more are refused before they begin; an app whose manifest changed since is refused here.
        if self.oauth.why_not_run().is_some() {
            return Err(broken("not_run_here"));
        }
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|_| broken("bad_token_url"))?;
        let mut params: Vec<(String, String)> =
            url::form_urlencoded::parse(&body).into_owned().collect();
        for (name, value) in &self.params {
            // Replaces rather than repeats: a parameter that is there twice means something else to every server.
            params.retain(|(known, _)| known != name);
            params.push((name.clone(), value.clone()));
        }
        let mut authorization = parts.headers.get(AUTHORIZATION).cloned();
        if self.oauth.client_auth == ClientAuth::BasicRaw {
            params.retain(|(name, _)| name != "client_id" && name != "client_secret");
            let secret = self
                .keys
                .secret
                .as_ref()
                .map(crate::hidden::Hidden::expose)
                .unwrap_or_default();
            let basic = format!(
                "Basic {}",
                STANDARD.encode(format!("{}:{secret}", self.keys.id))
            );
            authorization = Some(basic.parse().map_err(|_| broken("bad_client"))?);
        }
        params.retain(|(_, value)| !value.is_empty());

        let (content_type, body) = match &self.oauth.token_body {
            TokenBody::Form => (
                "application/x-www-form-urlencoded",
                url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(&params)
                    .finish(),
            ),
            TokenBody::Json => {
                let object: IndexMap<&str, &str> = params
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                (
                    "application/json",
                    serde_json::to_string(&object).map_err(|_| broken("bad_token_request"))?,
                )
            }
            TokenBody::Query | TokenBody::Xml(_) => return Err(broken("not_run_here")),
        };
        let mut request = http::Request::builder()
            .method(http::Method::POST)
            .uri(url.as_str())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, content_type);
        if let Some(mut value) = authorization {
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Body::from_bytes(body))
            .map_err(|_| broken("bad_token_request"))?;
        self.send_in_turn(&url, request).await
    }

    /// Sends a request when it is its turn at that host. A renewal is not sent to a host that is down, as far as is known; a
    /// person who waits in front of a sign-in always gets to try.
    async fn send_in_turn(
        &self,
        url: &Url,
        request: http::Request<Body>,
    ) -> Result<PlainResponse, TokenFailure> {
        let gate = &self.engine.inner.gate;
        let turn = gate
            .enter(url, self.refresh, self.engine.now())
            .await
            .map_err(|closed| TokenFailure::Down {
                code: "left_alone".into(),
                unseen: true,
                retry_after_ms: match closed {
                    Closed::Open { wait_ms } => u64::try_from(wait_ms).ok(),
                    Closed::Crowded => None,
                },
            })?;
        let result = self.engine.send_own(self.owner, url, request).await;
        let seen = match &result {
            Ok(response) if response.status >= 500 => Seen::Down,
            Ok(_) => Seen::Up,
            Err(TokenFailure::Down { .. }) => Seen::Down,
            Err(_) => Seen::Nothing,
        };
        turn.end(seen, self.engine.now());
        result
    }
}

/// Renders declared parameters or headers; those without a value are left out.
pub(crate) fn params(
    declared: &IndexMap<String, Template>,
    scope: &Scope,
    slot: Slot,
) -> Result<Vec<(String, String)>, TokenFailure> {
    let mut rendered = Vec::new();
    for (name, template) in declared {
        let value =
            template
                .render_optional(scope, slot)
                .map_err(|_| TokenFailure::Misconfigured {
                    code: "bad_token_request".into(),
                })?;
        rendered.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(rendered)
}

impl Engine {
    /// Sends a request of the host's own to exactly one host: a token or revocation endpoint. Redirects are an answer
    /// like any other, and not one that is followed.
    pub(crate) async fn send_own(
        &self,
        owner: &Owner,
        url: &Url,
        request: http::Request<Body>,
    ) -> Result<PlainResponse, TokenFailure> {
        let host = HostPattern::of_url(url).map_err(|_| TokenFailure::Misconfigured {
            code: "bad_token_url".into(),
        })?;
        let hosts = AllowedHosts::from_iter([host]);
        let mut pass = Pass::new(owner.as_str(), Purpose::Flow, hosts);
        pass.limits.total = self.inner.options.token_request;
        pass.limits.response_body = MAX_ANSWER;
        let response = self
            .send_plain(&pass, request, MAX_ANSWER)
            .await
            .map_err(|error| {
                if error.before_sending() && !error.is_transient() {
                    TokenFailure::Misconfigured {
                        code: error.code().to_owned(),
                    }
                } else {
                    TokenFailure::Down {
                        code: error.code().to_owned(),
                        unseen: error.before_sending(),
                        retry_after_ms: None,
                    }
                }
            })?;
        if (300..400).contains(&response.status) {
            return Err(TokenFailure::Misconfigured {
                code: "redirect_refused".into(),
            });
        }
        Ok(response)
    }

    /// One request, its answer read whole.
    pub(crate) async fn send_plain(
        &self,
        pass: &Pass,
        request: http::Request<Body>,
        limit: u64,
    ) -> Result<PlainResponse, keyport_egress::EgressError> {
        let (parts, body) = self.inner.egress.send(pass, request).await?.into_parts();
        let body = body.collect(limit).await?;
        Ok(PlainResponse {
            status: parts.status.as_u16(),
            headers: parts
                .headers
                .iter()
                .filter_map(|(name, value)| {
                    Some((name.to_string(), value.to_str().ok()?.to_owned()))
                })
                .collect(),
            body: body.to_vec(),
        })
    }
}

impl From<TokenFailure> for ConnectError {
    fn from(failure: TokenFailure) -> Self {
        use keyport_manifest::Means;
        let say = failure.to_string();
        match failure {
            TokenFailure::Refused { code } => ConnectError::App {
                means: Means::NeedsReconnect,
                code,
                say,
                retry_after_ms: None,
            },
            TokenFailure::Down { retry_after_ms, .. } => ConnectError::App {
                means: Means::ProviderDown,
                code: "provider_down".into(),
                say,
                retry_after_ms,
            },
            TokenFailure::Misconfigured { .. } => {
                ConnectError::misconfigured("client_refused", say)
            }
            TokenFailure::Unreadable { .. } => ConnectError::App {
                means: Means::Other,
                code: "token_answer_unreadable".into(),
                say,
                retry_after_ms: None,
            },
        }
    }
}
