//! Why no token came, and what that means to whoever asked.

use keyport_manifest::rules::TokenErrorKind;
use keyport_manifest::{Means, TokenError};

use crate::error::ConnectError;
use crate::jose::JoseError;
use crate::record::Whose;

/// Why no token came. Holds no token and no raw answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenFailure {
    /// The code, the refresh token or the owner's own client is dead: only the person can mend it.
    #[error("the app no longer accepts this sign-in ({code})")]
    Refused { code: String },
    /// The operator's client or the manifest is at fault.
    #[error("the app refuses this platform's client ({code}); tell the operator")]
    Misconfigured { code: String },
    /// The app is down or asks to wait. `unseen` when it cannot have seen the request.
    #[error("the app's sign-in service cannot be reached at the moment ({code})")]
    Down {
        code: String,
        unseen: bool,
        retry_after_ms: Option<u64>,
    },
    /// The answer makes no sense: it may or may not have done something.
    #[error("the app's sign-in service gave an answer that makes no sense ({code})")]
    Unreadable { code: String },
}

impl TokenFailure {
    pub(crate) fn misconfigured(code: &str) -> Self {
        TokenFailure::Misconfigured {
            code: code.to_owned(),
        }
    }

    pub(crate) fn code(&self) -> &str {
        match self {
            TokenFailure::Refused { code }
            | TokenFailure::Misconfigured { code }
            | TokenFailure::Down { code, .. }
            | TokenFailure::Unreadable { code } => code,
        }
    }

    /// What a refusal of the client means depends on whose it is: keys that the owner typed are theirs to mend.
    pub(super) fn seen_by(self, whose: Whose) -> Self {
        match self {
            TokenFailure::Misconfigured { code }
                if whose != Whose::Operator
                    && matches!(code.as_str(), "invalid_client" | "unauthorized_client") =>
            {
                TokenFailure::Refused { code }
            }
            other => other,
        }
    }
}

impl From<TokenError> for TokenFailure {
    fn from(error: TokenError) -> Self {
        let code = error.error;
        match error.kind {
            TokenErrorKind::Refused => TokenFailure::Refused { code },
            TokenErrorKind::Misconfigured => TokenFailure::Misconfigured { code },
            TokenErrorKind::Unreadable => TokenFailure::Unreadable { code },
            TokenErrorKind::Retry => TokenFailure::Down {
                code,
                unseen: false,
                retry_after_ms: error.retry_after_ms,
            },
        }
    }
}

/// A key that does not sign is whoever's it is to enter again; nothing was sent.
impl From<JoseError> for TokenFailure {
    fn from(error: JoseError) -> Self {
        TokenFailure::Misconfigured {
            code: error.code().to_owned(),
        }
    }
}

impl From<TokenFailure> for ConnectError {
    fn from(failure: TokenFailure) -> Self {
        let say = failure.to_string();
        match failure {
            TokenFailure::Refused { code } => ConnectError::App {
                means: Means::NeedsReconnect,
                code,
                say,
                retry_after_ms: None,
            },
            TokenFailure::Down { retry_after_ms, .. } => ConnectError::App {
                means: Means::ProviderDown,
                code: "provider_down".into(),
                say,
                retry_after_ms,
            },
            TokenFailure::Misconfigured { .. } => {
                ConnectError::misconfigured("client_refused", say)
            }
            TokenFailure::Unreadable { .. } => ConnectError::App {
                means: Means::Other,
                code: "token_answer_unreadable".into(),
                say,
                retry_after_ms: None,
            },
        }
    }
}
