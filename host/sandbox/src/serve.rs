//! Serving the vendor on a socket.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::Vendor;

/// How long requests under way may take to end once the vendor is told to stop: a fault that hangs for two minutes
/// must not hold up whoever pressed Ctrl-C.
const GRACE: Duration = Duration::from_secs(2);

/// Serves `vendor` on `listener` until `shutdown` is ready, then lets running requests end for two seconds.
///
/// # Errors
/// Those of the socket.
pub async fn serve(
    listener: TcpListener,
    vendor: Vendor,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, vendor.router()).with_graceful_shutdown(async move {
        shutdown.await;
        drop(stopping);
    });
    tokio::select! {
        ended = async move { server.await } => ended,
        () = async move {
            // Never sent to: it resolves when the shutdown drops the other end.
            let _ = stopped.await;
            tokio::time::sleep(GRACE).await;
        } => Ok(()),
    }
}
