//! The life of a connection: sign in, test, refresh, disconnect, call. The product's rules live here.
//!
//! [`Engine`] is all of it: the server only translates HTTP. It is put together once from a vault (where everything is
//! kept), an egress (the one door out), a plugin host (the sandbox that components run in) and a catalogue of apps.
//!
//! | module | what lives in it |
//! |---|---|
//! | `engine`, `clock` | construction, limits and times, time and randomness as inputs |
//! | `catalogue` | the apps: manifests, forms, components |
//! | `configuration` | what the operator sets for an app: OAuth clients and the hosts that they are pinned to |
//! | `session` | short-lived rights of one owner's browser, and the hand-over to the platform's backend |
//! | `flow` | sign-ins under way: forms, authorization, callbacks |
//! | `login` | an app's own log-in requests; discovery after a sign-in |
//! | `signing` | signatures over requests, minted tokens, temporary keys |
//! | `token` | exchange, refresh, revocation |
//! | `jose` | signed tokens: made here, and checked here |
//! | `alive` | what is due without anybody asking: renewals, tests |
//! | `connection` | states, verbs, test calls, imports |
//! | `use_` | proxy, actions, triggers, credentials |
//! | `record`, `hidden`, `ids` | what is kept and how; strings nobody prints; ids and bearer values |
//! | `fault` | places where a test stops a debug build dead |
//! | `event`, `event_index`, `audit` | what happened; whom it is about; the same chained, exported and proven |
//! | `trigger`, `outbox` | triggers that are subscribed; events on their way to the platform |
//! | `turn`, `once`, `timetable` | one at a time for a connection; what is asked for twice is done once; what has its time |
//! | `key`, `sweep`, `upkeep` | platform keys; what time does; the vault's keys and backups, for operators |
//! | [`view`] | the shapes that leave |
//!
//! Left out on purpose: HTTP, cookies' syntax, pages (the server); sealing (the vault); addresses and TLS (egress).

mod actor;
mod alive;
mod audit;
mod catalogue;
mod clock;
mod configuration;
mod connection;
mod engine;
mod error;
mod event;
mod event_index;
mod fault;
mod flow;
mod hidden;
mod ids;
mod jose;
mod key;
mod login;
mod once;
mod outbox;
mod record;
mod session;
mod signing;
mod sweep;
#[cfg(test)]
mod tests;
mod timetable;
mod token;
mod trigger;
mod turn;
mod upkeep;
mod use_;
pub mod view;

pub use actor::{Actor, PlatformKey};
pub use audit::{AuditLine, AuditReport, Position};
pub use catalogue::{AppSource, Catalogue, CatalogueError, LeftOut, ReadApp};
pub use clock::{Clock, Entropy, OsEntropy, SystemClock};
pub use engine::{Engine, EngineParts, Options};
pub use error::{ConnectError, FieldSay};
/// What a proxied request and its answer carry: bytes or a stream.
pub use keyport_egress::Body;
/// What operators choose in looking after the vault.
pub use keyport_vault::{Inventory, Level, RootKey};
pub use once::{Begun, Ticket};
pub use trigger::{HookAnswer, HookCall};
pub use upkeep::{Rotate, UpkeepStatus};
pub use use_::InputOf;
pub use use_::trial::Trial;
