//! The few shapes of answers that handlers give.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use keyport_connect::view::{ConfigurationView, ConnectionView};
use serde::Serialize;
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

use crate::problem::Problem;

/// What handlers return.
pub(crate) type Answer<T> = Result<T, Problem>;

/// JSON.
pub(crate) struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A thing with a revision: JSON with an `ETag`, which goes back in `If-Match`.
pub(crate) struct Tagged<T>(pub T);

/// What has a revision.
pub(crate) trait HasEtag {
    fn etag(&self) -> &str;
}

impl HasEtag for ConnectionView {
    fn etag(&self) -> &str {
        &self.etag
    }
}

impl HasEtag for ConfigurationView {
    fn etag(&self) -> &str {
        &self.etag
    }
}

impl<T: Serialize + HasEtag> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let tag = HeaderValue::from_str(&format!("\"{}\"", self.0.etag().trim_matches('"')));
        let mut response = axum::Json(self.0).into_response();
        if let Ok(tag) = tag {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// 201 with the address of what was made.
pub(crate) struct Created<T> {
    pub at: String,
    pub answer: T,
}

impl<T: IntoResponse> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, self.answer).into_response();
        if let Ok(at) = HeaderValue::from_str(&self.at) {
            response.headers_mut().insert(header::LOCATION, at);
        }
        response
    }
}

/// Documents that every operation may answer with a problem.
pub(crate) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .build();
        let response = ResponseBuilder::new()
            .description("What went wrong and what to do (RFC 9457)")
            .content("application/problem+json", content)
            .build();
        BTreeMap::from([("default".to_owned(), RefOr::T(response))])
    }
}
