//! Everything that can go wrong, in one small enum: a stable code for programs and a sentence for people.
//!
//! No variant can carry a secret or a provider's raw answer: what providers say reaches these errors only through a
//! manifest's own `say` or through the standard OAuth error codes. The server maps them to problem details in one place.

use keyport_manifest::rules::Means;

/// What is wrong with one field of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSay {
    /// Which one: `input.title`.
    pub field: String,
    /// What is wrong with it; nothing of its value.
    pub say: String,
}

/// Why something was not done. Unless it says otherwise, nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There is no such thing, or it belongs to somebody else: the answer is the same.
    #[error("there is no such {what}")]
    NotFound {
        /// `app`, `connection`, `configuration`, `session`, `flow`, `key`.
        what: &'static str,
    },
    /// A value is not acceptable.
    #[error("{say}")]
    Invalid {
        /// Which one: a field's id or a parameter's name.
        field: String,
        /// What to do, in a sentence.
        say: String,
    },
    /// An input does not fit its schema. Nothing was sent.
    #[error("the input does not fit: {}", told(.0))]
    Misfits(Vec<FieldSay>),
    /// What the app answered does not fit its schema.
    #[error("{say}")]
    Output {
        /// Whether something was changed at the app: then it must not be done again.
        done: bool,
        /// What does not fit, and what to do.
        say: String,
    },
    /// The key or the session may not do this.
    #[error("{say}")]
    Forbidden {
        /// Stable code.
        code: &'static str,
        /// What to do.
        say: String,
    },
    /// Something else happened in between; read again and retry.
    #[error("this was changed in the meantime; read it again and retry")]
    Stale,
    /// The thing is not in a state that allows this.
    #[error("{say}")]
    State {
        /// Stable code.
        code: &'static str,
        /// What to do.
        say: String,
    },
    /// A link, cookie, code or session that is no longer good.
    #[error("{say}")]
    Expired {
        /// Stable code.
        code: &'static str,
        /// What to do.
        say: String,
    },
    /// The app's configuration does not allow this; the operator must mend it.
    #[error("{say}")]
    Misconfigured {
        /// Stable code.
        code: &'static str,
        /// What to do.
        say: String,
    },
    /// The app said no, and why.
    #[error("{say}")]
    App {
        /// What its answer means.
        means: Means,
        /// Stable code.
        code: String,
        /// What to do.
        say: String,
        /// When to try again, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// A request was not allowed out.
    #[error("{say}")]
    Refused {
        /// Egress's stable code.
        code: &'static str,
        /// What to do.
        say: String,
    },
    /// This host cannot do it now: the store or the engine is not available.
    #[error("{say}")]
    Unavailable {
        /// Stable code.
        code: &'static str,
        /// What to do.
        say: String,
    },
    /// A bug or a damaged record: told apart from the rest so that it is found.
    #[error("{say}")]
    Internal {
        /// Stable code.
        code: &'static str,
        /// What to do.
        say: String,
    },
}

fn told(fields: &[FieldSay]) -> String {
    fields
        .iter()
        .map(|one| format!("{}: {}", one.field, one.say))
        .collect::<Vec<_>>()
        .join("; ")
}

impl ConnectError {
    /// A stable code, `snake_case`.
    pub fn code(&self) -> &str {
        match self {
            ConnectError::NotFound { .. } => "not_found",
            ConnectError::Invalid { .. } | ConnectError::Misfits(_) => "invalid_input",
            ConnectError::Output { done: true, .. } => "done_with_unexpected_output",
            ConnectError::Output { done: false, .. } => "unexpected_output",
            ConnectError::Stale => "stale",
            ConnectError::Forbidden { code, .. }
            | ConnectError::State { code, .. }
            | ConnectError::Expired { code, .. }
            | ConnectError::Misconfigured { code, .. }
            | ConnectError::Refused { code, .. }
            | ConnectError::Unavailable { code, .. }
            | ConnectError::Internal { code, .. } => code,
            ConnectError::App { code, .. } => code,
        }
    }

    /// The HTTP status that fits best.
    pub fn status(&self) -> u16 {
        match self {
            ConnectError::NotFound { .. } => 404,
            ConnectError::Invalid { .. } | ConnectError::Misfits(_) => 422,
            ConnectError::Output { .. } => 502,
            ConnectError::Forbidden { .. } => 403,
            ConnectError::Stale => 412,
            ConnectError::State { .. } | ConnectError::Misconfigured { .. } => 409,
            ConnectError::Expired { .. } => 410,
            ConnectError::App { means, .. } => match means {
                Means::NeedsReconnect => 409,
                Means::MissingScope => 403,
                Means::NotFound => 404,
                Means::RateLimited => 429,
                Means::InvalidInput => 422,
                Means::ProviderDown | Means::Other => 502,
            },
            ConnectError::Refused { .. } => 403,
            ConnectError::Unavailable { .. } => 503,
            ConnectError::Internal { .. } => 500,
        }
    }

    /// The field at fault, for forms.
    pub fn field(&self) -> Option<&str> {
        match self {
            ConnectError::Invalid { field, .. } => Some(field),
            ConnectError::Misfits(all) => all.first().map(|one| one.field.as_str()),
            _ => None,
        }
    }

    /// When to try again, in milliseconds.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            ConnectError::App { retry_after_ms, .. } => *retry_after_ms,
            _ => None,
        }
    }

    pub(crate) fn not_found(what: &'static str) -> Self {
        ConnectError::NotFound { what }
    }

    pub(crate) fn invalid(field: impl Into<String>, say: impl Into<String>) -> Self {
        ConnectError::Invalid {
            field: field.into(),
            say: say.into(),
        }
    }

    pub(crate) fn state(code: &'static str, say: impl Into<String>) -> Self {
        ConnectError::State {
            code,
            say: say.into(),
        }
    }

    pub(crate) fn expired(code: &'static str, say: impl Into<String>) -> Self {
        ConnectError::Expired {
            code,
            say: say.into(),
        }
    }

    pub(crate) fn forbidden(code: &'static str, say: impl Into<String>) -> Self {
        ConnectError::Forbidden {
            code,
            say: say.into(),
        }
    }

    pub(crate) fn misconfigured(code: &'static str, say: impl Into<String>) -> Self {
        ConnectError::Misconfigured {
            code,
            say: say.into(),
        }
    }

    pub(crate) fn internal(code: &'static str, say: impl Into<String>) -> Self {
        ConnectError::Internal {
            code,
            say: say.into(),
        }
    }
}
