//! The names that everything in the vault goes by: owner, kind, record id, revision.
//!
//! They are types so that a checked name is never mistaken for a string from outside, and so that the
//! key of a row in the store can be built from them without ambiguity (see [`crate::keys`]).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// The longest owner, in bytes. Platforms use their own ids here: UUIDs, e-mail addresses, numbers.
pub const OWNER_MAX: usize = 255;
/// The longest record id, in bytes.
pub const ID_MAX: usize = 255;

/// A name that cannot be used. The texts are for the person who chose the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or longer than the limit.
    #[error("{what} must be 1 to {max} bytes long, this one has {len}")]
    Length {
        /// What kind of name.
        what: &'static str,
        /// The limit in bytes.
        max: usize,
        /// What was given.
        len: usize,
    },
    /// Control characters break logs and headers.
    #[error("{what} must not contain control characters")]
    Control {
        /// What kind of name.
        what: &'static str,
    },
    /// `@` at the start is kept for Keyport's own records.
    #[error("an owner must not begin with @, which is reserved for keyport's own records")]
    Reserved,
}

/// The platform's own id of the user or team whose data this is. Opaque here; the unit of isolation:
/// each owner has keys of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Owner(String);

impl Owner {
    /// Checks and takes an owner: 1 to [`OWNER_MAX`] bytes, no control characters, no leading `@`.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn new(owner: &str) -> Result<Self, NameError> {
        check("an owner", owner, OWNER_MAX)?;
        if owner.starts_with('@') {
            return Err(NameError::Reserved);
        }
        Ok(Self(owner.to_owned()))
    }

    /// The reserved owner of the host's own records (configurations, platform keys, …): `@keyport`.
    #[must_use]
    pub fn keyport() -> Self {
        Self("@keyport".to_owned())
    }

    /// The owner as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads back what the vault itself wrote, where the reserved owner is allowed.
    pub(crate) fn stored(text: &str) -> Result<Self, NameError> {
        if text == "@keyport" {
            return Ok(Self::keyport());
        }
        Self::new(text)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Owner {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Owner {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::new(s)
    }
}

/// Accepts the reserved owner: what is deserialised are our own records. Input from outside goes through
/// [`Owner::new`].
impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::stored(&text).map_err(serde::de::Error::custom)
    }
}

/// The type of a record: `connection`, `configuration`, … A constant of the program, never input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Kind(&'static str);

impl Kind {
    /// Names a kind. Meant for constants: `const CONNECTION: Kind = Kind::new("connection");`, where a name
    /// outside `[a-z_]{1,32}` stops the build.
    ///
    /// # Panics
    /// At compile time, for a name of another form.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(
            !bytes.is_empty() && bytes.len() <= 32,
            "a kind has 1 to 32 letters"
        );
        let mut rest = bytes;
        while let [first, tail @ ..] = rest {
            assert!(
                first.is_ascii_lowercase() || *first == b'_',
                "a kind consists of a-z and _"
            );
            rest = tail;
        }
        Self(name)
    }

    /// The name as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Where a record lives: its type, whose it is, and its id, which is unique within the kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct RecordId {
    /// The type of record.
    pub kind: Kind,
    /// Whose it is.
    pub owner: Owner,
    /// Unique within `kind`, over all owners; 1 to [`ID_MAX`] bytes without control characters.
    pub id: String,
}

impl RecordId {
    /// Puts the three parts together. The id is checked when it is used.
    pub fn new(kind: Kind, owner: Owner, id: impl Into<String>) -> Self {
        Self {
            kind,
            owner,
            id: id.into(),
        }
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.kind, self.id, self.owner)
    }
}

/// The number of the commit that last wrote a row. Commits are numbered through the whole store, so a row
/// that is deleted and made again never shows a revision twice.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Rev(pub u64);

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(crate) fn check_id(id: &str) -> Result<(), NameError> {
    check("an id", id, ID_MAX)
}

fn check(what: &'static str, text: &str, max: usize) -> Result<(), NameError> {
    if text.is_empty() || text.len() > max {
        return Err(NameError::Length {
            what,
            max,
            len: text.len(),
        });
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Control { what });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_opaque_but_bounded() {
        for good in [
            "u1",
            "a@b.example",
            "team/7",
            "Ünïcode 名",
            &"x".repeat(255),
        ] {
            assert_eq!(Owner::new(good).unwrap().as_str(), good);
        }
        assert_eq!(Owner::new("@keyport"), Err(NameError::Reserved));
        for bad in ["", "a\nb", "\u{7f}", "\u{85}x", &"x".repeat(256)] {
            assert!(Owner::new(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn the_reserved_owner_survives_a_round_trip_and_others_do_not_slip_in() {
        let json = serde_json::to_string(&Owner::keyport()).unwrap();
        assert_eq!(
            serde_json::from_str::<Owner>(&json).unwrap(),
            Owner::keyport()
        );
        assert!(serde_json::from_str::<Owner>("\"@other\"").is_err());
    }
}
