//! Secret text: a token, a key, a rendered credential.
//!
//! The threat is the accidental copy: a log line, an error, a JSON answer. So the type has no `Debug`, `Display`,
//! `Serialize` or `PartialEq`, it is wiped when dropped, and reading it needs a call that shows in review. It does not
//! guard against reading this process's memory.

use zeroize::Zeroizing;

/// Text that must not be printed, logged or serialised; wiped when dropped.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes ownership of a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself. Every call is a place to review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}
