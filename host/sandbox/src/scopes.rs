//! The two scopes that exist. A set of them is two booleans, so that nothing downstream compares strings.

use std::fmt;

/// What a credential may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scopes {
    pub read: bool,
    pub write: bool,
}

impl Scopes {
    /// Space-separated names, for the metadata document.
    pub(crate) const NAMES: [&str; 2] = ["notes:read", "notes:write"];
    /// What a person's own keys may do.
    pub(crate) const ALL: Self = Self {
        read: true,
        write: true,
    };
    /// What is granted when nothing is asked for.
    pub(crate) const DEFAULT: Self = Self {
        read: true,
        write: false,
    };

    /// Reads a `scope` parameter (RFC 6749, 3.3); `None` when one of the names is unknown. Empty is the default.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut scopes = Self::default();
        for name in text.split(' ').filter(|name| !name.is_empty()) {
            match name {
                "notes:read" => scopes.read = true,
                "notes:write" => scopes.write = true,
                _ => return None,
            }
        }
        Some(if scopes == Self::default() {
            Self::DEFAULT
        } else {
            scopes
        })
    }

    /// Whether everything in `other` is in here.
    pub(crate) fn covers(self, other: Self) -> bool {
        (self.read || !other.read) && (self.write || !other.write)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.read, self.write) {
            (true, true) => "notes:read notes:write",
            (true, false) => "notes:read",
            (false, true) => "notes:write",
            (false, false) => "",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_as_they_are_written() {
        for scopes in [Scopes::ALL, Scopes::DEFAULT] {
            assert_eq!(Scopes::parse(&scopes.to_string()), Some(scopes));
        }
        assert_eq!(Scopes::parse(""), Some(Scopes::DEFAULT));
        assert_eq!(Scopes::parse("notes:read admin"), None);
    }

    #[test]
    fn reading_does_not_cover_writing() {
        assert!(Scopes::ALL.covers(Scopes::DEFAULT));
        assert!(!Scopes::DEFAULT.covers(Scopes::ALL));
    }
}
