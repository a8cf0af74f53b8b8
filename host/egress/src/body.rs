//! One body type for both directions: bytes in memory or a stream, read with limits.
//!
//! Trailers are dropped on both ways: nothing above uses them, and a trailer is a header that no check
//! has seen.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, TryStreamExt};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};

use crate::error::{EgressError, Part};

/// A request's or an answer's body.
pub struct Body(UnsyncBoxBody<Bytes, EgressError>);

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::from_bytes(Bytes::new())
    }

    /// Bytes in memory; sent with their length.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(
            Full::new(bytes.into())
                .map_err(|never| match never {})
                .boxed_unsync(),
        )
    }

    /// A stream of unknown length; sent in chunks. An error of the stream becomes
    /// [`EgressError::RequestBody`] unless it is an [`EgressError`] already.
    pub fn from_stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self(
            StreamBody::new(stream.map(|item| item.map(Frame::data).map_err(own_error)))
                .boxed_unsync(),
        )
    }

    /// Any other `http_body::Body`, with its length where it knows it. Errors as in
    /// [`from_stream`](Self::from_stream).
    pub fn wrap<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self(body.map_err(own_error).boxed_unsync())
    }

    /// A stream whose length is known.
    pub(crate) fn sized<S>(stream: S, length: u64) -> Self
    where
        S: Stream<Item = Result<Bytes, EgressError>> + Send + 'static,
    {
        Self(
            Sized {
                body: Self::from_stream(stream),
                left: length,
            }
            .boxed_unsync(),
        )
    }

    /// The whole body, or [`EgressError::TooLarge`] as soon as it passes `limit` bytes.
    pub async fn collect(self, limit: u64) -> Result<Bytes, EgressError> {
        self.collect_part(limit, Part::ResponseBody).await
    }

    pub(crate) async fn collect_part(self, limit: u64, what: Part) -> Result<Bytes, EgressError> {
        let too_large = EgressError::TooLarge { what, limit };
        if self.0.size_hint().lower() > limit {
            return Err(too_large);
        }
        let mut all = BytesMut::new();
        let mut stream = self.into_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            if (all.len() as u64).saturating_add(chunk.len() as u64) > limit {
                return Err(too_large);
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// The pieces as they come. Trailers are left out.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, EgressError>> + Send + 'static {
        self.0
            .into_data_stream()
            .try_filter(|bytes| std::future::ready(!bytes.is_empty()))
    }

    /// The exact length in bytes, where it is known before reading.
    pub fn exact_len(&self) -> Option<u64> {
        self.0.size_hint().exact()
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::from_bytes(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from_bytes(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::from_bytes(text)
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        loop {
            match Pin::new(&mut self.0).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if !frame.is_data() => {}
                other => return other,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// A body that says how much of it is left.
struct Sized {
    body: Body,
    left: u64,
}

impl HttpBody for Sized {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            self.left = self.left.saturating_sub(length);
        }
        polled
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Keeps an [`EgressError`] that travelled inside a boxed error; anything else is the caller's body
/// failing, of which no detail is kept.
fn own_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> EgressError {
    error
        .into()
        .downcast::<EgressError>()
        .map_or(EgressError::RequestBody, |own| *own)
}

/// Refuses a request body as soon as it passes `limit` bytes, whatever length it claimed.
pub(crate) fn limit_request(body: Body, limit: u64) -> Result<Body, EgressError> {
    let too_large = EgressError::TooLarge {
        what: Part::RequestBody,
        limit,
    };
    if body.0.size_hint().lower() > limit {
        return Err(too_large);
    }
    if body.exact_len().is_some() {
        // hyper sends exactly the declared length, so there is nothing left to count.
        return Ok(body);
    }
    let mut left = limit;
    Ok(Body::from_stream(body.into_stream().map(move |item| {
        let chunk = item?;
        left = left
            .checked_sub(chunk.len() as u64)
            .ok_or_else(|| too_large.clone())?;
        Ok::<_, EgressError>(chunk)
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(parts: &[&'static str]) -> Body {
        let parts: Vec<Result<Bytes, EgressError>> = parts
            .iter()
            .map(|part| Ok(Bytes::from_static(part.as_bytes())))
            .collect();
        Body::from_stream(futures_util::stream::iter(parts))
    }

    #[tokio::test]
    async fn a_stream_is_collected_up_to_the_limit_and_not_a_byte_more() {
        assert_eq!(
            chunks(&["abc", "", "de"]).collect(5).await,
            Ok(Bytes::from("abcde"))
        );
        assert_eq!(
            chunks(&["abc", "def"]).collect(5).await,
            Err(EgressError::TooLarge {
                what: Part::ResponseBody,
                limit: 5
            })
        );
        assert!(Body::from_bytes("abcdef").collect(5).await.is_err());
    }

    #[tokio::test]
    async fn a_streamed_request_body_fails_at_the_limit_and_a_known_one_before_it_starts() {
        assert!(limit_request(Body::from_bytes("abcdef"), 5).is_err());
        let limited = limit_request(chunks(&["abc", "def"]), 5).unwrap();
        assert_eq!(
            limited.collect(100).await,
            Err(EgressError::TooLarge {
                what: Part::RequestBody,
                limit: 5
            })
        );
        let limited = limit_request(chunks(&["abc", "de"]), 5).unwrap();
        assert_eq!(limited.collect(100).await, Ok(Bytes::from("abcde")));
    }

    #[tokio::test]
    async fn a_foreign_stream_error_keeps_no_detail() {
        let body = Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>(
            std::io::Error::other("secret detail"),
        )]));
        assert_eq!(body.collect(10).await, Err(EgressError::RequestBody));
    }
}
