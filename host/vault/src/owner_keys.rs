//! One owner's keys, and the row that holds them wrapped.
//!
//! Row `k/<owner>`: version byte 1, then per key, oldest first: `u32 version ‖ u8 state ‖ u32 length ‖ envelope`. States:
//! 1 active, 2 decrypt-only, 3 destroyed (length 0). A destroyed key's number is never used again.
//! Every commit that seals for an owner requires this row unchanged, so that nothing is ever sealed under a key that
//! is being destroyed, and a stale cache costs one repetition.

use bytes::Bytes;

use crate::envelope::{SealError, SealKey};
use crate::ids::{Owner, Rev};
use crate::keyring::Keyring;
use crate::keys;
use crate::store::Rec;

const VERSION: u8 = 1;

/// The state of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Active,
    DecryptOnly,
    Destroyed,
}

struct Entry {
    version: u32,
    state: State,
    wrapped: Bytes,
    /// Absent when destroyed, or when it does not unwrap.
    key: Option<SealKey>,
}

/// An owner's keys as of one revision of their row.
pub(crate) struct OwnerKeys {
    /// Absent: there is no row yet.
    pub(crate) rev: Option<Rev>,
    entries: Vec<Entry>,
}

/// The row cannot be read at all.
#[derive(Debug)]
pub(crate) struct Unreadable;

/// What a record's key id leads to.
pub(crate) enum Found<'a> {
    Key(&'a SealKey),
    Destroyed,
    /// No such key, or it does not unwrap.
    None,
}

impl OwnerKeys {
    /// An owner without keys.
    pub(crate) fn none() -> Self {
        Self {
            rev: None,
            entries: Vec::new(),
        }
    }

    /// Reads the row and unwraps what unwraps.
    pub(crate) fn read(keyring: &Keyring, owner: &Owner, rec: &Rec) -> Result<Self, Unreadable> {
        let at = keys::owner_keys(owner);
        let ([version], mut rest) = rec.value.split_first_chunk::<1>().ok_or(Unreadable)?;
        if *version != VERSION {
            return Err(Unreadable);
        }
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let (entry, after) = entry(rest, &rec.value).ok_or(Unreadable)?;
            let key = match entry.state {
                State::Destroyed => None,
                _ => keyring
                    .open_owner_key(owner.as_str(), &at, entry.version, &entry.wrapped)
                    .ok(),
            };
            entries.push(Entry { key, ..entry });
            rest = after;
        }
        Ok(Self {
            rev: Some(rec.rev),
            entries,
        })
    }

    /// The key that new secrets are sealed with: the newest active one.
    pub(crate) fn active(&self) -> Option<&SealKey> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.state == State::Active)
            .and_then(|entry| entry.key.as_ref())
    }

    /// The key with which a record says that it was sealed.
    pub(crate) fn find(&self, version: u32) -> Found<'_> {
        match self.entries.iter().find(|entry| entry.version == version) {
            Some(entry) if entry.state == State::Destroyed => Found::Destroyed,
            Some(Entry { key: Some(key), .. }) => Found::Key(key),
            _ => Found::None,
        }
    }

    /// Adds a fresh active key, numbered above all before.
    pub(crate) fn add(&mut self, keyring: &Keyring, owner: &Owner) -> Result<(), SealError> {
        let version = self.entries.last().map_or(0, |entry| entry.version) + 1;
        let at = keys::owner_keys(owner);
        let (key, wrapped) = keyring.new_owner_key(owner.as_str(), &at, version)?;
        for entry in &mut self.entries {
            if entry.state == State::Active {
                entry.state = State::DecryptOnly;
            }
        }
        self.entries.push(Entry {
            version,
            state: State::Active,
            wrapped: Bytes::from(wrapped),
            key: Some(key),
        });
        Ok(())
    }

    /// Forgets every key for good.
    pub(crate) fn destroy(&mut self) {
        for entry in &mut self.entries {
            entry.state = State::Destroyed;
            entry.wrapped = Bytes::new();
            entry.key = None;
        }
    }

    /// The row as it is to be written.
    pub(crate) fn row(&self) -> Bytes {
        let mut row = vec![VERSION];
        for entry in &self.entries {
            row.extend_from_slice(&entry.version.to_be_bytes());
            row.push(match entry.state {
                State::Active => 1,
                State::DecryptOnly => 2,
                State::Destroyed => 3,
            });
            let len = u32::try_from(entry.wrapped.len()).unwrap_or(u32::MAX);
            row.extend_from_slice(&len.to_be_bytes());
            row.extend_from_slice(&entry.wrapped);
        }
        Bytes::from(row)
    }
}

fn entry<'a>(rest: &'a [u8], row: &Bytes) -> Option<(Entry, &'a [u8])> {
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let ([state], rest) = rest.split_first_chunk::<1>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (wrapped, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    let state = match state {
        1 => State::Active,
        2 => State::DecryptOnly,
        3 => State::Destroyed,
        _ => return None,
    };
    let entry = Entry {
        version: u32::from_be_bytes(*version),
        state,
        wrapped: row.slice_ref(wrapped),
        key: None,
    };
    Some((entry, rest))
}
