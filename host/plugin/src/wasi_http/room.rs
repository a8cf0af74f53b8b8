//! What a call's requests may take up together: places in the line to the app, and bytes of bodies that the host holds.
//!
//! Own `http` has one request at a time, so a limit for one is a limit for all. Here fifty may be started at once.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::CallLimits;

/// Of one call. Clones are the same.
#[derive(Clone)]
pub struct Rooms {
    /// Bodies on their way out: all of them together as large as one may be.
    pub up: Room,
    /// Answers that the guest has not read: one as large as it may be, and as much again.
    pub down: Room,
    /// Requests that are under way.
    pub line: Arc<Semaphore>,
}

impl Rooms {
    pub fn new(limits: &CallLimits) -> Self {
        Self {
            up: Room::new(limits.request_bytes),
            down: Room::new(limits.response_bytes.saturating_mul(2)),
            line: Arc::new(Semaphore::new(limits.requests_at_once)),
        }
    }
}

/// Room for bytes. Clones are the same room.
#[derive(Clone)]
pub struct Room {
    free: Arc<Semaphore>,
    bytes: u64,
}

/// Why a body was not taken.
pub enum NotTaken<E> {
    /// There is no room for it; this much there is in all.
    Full(u64),
    /// It has trailers.
    Trailers,
    /// Reading it failed.
    Broken(E),
}

/// Bytes in a room; dropping them makes room.
pub struct Held {
    pub bytes: Bytes,
    _places: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// Other bytes in the same places.
    pub fn replaced(self, bytes: Bytes) -> Self {
        Self { bytes, ..self }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Room {
    pub fn new(bytes: u64) -> Self {
        let places = usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            free: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            bytes,
        }
    }

    /// Reads a body to its end. Never waits for room: a guest that holds all of it itself would wait for ever.
    pub async fn take<B>(&self, body: B) -> Result<Held, NotTaken<B::Error>>
    where
        B: Body<Data = Bytes>,
    {
        let mut body = std::pin::pin!(body);
        let mut bytes = BytesMut::new();
        let mut places: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let piece = match frame.map_err(NotTaken::Broken)?.into_data() {
                Ok(piece) => piece,
                Err(frame) if frame.trailers_ref().is_none_or(http::HeaderMap::is_empty) => {
                    continue;
                }
                Err(_) => return Err(NotTaken::Trailers),
            };
            let more = u32::try_from(piece.len())
                .ok()
                .and_then(|many| Arc::clone(&self.free).try_acquire_many_owned(many).ok())
                .ok_or(NotTaken::Full(self.bytes))?;
            match &mut places {
                Some(places) => places.merge(more),
                None => places = Some(more),
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Held {
            bytes: bytes.freeze(),
            _places: places,
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{Full, StreamBody};

    use super::*;

    fn full(text: &'static str) -> Full<Bytes> {
        Full::new(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn what_is_held_takes_room_until_it_is_dropped() {
        let room = Room::new(5);
        let held = room.take(full("abc")).await.ok().unwrap();
        assert_eq!(held.bytes, "abc");
        assert!(matches!(
            room.take(full("def")).await,
            Err(NotTaken::Full(5))
        ));
        assert_eq!(room.take(full("de")).await.ok().unwrap().bytes, "de");
        drop(held);
        assert_eq!(room.take(full("fghij")).await.ok().unwrap().bytes, "fghij");
    }

    #[tokio::test]
    async fn a_body_with_trailers_is_not_taken_and_one_with_none_to_say_is() {
        let with = |trailers: http::HeaderMap| {
            let frames = [
                Ok::<_, std::convert::Infallible>(http_body::Frame::data(Bytes::from_static(b"a"))),
                Ok(http_body::Frame::trailers(trailers)),
            ];
            StreamBody::new(futures_util::stream::iter(frames))
        };
        let room = Room::new(5);
        assert!(room.take(with(http::HeaderMap::new())).await.is_ok());
        let mut trailers = http::HeaderMap::new();
        trailers.insert("authorization", "mine".parse().unwrap());
        assert!(matches!(
            room.take(with(trailers)).await,
            Err(NotTaken::Trailers)
        ));
    }
}
