//! Steps 4 and 5 where they happen: from a checked URL to an open connection.
//!
//! The HTTP client calls the connector when an owner's pool has no idle connection for an origin. The
//! connector resolves the name once, drops what the address filter drops, and connects to exactly what is
//! left, one address after the other; the socket is given an address, never a name. A pooled connection was
//! made the same way under the same filter, which does not change while the process runs.
//!
//! Time and number are bounded here too: the permits (one of the process, one of the owner) are waited for
//! within the connect timeout and held for the life of the connection.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tower::Service;
use url::{Host, Url};

use crate::address::AddressFilter;
use crate::error::{EgressError, UrlFault, Wait};
use crate::limits::after;
use crate::origins::{Origins, is_loopback};
use crate::resolve::Resolve;

/// What all owners' connectors share.
pub(crate) struct Network {
    pub filter: AddressFilter,
    pub origins: Origins,
    pub resolver: Arc<dyn Resolve>,
    pub connect_timeout: Duration,
    pub connections: Arc<Semaphore>,
}

/// One owner's connector.
#[derive(Clone)]
pub(crate) struct Connector {
    pub network: Arc<Network>,
    pub tls: Arc<ClientConfig>,
    pub connections: Arc<Semaphore>,
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = EgressError;
    type Future = Pin<Box<dyn Future<Output = Result<Link, EgressError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let deadline = after(connector.network.connect_timeout);
            timeout_at(deadline, connector.connect(&uri, deadline))
                .await
                .unwrap_or(Err(EgressError::Timeout(Wait::Connecting)))
        })
    }
}

impl Connector {
    async fn connect(&self, uri: &Uri, deadline: Instant) -> Result<Link, EgressError> {
        let url =
            Url::parse(&uri.to_string()).map_err(|_| EgressError::BadUrl(UrlFault::Unreadable))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let permits = [
            self.permit(&self.connections).await?,
            self.permit(&self.network.connections).await?,
        ];
        let addresses = self.network.addresses(&url).await?;
        let tcp = connect_to_one(&host, &addresses, deadline).await?;
        // Requests are written whole; waiting to fill a packet only delays them.
        tcp.set_nodelay(true).ok();
        let stream: Box<dyn Duplex> = if url.scheme() == "https" {
            let name = server_name(&url)?;
            let tls = TlsConnector::from(Arc::clone(&self.tls))
                .connect(name, tcp)
                .await
                .map_err(|error| tls_error(host, &error))?;
            Box::new(tls)
        } else {
            Box::new(tcp)
        };
        Ok(Link {
            io: TokioIo::new(stream),
            _permits: permits,
        })
    }

    async fn permit(
        &self,
        semaphore: &Arc<Semaphore>,
    ) -> Result<OwnedSemaphorePermit, EgressError> {
        // The semaphores are never closed.
        Arc::clone(semaphore)
            .acquire_owned()
            .await
            .map_err(|_| EgressError::Timeout(Wait::Connecting))
    }
}

impl Network {
    /// Step 4. Resolves (once) and filters. The target of an override is what the operator named: its
    /// literal address is used as it is, and `localhost` is loopback without asking anybody. Our own
    /// addresses are refused even then.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, EgressError> {
        let named_by_operator = self.origins.is_target(&url.origin());
        if url.scheme() != "https" && !(named_by_operator && is_loopback(url)) {
            return Err(EgressError::BadUrl(UrlFault::NotHttps));
        }
        let port = url.port_or_known_default().unwrap_or(443);
        let with_port = |ips: Vec<IpAddr>| {
            ips.into_iter()
                .map(|ip| SocketAddr::new(ip, port))
                .collect()
        };
        let (found, as_named): (Vec<SocketAddr>, bool) = match url.host() {
            None => return Err(EgressError::BadUrl(UrlFault::Unreadable)),
            Some(Host::Ipv4(ip)) => (with_port(vec![ip.into()]), named_by_operator),
            Some(Host::Ipv6(ip)) => (with_port(vec![ip.into()]), named_by_operator),
            Some(Host::Domain("localhost")) if named_by_operator => (
                with_port(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
                true,
            ),
            Some(Host::Domain(name)) => (with_port(self.resolve(name).await?), false),
        };
        let kept = if as_named {
            self.filter.without_own(&found, is_local)
        } else {
            self.filter.keep(&found, is_local)
        };
        kept.map_err(|reason| EgressError::AddressBlocked {
            host: url.host_str().unwrap_or_default().to_owned(),
            reason,
        })
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, EgressError> {
        let failed = |why: String| EgressError::Dns {
            host: name.to_owned(),
            why,
        };
        let found = self.resolver.resolve(name).await.map_err(failed)?;
        if found.is_empty() {
            return Err(failed("it has no address".to_owned()));
        }
        Ok(found)
    }
}

/// Tries one address after the other; each gets an equal share of the time that is left, so that one dead
/// address does not use it all.
async fn connect_to_one(
    host: &str,
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<TcpStream, EgressError> {
    let mut last = EgressError::Connect {
        host: host.to_owned(),
        why: "it has no address".to_owned(),
    };
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now) / left.max(1);
        left = left.saturating_sub(1);
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that opens connections, to checked addresses"
        )]
        let attempt = timeout_at(now + share, TcpStream::connect(*address)).await;
        last = match attempt {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => EgressError::Connect {
                host: host.to_owned(),
                why: error.kind().to_string(),
            },
            Err(_) => EgressError::Timeout(Wait::Connecting),
        };
    }
    Err(last)
}

/// The name that the certificate must bear: the host, or its address.
fn server_name(url: &Url) -> Result<ServerName<'static>, EgressError> {
    match url.host() {
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned())
            .map_err(|_| EgressError::BadUrl(UrlFault::Unreadable)),
        Some(Host::Ipv4(ip)) => Ok(ServerName::IpAddress(IpAddr::V4(ip).into())),
        Some(Host::Ipv6(ip)) => Ok(ServerName::IpAddress(IpAddr::V6(ip).into())),
        None => Err(EgressError::BadUrl(UrlFault::Unreadable)),
    }
}

fn tls_error(host: String, error: &io::Error) -> EgressError {
    // With TLS 1.2 the upstream's word on a client certificate comes within the handshake.
    if crate::send::refuses_certificate(error) {
        return EgressError::IdentityRefused { host };
    }
    let why = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .map_or_else(|| error.kind().to_string(), ToString::to_string);
    EgressError::Tls { host, why }
}

/// Whether an address is one of this machine's: only then can a socket be bound to it. Nothing is sent.
fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open connection with the permits that it holds.
pub(crate) struct Link {
    io: TokioIo<Box<dyn Duplex>>,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
