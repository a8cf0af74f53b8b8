//! Ids, bearer values and their hashes.
//!
//! An id is public and unguessable (22 characters of base 62, 131 bits): another owner's id is answered like one that
//! does not exist, and guessing is hopeless anyway. A bearer value (session token, cookie, state, platform key) is 256
//! bits of its own; only its SHA-256 is kept, which is enough because nothing with 256 random bits can be guessed, and
//! comparisons take constant time. A bearer value starts with the id of its record, so that looking it up needs no index.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::error::ConnectError;

/// In the order of their bytes, so that ids which start with a time sort by it.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID_CHARS: usize = 22;
/// Enough base-62 digits for milliseconds until the year 427,000.
const TIME_CHARS: usize = 9;
/// Digits of the number in an id that has one.
const NUMBER_CHARS: u32 = 3;

/// `prefix` and 22 random characters.
pub(crate) fn random_id(entropy: &dyn Entropy, prefix: &str) -> Result<String, ConnectError> {
    let mut id = String::with_capacity(prefix.len() + ID_CHARS);
    id.push_str(prefix);
    push_random(entropy, &mut id, ID_CHARS)?;
    Ok(id)
}

/// The id of a record that is found by what it belongs to: `prefix` and 22 characters of a digest, 131 bits of it.
pub(crate) fn id_of_digest(prefix: &str, digest: &[u8]) -> String {
    let letters = digest.iter().take(ID_CHARS).filter_map(|byte| {
        let letter = BASE62.get(usize::from(byte % 62));
        letter.map(|letter| char::from(*letter))
    });
    prefix.chars().chain(letters).collect()
}

/// Like [`random_id`], but sorting by time: nine characters of it, then thirteen random ones.
pub(crate) fn timed_id(
    entropy: &dyn Entropy,
    prefix: &str,
    now_ms: i64,
) -> Result<String, ConnectError> {
    let mut id = String::with_capacity(prefix.len() + ID_CHARS);
    id.push_str(prefix);
    id.push_str(&time_chars(now_ms));
    push_random(entropy, &mut id, ID_CHARS - TIME_CHARS)?;
    Ok(id)
}

/// Like [`timed_id`], but those of one time sort by a number, as far as three characters tell it: ten random ones are left.
pub(crate) fn numbered_id(
    entropy: &dyn Entropy,
    prefix: &str,
    now_ms: i64,
    number: u64,
) -> Result<String, ConnectError> {
    let digits = time_chars(i64::try_from(number % 62_u64.pow(NUMBER_CHARS)).unwrap_or(0));
    let skip = TIME_CHARS - NUMBER_CHARS as usize;
    let mut id = format!("{prefix}{}", time_chars(now_ms));
    id.extend(digits.chars().skip(skip));
    push_random(
        entropy,
        &mut id,
        ID_CHARS - TIME_CHARS - NUMBER_CHARS as usize,
    )?;
    Ok(id)
}

/// A time in nine characters that sort as the times do. Times before 1970 are taken as 1970.
pub(crate) fn time_chars(ms: i64) -> String {
    let mut digits = [b'0'; TIME_CHARS];
    let mut rest = u64::try_from(ms).unwrap_or(0);
    for digit in digits.iter_mut().rev() {
        *digit = usize::try_from(rest % 62)
            .ok()
            .and_then(|at| BASE62.get(at))
            .copied()
            .unwrap_or(b'0');
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// The time of an id that begins with one, in milliseconds.
pub(crate) fn time_of(prefix: &str, id: &str) -> Option<i64> {
    let digits = id.strip_prefix(prefix)?.get(..TIME_CHARS)?;
    digits.bytes().try_fold(0_i64, |sum, byte| {
        let digit = BASE62.iter().position(|letter| *letter == byte)?;
        sum.checked_mul(62)?.checked_add(i64::try_from(digit).ok()?)
    })
}

/// What sorts before every [`timed_id`] of this time and after every earlier one.
pub(crate) fn first_at(prefix: &str, ms: i64) -> String {
    format!("{prefix}{}", time_chars(ms))
}

fn push_random(entropy: &dyn Entropy, out: &mut String, count: usize) -> Result<(), ConnectError> {
    let mut missing = count;
    while missing > 0 {
        let mut bytes = [0u8; 32];
        entropy.fill(&mut bytes)?;
        // 248 = 4 × 62: bytes above it are dropped, or the first letters would come more often.
        for byte in bytes.iter().filter(|byte| **byte < 248) {
            if missing == 0 {
                break;
            }
            if let Some(letter) = BASE62.get(usize::from(byte % 62)) {
                out.push(char::from(*letter));
                missing -= 1;
            }
        }
    }
    Ok(())
}

/// 256 random bits in base64url.
pub(crate) fn random_secret(entropy: &dyn Entropy) -> Result<Zeroizing<String>, ConnectError> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    entropy.fill(bytes.as_mut())?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_ref())))
}

/// A record's id and 256 random bits: what the bearer holds. The second part is what is hashed.
pub(crate) fn bearer(id: &str, secret: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{id}.{secret}"))
}

/// Splits a bearer value into the id and the secret. `prefix` is what the id must start with.
pub(crate) fn split_bearer<'a>(prefix: &str, value: &'a str) -> Option<(&'a str, &'a str)> {
    let (id, secret) = value.split_once('.')?;
    (is_id(prefix, id) && secret.len() == 43).then_some((id, secret))
}

/// Whether `text` has the shape of an id of this kind. Everything else is answered as not found without a look-up.
pub(crate) fn is_id(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == ID_CHARS && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// What is kept of a secret: SHA-256 over what it is for and itself, in base64url.
pub(crate) fn hash(purpose: &str, secret: &str) -> String {
    let mut sha = Sha256::new();
    sha.update(purpose.as_bytes());
    sha.update([0]);
    sha.update(secret.as_bytes());
    URL_SAFE_NO_PAD.encode(sha.finalize())
}

/// Whether `secret` is the one whose [`hash`] was kept.
pub(crate) fn matches(purpose: &str, secret: &str, kept: &str) -> bool {
    hash(purpose, secret)
        .as_bytes()
        .ct_eq(kept.as_bytes())
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::OsEntropy;

    #[test]
    fn an_id_has_its_prefix_and_22_letters_or_digits() {
        let id = random_id(&OsEntropy, "con_").unwrap();
        assert!(is_id("con_", &id), "{id}");
        assert!(!is_id("cfg_", &id));
        assert!(!is_id("con_", "con_short"));
        assert!(!is_id("con_", "con_../../../../../../../x"));
    }

    #[test]
    fn later_timed_ids_sort_after_earlier_ones() {
        let times = [
            0,
            61,
            62,
            1_700_000_000_000,
            1_700_000_000_001,
            2_000_000_000_000,
        ];
        let ids: Vec<String> = times
            .iter()
            .map(|at| timed_id(&OsEntropy, "evt_", *at).unwrap())
            .collect();
        let mut sorted = ids.clone();
        sorted.sort();
        assert_eq!(ids, sorted);
        assert!(ids.iter().all(|id| is_id("evt_", id)));
    }

    #[test]
    fn ids_of_one_time_sort_by_their_number() {
        let ids: Vec<String> = (0..200)
            .map(|number| numbered_id(&OsEntropy, "tev_", 1_800_000_000_000, number).unwrap())
            .collect();
        let mut sorted = ids.clone();
        sorted.sort();
        assert_eq!(ids, sorted);
        assert!(ids.iter().all(|id| is_id("tev_", id)));
        let later = numbered_id(&OsEntropy, "tev_", 1_800_000_000_001, 0).unwrap();
        assert!(ids.iter().all(|id| *id < later));
    }

    #[test]
    fn a_secret_matches_its_own_hash_and_for_its_own_purpose_only() {
        let secret = random_secret(&OsEntropy).unwrap();
        let kept = hash("cookie", &secret);
        assert!(matches("cookie", &secret, &kept));
        assert!(!matches("state", &secret, &kept));
        assert!(!matches("cookie", "1", &kept));
    }

    #[test]
    fn a_bearer_value_splits_into_its_id_and_its_secret() {
        let id = random_id(&OsEntropy, "ses_").unwrap();
        let secret = random_secret(&OsEntropy).unwrap();
        let value = bearer(&id, &secret);
        assert_eq!(
            split_bearer("ses_", &value),
            Some((id.as_str(), secret.as_str()))
        );
        assert_eq!(split_bearer("key_", &value), None);
        assert_eq!(split_bearer("ses_", &id), None);
    }
}
