//! Somebody who looks on: authors want to see what their app's code sends and what it gets back.
//!
//! A witness is shown what the caller handed over, before anything was attached to it, and what the caller gets, after secrets
//! were taken out. So it never sees a credential that the caller does not, and needs no care of its own. Where the caller takes
//! secrets out itself (`Pass::raw_answer`) or is the host's own flow, the answer is a token, so there is nothing to be shown: the
//! witness is not called. Bodies are read whole for it, within the limits of the call. A pass has none unless somebody asks for
//! it, and then nothing here is run.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};

use crate::body::Body;
use crate::error::{EgressError, Part};
use crate::limits::Limits;

/// Is called once for each request of a call that came to an outcome: an answer, or an error. Not for one whose own body was
/// over the limit or could not be read, as there is no body to show, and not for one that was given up. It must not block.
pub type Witness = Arc<dyn Fn(Seen) + Send + Sync>;

/// One request and what came of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Upper case.
    pub method: String,
    /// As the caller wrote it: a path under the base URL, or an absolute URL.
    pub url: String,
    /// The caller's own headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What the caller got.
    pub answer: Result<SeenAnswer, SeenError>,
}

/// An answer, as the caller gets it.
#[derive(Clone, Debug)]
pub struct SeenAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, decompressed and scrubbed.
    pub body: Bytes,
}

/// No answer: refused here, or not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenError {
    /// See [`EgressError::code`].
    pub code: &'static str,
    /// A sentence.
    pub say: String,
    /// Whether the upstream cannot have seen the request.
    pub before_sending: bool,
}

/// Sends by `send`, and shows both sides to the witness.
pub(crate) async fn shown(
    witness: &Witness,
    limits: &Limits,
    request: Request<Body>,
    send: impl AsyncFnOnce(Request<Body>) -> Result<Response<Body>, EgressError>,
) -> Result<Response<Body>, EgressError> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect_part(limits.request_body, Part::RequestBody)
        .await?;
    let (method, url) = (parts.method.to_string(), parts.uri.to_string());
    let headers = parts.headers.clone();
    let answer = send(Request::from_parts(parts, Body::from_bytes(body.clone()))).await;
    let answer = match answer {
        Ok(answer) => {
            let (parts, body) = answer.into_parts();
            let body = body.collect(limits.response_body).await;
            body.map(|body| (parts, body))
        }
        Err(error) => Err(error),
    };
    witness(Seen {
        method,
        url,
        headers,
        body,
        answer: match &answer {
            Ok((parts, body)) => Ok(SeenAnswer {
                status: parts.status.as_u16(),
                headers: parts.headers.clone(),
                body: body.clone(),
            }),
            Err(error) => Err(SeenError {
                code: error.code(),
                say: error.to_string(),
                before_sending: error.before_sending(),
            }),
        },
    });
    answer.map(|(parts, body)| Response::from_parts(parts, Body::from_bytes(body)))
}
