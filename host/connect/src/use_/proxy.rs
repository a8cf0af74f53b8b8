//! Any request through a connection, with its credentials attached.
//!
//! Bodies stream both ways. A request whose body is small and known is kept until the answer is there, so that it can be
//! sent again once when the app refuses the token and a refresh brings another; a streamed one is not, and its 401 is
//! handed on while the test call decides what it means.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use keyport_egress::{Body, Purpose};
use keyport_manifest::Means;

use super::pass::PassParts;
use crate::actor::Actor;
use crate::connection::{Verdict, verdict_of};
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{Connection, Stored};
use crate::view::KeyScope;

/// Up to this many bytes of a request are kept for a second try.
const REPLAYED: u64 = 256 << 10;

impl Engine {
    /// Sends `request` through a connection. Its URI is a path with a query under the app's base URL, or an absolute
    /// URL within the app's hosts. The answer is the app's own, whatever its status.
    ///
    /// # Errors
    ///
    /// When the connection cannot be used, or the request is not allowed out or did not get an answer.
    pub async fn proxy(
        &self,
        actor: &Actor,
        id: &str,
        request: Request<Body>,
    ) -> Result<Response<Body>, ConnectError> {
        actor.require(KeyScope::Proxy)?;
        let mut stored = self.ready(actor, id, None).await?;
        let (parts, body) = request.into_parts();
        let (kept, mut body) = keep(&parts.method, &parts.headers, body).await?;
        let mut retried = false;
        loop {
            let mut request = Request::new(body);
            *request.method_mut() = parts.method.clone();
            *request.uri_mut() = parts.uri.clone();
            *request.headers_mut() = parts.headers.clone();
            let response = self.proxy_once(&stored, request).await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                if response.status().is_server_error() {
                    self.note_down(&stored).await;
                } else {
                    self.used(&stored).await;
                }
                return Ok(response);
            }
            if retried {
                self.test_later(id);
                return Ok(response);
            }
            match self.after_refusal(&stored).await {
                Ok(Some(fresh)) => {
                    let Some(again) = kept.clone() else {
                        self.test_later(id);
                        return Ok(response);
                    };
                    stored = fresh;
                    body = Body::from_bytes(again);
                    retried = true;
                }
                // The app's own answer says more to the caller than why a refresh did not help.
                Ok(None) | Err(_) => return Ok(response),
            }
        }
    }

    async fn proxy_once(
        &self,
        stored: &Stored<Connection>,
        request: Request<Body>,
    ) -> Result<Response<Body>, ConnectError> {
        let entry = self.inner.catalogue.get(&stored.clear.app)?;
        let config = self.config_of(stored).await?;
        let parts = PassParts {
            entry: &entry,
            owner: stored.owner(),
            method: &stored.clear.method,
            sealed: stored.sealed()?,
            account: stored.clear.account.as_ref(),
            config: config.as_ref(),
        };
        let (pass, _) = self.pass(&parts, Purpose::Proxy).await?;
        match self.inner.egress.send(&pass, request).await {
            Ok(response) => Ok(response),
            Err(error) if error.is_transient() => {
                self.note_down(stored).await;
                Err(ConnectError::App {
                    means: Means::ProviderDown,
                    code: error.code().to_owned(),
                    say: format!("the app cannot be reached: {error}"),
                    retry_after_ms: None,
                })
            }
            Err(error) => Err(ConnectError::Refused {
                code: error.code(),
                say: error.to_string(),
            }),
        }
    }

    async fn note_down(&self, stored: &Stored<Connection>) {
        let error = ConnectError::App {
            means: Means::ProviderDown,
            code: "provider_down".into(),
            say: "the app does not answer as it should; this mends itself".into(),
            retry_after_ms: None,
        };
        let verdict: Verdict = verdict_of(&error);
        if let Err(unwritten) = self.judge(stored.id(), &verdict, false).await {
            tracing::warn!(
                connection = stored.id(),
                code = unwritten.code(),
                "a failure was not written down"
            );
        }
    }
}

/// The body to send, and a copy of it where it is small enough to be sent twice.
async fn keep(
    method: &Method,
    headers: &http::HeaderMap,
    body: Body,
) -> Result<(Option<Bytes>, Body), ConnectError> {
    let length = headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok());
    let bare = matches!(
        *method,
        Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS
    ) && length.is_none()
        && !headers.contains_key(http::header::TRANSFER_ENCODING);
    if !bare && length.is_none_or(|length| length > REPLAYED) {
        return Ok((None, body));
    }
    let bytes = body
        .collect(REPLAYED)
        .await
        .map_err(|error| ConnectError::Refused {
            code: error.code(),
            say: error.to_string(),
        })?;
    Ok((Some(bytes.clone()), Body::from_bytes(bytes)))
}
