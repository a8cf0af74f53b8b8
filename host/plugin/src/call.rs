//! What one call brings, and what it gives back.
//!
//! A [`Call`] is made for one connection and used once; it is moved into a store that dies with the call. It has no
//! `Debug`, because its pass and its kit hold credentials.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use keyport_egress::{Egress, Pass};
use keyport_manifest::{Handle, Recipe, Scope};
use serde_json::Value;

/// Takes the log lines of a call. Called from within the call: it must not block.
pub type LogSink = Arc<dyn Fn(LogLine) + Send + Sync>;

/// Everything that one call may know and do.
#[derive(Clone)]
pub struct Call {
    /// `guest_view` (or `guest_view_for`) of the manifest, as JSON.
    pub manifest: Arc<str>,
    /// Public fields and captures by their names, and `account.id` / `account.label` where they are known. Never a
    /// secret: the guest reads them.
    pub values: BTreeMap<String, String>,
    /// The door out.
    pub egress: Egress,
    /// What may go through it. Its purpose should be `Guest`.
    pub pass: Pass,
    /// Recipes and handles, and the secrets they work on.
    pub secrets: SecretKit,
    /// Where log lines go, capped, escaped and scrubbed.
    pub log: LogSink,
    /// Refuses requests that write: for test calls and for actions declared as reading.
    pub read_only: bool,
    /// Time of the whole call; the limits' `wall` is the ceiling.
    pub deadline: Duration,
}

/// What the manifest lets a component do with secrets, and the secrets. They stay on this side: a guest gets
/// placeholders that egress redeems.
#[derive(Clone, Default)]
pub struct SecretKit {
    /// Declared recipes, by name.
    pub recipes: IndexMap<String, Recipe>,
    /// Declared handles, by name.
    pub handles: IndexMap<String, Handle>,
    /// Holds `credentials`, `token`, `fields` …: used here only to render keys.
    pub scope: Scope,
}

impl SecretKit {
    /// No recipes, no handles, no secrets.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }
}

/// One line of a component's log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// How loud.
    pub level: LogLevel,
    /// One line: control characters are escaped, secrets are scrubbed, the end may be cut.
    pub text: String,
    /// What the component attached; `null` if nothing or if it was too large.
    pub data: Value,
}

/// How loud a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// For the author; what a guest prints to stdout is one of these.
    Debug,
    /// Ordinary.
    Info,
    /// Worth a look; what a guest prints to stderr is one of these.
    Warn,
    /// Broken.
    Error,
}

/// What a component exports beside `connection`, which every component has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exports {
    /// Code of its own after connecting and before disconnecting.
    pub lifecycle: bool,
    /// Actions.
    pub actions: bool,
    /// Triggers.
    pub triggers: bool,
    /// Unusual token requests.
    pub exchange: bool,
}

/// What one poll of a trigger found.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// New events, oldest first.
    pub events: Vec<Value>,
    /// Where to go on next time; kept by the caller, opaque to it.
    pub cursor: Value,
    /// Whether asking again at once would find more.
    pub more: bool,
}
