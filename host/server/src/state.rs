//! What handlers share: the engine, this host's public address, counters and short-lived memories.
//!
//! Cheap to clone. Everything in here is the host's own (process lifetime); nothing belongs to one request.

use std::sync::Arc;

use axum::extract::FromRef;
use keyport_connect::Engine;
use tokio::sync::watch;
use url::{Host, Url};

use crate::metrics::Metrics;
use crate::ticket::Tickets;

/// Shared by all handlers.
#[derive(Clone)]
pub struct ServerState {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    public: PublicUrl,
    metrics: Metrics,
    tickets: Tickets,
    stop: watch::Sender<bool>,
}

impl ServerState {
    /// The state of one server that the world calls `public_url` (see [`PublicUrl::new`] for what that may be).
    pub fn new(engine: Engine, public_url: &Url) -> Result<Self, PublicUrlError> {
        let inner = Inner {
            engine,
            public: PublicUrl::new(public_url)?,
            metrics: Metrics::default(),
            tickets: Tickets::default(),
            stop: watch::Sender::new(false),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Where the rules live.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// What browsers and the platform call this host.
    pub fn public(&self) -> &PublicUrl {
        &self.inner.public
    }

    /// Ready once this server has been asked to end: long-lived streams (server-sent events) end then.
    pub async fn stopping(&self) {
        let mut stopped = self.inner.stop.subscribe();
        // The sender lives in `self`, so this can't fail.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    pub(crate) fn stop(&self) {
        self.inner.stop.send_replace(true);
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub(crate) fn tickets(&self) -> &Tickets {
        &self.inner.tickets
    }
}

impl FromRef<ServerState> for Engine {
    fn from_ref(state: &ServerState) -> Self {
        state.engine().clone()
    }
}

/// The origin at which the world reaches this host: scheme, host and port, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    url: Url,
    origin: String,
    authority: String,
}

/// Why an address can't be the public one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicUrlError {
    /// It is not http(s), or has more than an origin.
    #[error("`public_url` must be an origin only, such as https://connect.example.com")]
    NotAnOrigin,
    /// Plain http to somewhere that is not this machine: sign-in codes and cookies would travel in the clear.
    #[error(
        "`public_url` may be http only on localhost or a loopback address; use https and a certificate"
    )]
    ClearBeyondLoopback,
}

impl PublicUrl {
    /// Checks the operator's `public_url`: https, or http on loopback; no path, query, fragment or user.
    pub fn new(url: &Url) -> Result<Self, PublicUrlError> {
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        let (true, true, Some(host)) = (bare, anonymous, url.host()) else {
            return Err(PublicUrlError::NotAnOrigin);
        };
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&host) => {}
            "http" => return Err(PublicUrlError::ClearBeyondLoopback),
            _ => return Err(PublicUrlError::NotAnOrigin),
        }
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        Ok(Self {
            url: url.clone(),
            origin: url.origin().ascii_serialization(),
            authority,
        })
    }

    /// As a URL with the path `/`.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// As browsers write it in `Origin`: `https://connect.example.com`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// True for https: cookies are `Secure` and carry `__Host-`.
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// True if a `Host` header (or HTTP/2 `:authority`) names this host; case and the default port don't matter.
    pub fn is_host(&self, given: &str) -> bool {
        let default = if self.is_secure() { ":443" } else { ":80" };
        let given = given.strip_suffix(default).unwrap_or(given);
        given.eq_ignore_ascii_case(&self.authority)
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(url: &str) -> Result<PublicUrl, PublicUrlError> {
        PublicUrl::new(&url.parse().unwrap())
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in [
            "https://a.example",
            "http://localhost:4700",
            "http://127.0.0.1:1",
            "http://[::1]:1",
        ] {
            assert!(public(good).is_ok(), "{good}");
        }
        assert_eq!(
            public("http://a.example"),
            Err(PublicUrlError::ClearBeyondLoopback)
        );
        assert_eq!(
            public("http://192.168.0.1"),
            Err(PublicUrlError::ClearBeyondLoopback)
        );
    }

    #[test]
    fn more_than_an_origin_is_refused() {
        for wrong in [
            "https://a.example/x",
            "https://a.example/?q",
            "https://u@a.example",
            "mailto:a@b",
            "ftp://a",
        ] {
            assert_eq!(public(wrong), Err(PublicUrlError::NotAnOrigin), "{wrong}");
        }
    }

    #[test]
    fn the_host_header_must_name_this_host_and_port() {
        let host = public("https://keyport.example").unwrap();
        for good in ["keyport.example", "KEYPORT.example", "keyport.example:443"] {
            assert!(host.is_host(good), "{good}");
        }
        for wrong in [
            "keyport.example:80",
            "keyport.example.evil",
            "evil",
            "",
            "keyport.example:4443",
            "a@keyport.example",
        ] {
            assert!(!host.is_host(wrong), "{wrong}");
        }
        let dev = public("http://localhost:4700").unwrap();
        assert!(
            dev.is_host("localhost:4700")
                && !dev.is_host("localhost")
                && !dev.is_host("127.0.0.1:4700")
        );
    }
}
