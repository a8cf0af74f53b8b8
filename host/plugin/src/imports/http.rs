//! One request of a guest's, through egress, with the call's pass.
//!
//! What may be asked for is egress's to decide; here are only the limits that egress does not know (requests per call,
//! header count) and the translation. Errors go back to the guest as notes: their text names what the guest itself gave,
//! or the operator's rule, never an address or a credential.

use http::{HeaderName, HeaderValue, Method, Uri};
use keyport_egress::{Body, EgressError};

use super::note;
use crate::bindings::keyport::provider::http::{Host, Request, Response};
use crate::bindings::keyport::provider::types::Note;
use crate::state::{OverLimit, State};

impl Host for State {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Note>> {
        self.requests += 1;
        if self.requests > self.limits.requests {
            return Err(OverLimit("http requests").into());
        }
        if request.headers.len() > self.limits.headers {
            return Ok(Err(note(
                "too_many_headers",
                format!("a request has at most {} headers", self.limits.headers),
                false,
            )));
        }
        let request = match translate(request) {
            Ok(request) => request,
            Err(note) => return Ok(Err(note)),
        };
        let limit = self.limits.response_bytes;
        let egress = self.call.egress.clone();
        let pass = self.call.pass.clone();
        Ok(match egress.send(&pass, request).await {
            Ok(answer) => collect(answer, limit).await,
            Err(error) => Err(refused(&error)),
        })
    }
}

fn translate(request: Request) -> Result<http::Request<Body>, Note> {
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| note("bad_method", "the method is not one of HTTP", false))?;
    let uri: Uri = request.url.parse().map_err(|_| {
        note(
            "bad_url",
            "the url is not one; escape what is not allowed in it",
            false,
        )
    })?;
    let mut translated = http::Request::new(request.body.map_or_else(Body::empty, Body::from));
    *translated.method_mut() = method;
    *translated.uri_mut() = uri;
    for (name, value) in request.headers {
        let bad = || {
            note(
                "bad_header",
                "a header's name or value has characters that are not allowed there",
                false,
            )
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let value = HeaderValue::from_str(&value).map_err(|_| bad())?;
        translated
            .headers_mut()
            .try_append(header, value)
            .map_err(|_| bad())?;
    }
    Ok(translated)
}

async fn collect(answer: http::Response<Body>, limit: u64) -> Result<Response, Note> {
    let (parts, body) = answer.into_parts();
    let body = body.collect(limit).await.map_err(|error| refused(&error))?;
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    Ok(Response {
        status: parts.status.as_u16(),
        headers,
        body: body.to_vec(),
        info: Vec::new(),
    })
}

fn refused(error: &EgressError) -> Note {
    note(error.code(), error.to_string(), error.is_transient())
}
