//! States of keys, what is known of a term, and how both are written.

use crate::envelope::SealKey;
use crate::secret::Key32;

/// The keyring's plaintext, first version: version byte, MAC secret, then `u32 number ‖ key 32` per term, oldest first.
const FIRST: u8 = 1;
/// The second: per term `u32 number ‖ u8 state ‖ u64 since, ms ‖ u64 revision ‖ key 32` (zeros once destroyed).
pub(super) const SECOND: u8 = 2;

/// The state of a term or of one of an owner's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// It opens, but nothing is sealed with it yet: every host gets to know it first.
    Pending,
    Active,
    DecryptOnly,
    Destroyed,
}

impl State {
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Active => 1,
            Self::DecryptOnly => 2,
            Self::Destroyed => 3,
        }
    }

    pub(crate) fn read(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Pending,
            1 => Self::Active,
            2 => Self::DecryptOnly,
            3 => Self::Destroyed,
            _ => return None,
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::DecryptOnly => "decrypt-only",
            Self::Destroyed => "destroyed",
        }
    }
}

/// What is known of a term apart from its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) id: u32,
    pub(crate) state: State,
    /// When it was made, in milliseconds of Unix time; 0 when it is older than the record of it.
    pub(crate) since_ms: u64,
    /// The vault's revision when it was made: since then it has sealed at most once per revision.
    pub(crate) since_rev: u64,
}

pub(super) struct Term {
    pub(super) facts: Facts,
    /// Absent once destroyed.
    pub(super) key: Option<SealKey>,
}

/// What a row `s/terms` says.
pub(crate) struct Told {
    pub(crate) generation: u64,
    pub(crate) terms: Vec<Facts>,
}

pub(super) fn push_facts(out: &mut Vec<u8>, facts: Facts) {
    out.extend_from_slice(&facts.id.to_be_bytes());
    out.push(facts.state.byte());
    out.extend_from_slice(&facts.since_ms.to_be_bytes());
    out.extend_from_slice(&facts.since_rev.to_be_bytes());
}

pub(super) fn read_facts(text: &[u8]) -> Option<(Facts, &[u8])> {
    let (id, rest) = text.split_first_chunk::<4>()?;
    let ([state], rest) = rest.split_first_chunk::<1>()?;
    let (since_ms, rest) = rest.split_first_chunk::<8>()?;
    let (since_rev, rest) = rest.split_first_chunk::<8>()?;
    let facts = Facts {
        id: u32::from_be_bytes(*id),
        state: State::read(*state)?,
        since_ms: u64::from_be_bytes(*since_ms),
        since_rev: u64::from_be_bytes(*since_rev),
    };
    Some((facts, rest))
}

/// Reads the keyring's plaintext of either version.
pub(super) fn read(text: &[u8]) -> Option<(Vec<Term>, Key32)> {
    let ([version], rest) = text.split_first_chunk::<1>()?;
    let (macs, mut rest) = rest.split_at_checked(32)?;
    let mut terms: Vec<Term> = Vec::new();
    while !rest.is_empty() {
        let (facts, after) = match *version {
            SECOND => read_facts(rest)?,
            FIRST => {
                let (id, after) = rest.split_first_chunk::<4>()?;
                let facts = Facts {
                    id: u32::from_be_bytes(*id),
                    state: State::DecryptOnly,
                    since_ms: 0,
                    since_rev: 0,
                };
                (facts, after)
            }
            _ => return None,
        };
        let (key, after) = after.split_at_checked(32)?;
        if terms.last().is_some_and(|term| term.facts.id >= facts.id) {
            return None;
        }
        let key = match facts.state {
            State::Destroyed => None,
            _ => Some(SealKey {
                id: facts.id,
                key: Key32::from_slice(key)?,
            }),
        };
        terms.push(Term { facts, key });
        rest = after;
    }
    if *version == FIRST
        && let Some(last) = terms.last_mut()
    {
        last.facts.state = State::Active;
    }
    let active = terms
        .iter()
        .filter(|term| term.facts.state == State::Active);
    if active.count() != 1 {
        return None;
    }
    Some((terms, Key32::from_slice(macs)?))
}
