//! Client authentication at the token and revocation endpoints (RFC 6749, 2.3).
//!
//! `client_secret_basic` with id and secret form-encoded first, as 2.3.1 has it and many clients forget;
//! `client_secret_post`; or a bare `client_id` for a public client. Two ways at once are refused.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::caller::basic;
use crate::form::{self, Params};
use crate::random;
use crate::state::State;

/// An error answer of RFC 6749, 5.2.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OauthError {
    pub error: &'static str,
    pub description: &'static str,
}

impl OauthError {
    pub(super) fn new(error: &'static str, description: &'static str) -> Self {
        Self { error, description }
    }

    pub(super) fn invalid_request(description: &'static str) -> Self {
        Self::new("invalid_request", description)
    }

    fn invalid_client() -> Self {
        Self::new("invalid_client", "the client id or secret is wrong")
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let status = match self.error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"vendora\""),
            );
        }
        response
    }
}

/// The id of the client that is asking, proven as far as it can.
pub(super) fn authenticate(
    state: &State,
    headers: &HeaderMap,
    params: &Params,
) -> Result<String, OauthError> {
    let (id, secret) = match headers.get(header::AUTHORIZATION) {
        None => {
            let id = params
                .get("client_id")
                .ok_or_else(OauthError::invalid_client)?;
            let secret = params.get("client_secret").map(str::to_owned);
            (id.to_owned(), secret)
        }
        Some(value) => {
            if params.get("client_secret").is_some() {
                return Err(OauthError::invalid_request(
                    "authenticate the client in one way, not two",
                ));
            }
            let (id, secret) = from_basic(value).ok_or_else(OauthError::invalid_client)?;
            if params.get("client_id").is_some_and(|other| other != id) {
                return Err(OauthError::invalid_request(
                    "client_id is not the client that authenticated",
                ));
            }
            (id, Some(secret))
        }
    };
    let client = state.client(&id).ok_or_else(OauthError::invalid_client)?;
    let proven = match (&client.secret, secret) {
        (Some(own), Some(given)) => random::same(own, &given),
        // Some libraries send an empty secret for a public client; only a real one is a mistake.
        (None, given) => given.is_none_or(|given| given.is_empty()),
        (Some(_), None) => false,
    };
    proven.then_some(id).ok_or_else(OauthError::invalid_client)
}

fn from_basic(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let (id, secret) = basic(rest)?;
    Some((form::decode(&id)?, form::decode(&secret)?))
}
