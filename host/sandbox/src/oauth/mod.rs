//! The OAuth 2.0 authorization server: authorization code with PKCE, refresh with rotation, revocation.
//!
//! - `authorize`: the consent page and what comes of it;
//! - `token`: codes and refresh tokens into access tokens, and revocation;
//! - `client`: who is asking at those two endpoints;
//! - `metadata`: the discovery document.
//!
//! The rules about codes and tokens themselves are in `grants`.

mod authorize;
mod client;
mod metadata;
mod token;

use axum::Router;
use axum::routing::{get, post};

use crate::Vendor;

pub(crate) fn routes() -> Router<Vendor> {
    Router::new()
        .route(
            "/oauth/authorize",
            get(authorize::ask).post(authorize::decide),
        )
        .route("/oauth/token", post(token::token))
        .route("/oauth/revoke", post(token::revoke))
        .route(
            "/.well-known/oauth-authorization-server",
            get(metadata::document),
        )
}
