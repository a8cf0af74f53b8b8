//! The metadata document of RFC 8414.
//!
//! Its endpoints carry the issuer's origin, not the one the vendor is served on: a client pins the issuer, and whoever maps
//! that origin to the sandbox's address maps all endpoints with it.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::Vendor;
use crate::scopes::Scopes;

pub(super) async fn document(State(vendor): State<Vendor>) -> Json<Value> {
    let issuer = &vendor.0.issuer;
    let methods = ["client_secret_basic", "client_secret_post", "none"];
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth/authorize"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "scopes_supported": Scopes::NAMES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "authorization_response_iss_parameter_supported": true,
        "service_documentation": format!("{issuer}/developer"),
    }))
}
