//! Steps 6 and 7 on the way back: an upstream's answer becomes one that may be passed on.
//!
//! Against an upstream that is hostile or broken: one that announces or sends too much, never ends, goes
//! silent, drips, explodes when decompressed, sets cookies, or sends back what it was sent. The body is
//! streamed through these checks piece by piece; on the first fault the stream ends with an error and the
//! connection is closed.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Duration, Instant, timeout_at};

use crate::body::Body;
use crate::decode::{Decoder, PIECE};
use crate::error::{EgressError, Part, Wait};
use crate::headers;
use crate::limits::{Limits, after};
use crate::scrub::{ScrubStream, Scrubber};

/// What the call allows its answer.
pub(crate) struct Terms {
    pub limits: Limits,
    /// When the body must have ended, where that is limited.
    pub body_deadline: Option<Instant>,
    /// Whether cookies are passed on: to the host's own flows, which may be told to keep one.
    pub cookies: bool,
    /// What may not come back; empty for the host's own flows.
    pub scrubber: Scrubber,
}

/// Checks an answer's head and wraps its body.
pub(crate) fn receive(
    method: &Method,
    answer: Response<Incoming>,
    terms: Terms,
) -> Result<Response<Body>, EgressError> {
    let (parts, incoming) = answer.into_parts();
    let Terms {
        limits,
        body_deadline,
        cookies,
        scrubber,
    } = terms;
    let (status, mut map) = (parts.status, parts.headers);
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(EgressError::BadAnswer("it switches to another protocol"));
    }
    headers::check_size(&map, limits.header_bytes, Part::ResponseHeaders)?;
    headers::strip_answer(&mut map, cookies);
    let has_body = *method != Method::HEAD
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED;
    let mut body = Body::empty();
    if has_body {
        let too_large =
            incoming_length(&incoming).is_some_and(|length| length > limits.response_body);
        if too_large {
            return Err(EgressError::TooLarge {
                what: Part::ResponseBody,
                limit: limits.response_body,
            });
        }
        let decoder = Decoder::for_answer(&map)?;
        map.remove(CONTENT_ENCODING);
        if decoder.is_some() || !scrubber.is_empty() {
            map.remove(CONTENT_LENGTH);
        }
        body = Reader {
            incoming,
            idle: limits.idle,
            deadline: body_deadline,
            limit: limits.response_body,
            received: 0,
            produced: 0,
            undecoded: Bytes::new(),
            decoder,
            scrub: (!scrubber.is_empty()).then(|| scrubber.stream()),
            ended: false,
        }
        .into_body();
    }
    scrub_headers(&scrubber, &mut map);
    let mut out = Response::new(body);
    *out.status_mut() = status;
    *out.headers_mut() = map;
    Ok(out)
}

/// Takes out of every header's value what may not come back.
pub(crate) fn scrub_headers(scrubber: &Scrubber, map: &mut HeaderMap) {
    if scrubber.is_empty() {
        return;
    }
    for value in map.values_mut() {
        let clean = scrubber.bytes(value.as_bytes());
        if clean != value.as_bytes() {
            // Taking bytes out of a valid value and putting plain text in leaves it valid.
            *value = HeaderValue::from_bytes(&clean)
                .unwrap_or_else(|_| HeaderValue::from_static(crate::scrub::MARK));
        }
    }
}

fn incoming_length(incoming: &Incoming) -> Option<u64> {
    http_body::Body::size_hint(incoming).exact()
}

/// A body being read: wire → limit → decoder → limit → scrubber.
struct Reader {
    incoming: Incoming,
    idle: Duration,
    deadline: Option<Instant>,
    limit: u64,
    received: u64,
    produced: u64,
    undecoded: Bytes,
    decoder: Option<Decoder>,
    scrub: Option<ScrubStream>,
    ended: bool,
}

impl Reader {
    fn into_body(self) -> Body {
        if self.decoder.is_none()
            && self.scrub.is_none()
            && let Some(length) = incoming_length(&self.incoming)
        {
            // Nothing changes the length, so the next hop may learn it.
            return Body::sized(self.into_stream(), length);
        }
        Body::from_stream(self.into_stream())
    }

    fn into_stream(self) -> impl futures_util::Stream<Item = Result<Bytes, EgressError>> + Send {
        futures_util::stream::try_unfold(self, |mut reader| async move {
            Ok(reader.next_piece().await?.map(|piece| (piece, reader)))
        })
    }

    /// The next piece to pass on; `None` at the end. May be empty only in between.
    async fn next_piece(&mut self) -> Result<Option<Bytes>, EgressError> {
        while !self.ended {
            let decoded = if self.undecoded.is_empty() {
                match self.next_from_wire().await? {
                    Some(piece) if self.decoder.is_some() => {
                        self.undecoded = piece;
                        continue;
                    }
                    Some(piece) => piece,
                    None => {
                        self.ended = true;
                        match &mut self.decoder {
                            Some(decoder) => decoder.finish(self.received)?.into(),
                            None => Bytes::new(),
                        }
                    }
                }
            } else {
                let piece = self.undecoded.split_to(PIECE.min(self.undecoded.len()));
                match &mut self.decoder {
                    Some(decoder) => decoder.push(&piece)?.into(),
                    None => piece,
                }
            };
            self.produced = self.count(self.produced, decoded.len())?;
            let clean = self.scrubbed(decoded);
            if !clean.is_empty() {
                return Ok(Some(clean));
            }
        }
        Ok(None)
    }

    fn scrubbed(&mut self, piece: Bytes) -> Bytes {
        let Some(scrub) = &mut self.scrub else {
            return piece;
        };
        let mut clean = scrub.push(&piece);
        if self.ended {
            clean.extend(scrub.finish());
        }
        clean.into()
    }

    async fn next_from_wire(&mut self) -> Result<Option<Bytes>, EgressError> {
        loop {
            let silence = after(self.idle);
            let until = self
                .deadline
                .map_or(silence, |deadline| deadline.min(silence));
            let frame = timeout_at(until, self.incoming.frame())
                .await
                .map_err(|_| EgressError::Timeout(Wait::Body))?;
            let Some(frame) = frame else { return Ok(None) };
            // Trailers are dropped: no check has seen them.
            if let Ok(piece) = frame.map_err(|_| EgressError::Broken)?.into_data() {
                self.received = self.count(self.received, piece.len())?;
                return Ok(Some(piece));
            }
        }
    }

    fn count(&self, so_far: u64, more: usize) -> Result<u64, EgressError> {
        let sum = so_far.saturating_add(more as u64);
        if sum > self.limit {
            return Err(EgressError::TooLarge {
                what: Part::ResponseBody,
                limit: self.limit,
            });
        }
        Ok(sum)
    }
}
