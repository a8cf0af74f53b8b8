//! Readers of bodies, queries and path values, like axum's own but with problem details for what can't be read.
//!
//! Bodies are strict JSON of a bounded size. What serde says about a wrong body may quote the value that it
//! found, and that value may be a credential in the wrong place: [`describe`] takes quoted values out.

use axum::RequestExt as _;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The largest JSON body that is read, in bytes: far above any form, far below what hurts.
pub const JSON_LIMIT: usize = 1024 * 1024;

/// A JSON body. 415 for another media type, 413 for too much, 400 for what is not JSON, 422 for the wrong shape.
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let bytes: Bytes = request.extract().await.map_err(unreadable)?;
        parse(&bytes).map(Self)
    }
}

/// A JSON body that may be missing altogether: then it is `T`'s default.
pub struct OptionalJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let typed = require_json(request.headers());
        let bytes: Bytes = request.extract().await.map_err(unreadable)?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        typed?;
        parse(&bytes).map(Self)
    }
}

/// A query string as `T`; 400 if it does not fit.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|rejection| {
                let detail = format!(
                    "{}; see /docs for this operation's parameters",
                    lower_first(&rejection.body_text())
                );
                Problem::bad_request(redact(&detail))
            })
    }
}

/// Values of the route's placeholders; 400 if they do not fit.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(path) => Ok(Self(path.0)),
            Err(_) => Err(Problem::bad_request(
                "this address holds something that can't be read; check its encoding",
            )),
        }
    }
}

/// What a request says in `If-Match`; `None` when absent or `*`.
pub struct IfMatch(pub Option<String>);

impl IfMatch {
    /// For the engine.
    pub fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            return Ok(Self(None));
        };
        match value.to_str().map(str::trim) {
            Ok("*") => Ok(Self(None)),
            Ok(tag) if tag.contains(',') => Err(Problem::bad_request(
                "If-Match takes one etag here; send the one you read",
            )),
            // A weak tag never matches under If-Match (RFC 9110, 13.1.1), but only proxies that compress make
            // ours weak, so it counts as what it was.
            Ok(tag) => Ok(Self(Some(
                tag.trim_start_matches("W/").trim_matches('"').to_owned(),
            ))),
            Err(_) => Err(Problem::bad_request(
                "If-Match must be the etag as you read it",
            )),
        }
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let essence = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase())
        .unwrap_or_default();
    // A form from another site can't be sent with this media type without asking first (CORS preflight).
    if essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
    {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not_json",
        "send the body as JSON, with `Content-Type: application/json`",
    ))
}

pub(crate) fn unreadable(rejection: BytesRejection) -> Problem {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            Problem::too_large(JSON_LIMIT)
        }
        _ => Problem::bad_request("the request body ended early; send it again"),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| describe(&error))
}

/// Says what is wrong with a body, and where, without repeating values that it holds.
fn describe(error: &serde_json::Error) -> Problem {
    let text = redact(&lower_first(&error.to_string()));
    if error.is_data() {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "wrong_shape",
            format!("the body does not fit: {text}"),
        )
    } else {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_json",
            format!("the body is not JSON: {text}"),
        )
    }
}

/// Takes out what stands in double quotes: serde quotes string values so, and names in backticks.
fn redact(text: &str) -> String {
    let (Some(first), Some(last)) = (text.find('"'), text.rfind('"')) else {
        return text.to_owned();
    };
    let (before, after) = (
        text.get(..first).unwrap_or_default(),
        text.get(last + 1..).unwrap_or_default(),
    );
    format!("{}{after}", before.trim_end()).replace("invalid type: string,", "found a string here,")
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shape {
        #[expect(dead_code, reason = "only its type matters")]
        count: u32,
    }

    fn detail(body: &str) -> String {
        let problem = parse::<Shape>(body.as_bytes()).unwrap_err();
        format!("{problem:?}")
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated_in_the_error() {
        let text = detail(r#"{"count": "sk_live_\"canary\" and more"}"#);
        assert!(!text.contains("canary") && !text.contains("more"), "{text}");
        assert!(
            text.contains("found a string here, expected u32 at line 1"),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_field_is_named() {
        let text = detail(r#"{"count": 1, "cuont": 2}"#);
        assert!(
            text.contains("wrong_shape") && text.contains("unknown field `cuont`"),
            "{text}"
        );
    }

    #[test]
    fn what_is_not_json_says_where() {
        let text = detail("{\"count\": ");
        assert!(
            text.contains("bad_json") && text.contains("line 1 column"),
            "{text}"
        );
    }
}
