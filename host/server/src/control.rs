//! The operator's own way in: a socket in the data folder, for `keyport vault` and `keyport audit` beside a running host.
//!
//! Whoever can open it can read the folder that it lies in (0700, the socket 0600), where the store is; so it asks for no key. It
//! serves the vault's and the audit trail's routes and nothing else, and is the only place where a root key is taken.
//! The same routes without a socket serve a host that is not running: the command opens the store itself.
//!
//! Left out: systems without Unix sockets; there `/v1/vault` with a platform key does what needs no root key.

use std::path::Path;

use axum::routing::{get, post};
use axum::{Extension, Router};

use crate::problem::Problem;
use crate::state::ServerState;
use crate::v1::vault;

/// The socket's name in the data folder.
pub const SOCKET: &str = "control.sock";

/// A request that came by the socket, or from a command in this process. Nothing that comes over the network has it.
#[derive(Debug, Clone, Copy)]
pub struct AtTheMachine;

/// What the socket serves.
pub fn router(state: ServerState) -> Router {
    Router::new()
        .route("/v1/vault", get(vault::vault_status))
        .route("/v1/vault/rotate", post(vault::rotate))
        .route("/v1/vault/retire", post(vault::retire))
        .route("/v1/vault/verify", post(vault::verify))
        .route("/v1/vault/backup", get(vault::backup))
        .route("/v1/vault/export", post(vault::export))
        .route("/v1/vault/digest", get(vault::digest))
        .route("/v1/vault/destroy-owner", post(vault::destroy_owner))
        .route("/v1/audit", get(vault::audit))
        .route("/v1/audit/verify", post(vault::verify_audit))
        .fallback(async || Problem::no_such_route())
        .layer(Extension(AtTheMachine))
        .with_state(state)
}

/// Serves the socket until the server stops. A folder whose path is too long for a socket is told and does without.
#[cfg(unix)]
pub async fn serve(state: ServerState, folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;

    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::server::conn::auto;
    use hyper_util::service::TowerToHyperService;

    let path = folder.join(SOCKET);
    // Of a host that ended without a word: the store's lock says that none is running.
    let _ = std::fs::remove_file(&path);
    let listener = match tokio::net::UnixListener::bind(&path) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "`keyport vault` cannot reach this host while it runs");
            return;
        }
    };
    if let Err(error) = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)) {
        tracing::warn!(path = %path.display(), %error, "the control socket is not used");
        return;
    }
    let router = router(state.clone());
    loop {
        let stream = tokio::select! {
            () = state.stopping() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let served = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = served.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a control connection ended early");
            }
        });
    }
    let _ = std::fs::remove_file(&path);
}

/// There is no socket here.
#[cfg(not(unix))]
pub async fn serve(_state: ServerState, _folder: &Path) {}
