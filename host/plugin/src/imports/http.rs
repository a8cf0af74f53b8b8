//! One request of a guest's, by the contract's own import.
//!
//! It waits for the whole answer. Errors go back to the guest as notes: their text names what the guest itself gave,
//! or the operator's rule, never an address or a credential.

use keyport_egress::{Body, EgressError};

use super::note;
use super::out::{self, Refusal};
use crate::bindings::keyport::provider::http::{Host, Request, Response};
use crate::bindings::keyport::provider::types::Note;
use crate::exchange::Exchange;
use crate::state::State;

impl Host for State {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Note>> {
        self.count_request()?;
        let translated = self
            .screen(&request.url, request.headers.len())
            .and_then(|()| translate(request));
        let request = match translated {
            Ok(request) => request,
            Err(Refusal { code, say }) => return Ok(Err(note(code, say, false))),
        };
        let limit = self.limits.response_bytes;
        Ok(match self.way().send(request).await {
            Ok(answer) => collect(answer, limit, self.exchange.as_ref()).await,
            Err(error) => Err(refused(&error)),
        })
    }
}

fn translate(request: Request) -> Result<http::Request<Body>, Refusal> {
    let headers = request.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
    let body = request.body.map_or_else(Body::empty, Body::from);
    out::request(&request.method, &request.url, headers, body)
}

async fn collect(
    answer: http::Response<Body>,
    limit: u64,
    exchange: Option<&Exchange>,
) -> Result<Response, Note> {
    let (mut parts, body) = answer.into_parts();
    let body = body.collect(limit).await.map_err(|error| refused(&error))?;
    let body = match exchange {
        Some(exchange) => out::without_tokens(exchange, &mut parts.headers, &body),
        None => body.to_vec(),
    };
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
        body,
        info: Vec::new(),
    })
}

fn refused(error: &EgressError) -> Note {
    note(error.code(), error.to_string(), error.is_transient())
}
