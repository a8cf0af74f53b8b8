//! What one call brings, and what it gives back.
//!
//! A [`Call`] is made for one connection and used once; it is moved into a store that dies with the call. It has no
//! `Debug`, because its pass and its kit hold credentials.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use keyport_egress::{Egress, Pass};
use keyport_manifest::{Handle, Jwt, Manifest, Recipe, RecipeError, Scope, SecretText};
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
    /// What may go through it. Its purpose is `Guest`, whatever it says.
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
    /// What signs JWTs; without it, recipes of that kind are refused.
    pub minter: Option<Minter>,
}

/// Signs the JWT that a recipe declares, with values of this scope.
pub type Minter = Arc<dyn Fn(&Jwt, &Scope) -> Result<SecretText, RecipeError> + Send + Sync>;

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

impl Exports {
    /// What a manifest says that its component does and that this one does not: one sentence each. What a component does
    /// beyond its manifest is never called.
    #[must_use]
    pub fn lacks(&self, manifest: &Manifest) -> Vec<String> {
        let by_code = |what: &str, key: &str, interface: &str| {
            format!(
                "the manifest has {what} under `{key}`, and the component exports no `keyport:provider/{interface}`"
            )
        };
        let mut lacks = Vec::new();
        if manifest.lifecycle != keyport_manifest::Lifecycle::default() && !self.lifecycle {
            lacks.push(by_code("code of its own", "lifecycle", "lifecycle"));
        }
        for (id, action) in &manifest.actions {
            if action.code && !self.actions {
                let key = format!("actions.{id}");
                lacks.push(by_code("an action of its own code", &key, "actions"));
            }
        }
        for (id, trigger) in &manifest.triggers {
            if trigger.code && !self.triggers {
                let key = format!("triggers.{id}");
                lacks.push(by_code("a trigger of its own code", &key, "triggers"));
            }
        }
        for (id, auth) in &manifest.auth {
            let by_component = auth
                .oauth2()
                .is_some_and(|oauth| oauth.by_component.is_some());
            if by_component && !self.exchange {
                let key = format!("auth.{id}.by_component");
                lacks.push(by_code("token requests", &key, "exchange"));
            }
        }
        lacks
    }
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
