//! Why a component could not be loaded, and why a call did not give a result.
//!
//! A [`Failure`] is the component's own word about the app (the sign-in ended, try again later) and is acted upon. A
//! trap or a broken limit is a fault of the component and is reported as one, with the app's name and the limit's. No
//! variant carries a secret: what a guest says is scrubbed before it gets here.

use keyport_manifest::Means;
use serde_json::Value;

/// Why the engine did not start or a component was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The engine did not start.
    #[error("the wasm engine did not start: {0}")]
    Engine(String),
    /// Not a component, or one that needs features that are off.
    #[error("{app}: this is not a component that can run here: {why}")]
    NotAComponent {
        /// The app.
        app: String,
        /// The engine's word.
        why: String,
    },
    /// It imports what the host does not give.
    #[error(
        "{app}: the component imports something that the host does not provide: {why}; build it against wit/ of this version"
    )]
    Import {
        /// The app.
        app: String,
        /// The engine's word.
        why: String,
    },
    /// An export is missing, or has another shape than the contract's.
    #[error(
        "{app}: the component's export {interface} is missing or not of this version of the contract: {why}"
    )]
    Export {
        /// The app.
        app: String,
        /// The interface, such as `keyport:provider/connection`.
        interface: &'static str,
        /// The engine's word.
        why: String,
    },
    /// It could not be started even once.
    #[error("{app}: the component cannot be started: {why}")]
    Start {
        /// The app.
        app: String,
        /// The engine's word.
        why: String,
    },
    /// The folder for compiled code cannot be used.
    #[error("the folder for compiled components, {folder}, cannot be used: {why}")]
    Cache {
        /// The folder.
        folder: String,
        /// What is wrong and what to do.
        why: String,
    },
}

/// What a component says went wrong, with its meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What the host should make of it.
    pub means: Means,
    /// A stable word of the component's, such as `bad_channel`; may be empty.
    pub code: String,
    /// A sentence for the person.
    pub say: String,
    /// How long to wait before another try, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// More, for machines; `null` if there is nothing.
    pub data: Value,
}

/// Why a call gave no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The component answered that it did not work.
    #[error("{}", .0.say)]
    Failure(Failure),
    /// The component crashed: a bug of its author's.
    #[error("the component of {app} crashed: {detail}")]
    Trap {
        /// The app.
        app: String,
        /// The kind of trap; never guest memory.
        detail: String,
    },
    /// The component used more than it may.
    #[error("the component of {app} went over its limit of {limit}")]
    Limit {
        /// The app.
        app: String,
        /// Which limit: `memory`, `table`, `cpu time`, `host call size`, `handles`, …
        limit: &'static str,
    },
    /// The whole call took too long.
    #[error("the component of {app} took longer than {after_ms} ms")]
    Timeout {
        /// The app.
        app: String,
        /// The time it had.
        after_ms: u64,
    },
    /// The component does not do such a thing at all.
    #[error("the component of {app} has no {interface}")]
    NoSuchExport {
        /// The app.
        app: String,
        /// `actions`, `triggers`, …
        interface: &'static str,
    },
    /// The component answered with something that is not what the contract says.
    #[error("the component of {app} gave a bad answer: {why}")]
    BadAnswer {
        /// The app.
        app: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Too many calls at once; try again.
    #[error("too many calls into components at once; try again in a moment")]
    Busy,
}

impl CallError {
    /// A stable word for APIs, logs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Failure(_) => "failure",
            Self::Trap { .. } => "component_crashed",
            Self::Limit { .. } => "component_limit",
            Self::Timeout { .. } => "component_timeout",
            Self::NoSuchExport { .. } => "not_offered",
            Self::BadAnswer { .. } => "component_bad_answer",
            Self::Busy => "busy",
        }
    }
}
