//! The keys between the root key and the records.
//!
//! ```text
//! root key ──seals──▶ keyring: terms 1, 2, … and one secret for MAC keys       row s/keyring
//!            term n ──seals──▶ an owner's key, version v (associated data: owner and v)   row k/<owner>
//!                     owner key v ──HKDF──▶ one AES key per record (see envelope.rs)
//!            term n ──seals──▶ term n+1, for hosts that run without the root key          row s/term/<n+1>
//! ```
//! Rotating a level means sealing only the level below it anew. Destroying an owner's key is one small write, after which no
//! record of theirs opens.
//!
//! A term is *pending* (every host may open with it, nobody seals), *active* (new owners' keys are sealed with it),
//! *decrypt-only*, or *destroyed* (its number remains, its key does not). States change by writing the row, and whoever
//! seals an owner's key requires that row unchanged: no host seals with a term that another has just let go of.
//!
//! A host drops the root key once the keyring is open. What another host adds reaches it through two rows that need no root
//! key: `s/terms` (numbers and states, authenticated) and `s/term/<n+1>` (the key itself, sealed with the term before).
//! Against: a host that has to be restarted, or a KMS that has to be up, because somebody rotated.
//!
//! The MAC keys hang on the keyring rather than directly on the root key, so that changing the root key does not
//! invalidate every platform key and cookie.

mod format;
mod root;

use hmac::Mac;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub(crate) use self::format::{Facts, State, Told};
use self::format::{SECOND, Term, push_facts, read, read_facts};
pub(crate) use self::root::{Wrap, check_opens, seal_check};
use self::root::{owner_key_place, root_place, root_seal_key};
use crate::envelope::{DoesNotOpen, SealError, SealKey, lp, open, peek, seal};
use crate::ids::Rev;
use crate::keys;
use crate::root_key::RootKey;
use crate::secret::{Key32, SecretBytes};
use crate::store::Key;

/// Tag of the row that tells terms and states without their keys.
const MAC: usize = 16;

/// The opened keyring.
pub(crate) struct Keyring {
    /// The row that it was read from.
    pub(crate) rev: Rev,
    /// How often the row was written.
    pub(crate) generation: u64,
    /// Oldest first; exactly one is active.
    terms: Vec<Term>,
    macs: Key32,
}

impl Keyring {
    /// A keyring with its first term.
    pub(crate) fn generate(now_ms: u64) -> Result<Self, getrandom::Error> {
        let facts = Facts {
            id: 1,
            state: State::Active,
            since_ms: now_ms,
            since_rev: 0,
        };
        let key = SealKey {
            id: 1,
            key: Key32::random()?,
        };
        Ok(Self {
            rev: Rev(0),
            generation: 1,
            terms: vec![Term {
                facts,
                key: Some(key),
            }],
            macs: Key32::random()?,
        })
    }

    /// Seals the keyring under the root key, for the row of this wrap.
    pub(crate) fn seal(&self, root: &RootKey, wrap: Wrap) -> Result<Vec<u8>, SealError> {
        let key = root_seal_key(root).ok_or(SealError::Cipher)?;
        let at = wrap.keyring();
        seal(
            &key,
            root_place(&at, "keyring", self.generation),
            &SecretBytes::from_zeroizing(self.text()),
        )
    }

    /// Opens a keyring that was sealed under this root key.
    pub(crate) fn open(
        root: &RootKey,
        wrap: Wrap,
        envelope: &[u8],
        rev: Rev,
    ) -> Result<Self, DoesNotOpen> {
        let (_, generation) = peek(envelope)?;
        let key = root_seal_key(root).ok_or(DoesNotOpen)?;
        let at = wrap.keyring();
        let text = open(&key, root_place(&at, "keyring", generation), envelope)?;
        let (terms, macs) = read(text.expose()).ok_or(DoesNotOpen)?;
        Ok(Self {
            rev,
            generation,
            terms,
            macs,
        })
    }

    fn text(&self) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(Vec::with_capacity(33 + self.terms.len() * 53));
        text.push(SECOND);
        text.extend_from_slice(self.macs.expose());
        for term in &self.terms {
            push_facts(&mut text, term.facts);
            match &term.key {
                Some(key) => text.extend_from_slice(key.key.expose()),
                None => text.extend_from_slice(&[0; 32]),
            }
        }
        text
    }

    /// Whether two keyrings hold the same keys in the same states.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.text().ct_eq(&other.text()).into()
    }

    /// The same keyring once more, as it will be after a change.
    pub(crate) fn successor(&self) -> Option<Self> {
        let (terms, macs) = read(&self.text())?;
        Some(Self {
            rev: self.rev,
            generation: self.generation.checked_add(1)?,
            terms,
            macs,
        })
    }

    /// What is known of every term, oldest first.
    pub(crate) fn facts(&self) -> impl Iterator<Item = Facts> + '_ {
        self.terms.iter().map(|term| term.facts)
    }

    /// The number of the active term.
    pub(crate) fn active(&self) -> Option<Facts> {
        self.active_term().map(|(facts, _)| facts)
    }

    fn active_term(&self) -> Option<(Facts, &SealKey)> {
        self.terms
            .iter()
            .filter(|term| term.facts.state == State::Active)
            .find_map(|term| Some((term.facts, term.key.as_ref()?)))
    }

    /// The active term and the MAC secret.
    #[cfg(test)]
    pub(crate) fn keys_for_tests(&self) -> (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>) {
        let (_, term) = self.active_term().unwrap();
        let copy = |key: &Key32| Zeroizing::new(key.expose().to_vec());
        (copy(&term.key), copy(&self.macs))
    }

    fn key(&self, id: u32) -> Option<&SealKey> {
        self.terms
            .iter()
            .find(|term| term.facts.id == id)
            .and_then(|term| term.key.as_ref())
    }

    /// Whether an envelope of this term can be opened here.
    pub(crate) fn knows(&self, id: u32) -> bool {
        self.key(id).is_some()
    }

    /// Adds a term, pending; gives its number.
    pub(crate) fn add(&mut self, now_ms: u64, now_rev: u64) -> Result<u32, SealError> {
        let id = self
            .terms
            .last()
            .and_then(|term| term.facts.id.checked_add(1))
            .ok_or(SealError::Cipher)?;
        let key = Key32::random().map_err(|_| SealError::Random)?;
        self.terms.push(Term {
            facts: Facts {
                id,
                state: State::Pending,
                since_ms: now_ms,
                since_rev: now_rev,
            },
            key: Some(SealKey { id, key }),
        });
        Ok(id)
    }

    /// Makes the newest term the active one.
    pub(crate) fn activate(&mut self) {
        for term in &mut self.terms {
            if term.facts.state == State::Active {
                term.facts.state = State::DecryptOnly;
            }
        }
        if let Some(term) = self.terms.last_mut() {
            term.facts.state = State::Active;
        }
    }

    /// Forgets a term that is decrypt-only. The caller has counted that nothing needs it.
    pub(crate) fn destroy(&mut self, id: u32) {
        for term in &mut self.terms {
            if term.facts.id == id && term.facts.state == State::DecryptOnly {
                term.facts.state = State::Destroyed;
                term.key = None;
            }
        }
    }

    /// The newest term sealed with the active one, for the row `s/term/<number>`.
    pub(crate) fn seal_newest(&self) -> Result<Vec<u8>, SealError> {
        let (_, by) = self.active_term().ok_or(SealError::Cipher)?;
        let newest = self
            .terms
            .last()
            .and_then(|term| term.key.as_ref())
            .ok_or(SealError::Cipher)?;
        let at = keys::term(newest.id);
        let text = SecretBytes::new(newest.key.expose().as_slice());
        seal(by, root_place(&at, "term", u64::from(newest.id)), &text)
    }

    /// The terms and states of a row `s/terms`, with the keys that are known here or that `sealed` gives.
    /// `None` when a key is missing that the row says there is.
    pub(crate) fn caught_up<'a>(
        &self,
        rev: Rev,
        told: &Told,
        sealed: impl Fn(u32) -> Option<&'a [u8]>,
    ) -> Option<Self> {
        let (known, macs) = read(&self.text())?;
        let mut next = Self {
            rev,
            generation: told.generation,
            terms: Vec::new(),
            macs,
        };
        let mut known = known.into_iter().peekable();
        for facts in &told.terms {
            let mut mine = None;
            while known.peek().is_some_and(|term| term.facts.id <= facts.id) {
                mine = known.next().filter(|term| term.facts.id == facts.id);
            }
            let key = match (facts.state, mine.and_then(|term| term.key)) {
                (State::Destroyed, _) => None,
                (_, Some(key)) => Some(key),
                (_, None) => Some(next.open_term(facts.id, sealed(facts.id)?)?),
            };
            next.terms.push(Term { facts: *facts, key });
        }
        next.active_term().is_some().then_some(next)
    }

    fn open_term(&self, id: u32, envelope: &[u8]) -> Option<SealKey> {
        let (by, _) = peek(envelope).ok()?;
        let at = keys::term(id);
        let text = open(
            self.key(by)?,
            root_place(&at, "term", u64::from(id)),
            envelope,
        )
        .ok()?;
        Some(SealKey {
            id,
            key: Key32::from_slice(text.expose())?,
        })
    }

    /// The row `s/terms`: generation, facts, MAC.
    pub(crate) fn told(&self) -> Vec<u8> {
        let mut row = vec![1];
        row.extend_from_slice(&self.generation.to_be_bytes());
        for term in &self.terms {
            push_facts(&mut row, term.facts);
        }
        let mac = self.terms_mac(&row).finalize().into_bytes();
        row.extend(mac.iter().take(MAC));
        row
    }

    /// Reads a row `s/terms`, if it is genuine.
    pub(crate) fn read_told(&self, row: &[u8]) -> Option<Told> {
        let (body, tag) = row.split_last_chunk::<MAC>()?;
        self.terms_mac(body).verify_truncated_left(tag).ok()?;
        let ([version], rest) = body.split_first_chunk::<1>()?;
        let (generation, mut rest) = rest.split_first_chunk::<8>()?;
        let mut terms = Vec::new();
        while !rest.is_empty() {
            let (facts, after) = read_facts(rest)?;
            terms.push(facts);
            rest = after;
        }
        (*version == 1).then_some(Told {
            generation: u64::from_be_bytes(*generation),
            terms,
        })
    }

    fn terms_mac(&self, body: &[u8]) -> hmac::Hmac<sha2::Sha256> {
        let mut mac = self.mac_key("keyport/terms/v1", "").hmac();
        mac.update(body);
        mac
    }

    /// A new key for `owner`, and the same wrapped by the active term.
    pub(crate) fn new_owner_key(
        &self,
        owner: &str,
        at: &Key,
        version: u32,
    ) -> Result<(SealKey, Vec<u8>), SealError> {
        let key = Key32::random().map_err(|_| SealError::Random)?;
        let key = SealKey { id: version, key };
        let wrapped = self.wrap_owner_key(owner, at, &key)?;
        Ok((key, wrapped))
    }

    /// An owner's key, wrapped by the active term.
    pub(crate) fn wrap_owner_key(
        &self,
        owner: &str,
        at: &Key,
        key: &SealKey,
    ) -> Result<Vec<u8>, SealError> {
        let (_, term) = self.active_term().ok_or(SealError::Cipher)?;
        let text = SecretBytes::new(key.key.expose().as_slice());
        seal(term, owner_key_place(owner, at, key.id), &text)
    }

    /// Unwraps an owner's key.
    pub(crate) fn open_owner_key(
        &self,
        owner: &str,
        at: &Key,
        version: u32,
        wrapped: &[u8],
    ) -> Result<SealKey, DoesNotOpen> {
        let (number, _) = peek(wrapped)?;
        let term = self.key(number).ok_or(DoesNotOpen)?;
        let text = open(term, owner_key_place(owner, at, version), wrapped)?;
        let key = Key32::from_slice(text.expose()).ok_or(DoesNotOpen)?;
        Ok(SealKey { id: version, key })
    }

    /// A key for MACs, bound to what it is for: the first block of HKDF-Expand-SHA256(the keyring's MAC secret,
    /// lp(label) ‖ lp(purpose)). `label` keeps the vault's own uses apart from callers'.
    pub(crate) fn mac_key(&self, label: &str, purpose: &str) -> Key32 {
        let mut info = Vec::with_capacity(64);
        lp(&mut info, label.as_bytes());
        lp(&mut info, purpose.as_bytes());
        info.push(1);
        let mut mac = self.macs.hmac();
        mac.update(&info);
        let mut block: [u8; 32] = mac.finalize().into_bytes().into();
        Key32::take(&mut block)
    }
}
