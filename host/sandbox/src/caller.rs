//! Who is calling the API: one credential, of one of three kinds.
//!
//! `Authorization: Bearer` (an OAuth access token or a personal one), `X-Api-Key`, or basic authentication. Two at once are
//! refused: a vendor that silently picks one hides the bug of a client that sends a stale credential beside a fresh one.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Vendor;
use crate::errors::ApiError;
use crate::scopes::Scopes;

/// The header of API keys.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// An authenticated caller; handlers that take one cannot be reached without.
pub(crate) struct Caller {
    /// [`crate::User::id`].
    pub user: String,
    scopes: Scopes,
}

impl Caller {
    pub(crate) fn may_read(&self) -> Result<(), ApiError> {
        self.scopes
            .read
            .then_some(())
            .ok_or_else(ApiError::missing_scope)
    }

    pub(crate) fn may_write(&self) -> Result<(), ApiError> {
        self.scopes
            .write
            .then_some(())
            .ok_or_else(ApiError::missing_scope)
    }
}

impl FromRequestParts<Vendor> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, vendor: &Vendor) -> Result<Self, ApiError> {
        let missing = || {
            ApiError::unauthorized(
                "unauthenticated",
                "send a bearer token, an X-Api-Key header or basic credentials",
            )
        };
        let authorization = one(&parts.headers, &header::AUTHORIZATION)?;
        let api_key = one(&parts.headers, &API_KEY)?;
        let state = vendor.state();
        let (account, scopes) = match (authorization, api_key) {
            (None, None) => return Err(missing()),
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_request("send one credential, not two"));
            }
            (None, Some(key)) => {
                let account = state.by_api_key(key).ok_or_else(|| {
                    ApiError::unauthorized(
                        "invalid_api_key",
                        "the API key is unknown or was revoked",
                    )
                })?;
                (account, Scopes::ALL)
            }
            (Some(value), None) => {
                let (scheme, rest) = value.split_once(' ').ok_or_else(missing)?;
                if scheme.eq_ignore_ascii_case("bearer") {
                    state.by_bearer(rest.trim()).ok_or_else(|| {
                        ApiError::unauthorized(
                            "invalid_token",
                            "the token is unknown, has expired or was revoked",
                        )
                    })?
                } else if scheme.eq_ignore_ascii_case("basic") {
                    let account = basic(rest)
                        .and_then(|(email, password)| state.by_password(&email, &password))
                        .ok_or_else(|| {
                            ApiError::unauthorized(
                                "invalid_login",
                                "the e-mail address or the password is wrong",
                            )
                        })?;
                    (account, Scopes::ALL)
                } else {
                    return Err(missing());
                }
            }
        };
        Ok(Self {
            user: account.user.id.clone(),
            scopes,
        })
    }
}

/// The one value of a header that may be there once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ApiError::bad_request("send one credential, not two"));
    }
    let text = first.to_str().map_err(|_| {
        ApiError::bad_request("the credential has characters that a header can't have")
    })?;
    Ok(Some(text))
}

/// User and password of basic credentials, split at the first colon (RFC 7617).
pub(crate) fn basic(encoded: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
