//! What is sealed directly under the root key: the check value, the keyring; and where an owner's key belongs.

use crate::envelope::{Place, SealError, SealKey, open, seal};
use crate::keys;
use crate::root_key::RootKey;
use crate::secret::SecretBytes;
use crate::store::Key;

/// Envelopes made directly under the root key carry this key id.
const ROOT_KEY_ID: u32 = 0;
const CHECK_TEXT: &[u8] = b"keyport check value 1";
const HOST: &str = "@keyport";

/// The root key's envelopes beside the first: while the root key is being changed there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrap {
    /// `s/keyring`, `s/check`.
    Present,
    /// `s/next/keyring`, `s/next/check`.
    Next,
}

impl Wrap {
    pub(crate) fn keyring(self) -> Key {
        match self {
            Self::Present => keys::keyring(),
            Self::Next => keys::next_keyring(),
        }
    }

    pub(crate) fn check(self) -> Key {
        match self {
            Self::Present => keys::check(),
            Self::Next => keys::next_check(),
        }
    }
}

/// The value that tells a wrong root key before anything else is read.
pub(crate) fn seal_check(root: &RootKey, wrap: Wrap) -> Result<Vec<u8>, SealError> {
    let key = root_seal_key(root).ok_or(SealError::Cipher)?;
    let at = wrap.check();
    seal(
        &key,
        root_place(&at, "check", 1),
        &SecretBytes::new(CHECK_TEXT),
    )
}

/// Whether the check value was made by this root key.
pub(crate) fn check_opens(root: &RootKey, wrap: Wrap, envelope: &[u8]) -> bool {
    let at = wrap.check();
    root_seal_key(root)
        .and_then(|key| open(&key, root_place(&at, "check", 1), envelope).ok())
        .is_some_and(|text| text.expose() == CHECK_TEXT)
}

pub(super) fn root_seal_key(root: &RootKey) -> Option<SealKey> {
    Some(SealKey {
        id: ROOT_KEY_ID,
        key: root.sealing_key()?,
    })
}

pub(super) fn root_place<'a>(at: &'a Key, record_type: &'a str, generation: u64) -> Place<'a> {
    Place {
        owner: HOST,
        store_key: at.as_bytes(),
        record_type,
        generation,
    }
}

pub(super) fn owner_key_place<'a>(owner: &'a str, at: &'a Key, version: u32) -> Place<'a> {
    Place {
        owner,
        store_key: at.as_bytes(),
        record_type: "owner_key",
        generation: u64::from(version),
    }
}
