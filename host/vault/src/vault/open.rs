//! Opening: which root key, which keyring, what a restore left, what a rotation of the root key left.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hmac::Mac;

use super::{Inner, Vault};
use crate::error::VaultError;
use crate::keyring::{self, Keyring, Wrap};
use crate::keys;
use crate::root_key::{RootKey, RootKeyError};
use crate::secret::Key32;
use crate::store::{Clock, Commit, CommitId, NodeId, Op, Pre, Rec, Store, StoreError};

/// How often one key may seal: 2^32 less a tenth. NIST SP 800-38D (8.3) allows one AES-GCM key 2^32 seals with random nonces.
/// Here each seal has an AES key of its own, derived from 256 random bits, so that limit is met by construction; the number
/// bounds what hangs on one owner's key or one term, and is where OpenBao rotates too.
pub const KEY_USES_MAX: u64 = 3_865_470_566;

/// How long an owner's keys are used from memory where other hosts may change them. A key that was destroyed elsewhere opens
/// here at most this long, should its notice get lost.
const KEY_CACHE: Duration = Duration::from_secs(4);
/// How long work on all rows is another host's, should this one end without a word.
const WORK_LEASE: Duration = Duration::from_secs(20);

/// Where to ask for the root key again: when the keyring is to be sealed anew. Called where it may block.
pub type RootSource = Arc<dyn Fn() -> Result<RootKey, RootKeyError> + Send + Sync>;

/// What may be set about a [`Vault`].
#[derive(Clone)]
pub struct VaultOptions {
    /// The clock that keys' ages go by.
    pub clock: Clock,
    /// Where the root key can be had again. Without it, rotating terms and changing the root key are refused.
    pub root: Option<RootSource>,
    /// After how many seals a key is replaced; at most [`KEY_USES_MAX`].
    pub uses_max: u64,
    /// How long keys are used from memory in a store that several hosts share.
    pub key_cache: Duration,
    /// How long rotating and retiring are another host's after this one ended without a word.
    pub work_lease: Duration,
}

impl Default for VaultOptions {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            root: None,
            uses_max: KEY_USES_MAX,
            key_cache: KEY_CACHE,
            work_lease: WORK_LEASE,
        }
    }
}

impl Vault {
    /// Opens the vault. In an empty store the keyring is made; over existing data a wrong or missing key is an error
    /// and nothing is written. The root key is not kept.
    ///
    /// # Errors
    /// [`VaultError::WrongRootKey`], [`VaultError::NoKeyring`], [`VaultError::KeyringDamaged`],
    /// [`VaultError::RestoreUnfinished`], or the store's.
    pub async fn open(store: Arc<dyn Store>, root: RootKey) -> Result<Self, VaultError> {
        Self::open_with(store, root, VaultOptions::default()).await
    }

    /// [`Vault::open`] with options.
    ///
    /// # Errors
    /// The same.
    pub async fn open_with(
        store: Arc<dyn Store>,
        root: RootKey,
        options: VaultOptions,
    ) -> Result<Self, VaultError> {
        let keyring = match load_keyring(&*store, &root).await? {
            Some(keyring) => keyring,
            None => {
                match make_keyring(&*store, &root, options.clock.now_ms()).await {
                    // Another host made one at the same moment: then it is that one.
                    Err(VaultError::Store(StoreError::Conflict { .. })) | Ok(()) => {}
                    Err(error) => return Err(error),
                }
                // Read back: what was just sealed and stored does open.
                load_keyring(&*store, &root)
                    .await?
                    .ok_or(VaultError::NoKeyring)?
            }
        };
        drop(root);
        let row_mac = row_mac(&keyring);
        let (floor, restored_at_ms) = match store.get(&keys::floor()).await? {
            Some(rec) => read_floor(&row_mac, &rec),
            None => (0, None),
        };
        let mut node = [0; 12];
        getrandom::fill(&mut node)?;
        let vault = Self {
            inner: Arc::new(Inner {
                row_mac,
                store,
                keyring: RwLock::new(Arc::new(keyring)),
                owners: RwLock::new(HashMap::new()),
                node: NodeId(URL_SAFE_NO_PAD.encode(node)),
                options,
                floor,
                restored_at_ms,
                gate: tokio::sync::RwLock::default(),
                activity: std::sync::Mutex::default(),
            }),
        };
        if vault.inner.store.shared() {
            vault.follow();
        }
        Ok(vault)
    }
}

/// The key that authenticates rows.
pub(crate) fn row_mac(keyring: &Keyring) -> Key32 {
    keyring.mac_key("keyport/row/v1", "")
}

/// `None`: the store is empty.
pub(crate) async fn load_keyring(
    store: &dyn Store,
    root: &RootKey,
) -> Result<Option<Keyring>, VaultError> {
    let names = [
        keys::keyring(),
        keys::check(),
        keys::next_keyring(),
        keys::next_check(),
        keys::restoring(),
    ];
    let mut rows = store.get_many(&names).await?.into_iter();
    let mut row = || rows.next().flatten();
    let (present, check, next, next_check, restoring) = (row(), row(), row(), row(), row());
    if restoring.is_some() {
        return Err(VaultError::RestoreUnfinished);
    }
    let Some(present) = present else {
        // A check value without a keyring is data, too.
        return match store.scan(b"", None, 1).await?.is_empty() {
            true => Ok(None),
            false => Err(VaultError::NoKeyring),
        };
    };
    let checked = |wrap, check: Option<Rec>| {
        check.is_some_and(|check| keyring::check_opens(root, wrap, &check.value))
    };
    let opened = Keyring::open(root, Wrap::Present, &present.value, present.rev);
    match (opened, checked(Wrap::Present, check)) {
        (Ok(keyring), true) => return Ok(Some(keyring)),
        (Ok(keyring), false) => {
            // The keyring opened, so the key is right.
            tracing::warn!("the check value of the root key is damaged; the keyring itself is not");
            return Ok(Some(keyring));
        }
        (Err(_), true) => return Err(VaultError::KeyringDamaged),
        (Err(_), false) => {}
    }
    // While the root key is being changed, the next one opens too.
    if let Some(next) = next {
        match (
            Keyring::open(root, Wrap::Next, &next.value, present.rev),
            checked(Wrap::Next, next_check),
        ) {
            (Ok(keyring), _) => return Ok(Some(keyring)),
            (Err(_), true) => return Err(VaultError::KeyringDamaged),
            (Err(_), false) => {}
        }
    }
    Err(VaultError::WrongRootKey)
}

async fn make_keyring(store: &dyn Store, root: &RootKey, now_ms: u64) -> Result<(), VaultError> {
    let keyring = Keyring::generate(now_ms)?;
    let (at, check_at) = (keys::keyring(), keys::check());
    let commit = Commit {
        id: CommitId::random()?,
        pre: vec![Pre::Absent(at.clone()), Pre::Absent(check_at.clone())],
        ops: vec![
            Op::Put(at, Bytes::from(keyring.seal(root, Wrap::Present)?)),
            Op::Put(
                check_at,
                Bytes::from(keyring::seal_check(root, Wrap::Present)?),
            ),
        ],
    };
    store.commit(commit).await?;
    Ok(())
}

/// The row `s/floor`: `u64 floor ‖ u64 when restored, ms ‖ MAC 16`.
pub(crate) fn floor_row(row_mac: &Key32, floor: u64, restored_at_ms: u64) -> Bytes {
    let mut row = floor.to_be_bytes().to_vec();
    row.extend_from_slice(&restored_at_ms.to_be_bytes());
    let mut mac = row_mac.hmac();
    mac.update(keys::floor().as_bytes());
    mac.update(&row);
    row.extend(mac.finalize().into_bytes().iter().take(16));
    Bytes::from(row)
}

pub(crate) fn read_floor(row_mac: &Key32, rec: &Rec) -> (u64, Option<u64>) {
    let numbers = || {
        let (floor, rest) = rec.value.split_first_chunk::<8>()?;
        let (restored, _) = rest.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*floor), u64::from_be_bytes(*restored)))
    };
    let Some((floor, restored)) = numbers() else {
        tracing::warn!("the row that tells when this data was restored is damaged");
        return (0, None);
    };
    if floor_row(row_mac, floor, restored) != rec.value {
        tracing::warn!("the row that tells when this data was restored is damaged");
    }
    (floor, (restored > 0).then_some(restored))
}
