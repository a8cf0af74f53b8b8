//! The record envelope, version 1: the only place where anything is sealed or opened.
//!
//! ```text
//! 0  magic   2  "KP"            okm(76) = HKDF-Expand-SHA256(PRK = the sealing key,
//! 2  version 1  = 1                 info = "kpv1" ‖ suite ‖ key_id ‖ salt ‖ lp(owner))
//! 3  suite   1  = 1             key = okm[0..32], nonce = okm[32..44], commit = okm[44..76]
//! 4  key_id  4  version of the sealing key
//! 8  flags   2  = 0             AAD = envelope[0..18] ‖ salt ‖ lp("keyport/sealed/v1") ‖ lp(owner) ‖
//! 10 gen     8  generation          lp(store key) ‖ lp(record type) ‖ lp(schema version, u32)
//! 18 salt   32  random
//! 50 commit 32                  lp(x) = u32 length ‖ x; all numbers big-endian
//! 82 AES-256-GCM ciphertext ‖ tag 16
//! ```
//! What is encrypted is `u32 length ‖ secret ‖ zeros` up to a multiple of 64 bytes, so that the length of a token does not
//! show.
//!
//! **Why a key per record.** One AES-GCM key may seal about 2^32 times with random nonces (NIST SP 800-38D, 8.3); a million
//! connections refreshed hourly get there in half a year. Here each envelope has its own key and nonce, derived from
//! 256 random bits.
//!
//! **Why a commitment.** AES-GCM alone lets one ciphertext open under two keys; `commit` pins the key before anything
//! is decrypted.
//!
//! **Against:** reading the store; changing a bit of it; moving a sealed value to another owner, row, type or
//! generation. **Not against:** putting back a *whole* older row (no cipher can see that), or whoever holds the root
//! key.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::secret::{Key32, SecretBytes};

const MAGIC: [u8; 2] = *b"KP";
const VERSION: u8 = 1;
const SUITE: u8 = 1;
const FLAGS: u16 = 0;
/// Magic, version, suite, key_id, flags, generation.
const HEADER: usize = 18;
const SALT: usize = 32;
const TAG: usize = 16;
const BUCKET: usize = 64;
const LABEL: &[u8] = b"keyport/sealed/v1";
/// The layout of what is inside; raised when the meaning of sealed bytes changes.
const SCHEMA: u32 = 1;
/// The largest secret that can be sealed, in bytes.
pub const SECRET_MAX: usize = 128 * 1024;

/// One key that can seal, with the number that envelopes carry to find it again.
pub(crate) struct SealKey {
    pub(crate) id: u32,
    pub(crate) key: Key32,
}

/// What a sealed value is bound to. Opening under another place fails.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) owner: &'a str,
    pub(crate) store_key: &'a [u8],
    pub(crate) record_type: &'a str,
    pub(crate) generation: u64,
}

/// It does not open. Deliberately without a reason: which check failed would help only an attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open")]
pub(crate) struct DoesNotOpen;

/// It could not be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("a secret may be at most {SECRET_MAX} bytes long")]
    TooLong,
    #[error("the operating system gave no random bytes")]
    Random,
    #[error("sealing failed")]
    Cipher,
}

/// Seals `secret` for `place` under `key`.
pub(crate) fn seal(
    key: &SealKey,
    place: Place<'_>,
    secret: &SecretBytes,
) -> Result<Vec<u8>, SealError> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(|_| SealError::Random)?;
    seal_with_salt(key, place, secret, &salt)
}

/// [`seal`] with the salt given: apart only so that golden vectors can be checked.
fn seal_with_salt(
    key: &SealKey,
    place: Place<'_>,
    secret: &SecretBytes,
    salt: &[u8; SALT],
) -> Result<Vec<u8>, SealError> {
    let secret = secret.expose();
    let (len, padded) = padded(secret.len()).ok_or(SealError::TooLong)?;
    let header = header(key.id, place.generation);
    let derived = derive(key, salt, place.owner).ok_or(SealError::Cipher)?;
    // One allocation, exactly as long as the envelope: growing would leave a copy of the secret behind. Wiped if the
    // cipher refuses.
    let begins = HEADER + SALT + 32;
    let mut envelope = Zeroizing::new(Vec::with_capacity(begins + padded + TAG));
    envelope.extend_from_slice(&header);
    envelope.extend_from_slice(salt);
    envelope.extend_from_slice(&derived.commit);
    envelope.extend_from_slice(&len.to_be_bytes());
    envelope.extend_from_slice(secret);
    envelope.resize(begins + padded, 0);
    let text = envelope.get_mut(begins..).ok_or(SealError::Cipher)?;
    let tag = derived
        .cipher()
        .encrypt_inout_detached(derived.nonce(), &aad(&header, salt, place), text.into())
        .map_err(|_| SealError::Cipher)?;
    envelope.extend_from_slice(&tag);
    Ok(std::mem::take(&mut *envelope))
}

/// Which key and generation an envelope names, after the strict check of its header. Nothing is proven by that.
pub(crate) fn peek(envelope: &[u8]) -> Result<(u32, u64), DoesNotOpen> {
    let parts = Parts::of(envelope)?;
    Ok((parts.key_id, parts.generation))
}

/// Opens an envelope at `place`, whose generation comes from the row, not from the envelope.
pub(crate) fn open(
    key: &SealKey,
    place: Place<'_>,
    envelope: &[u8],
) -> Result<SecretBytes, DoesNotOpen> {
    let parts = Parts::of(envelope)?;
    if parts.key_id != key.id || parts.generation != place.generation {
        return Err(DoesNotOpen);
    }
    let derived = derive(key, parts.salt, place.owner).ok_or(DoesNotOpen)?;
    // Before decryption, and in constant time: the commitment is secret-derived.
    if !bool::from(derived.commit.ct_eq(parts.commit)) {
        return Err(DoesNotOpen);
    }
    let mut text = Zeroizing::new(parts.ciphertext.to_vec());
    derived
        .cipher()
        .decrypt_in_place(
            derived.nonce(),
            &aad(parts.header, parts.salt, place),
            &mut *text,
        )
        .map_err(|_| DoesNotOpen)?;
    unpad(text).ok_or(DoesNotOpen)
}

struct Parts<'a> {
    header: &'a [u8; HEADER],
    key_id: u32,
    generation: u64,
    salt: &'a [u8; SALT],
    commit: &'a [u8; 32],
    ciphertext: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(envelope: &'a [u8]) -> Result<Self, DoesNotOpen> {
        Self::read(envelope).ok_or(DoesNotOpen)
    }

    fn read(envelope: &'a [u8]) -> Option<Self> {
        let (header, rest) = envelope.split_first_chunk::<HEADER>()?;
        let (salt, rest) = rest.split_first_chunk::<SALT>()?;
        let (commit, ciphertext) = rest.split_first_chunk::<32>()?;
        let (magic, fields) = header.split_first_chunk::<2>()?;
        let ([version, suite], fields) = fields.split_first_chunk::<2>()?;
        let (key_id, fields) = fields.split_first_chunk::<4>()?;
        let (flags, fields) = fields.split_first_chunk::<2>()?;
        let generation = fields.first_chunk::<8>()?;
        let known = *magic == MAGIC
            && *version == VERSION
            && *suite == SUITE
            && u16::from_be_bytes(*flags) == FLAGS
            && ciphertext.len() >= BUCKET + TAG
            && (ciphertext.len() - TAG).is_multiple_of(BUCKET);
        known.then_some(Self {
            header,
            key_id: u32::from_be_bytes(*key_id),
            generation: u64::from_be_bytes(*generation),
            salt,
            commit,
            ciphertext,
        })
    }
}

fn header(key_id: u32, generation: u64) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    let fields = MAGIC
        .into_iter()
        .chain([VERSION, SUITE])
        .chain(key_id.to_be_bytes())
        .chain(FLAGS.to_be_bytes())
        .chain(generation.to_be_bytes());
    for (slot, byte) in out.iter_mut().zip(fields) {
        *slot = byte;
    }
    out
}

/// What HKDF gives for one envelope.
struct Derived {
    key: Zeroizing<[u8; 32]>,
    nonce: [u8; 12],
    commit: [u8; 32],
}

impl Derived {
    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(<&Key<Aes256Gcm>>::from(&*self.key))
    }

    fn nonce(&self) -> &Nonce<aes_gcm::aead::consts::U12> {
        (&self.nonce).into()
    }
}

fn derive(key: &SealKey, salt: &[u8; SALT], owner: &str) -> Option<Derived> {
    let mut info = Vec::with_capacity(4 + 1 + 4 + SALT + 4 + owner.len());
    info.extend_from_slice(b"kpv1");
    info.push(SUITE);
    info.extend_from_slice(&key.id.to_be_bytes());
    info.extend_from_slice(salt);
    lp(&mut info, owner.as_bytes());
    let mut okm = Zeroizing::new([0; 76]);
    // The sealing key is uniformly random, so HKDF's extract step may be left out (RFC 5869, 3.3).
    Hkdf::<Sha256>::from_prk(key.key.expose())
        .ok()?
        .expand(&info, &mut *okm)
        .ok()?;
    let (aes, rest) = okm.split_first_chunk::<32>()?;
    let (nonce, commit) = rest.split_first_chunk::<12>()?;
    Some(Derived {
        key: Zeroizing::new(*aes),
        nonce: *nonce,
        commit: *commit.first_chunk::<32>()?,
    })
}

fn aad(header: &[u8; HEADER], salt: &[u8; SALT], place: Place<'_>) -> Vec<u8> {
    let mut aad = Vec::with_capacity(256);
    aad.extend_from_slice(header);
    aad.extend_from_slice(salt);
    lp(&mut aad, LABEL);
    lp(&mut aad, place.owner.as_bytes());
    lp(&mut aad, place.store_key);
    lp(&mut aad, place.record_type.as_bytes());
    lp(&mut aad, &SCHEMA.to_be_bytes());
    aad
}

/// Length-prefixed, so that no two lists of parts give the same bytes.
pub(crate) fn lp(out: &mut Vec<u8>, part: &[u8]) {
    // Nothing that long gets here: names are at most 255 bytes.
    let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(part);
}

/// The length as it is written before the secret, and how long both are with the zeros behind them.
fn padded(secret: usize) -> Option<(u32, usize)> {
    if secret > SECRET_MAX {
        return None;
    }
    Some((
        u32::try_from(secret).ok()?,
        (4 + secret).next_multiple_of(BUCKET),
    ))
}

fn unpad(mut text: Zeroizing<Vec<u8>>) -> Option<SecretBytes> {
    let (len, rest) = text.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let (_, padding) = rest.split_at_checked(len)?;
    if padding.len() >= BUCKET || padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    // In its place: what was before and behind it is wiped with the rest.
    text.truncate(4 + len);
    Some(SecretBytes::behind(text, 4))
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
