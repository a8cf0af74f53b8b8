//! `wasi:http` 0.2, so that a standard `fetch` works: another import for the same way out.
//!
//! What leaves is what `keyport:provider/http` would send: one counter of requests, one pass, one egress with all its steps, so
//! the same hosts, the same credential for each of them, the same refusals, the same scrubbing. There is no credential that a
//! request by `wasi:http` gets and another does not, and no choice for the guest to make.
//!
//! | file | what lives in it |
//! |---|---|
//! | `handler` | `outgoing-handler`: a request handed over, its future |
//! | `types` | `types`: wasmtime's own implementation, behind a counter of what headers and addresses take up |
//! | `room` | bodies that the host holds in memory |
//! | `errors` | egress's errors as the standard's codes |
//!
//! The resources (fields, bodies, streams, futures) are those of `wasmtime-wasi-http`; its transport is not built at all, and
//! its `handle`, which would send, is replaced. The threats, beside those of `http`:
//!
//! - *memory of the host through resources*: each `fields` may grow, and so may a method, an authority or a path before anything
//!   is sent. Everything that goes into them is counted over the call and never given back; the number of resources is limited
//!   as it was; a body is taken in pieces of 16 KiB, of which two wait;
//! - *requests in the background*: a guest may start many and wait for none. They count when they start, a few are under way at a
//!   time and the others wait in line, and all end when their future or the store is dropped;
//! - *connections of the host through answers that nobody reads*: an answer is read whole, as by `http`, before its future is
//!   ready, so what the guest does with it holds up nothing; the bytes of bodies that are held at a time are limited, both ways;
//! - *framing*: a `content-length` of the guest's is compared with what it wrote and never sent; the body is taken whole, as by
//!   `http`, so a request goes out with its length and can be signed. Trailers are refused: no check would see them;
//! - *time*: what a guest asks for (`request-options`) can only make the host's limits shorter. A limit for connecting alone is
//!   not kept apart, because connections are shared by an owner's calls.
//!
//! The standard's error codes carry no sentence, so that of the refusal goes to the call's log.
//!
//! Left out: `incoming-handler` (nothing calls a guest by HTTP), and streaming from and to the app.

mod errors;
mod handler;
mod room;
mod types;

use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi_http::p2::bindings::http::{outgoing_handler, types as http_types};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpHooks};

use crate::limits::CallLimits;
use crate::state::State;
use room::Rooms;

/// The interface that a component imports to send requests by the standard.
pub const OUTGOING: &str = "wasi:http/outgoing-handler";

/// What a guest may hand over of a body in one piece.
const PIECE_BYTES: usize = 16 << 10;
/// Bytes of one `fields`, as wasmtime counts them (about twice what is sent): egress allows 64 KiB of a request's headers.
const FIELDS_BYTES: usize = 128 << 10;

/// Adds both interfaces.
pub fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let options = http_types::LinkOptions::default();
    outgoing_handler::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    http_types::add_to_linker::<_, HasSelf<State>>(linker, &options, |state| state)
}

/// What one call has of it.
pub struct WasiHttp {
    pub(crate) ctx: WasiHttpCtx,
    pub(crate) hooks: Hooks,
    /// Bytes that went into headers, methods and addresses so far.
    taken: usize,
    /// Made when the first request comes.
    rooms: Option<Rooms>,
}

impl WasiHttp {
    pub fn new() -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(FIELDS_BYTES);
        Self {
            ctx,
            hooks: Hooks,
            taken: 0,
            rooms: None,
        }
    }

    fn rooms(&mut self, limits: &CallLimits) -> Rooms {
        self.rooms.get_or_insert_with(|| Rooms::new(limits)).clone()
    }
}

/// What wasmtime's resources ask for. Which headers a guest may not set is egress's to say; those of the connection are refused
/// where they are written already, and taken out of answers, as is wasmtime's own default (`DEFAULT_FORBIDDEN_HEADERS`).
pub struct Hooks;

type Sending<T> = Box<dyn Future<Output = Result<T, Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE_BYTES
    }

    /// Nothing comes here: `handler` has a `handle` of its own. If anything did, it would not leave.
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _done: Sending<()>,
    ) -> Sending<(http::Response<WasiBody>, Sending<()>)> {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}
