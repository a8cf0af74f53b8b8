//! The HTTP side of Keyport: the API under `/v1`, the hosted pages, sign-in callbacks, health and metrics.
//!
//! This crate only translates. A handler says who may ask, what is asked and what is answered, and calls
//! [`keyport_connect::Engine`], where the rules live. Every error becomes one shape in [`problem`]; every
//! answer passes [`observe`] (request id, log line, counter, security headers) on the way out.
//!
//! Threats that are met here: a foreign `Host` ([`guard`]), requests that another site makes in a
//! signed-in person's browser ([`guard`], [`cookie`]), oversized bodies, repeated POSTs ([`idempotency`]),
//! secrets in logs ([`observe`] knows route templates only), a clear-text bind ([`listen`]).
//!
//! | module | what lives in it |
//! |---|---|
//! | [`state`] | what handlers share; the public address |
//! | [`problem`], [`extract`], [`auth`] | errors, readers of bodies and queries, who is asking |
//! | `v1` | the routes of the API; [`openapi`] the document about them, `docs` the page to read it |
//! | `callback` | sign-in at the provider: going there, coming back |
//! | [`pages`] | the Apps page, the connect window, connect.js |
//! | `health`, `metrics`, [`observe`] | what operators look at |
//! | [`listen`], [`serve`] | sockets, TLS, graceful end, the housekeeping loop |
//!
//! Left out: CORS (no route needs it; the pages and the API are each called from their own origin).

pub mod cookie;
pub mod problem;
pub mod state;

pub use problem::Problem;
pub use state::{PublicUrl, PublicUrlError, ServerState};
