//! `outgoing-handler.handle`: a guest's request is put together, counted, looked at and sent by a task of its own, which ends
//! with the future that the guest holds.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use keyport_egress::{Body, EgressError, Part, Wait};
use serde_json::Value;
use wasmtime::component::Resource;
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler;
use wasmtime_wasi_http::p2::bindings::http::types::{Method, Scheme};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::p2::{HttpError, HttpResult};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::errors;
use super::room::{NotTaken, Rooms};
use crate::call::LogLevel;
use crate::exchange::Exchange;
use crate::imports::out::{self, Refusal, Way};
use crate::log::Lines;
use crate::state::State;

type Answer = (Response<WasiBody>, AbortOnDropJoinHandle<()>);

impl outgoing_handler::Host for State {
    fn handle(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> HttpResult<Resource<HostFutureIncomingResponse>> {
        self.count_request().map_err(HttpError::trap)?;
        let options = options
            .map(|options| self.table.delete(options))
            .transpose()?
            .unwrap_or_default();
        let request = self.table.delete(request)?;
        let errand = self.errand(request, options).map_err(|refusal| {
            tell(&self.lines, &refusal.say);
            errors::code(&refusal)
        })?;
        let task = spawn(async move {
            let answer = errand.run().await?;
            // There is no work that would go on beside the body.
            Ok::<Answer, Error>((answer, spawn(async {})))
        });
        let future = HostFutureIncomingResponse::Pending(task);
        Ok(self.table.push(future)?)
    }
}

impl State {
    fn errand(
        &mut self,
        request: HostOutgoingRequest,
        options: RequestOptions,
    ) -> Result<Errand, Refusal> {
        let url = url(&request)?;
        let mut headers = HeaderMap::from(request.headers);
        let length = headers.remove(CONTENT_LENGTH);
        self.screen(&url, headers.len())?;
        let bad = |_| Refusal {
            code: "bad_header",
            say: "a header's value is not text".to_owned(),
        };
        let pairs: Result<Vec<(&str, &str)>, _> = headers
            .iter()
            .map(|(name, value)| value.to_str().map(|value| (name.as_str(), value)))
            .collect();
        let pairs = pairs.map_err(bad)?.into_iter();
        let method = method(&request.method);
        let ready = out::request(method, &url, pairs, Body::empty())?;
        let mut way = self.way();
        if let Some(silence) = options.between_bytes_timeout {
            way.pass.limits.idle = way.pass.limits.idle.min(silence);
        }
        let connect = options.connect_timeout.unwrap_or(way.pass.limits.connect);
        Ok(Errand {
            request: ready,
            // `fields` lets nothing else through.
            length: length.and_then(|length| length.to_str().ok()?.parse().ok()),
            body: request.body,
            first_byte: options
                .first_byte_timeout
                .map(|first| first.saturating_add(connect)),
            rooms: self.wasi_http.rooms(&self.limits),
            exchange: self.exchange.clone(),
            lines: Arc::clone(&self.lines),
            way,
        })
    }
}

/// One request under way.
struct Errand {
    request: Request<Body>,
    /// The length that the guest announced.
    length: Option<u64>,
    body: Option<WasiBody>,
    /// How long the guest wants to wait for the answer's head.
    first_byte: Option<Duration>,
    rooms: Rooms,
    exchange: Option<Exchange>,
    lines: Arc<Lines>,
    way: Way,
}

impl Errand {
    /// From the guest's body to the whole answer. Nothing in here waits for the guest once its body has ended, so a place in the
    /// line is always given back.
    async fn run(self) -> Result<Response<WasiBody>, Error> {
        let Self {
            mut request,
            length,
            body,
            first_byte,
            rooms,
            exchange,
            lines,
            way,
        } = self;
        let failed = |error: EgressError| {
            tell(&lines, &error.to_string());
            errors::of(&error)
        };
        let held = match body {
            Some(body) => {
                let taken = rooms.up.take(body).await;
                Some(taken.map_err(|why| not_taken(why, &lines))?)
            }
            None => None,
        };
        let bytes = held.as_ref().map(|held| held.bytes.clone());
        let bytes = bytes.unwrap_or_default();
        let written = bytes.len() as u64;
        if length.is_some_and(|length| length != written) {
            tell(
                &lines,
                "the request's body is not as long as its content-length says",
            );
            return Err(Error::HttpRequestBodySize(Some(written)));
        }
        if !bytes.is_empty() {
            *request.body_mut() = Body::from_bytes(bytes);
        }
        // Closed by nobody.
        let _place = rooms.line.acquire_owned().await;
        let known = way.pass.handles.mark();
        let sending = way.send(request);
        let answer = match first_byte {
            Some(limit) => tokio::time::timeout(limit, sending)
                .await
                .unwrap_or(Err(EgressError::Timeout(Wait::Headers))),
            None => sending.await,
        };
        let (mut parts, body) = answer.map_err(failed)?.into_parts();
        drop(held);
        let mut answer = rooms.down.take(body).await.map_err(|why| match why {
            NotTaken::Broken(error) => failed(error),
            NotTaken::Full(limit) => failed(EgressError::TooLarge {
                what: Part::ResponseBody,
                limit,
            }),
            // Egress drops them.
            NotTaken::Trailers => Error::HttpProtocolError,
        })?;
        // A request beside this one may have carried a secret since, and its server may have answered with it here.
        let clean = way
            .pass
            .scrubbed_since(known, &mut parts.headers, answer.bytes.clone());
        answer = answer.replaced(clean);
        if let Some(exchange) = exchange {
            let shown = out::without_tokens(&exchange, &mut parts.headers, &answer.bytes);
            answer = answer.replaced(shown.into());
        }
        // It takes up its room until the guest has read it or let go of it.
        let body = Full::new(Bytes::from_owner(answer)).map_err(|never| match never {});
        Ok(Response::from_parts(parts, body.boxed_unsync()))
    }
}

fn not_taken(why: NotTaken<Error>, lines: &Lines) -> Error {
    match why {
        NotTaken::Broken(error) => error,
        NotTaken::Full(limit) => {
            tell(
                lines,
                &format!(
                    "the bodies of this call's requests are together larger than {limit} bytes"
                ),
            );
            Error::HttpRequestBodySize(Some(limit))
        }
        NotTaken::Trailers => {
            tell(
                lines,
                "a request has trailers, which are not sent; leave them out",
            );
            Error::HttpRequestTrailerSectionSize(Some(0))
        }
    }
}

/// The only way to tell the author more than the standard's codes do.
fn tell(lines: &Lines, why: &str) {
    let text = format!("a request by wasi:http was not sent or not answered: {why}");
    lines.write(LogLevel::Warn, &text, Value::Null);
}

/// Every part was read by a parser when it was set; whether they make a URL that may be reached is egress's to say.
fn url(request: &HostOutgoingRequest) -> Result<String, Refusal> {
    let scheme = match &request.scheme {
        None | Some(Scheme::Https) => "https",
        Some(Scheme::Http) => "http",
        Some(Scheme::Other(scheme)) => scheme.as_str(),
    };
    match request.authority.as_deref() {
        None | Some("") => Err(Refusal {
            code: "bad_url",
            say: "the url names no host; by wasi:http it is always absolute".to_owned(),
        }),
        Some(host) => {
            let path = request.path_with_query.as_deref().unwrap_or_default();
            Ok(format!("{scheme}://{host}{path}"))
        }
    }
}

fn method(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(name) => name,
    }
}
