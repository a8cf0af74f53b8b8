//! `POST /oauth/token` (RFC 6749, 3.2) and `POST /oauth/revoke` (RFC 7009).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::client::{OauthError, authenticate};
use crate::Vendor;
use crate::form::{Params, is_form};
use crate::grants::{Refusal, Tokens};

impl From<Refusal> for OauthError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Grant(words) => Self::new("invalid_grant", words),
            Refusal::Scope => Self::new("invalid_scope", "the scope is unknown or was not granted"),
            Refusal::Internal => {
                Self::new("server_error", "the vendor could not do this; try again")
            }
        }
    }
}

pub(super) async fn token(
    State(vendor): State<Vendor>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OauthError> {
    let params = read(&headers, &body)?;
    let need = |name: &'static str, words: &'static str| {
        params
            .get(name)
            .ok_or_else(|| OauthError::invalid_request(words))
    };
    let mut state = vendor.state();
    let client = authenticate(&state, &headers, &params)?;
    let tokens = match need("grant_type", "grant_type is missing")? {
        "authorization_code" => {
            let code = need("code", "code is missing")?;
            let redirect_uri = need("redirect_uri", "redirect_uri is missing")?;
            let verifier = need("code_verifier", "code_verifier is missing")?;
            state
                .grants
                .exchange(&client, code, redirect_uri, verifier)?
        }
        "refresh_token" => {
            let token = need("refresh_token", "refresh_token is missing")?;
            state.grants.refresh(&client, token, params.get("scope"))?
        }
        _ => {
            return Err(OauthError::new(
                "unsupported_grant_type",
                "grant_type must be authorization_code or refresh_token",
            ));
        }
    };
    Ok(answer(&tokens))
}

fn answer(tokens: &Tokens) -> Response {
    Json(json!({
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh,
        "scope": tokens.scopes.to_string(),
    }))
    .into_response()
}

pub(super) async fn revoke(
    State(vendor): State<Vendor>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, OauthError> {
    let params = read(&headers, &body)?;
    let mut state = vendor.state();
    let client = authenticate(&state, &headers, &params)?;
    let token = params
        .get("token")
        .ok_or_else(|| OauthError::invalid_request("token is missing"))?;
    // token_type_hint only saves a look-up (2.1); both tables are looked at anyway.
    state.grants.revoke_token(&client, token)?;
    Ok(StatusCode::OK)
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<Params, OauthError> {
    if !is_form(headers) {
        return Err(OauthError::invalid_request(
            "send the parameters as application/x-www-form-urlencoded",
        ));
    }
    let params = Params::parse(body);
    if params.has_repeated() {
        return Err(OauthError::invalid_request("give each parameter once"));
    }
    Ok(params)
}
