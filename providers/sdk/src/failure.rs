//! What went wrong at the app, and what follows from it.

use serde_json::Value;

use crate::host::Refusal;

/// What follows from a failure. The host acts on it, so choose the weakest that is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// The app no longer accepts the sign-in: the person must sign in again.
    NeedsReconnect,
    /// The sign-in holds but lacks a right.
    MissingScope,
    /// Too many requests; the host waits.
    RateLimited,
    /// The app is down; the host tries again by itself.
    ProviderDown,
    /// What was asked for does not exist.
    NotFound,
    /// The input is at fault.
    InvalidInput,
    /// Anything else.
    Other,
}

/// A failure with its meaning and a sentence for the person.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What follows.
    pub means: Means,
    /// A stable word for machines; may be empty.
    pub code: String,
    /// One sentence for the person. No secrets, no raw answer of the app.
    pub say: String,
    /// How long the app asks to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// More for machines; `null` if nothing. Boxed, as most failures have none and every result would carry its size.
    pub data: Box<Value>,
}

impl Failure {
    /// A failure of this meaning.
    pub fn new(means: Means, say: impl Into<String>) -> Self {
        Self {
            means,
            code: String::new(),
            say: say.into(),
            retry_after_ms: None,
            data: Box::new(Value::Null),
        }
    }

    /// The app no longer accepts the sign-in.
    pub fn needs_reconnect(say: impl Into<String>) -> Self {
        Self::new(Means::NeedsReconnect, say)
    }

    /// The input is at fault.
    pub fn invalid_input(say: impl Into<String>) -> Self {
        Self::new(Means::InvalidInput, say)
    }

    /// It does not exist.
    pub fn not_found(say: impl Into<String>) -> Self {
        Self::new(Means::NotFound, say)
    }

    /// The app is down or talks nonsense.
    pub fn provider_down(say: impl Into<String>) -> Self {
        Self::new(Means::ProviderDown, say)
    }

    /// Anything else.
    pub fn other(say: impl Into<String>) -> Self {
        Self::new(Means::Other, say)
    }

    /// With a stable word for machines.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = code.into();
        self
    }

    /// With more for machines.
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = Box::new(data);
        self
    }
}

/// No answer at all: down if trying again may help, else a fault of the component or its manifest.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let means = if refusal.transient {
            Means::ProviderDown
        } else {
            Means::Other
        };
        Self {
            code: refusal.code,
            ..Self::new(means, refusal.say)
        }
    }
}
