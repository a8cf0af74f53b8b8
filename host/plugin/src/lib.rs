//! The wasmtime engine: load, check, limit and call an app's component.
//!
//! A component is code that nobody here wrote or read. It runs in a store of its own per call, which holds one connection's
//! pass and nothing else; it has no files, no sockets, no environment, and one way out, which is `keyport-egress` with
//! that pass. It holds no credential: egress attaches it after the component has handed its request over, and a
//! secret that a component must place itself is a placeholder to it.
//!
//! The threats: a component that loops, grows, floods, crashes, forges its log, asks for hosts or headers that it may not
//! have, keeps something for the next owner's call, or is not the component that was reviewed. Each limit has a name, and
//! the error says it.
//!
//! | module | what lives in it |
//! |---|---|
//! | `host` | loading: compile, link, look at the exports |
//! | `app` | calling: one store, one time limit, one verdict |
//! | `imports` | what a guest may call, and the one way out |
//! | `wasi_http` | `wasi:http`, by the same way out |
//! | `exchange` | token requests that a component makes, without seeing a token |
//! | `state` | the data of one store |
//! | `engine`, `limits` | wasmtime's configuration and every number |
//! | `cache`, `mapped` | compiled code between starts, sealed and bounded; `mapped` has the one `unsafe` |
//! | `log` | a guest's lines: counted, cut, escaped, scrubbed |
//! | `json` | what a guest hands over as JSON: counted before it is read |
//! | `trial` | the first start of a component |
//!
//! Left out on purpose: re-using an instance for a second call, anything asynchronous across the
//! boundary.

mod app;
mod bindings;
mod cache;
mod call;
mod engine;
mod error;
mod exchange;
mod host;
mod imports;
mod json;
mod limits;
mod log;
mod mapped;
mod state;
mod trial;
mod wasi_http;

pub use app::LoadedApp;
pub use cache::{Bounds, CodeCache, Tidied};
pub use call::{Call, Exports, LogLevel, LogLine, LogSink, Minter, Page, SecretKit};
pub use error::{CallError, Failure, PluginError};
pub use exchange::TokenRequest;
pub use host::{PluginConfig, PluginHost};
pub use keyport_manifest::{Account, Means};
pub use limits::CallLimits;
