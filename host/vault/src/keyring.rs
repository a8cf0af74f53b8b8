//! The keys between the root key and the records.
//!
//! ```text
//! root key ──seals──▶ keyring: terms 1, 2, … and one secret for MAC keys       row s/keyring
//!            term n ──seals──▶ an owner's key, version v (associated data: owner and v)   row k/<owner>
//!                     owner key v ──HKDF──▶ one AES key per record (see envelope.rs)
//! ```
//! Rotating a level means sealing only the level below it anew. Destroying an owner's key is one small write, after which no
//! record of theirs opens. What is here makes and reads each level; rotation in the background is to come, and
//! the formats already carry what it needs (terms, versions, states).
//!
//! The MAC keys hang on the keyring rather than directly on the root key, so that changing the root key does not
//! invalidate every platform key and cookie.

use hmac::Mac;
use zeroize::Zeroizing;

use crate::envelope::{DoesNotOpen, Place, SealError, SealKey, lp, open, peek, seal};
use crate::keys;
use crate::root_key::RootKey;
use crate::secret::{Key32, SecretBytes};
use crate::store::Key;

/// Envelopes made directly under the root key carry this key id.
const ROOT_KEY_ID: u32 = 0;
const CHECK_TEXT: &[u8] = b"keyport check value 1";
const HOST: &str = "@keyport";
/// The keyring's plaintext: version byte, then the MAC secret, then `u32 number ‖ key 32` per term, oldest first.
const VERSION: u8 = 1;

/// The opened keyring.
pub(crate) struct Keyring {
    /// Oldest first, at least one; the last is active.
    terms: Vec<SealKey>,
    macs: Key32,
}

impl Keyring {
    /// A keyring with its first term.
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        Ok(Self {
            terms: vec![SealKey {
                id: 1,
                key: Key32::random()?,
            }],
            macs: Key32::random()?,
        })
    }

    /// Seals the keyring under the root key.
    pub(crate) fn seal(&self, root: &RootKey, generation: u64) -> Result<Vec<u8>, SealError> {
        let mut text = Zeroizing::new(Vec::with_capacity(33 + self.terms.len() * 36));
        text.push(VERSION);
        text.extend_from_slice(self.macs.expose());
        for term in &self.terms {
            text.extend_from_slice(&term.id.to_be_bytes());
            text.extend_from_slice(term.key.expose());
        }
        let key = root_seal_key(root).ok_or(SealError::Cipher)?;
        let at = keys::keyring();
        seal(
            &key,
            root_place(&at, "keyring", generation),
            &SecretBytes::from_zeroizing(text),
        )
    }

    /// Opens a keyring that was sealed under this root key.
    pub(crate) fn open(root: &RootKey, envelope: &[u8]) -> Result<Self, DoesNotOpen> {
        let (_, generation) = peek(envelope)?;
        let key = root_seal_key(root).ok_or(DoesNotOpen)?;
        let at = keys::keyring();
        let text = open(&key, root_place(&at, "keyring", generation), envelope)?;
        Self::read(text.expose()).ok_or(DoesNotOpen)
    }

    fn read(text: &[u8]) -> Option<Self> {
        let ([version], rest) = text.split_first_chunk::<1>()?;
        let (macs, mut rest) = rest.split_at_checked(32)?;
        let mut terms: Vec<SealKey> = Vec::new();
        while !rest.is_empty() {
            let (number, after) = rest.split_first_chunk::<4>()?;
            let (key, after) = after.split_at_checked(32)?;
            let id = u32::from_be_bytes(*number);
            if terms.last().is_some_and(|term| term.id >= id) {
                return None;
            }
            terms.push(SealKey {
                id,
                key: Key32::from_slice(key)?,
            });
            rest = after;
        }
        if *version != VERSION || terms.is_empty() {
            return None;
        }
        Some(Self {
            terms,
            macs: Key32::from_slice(macs)?,
        })
    }

    /// A new key for `owner`, and the same wrapped by the active term.
    pub(crate) fn new_owner_key(
        &self,
        owner: &str,
        at: &Key,
        version: u32,
    ) -> Result<(SealKey, Vec<u8>), SealError> {
        let key = Key32::random().map_err(|_| SealError::Random)?;
        let term = self.terms.last().ok_or(SealError::Cipher)?;
        let text = SecretBytes::new(key.expose().as_slice());
        let wrapped = seal(term, owner_key_place(owner, at, version), &text)?;
        Ok((SealKey { id: version, key }, wrapped))
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
        let term = self
            .terms
            .iter()
            .find(|term| term.id == number)
            .ok_or(DoesNotOpen)?;
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

/// The value that tells a wrong root key before anything else is read.
pub(crate) fn seal_check(root: &RootKey) -> Result<Vec<u8>, SealError> {
    let key = root_seal_key(root).ok_or(SealError::Cipher)?;
    let at = keys::check();
    seal(
        &key,
        root_place(&at, "check", 1),
        &SecretBytes::new(CHECK_TEXT),
    )
}

/// Whether the check value was made by this root key.
pub(crate) fn check_opens(root: &RootKey, envelope: &[u8]) -> bool {
    let at = keys::check();
    root_seal_key(root)
        .and_then(|key| open(&key, root_place(&at, "check", 1), envelope).ok())
        .is_some_and(|text| text.expose() == CHECK_TEXT)
}

fn root_seal_key(root: &RootKey) -> Option<SealKey> {
    Some(SealKey {
        id: ROOT_KEY_ID,
        key: root.sealing_key()?,
    })
}

fn root_place<'a>(at: &'a Key, record_type: &'a str, generation: u64) -> Place<'a> {
    Place {
        owner: HOST,
        store_key: at.as_bytes(),
        record_type,
        generation,
    }
}

fn owner_key_place<'a>(owner: &'a str, at: &'a Key, version: u32) -> Place<'a> {
    Place {
        owner,
        store_key: at.as_bytes(),
        record_type: "owner_key",
        generation: u64::from(version),
    }
}
