//! The life of a connection: sign in, test, refresh, disconnect, call.

mod actor;
mod api;
mod catalogue;
mod clock;
mod engine;
mod error;
pub mod view;

pub use actor::{Actor, PlatformKey};
pub use catalogue::{AppSource, Catalogue, CatalogueError};
pub use clock::{Clock, Entropy, OsEntropy, SystemClock};
pub use engine::{Engine, EngineParts, Options};
pub use error::ConnectError;
