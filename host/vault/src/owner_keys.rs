//! One owner's keys, and the row that holds them wrapped.
//!
//! Row `k/<owner>`: version byte 2, then per key, oldest first, `u32 version ‖ u8 state ‖ u64 since, ms ‖ u64 revision ‖
//! u64 extra ‖ u32 length ‖ envelope`, then 16 bytes of HMAC-SHA256(row key, lp(store key) ‖ all before). States: 0 pending,
//! 1 active, 2 decrypt-only, 3 destroyed (length 0). A destroyed key's number is never used again. Rows of version 1 (version,
//! state, envelope; no MAC) are read for ever and written anew in this form.
//!
//! Every commit that seals for an owner requires this row unchanged, so that nothing is ever sealed under a key that
//! is being destroyed or retired, and a stale cache costs one repetition.
//!
//! **How often a key was used** is bounded without a write per use: a commit has one revision, so since the key was made it
//! has sealed at most once per revision, plus what commits that sealed several records at once added to `extra`.

use bytes::Bytes;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::envelope::{SealError, SealKey, lp, peek};
use crate::ids::{Owner, Rev};
use crate::keyring::{Keyring, State};
use crate::keys;
use crate::secret::Key32;
use crate::store::{Key, Rec};

const FIRST: u8 = 1;
const SECOND: u8 = 2;
const MAC: usize = 16;

struct Entry {
    version: u32,
    state: State,
    since_ms: u64,
    since_rev: u64,
    extra: u64,
    wrapped: Bytes,
    /// Absent when destroyed, or when it does not unwrap.
    key: Option<SealKey>,
}

/// What is known of one of an owner's keys apart from the key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) version: u32,
    pub(crate) state: State,
    pub(crate) since_ms: u64,
    pub(crate) since_rev: u64,
    extra: u64,
    /// The term that wraps it, unless it is destroyed or unreadable.
    pub(crate) term: Option<u32>,
    /// Whether it could be unwrapped.
    pub(crate) opens: bool,
}

impl Facts {
    /// The most often that it can have sealed by now.
    pub(crate) fn uses(&self, now_rev: u64) -> u64 {
        now_rev
            .saturating_sub(self.since_rev)
            .saturating_add(self.extra)
    }
}

/// An owner's keys as of one revision of their row.
pub(crate) struct OwnerKeys {
    /// Absent: there is no row yet.
    pub(crate) rev: Option<Rev>,
    entries: Vec<Entry>,
}

/// The row cannot be read at all, or was altered.
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
    pub(crate) fn read(
        keyring: &Keyring,
        row_mac: &Key32,
        owner: &Owner,
        rec: &Rec,
    ) -> Result<Self, Unreadable> {
        let at = keys::owner_keys(owner);
        let row = &rec.value;
        let ([version], mut rest) = row.split_first_chunk::<1>().ok_or(Unreadable)?;
        if *version == SECOND {
            let (body, tag) = row.split_last_chunk::<MAC>().ok_or(Unreadable)?;
            mac(row_mac, &at, body)
                .verify_truncated_left(tag)
                .map_err(|_| Unreadable)?;
            rest = body.get(1..).ok_or(Unreadable)?;
        } else if *version != FIRST {
            return Err(Unreadable);
        }
        let mut entries: Vec<Entry> = Vec::new();
        while !rest.is_empty() {
            let (mut entry, after) = entry(rest, row, *version).ok_or(Unreadable)?;
            if entries
                .last()
                .is_some_and(|last| last.version >= entry.version)
            {
                return Err(Unreadable);
            }
            if entry.state != State::Destroyed {
                entry.key = keyring
                    .open_owner_key(owner.as_str(), &at, entry.version, &entry.wrapped)
                    .ok();
            }
            entries.push(entry);
            rest = after;
        }
        Ok(Self {
            rev: Some(rec.rev),
            entries,
        })
    }

    /// The terms that a row's keys are wrapped by, without opening anything. Empty for a row that cannot be read.
    pub(crate) fn terms_of(row: &Bytes) -> Vec<u32> {
        let Some(([version], mut rest)) = row.split_first_chunk::<1>() else {
            return Vec::new();
        };
        if *version == SECOND {
            rest = row
                .split_last_chunk::<MAC>()
                .and_then(|(body, _)| body.get(1..))
                .unwrap_or_default();
        }
        let mut terms = Vec::new();
        while let Some((entry, after)) = entry(rest, row, *version) {
            if let Ok((term, _)) = peek(&entry.wrapped) {
                terms.push(term);
            }
            rest = after;
        }
        terms
    }

    /// What is known of each key, oldest first.
    pub(crate) fn facts(&self) -> impl Iterator<Item = Facts> + '_ {
        self.entries.iter().map(|entry| Facts {
            version: entry.version,
            state: entry.state,
            since_ms: entry.since_ms,
            since_rev: entry.since_rev,
            extra: entry.extra,
            term: peek(&entry.wrapped).ok().map(|(term, _)| term),
            opens: entry.key.is_some(),
        })
    }

    /// The key that new secrets are sealed with.
    pub(crate) fn active(&self) -> Option<&SealKey> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.state == State::Active)
            .and_then(|entry| entry.key.as_ref())
    }

    /// What is known of the active key.
    pub(crate) fn active_facts(&self) -> Option<Facts> {
        self.facts()
            .filter(|facts| facts.state == State::Active)
            .last()
    }

    /// The key with which a record says that it was sealed.
    pub(crate) fn find(&self, version: u32) -> Found<'_> {
        match self.entries.iter().find(|entry| entry.version == version) {
            Some(entry) if entry.state == State::Destroyed => Found::Destroyed,
            Some(Entry { key: Some(key), .. }) => Found::Key(key),
            _ => Found::None,
        }
    }

    /// Adds a fresh key, numbered above all before: active at once (the one before becomes decrypt-only), or pending.
    pub(crate) fn add(
        &mut self,
        keyring: &Keyring,
        owner: &Owner,
        pending: bool,
        now_ms: u64,
        now_rev: u64,
    ) -> Result<(), SealError> {
        let version = self
            .entries
            .last()
            .map_or(0, |entry| entry.version)
            .checked_add(1)
            .ok_or(SealError::Cipher)?;
        let at = keys::owner_keys(owner);
        let (key, wrapped) = keyring.new_owner_key(owner.as_str(), &at, version)?;
        self.entries.push(Entry {
            version,
            state: State::Pending,
            since_ms: now_ms,
            since_rev: now_rev,
            extra: 0,
            wrapped: Bytes::from(wrapped),
            key: Some(key),
        });
        if !pending {
            self.activate();
        }
        Ok(())
    }

    /// Makes the newest key the active one, if it is pending. `false`: there was nothing to do.
    pub(crate) fn activate(&mut self) -> bool {
        let Some((newest, older)) = self.entries.split_last_mut() else {
            return false;
        };
        if newest.state != State::Pending {
            return false;
        }
        newest.state = State::Active;
        for entry in older {
            if matches!(entry.state, State::Active | State::Pending) {
                entry.state = State::DecryptOnly;
            }
        }
        true
    }

    /// Counts what one commit has sealed beyond the first with the active key.
    pub(crate) fn count_extra(&mut self, extra: u64) {
        if let Some(entry) = self
            .entries
            .iter_mut()
            .rev()
            .find(|entry| entry.state == State::Active)
        {
            entry.extra = entry.extra.saturating_add(extra);
        }
    }

    /// Wraps every key anew that the active term does not wrap. `Ok(false)`: there was none. A key that does not unwrap stays
    /// as it is.
    pub(crate) fn rewrap(&mut self, keyring: &Keyring, owner: &Owner) -> Result<bool, SealError> {
        let active = keyring.active().ok_or(SealError::Cipher)?.id;
        let at = keys::owner_keys(owner);
        let mut changed = false;
        for entry in &mut self.entries {
            let Some(key) = &entry.key else { continue };
            if peek(&entry.wrapped).is_ok_and(|(term, _)| term == active) {
                continue;
            }
            entry.wrapped = Bytes::from(keyring.wrap_owner_key(owner.as_str(), &at, key)?);
            changed = true;
        }
        Ok(changed)
    }

    /// Forgets every key for good.
    pub(crate) fn destroy(&mut self) {
        self.destroy_where(|_| true);
    }

    /// Forgets the keys of these versions, for good. `true` when there was one.
    pub(crate) fn destroy_where(&mut self, which: impl Fn(&Facts) -> bool) -> bool {
        let chosen: Vec<u32> = self
            .facts()
            .filter(|facts| facts.state != State::Destroyed && which(facts))
            .map(|facts| facts.version)
            .collect();
        for entry in &mut self.entries {
            if chosen.contains(&entry.version) {
                entry.state = State::Destroyed;
                entry.wrapped = Bytes::new();
                entry.key = None;
            }
        }
        !chosen.is_empty()
    }

    /// The row as it is to be written.
    pub(crate) fn row(&self, row_mac: &Key32, owner: &Owner) -> Bytes {
        let mut row = vec![SECOND];
        for entry in &self.entries {
            row.extend_from_slice(&entry.version.to_be_bytes());
            row.push(entry.state.byte());
            row.extend_from_slice(&entry.since_ms.to_be_bytes());
            row.extend_from_slice(&entry.since_rev.to_be_bytes());
            row.extend_from_slice(&entry.extra.to_be_bytes());
            lp(&mut row, &entry.wrapped);
        }
        let tag = mac(row_mac, &keys::owner_keys(owner), &row)
            .finalize()
            .into_bytes();
        row.extend(tag.iter().take(MAC));
        Bytes::from(row)
    }
}

fn mac(row_mac: &Key32, at: &Key, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = row_mac.hmac();
    let mut name = Vec::with_capacity(at.as_bytes().len() + 4);
    lp(&mut name, at.as_bytes());
    mac.update(&name);
    mac.update(body);
    mac
}

fn entry<'a>(rest: &'a [u8], row: &Bytes, format: u8) -> Option<(Entry, &'a [u8])> {
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let ([state], rest) = rest.split_first_chunk::<1>()?;
    let ((since_ms, since_rev, extra), rest) = if format == FIRST {
        ((0, 0, 0), rest)
    } else {
        let (since_ms, rest) = rest.split_first_chunk::<8>()?;
        let (since_rev, rest) = rest.split_first_chunk::<8>()?;
        let (extra, rest) = rest.split_first_chunk::<8>()?;
        let numbers = (
            u64::from_be_bytes(*since_ms),
            u64::from_be_bytes(*since_rev),
            u64::from_be_bytes(*extra),
        );
        (numbers, rest)
    };
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (wrapped, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    let entry = Entry {
        version: u32::from_be_bytes(*version),
        state: State::read(*state)?,
        since_ms,
        since_rev,
        extra,
        wrapped: row.slice_ref(wrapped),
        key: None,
    };
    Some((entry, rest))
}
