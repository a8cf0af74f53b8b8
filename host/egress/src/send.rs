//! The one function that everything outgoing passes, and the order of its steps.
//!
//! The order is the security property, so it stands in one place; each step is a small function of its
//! own module, and all but the network itself are pure:
//!
//! 1. [`headers::screen`]: refuse what the caller may not set.
//! 2. [`target`]: one reading of the URL; https, no user-info, no address; method, host and port allowed.
//! 3. [`attach`], [`sign`](crate::sign): handles in their slots, the manifest's constants, the credential for its audience;
//!    last a signature over what will leave, where the app takes one.
//! 4. [`connect`](crate::connect): resolve once, drop special addresses, connect to exactly the rest.
//! 5. [`tls`](crate::tls): TLS 1.2 or 1.3, verified.
//! 6. [`answer`], [`redirect`], [`decode`](crate::decode): time, header and body limits, decompressed size
//!    included; a redirect is returned, or followed by going through 2 to 6 again without the caller's
//!    headers and body (so step 1 has nothing left to look at).
//! 7. [`answer`], [`scrub`](crate::scrub): secrets taken out of what goes back, headers and body.
//!
//! Overrides of origins are applied towards the end of 3: everything is decided about the URL that the manifest
//! speaks of, and only the way there differs. A signature is made over the URL that the upstream will see.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use ipnet::IpNet;
use rustls::AlertDescription;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::address::AddressFilter;
use crate::answer::{self, Terms};
use crate::attach;
use crate::body::{Body, limit_request};
use crate::connect::{Connector, Network};
use crate::error::{EgressError, Part, Wait};
use crate::headers;
use crate::identity::Identity;
use crate::limits::{Limits, after};
use crate::origins::Origins;
use crate::pass::{Pass, Purpose, Redirects};
use crate::pool::Pools;
use crate::redirect;
use crate::resolve::{Resolve, SystemResolver};
use crate::sign::{Covers, NotSigned, Signer, Unsigned};
use crate::target;
use crate::tls::TlsBase;
use crate::witness;

/// Open connections of the whole process. Well under the usual limit of 1024 open files.
const MAX_CONNECTIONS: usize = 512;
/// Open connections of one owner, so that one cannot starve the others.
const MAX_CONNECTIONS_PER_OWNER: usize = 64;
/// Owners with a pool.
const MAX_POOLS: usize = 256;
/// A pool without a call for this long is dropped with its TLS sessions.
const POOL_IDLE: Duration = Duration::from_secs(300);
/// An idle connection is closed after this; many load balancers close theirs after 60 s.
const CONNECTION_IDLE: Duration = Duration::from_secs(30);
/// Idle connections per owner and origin.
const IDLE_PER_ORIGIN: usize = 8;
/// Header lines in an answer.
const MAX_HEADERS: usize = 256;

/// Up to this many bytes of a body are kept in memory for a signature that could do without, and for a second try.
const AT_HAND: u64 = 1 << 20;

/// What the operator decides about all outgoing traffic.
pub struct EgressConfig {
    /// Origin overrides, for development, tests and staging.
    pub origins: Origins,
    /// Address ranges that are reachable although they are special.
    pub allow_cidrs: Vec<IpNet>,
    /// Certificates to trust beside the public ones: PEM files, one or more certificates each.
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// Where this process listens; never reachable, whatever `allow_cidrs` or `origins` say.
    pub own_addresses: Vec<SocketAddr>,
    /// The ceiling of every pass's limits.
    pub limits: Limits,
    /// Name look-up.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            origins: Origins::none(),
            allow_cidrs: Vec::new(),
            extra_roots_pem: Vec::new(),
            own_addresses: Vec::new(),
            limits: Limits::default(),
            resolver: Arc::new(SystemResolver),
        }
    }
}

/// The one door out. Cheap to clone; all clones share pools and configuration.
#[derive(Clone)]
pub struct Egress(Arc<Inner>);

struct Inner {
    limits: Limits,
    network: Arc<Network>,
    tls: TlsBase,
    pools: Pools<Client<Connector, Body>>,
}

/// One request of a call: the caller's own, or the one that a redirect made of it.
struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Body,
}

impl Egress {
    /// Checks the configuration.
    ///
    /// # Errors
    /// [`EgressError::Config`] where a root certificate cannot be read.
    pub fn new(config: EgressConfig) -> Result<Self, EgressError> {
        let tls = TlsBase::new(&config.extra_roots_pem)?;
        let network = Network {
            filter: AddressFilter::new(config.allow_cidrs, config.own_addresses),
            origins: config.origins,
            resolver: config.resolver,
            connect_timeout: config.limits.connect,
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        };
        Ok(Self(Arc::new(Inner {
            limits: config.limits,
            network: Arc::new(network),
            tls,
            pools: Pools::new(MAX_POOLS, POOL_IDLE),
        })))
    }

    /// Sends one request, as far as its pass allows, and gives back the answer with its body still to be
    /// read. The URL is absolute, or relative to the pass's base URL (`/path?query`).
    ///
    /// # Errors
    /// See [`EgressError`]; [`EgressError::before_sending`] tells whether the upstream can have seen it.
    pub async fn send(
        &self,
        pass: &Pass,
        request: Request<Body>,
    ) -> Result<Response<Body>, EgressError> {
        let limits = pass.limits.within(self.0.limits);
        // Who looks on sees nothing that was not scrubbed.
        match pass.witness.as_ref().filter(|_| pass.is_scrubbed()) {
            None => self.in_time(pass, request, limits).await,
            Some(witness) => {
                let send = async |request| self.in_time(pass, request, limits).await;
                witness::shown(witness, &limits, request, send).await
            }
        }
    }

    async fn in_time(
        &self,
        pass: &Pass,
        request: Request<Body>,
        limits: Limits,
    ) -> Result<Response<Body>, EgressError> {
        let deadline = after(limits.total);
        timeout_at(deadline, self.steps(pass, request, limits, deadline))
            .await
            .unwrap_or(Err(EgressError::Timeout(Wait::Headers)))
    }

    /// The origin overrides in force.
    pub fn origins(&self) -> &Origins {
        &self.0.network.origins
    }

    async fn steps(
        &self,
        pass: &Pass,
        request: Request<Body>,
        limits: Limits,
        deadline: Instant,
    ) -> Result<Response<Body>, EgressError> {
        let (parts, body) = request.into_parts();
        // 1. What the caller may not set.
        let headers = headers::screen(pass, parts.headers, &limits)?;
        // 2. Where it goes, read once.
        let url = target::absolute(pass.base_url.as_ref(), &parts.uri)?;
        target::check_query(pass, &url)?;
        let body = limit_request(body, limits.request_body)?;
        let mut hop = Hop {
            method: parts.method,
            url,
            headers,
            body,
        };
        let mut hops = 0;
        loop {
            let (method, from) = (hop.method.clone(), hop.url.clone());
            let answer = self.one_hop(pass, hop, &limits).await?;
            // 6. A redirect is returned, or becomes the next hop.
            let next = match pass.redirects {
                Redirects::Return => None,
                Redirects::Follow => {
                    redirect::next_hop(&method, &from, answer.status(), answer.headers())?
                }
            };
            let Some(next) = next else {
                // 6 and 7. Limits on the answer; secrets taken out.
                let terms = terms(pass, limits, deadline);
                return answer::receive(&method, answer, terms);
            };
            hops += 1;
            if hops > redirect::MAX_HOPS {
                return Err(EgressError::TooManyRedirects(redirect::MAX_HOPS));
            }
            if attach::leaks(pass, &next.url) {
                return Err(EgressError::BadAnswer(
                    "it redirects a credential to a host that the credential is not for",
                ));
            }
            hop = Hop {
                method: next.method,
                url: next.url,
                headers: HeaderMap::new(),
                body: Body::empty(),
            };
        }
    }

    /// Steps 2 to 5 for one request. What is derived from secrets on the way, the call knows from then on.
    async fn one_hop(
        &self,
        pass: &Pass,
        hop: Hop,
        limits: &Limits,
    ) -> Result<Response<hyper::body::Incoming>, EgressError> {
        let network = &self.0.network;
        let Hop {
            method,
            mut url,
            mut headers,
            mut body,
        } = hop;
        // 2. Whether this call may go there.
        target::check_method(pass, &method, &url)?;
        target::check_url(pass, &url, &network.filter, &network.origins)?;
        // 3. What is attached, on the logical URL.
        let issued = pass.handles.issued();
        if !issued.is_empty() {
            let bytes = whole(body, limits).await?;
            let filled = attach::redeem_handles(pass, &issued, &mut url, &mut headers, &bytes)?;
            body = Body::from_bytes(filled.unwrap_or(bytes));
        }
        attach::constants(pass, &mut url, &mut headers)?;
        let logical = url.clone();
        let signers: Vec<&dyn Signer> = pass
            .credentials()
            .filter(|known| known.is_for(&logical))
            .filter_map(|known| known.signer.as_deref())
            .collect();
        let covers_body = signers.iter().any(|signer| match signer.covers(&headers) {
            Covers::Nothing => false,
            Covers::Body => true,
            Covers::BodyAtHand => body.exact_len().is_some_and(|length| length <= AT_HAND),
        });
        let mut bytes = None;
        if covers_body || attach::needs_body(pass, &url) {
            bytes = Some(whole(std::mem::take(&mut body), limits).await?);
        }
        bytes = attach::credentials(pass, &mut url, &mut headers, bytes)?;
        // A request that may have to be signed anew, because the upstream's clock is another one, is kept for that.
        if bytes.is_none()
            && !signers.is_empty()
            && body.exact_len().is_some_and(|length| length <= AT_HAND)
        {
            bytes = Some(whole(std::mem::take(&mut body), limits).await?);
        }
        let identity = pass.identity.as_ref().filter(|own| own.is_for(&logical));
        // The operator's overrides change the way, not the decision; what is signed is what leaves.
        let host = target::shown_host(&url);
        let wire = network.origins.apply(&url);
        let mut stream = Some(body);
        let mut tries = 0;
        loop {
            let (mut url, mut headers, mut bytes) = (wire.clone(), headers.clone(), bytes.clone());
            for signer in &signers {
                let unsigned = Unsigned {
                    method: &method,
                    url: &url,
                    headers: &headers,
                    body: bytes
                        .as_deref()
                        .filter(|_| signer.covers(&headers) != Covers::Nothing),
                };
                let signed = signer
                    .sign(&unsigned)
                    .map_err(|NotSigned(why)| EgressError::NotSigned(why))?;
                pass.handles.derived(signed.derived);
                bytes = attach::parts(&signed.parts, &mut url, &mut headers, bytes)?;
            }
            let again = bytes.is_some();
            let body = match bytes {
                Some(bytes) => Body::from_bytes(bytes),
                None => stream.take().unwrap_or_default(),
            };
            let mut request = Request::new(body);
            *request.method_mut() = method.clone();
            *request.uri_mut() = target::wire_uri(&url)?;
            *request.headers_mut() = headers;
            // 4 and 5. Over a connection of this owner (and of this certificate, where one is for this host), made by
            // `Connector`.
            let answer = self
                .client(&pass.owner, identity)
                .request(request)
                .await
                .map_err(|error| reason(&error, &host, limits))?;
            let (status, map) = (answer.status(), answer.headers());
            let wrong_time = again
                && tries == 0
                && status.is_client_error()
                && signers.iter().any(|signer| signer.again(status, map));
            if !wrong_time {
                return Ok(answer);
            }
            tries += 1;
        }
    }

    fn client(&self, owner: &str, identity: Option<&Identity>) -> Client<Connector, Body> {
        let inner = &self.0;
        if inner.network.connections.available_permits() == 0 {
            inner.pools.make_room(owner);
        }
        let name = identity.map(Identity::name);
        inner.pools.client(owner, name, StdInstant::now(), || {
            let connector = Connector {
                network: Arc::clone(&inner.network),
                tls: inner.tls.for_owner(identity),
                connections: Arc::new(Semaphore::new(MAX_CONNECTIONS_PER_OWNER)),
            };
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(CONNECTION_IDLE)
                .pool_max_idle_per_host(IDLE_PER_ORIGIN)
                .http1_max_headers(MAX_HEADERS)
                // hyper asks for at least 8 KiB; the status line and the chunk sizes share the buffer.
                .http1_max_buf_size(inner.limits.header_bytes.saturating_add(8 << 10))
                .build(connector)
        })
    }
}

async fn whole(body: Body, limits: &Limits) -> Result<Bytes, EgressError> {
    body.collect_part(limits.request_body, Part::RequestBody)
        .await
}

fn terms(pass: &Pass, limits: Limits, deadline: Instant) -> Terms {
    Terms {
        limits,
        cookies: pass.purpose == Purpose::Flow,
        body_deadline: (pass.purpose != Purpose::Proxy).then_some(deadline),
        scrubber: pass.scrubber(),
    }
}

/// Our own error where one is inside (from the connector or from a body), else the nearest of ours. What
/// the HTTP library says is not passed on.
fn reason(error: &legacy::Error, host: &str, limits: &Limits) -> EgressError {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(own) = cause.downcast_ref::<EgressError>() {
            return own.clone();
        }
        if refuses_certificate(cause) {
            return EgressError::IdentityRefused {
                host: host.to_owned(),
            };
        }
        if let Some(http) = cause.downcast_ref::<hyper::Error>() {
            if http.is_parse_too_large() {
                return EgressError::TooLarge {
                    what: Part::ResponseHeaders,
                    limit: limits.header_bytes as u64,
                };
            }
            if http.is_parse() {
                return EgressError::BadAnswer("it is not http/1.1");
            }
        }
        next = cause.source();
    }
    if error.is_connect() {
        return EgressError::Connect {
            host: host.to_owned(),
            why: "the connection was not made".to_owned(),
        };
    }
    EgressError::Broken
}

/// With TLS 1.3 the upstream's word on a client certificate comes after the handshake, as an alert while reading.
pub(crate) fn refuses_certificate(cause: &(dyn StdError + 'static)) -> bool {
    let inside = cause
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::AlertReceived(alert)) = inside else {
        return false;
    };
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}
