//! The one mapper from everything that can go wrong to RFC 9457 problem details.
//!
//! Every error answer that Keyport itself gives has this shape, so that a platform writes one error
//! handler: `code` is stable and meant for machines, `detail` says what to do, `request_id` is what an
//! operator searches the logs for. Answers of an upstream that pass through the proxy are *not* problems
//! of ours and are marked by the header `keyport-upstream-status`.
//!
//! Threats: a provider's raw body, a secret or an internal path in an error text. Only texts written for
//! people (in this workspace) get in here; JSON errors have the quoted values taken out.
//!
//! Left out: translations, and a page per problem type (`type` is a URN, not an address).

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use keyport_connect::ConnectError;
use serde::{Deserialize, Serialize};

/// A problem that is on its way to the caller.
///
/// As a response it is complete but for `request_id`, which [`crate::observe`] fills in on the way out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Problem {
    #[serde(with = "as_number")]
    status: StatusCode,
    code: Cow<'static, str>,
    title: Cow<'static, str>,
    detail: String,
    retry_after: Option<Duration>,
    errors: Vec<FieldProblem>,
}

/// A status as its number, for problems that are kept (see [`crate::idempotency`]).
mod as_number {
    use http::StatusCode;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u16(status.as_u16())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<StatusCode, D::Error> {
        StatusCode::from_u16(u16::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// One thing that is wrong with one field of a form.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldProblem {
    /// Id of the field.
    pub field: String,
    /// What to change, a sentence for the person.
    pub detail: String,
}

/// The JSON of a problem, media type `application/problem+json` (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemView<'a> {
    /// `urn:keyport:problem:` and the code.
    #[schema(example = "urn:keyport:problem:not_found")]
    r#type: String,
    /// What kind of problem this is; the same text for the same code.
    title: &'a str,
    /// The HTTP status again.
    #[schema(example = 404)]
    status: u16,
    /// Stable name of the kind of problem, for programs.
    #[schema(example = "not_found")]
    code: &'a str,
    /// What happened and what to do, for people.
    detail: &'a str,
    /// Id of this request, as in the `x-request-id` header and in the logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    /// What is wrong with single fields, where the problem is a form.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldProblem],
}

impl Problem {
    /// A problem with a code of its own. `detail` is read by people and says what to do.
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        let title = status.canonical_reason().unwrap_or("Problem");
        Self {
            status,
            code: code.into(),
            title: Cow::Borrowed(title),
            detail: detail.into(),
            retry_after: None,
            errors: Vec::new(),
        }
    }

    /// 400: the request can't be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// 401: no key, or one that is not (or no longer) known.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 401 for pages: no session, or one that has ended.
    pub fn session_required() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "session_required",
            "this page's session has ended; open a new link from the app that you came from",
        )
    }

    /// 403: known, but not allowed.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404 for addresses that no route serves.
    pub fn no_such_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no_such_route",
            "there is nothing at this address; /docs lists all operations",
        )
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this address does not take this method; the Allow header lists those it takes",
        )
    }

    /// 413 with the limit in words.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("the request body is larger than {limit} bytes; send less at once");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }

    /// 500: a bug of ours; nothing of the inside is told.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong inside Keyport; tell the operator the request_id, which the logs carry too",
        )
    }

    /// Says when to try again (`Retry-After`, whole seconds, rounded up).
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds what is wrong with single fields.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldProblem>) -> Self {
        self.errors = errors;
        self
    }

    /// The status it answers with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its stable code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Writes it as a response, with the id of the request where it is known.
    pub fn render(&self, request_id: Option<&str>) -> Response {
        let view = ProblemView {
            r#type: format!("urn:keyport:problem:{}", self.code),
            title: &self.title,
            status: self.status.as_u16(),
            code: &self.code,
            detail: &self.detail,
            request_id,
            errors: &self.errors,
        };
        let json = serde_json::to_vec(&view).unwrap_or_default();
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"keyport\""),
            );
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render(None);
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        let status =
            StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let code = error.code().to_owned();
        if status.is_server_error() {
            // The text is ours and holds no secret; operators need it where the caller only sees the code.
            tracing::warn!(code, "{error}");
        }
        let mut problem = Problem::new(status, code, error.to_string());
        if let ConnectError::Misfits(all) = &error {
            problem.errors.extend(all.iter().map(|one| FieldProblem {
                field: one.field.clone(),
                detail: one.say.clone(),
            }));
        } else if let Some(field) = error.field() {
            problem.errors.push(FieldProblem {
                field: field.to_owned(),
                detail: error.to_string(),
            });
        }
        if let Some(wait) = error.retry_after_ms() {
            problem = problem.retry_after(Duration::from_millis(wait));
        }
        problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_limit_of_the_app_says_when_to_try_again_in_whole_seconds() {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "wait")
            .retry_after(Duration::from_millis(1_001));
        let response = problem.render(Some("req_1"));
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
    }

    #[test]
    fn a_value_that_is_not_acceptable_names_its_field() {
        let error = ConnectError::Invalid {
            field: "owner".into(),
            say: "give an owner".into(),
        };
        let problem = Problem::from(error);
        assert_eq!(
            (problem.status().as_u16(), problem.code()),
            (422, "invalid_input")
        );
        assert_eq!(problem.errors[0].field, "owner");
    }

    #[test]
    fn what_belongs_to_somebody_else_looks_like_what_does_not_exist() {
        let problem = Problem::from(ConnectError::NotFound { what: "connection" });
        assert_eq!(
            (problem.status().as_u16(), problem.code()),
            (404, "not_found")
        );
    }
}
