//! The API's error answers: `{"error": {"code", "message"}}`, one shape for every status.
//!
//! A message never repeats what the caller sent: that may have been a credential.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refused API call.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    challenge: Option<&'static str>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self {
            status,
            code,
            message,
            challenge: None,
        }
    }

    pub(crate) fn bad_request(message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    /// 401 with the challenge of RFC 6750, 3.
    pub(crate) fn unauthorized(code: &'static str, message: &'static str) -> Self {
        Self {
            challenge: Some("Bearer realm=\"vendora\", error=\"invalid_token\""),
            ..Self::new(StatusCode::UNAUTHORIZED, code, message)
        }
    }

    /// 403 with the challenge of RFC 6750, 3.1.
    pub(crate) fn missing_scope() -> Self {
        Self {
            challenge: Some("Bearer realm=\"vendora\", error=\"insufficient_scope\""),
            ..Self::new(
                StatusCode::FORBIDDEN,
                "missing_scope",
                "the token was not granted the scope for this call; sign in again and allow it",
            )
        }
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "the vendor could not do this; try again",
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if matches!(
            self.status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
        ) {
            return self.status.into_response();
        }
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        let mut response = (self.status, Json(body)).into_response();
        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response
    }
}
