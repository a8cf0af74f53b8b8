//! Serving: accept, TLS, HTTP/1.1 and HTTP/2, housekeeping, and an end that lets running requests finish.
//!
//! Our own accept loop rather than axum's, because axum's has neither TLS nor times. Threats: connections that
//! send nothing or drip headers (handshake and header timeouts), more connections than the machine bears (a
//! semaphore before accept), a drain that never ends (a limit).
//!
//! Left out: WebSockets and other upgrades; nothing here needs them.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::guard::Peer;
use crate::listen::{Listen, ListenError};
use crate::state::ServerState;

/// A TLS handshake takes two round trips; ten seconds bear a bad mobile line.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The same for a request's headers.
const HEADERS: Duration = Duration::from_secs(15);
/// Running requests may take this long once the end has been asked for.
const DRAIN: Duration = Duration::from_secs(20);
/// Each open connection holds a file descriptor; common limits are 1,024 and up, and the proxy needs as many.
const CONNECTIONS: usize = 4096;
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 128;
/// How often expired sessions, flows and unfinished grants are looked for. A completion code lives two minutes.
const SWEEP: Duration = Duration::from_secs(15);
/// How long an event waits at most until it is chained.
const CHAIN: Duration = Duration::from_secs(5);
/// How often it is looked at what apps are to be asked.
const POLL: Duration = Duration::from_secs(2);
/// How often it is looked at what is to be sent.
const DELIVER: Duration = Duration::from_secs(1);
/// Every so many turns the audit trail is looked at for what else is to be sent.
const FILL: u32 = 3;
/// After a failed accept (out of descriptors), wait rather than spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is ready, then lets running requests end within 20 seconds.
///
/// Checks [`Listen::check`] first. `listener` is already bound, so that a caller knows its port.
pub async fn serve(
    state: ServerState,
    listener: TcpListener,
    listen: Listen,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ListenError> {
    // What is really bound decides, not what was meant to be.
    Listen {
        address: listener.local_addr()?,
        ..listen.clone()
    }
    .check()?;
    let sweeper = tokio::spawn(sweep(state.clone()));
    let server = Server {
        router: crate::router(state.clone()),
        acceptor: listen.tls.as_ref().map(crate::Tls::acceptor),
        state: state.clone(),
        slots: Arc::new(Semaphore::new(CONNECTIONS)),
    };

    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = server.accept(&listener) => {
                if let Some(connection) = accepted {
                    connections.spawn(connection);
                }
            }
            // Finished ones are let go of as they end.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);
    state.stop();
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, all_ended).await.is_err() {
        tracing::warn!(
            left = connections.len(),
            "some requests did not end in time and were cut off"
        );
        connections.shutdown().await;
    }
    let _ = sweeper.await;
    Ok(())
}

struct Server {
    router: Router,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
    state: ServerState,
    slots: Arc<Semaphore>,
}

impl Server {
    /// The next connection, as the work that it makes. `None` when accepting failed.
    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let slot = self.slots.clone().acquire_owned().await.ok()?;
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                return None;
            }
        };
        let (router, acceptor, state) = (
            self.router.clone(),
            self.acceptor.clone(),
            self.state.clone(),
        );
        Some(async move {
            let _slot = slot;
            connection(stream, peer, router, acceptor, state).await;
        })
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
    state: ServerState,
) {
    // Small answers leave at once; server-sent events depend on it.
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => http(stream, peer, router, &state).await,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => http(stream, peer, router, &state).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

async fn http<S>(stream: S, peer: SocketAddr, router: Router, state: &ServerState)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let router = router.clone();
        async move {
            Ok::<_, Infallible>(
                router
                    .oneshot(request.map(Body::new))
                    .await
                    .unwrap_or_else(|never| match never {}),
            )
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(HEADERS);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = state.stopping() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        // Mostly browsers that went away. The text names no header or path.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Housekeeping until the end.
async fn sweep(state: ServerState) {
    let chaining = tokio::spawn(chain(state.clone()));
    let polling = tokio::spawn(poll(state.clone()));
    let delivering = tokio::spawn(deliver(state.clone()));
    let mut every = tokio::time::interval(SWEEP);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = state.stopping() => break,
            _ = every.tick() => {
                match state.engine().sweep().await {
                    Ok(report) if report == keyport_connect::view::SweepReport::default() => {}
                    Ok(report) => tracing::info!(?report, "swept"),
                    Err(error) => tracing::warn!(code = error.code(), %error, "housekeeping failed; it is tried again"),
                }
                if let Err(error) = state.engine().resume_upkeep().await {
                    tracing::warn!(code = error.code(), %error, "an interrupted rotation waits for the next housekeeping");
                }
            }
        }
    }
    for ended in [chaining, polling, delivering] {
        let _ = ended.await;
    }
}

/// Asks apps for what is new until the end.
async fn poll(state: ServerState) {
    let mut every = tokio::time::interval(POLL);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = state.stopping() => return,
            _ = every.tick() => if let Err(error) = state.engine().poll_due().await {
                tracing::warn!(code = error.code(), "apps were not asked for what is new; it is tried again");
            },
        }
    }
}

/// Sends events to the platform until the end.
async fn deliver(state: ServerState) {
    let mut turn = 0;
    let mut every = tokio::time::interval(DELIVER);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = state.stopping() => return,
            _ = every.tick() => {
                turn = (turn + 1) % FILL;
                let done = async {
                    if turn == 0 {
                        state.engine().fill_outbox().await?;
                    }
                    state.engine().deliver_due().await
                };
                if let Err(error) = done.await {
                    tracing::warn!(code = error.code(), "events were not sent; it is tried again");
                }
            }
        }
    }
}

/// Chains the audit trail until the end.
async fn chain(state: ServerState) {
    let mut every = tokio::time::interval(CHAIN);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = state.stopping() => return,
            _ = every.tick() => if let Err(error) = state.engine().chain_events().await {
                tracing::warn!(code = error.code(), %error, "events are not chained yet; it is tried again");
            },
        }
    }
}
