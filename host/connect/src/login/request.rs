//! A request of the manifest's that the host itself sends: to log in, to log out, to find out what an account is for.
//!
//! It goes to exactly one host: the one that its template makes out of what was checked. A path goes under the API's base
//! URL. The answer is read whole, within a megabyte, and redirects are not followed, for they could carry a password on.

use keyport_egress::{Body, Methods, Pass, Purpose};
use keyport_manifest::resolve::url_of;
use keyport_manifest::{
    AllowedHosts, HostPattern, PlainResponse, RequestSpec, ResolveError, Scope,
};
use keyport_vault::Owner;
use url::Url;

use crate::catalogue::AppEntry;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::signing::unsent;
use crate::use_::scope;

/// More than any log-in answers with.
const MAX_ANSWER: u64 = 1 << 20;

/// A request, and the one host that it may go to.
pub(crate) struct Own {
    pub(crate) request: http::Request<Body>,
    pub(crate) host: AllowedHosts,
    pub(crate) base: Option<Url>,
}

/// Renders a request of the manifest's. `known` may hold secrets: its answers are for the host alone.
pub(crate) fn own(
    entry: &AppEntry,
    method: &str,
    spec: &RequestSpec,
    known: &Scope,
) -> Result<Own, ConnectError> {
    let plain = spec.build(known).map_err(|error| {
        ConnectError::invalid(
            "fields",
            format!("a request of this sign-in cannot be made of what was entered: {error}"),
        )
    })?;
    let (host, base) = if plain.url.starts_with('/') {
        let api = scope::api(entry, method, known)?;
        (one(&api.base_url)?, Some(api.base_url))
    } else {
        // The template decides the host by the rules for hosts; what was rendered for sending must agree with it.
        let decided = url_of(&spec.path, known).map_err(address)?;
        let written = Url::parse(&plain.url).map_err(|_| unsafe_address())?;
        if decided.origin() != written.origin() {
            return Err(unsafe_address());
        }
        (one(&decided)?, None)
    };
    let mut builder = http::Request::builder()
        .method(plain.method.as_str())
        .uri(plain.url.as_str());
    for (name, value) in &plain.headers {
        builder = builder.header(name, value);
    }
    let request = builder
        .body(plain.body.map_or_else(Body::empty, Body::from_bytes))
        .map_err(|_| unsafe_address())?;
    Ok(Own {
        request,
        host,
        base,
    })
}

impl Engine {
    /// Sends it without any credential but what is written in it.
    pub(crate) async fn send_alone(
        &self,
        owner: &Owner,
        own: Own,
    ) -> Result<PlainResponse, ConnectError> {
        let mut pass = Pass::new(owner.as_str(), Purpose::Flow, own.host);
        pass.base_url = own.base;
        self.send_with(pass, own.request).await
    }

    /// Sends a request of the host's own with what the pass attaches.
    pub(crate) async fn send_with(
        &self,
        mut pass: Pass,
        request: http::Request<Body>,
    ) -> Result<PlainResponse, ConnectError> {
        pass.limits.total = self.inner.options.token_request;
        self.send_plain(&pass, request, MAX_ANSWER)
            .await
            .map_err(|error| unsent(&error))
    }
}

/// The methods that a request which must only read may use: its own, where the manifest says that it is safe.
pub(crate) fn reading(spec: &RequestSpec) -> Methods {
    if spec.safe {
        Methods::Any
    } else {
        Methods::ReadOnly
    }
}

fn one(url: &Url) -> Result<AllowedHosts, ConnectError> {
    let host = HostPattern::of_url(url).map_err(|_| unsafe_address())?;
    Ok([host].into_iter().collect())
}

fn unsafe_address() -> ConnectError {
    ConnectError::invalid("fields", "no safe address can be made of what was entered")
}

fn address(error: ResolveError) -> ConnectError {
    ConnectError::invalid(
        "fields",
        format!("no safe address can be made of what was entered: {error}"),
    )
}
