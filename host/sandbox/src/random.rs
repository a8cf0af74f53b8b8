//! Random values, and the comparisons that must not tell by their duration how much of a guess was right.
//!
//! Tokens are looked up by their SHA-256, so that the tables hold nothing that could be used.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::VendorError;

/// What a token table is keyed by.
pub(crate) type Fingerprint = [u8; 32];

/// 32 random bytes.
pub(crate) fn bytes() -> Result<[u8; 32], VendorError> {
    let mut out = [0_u8; 32];
    getrandom::fill(&mut out).map_err(|_| VendorError::NoRandomness)?;
    Ok(out)
}

/// `prefix` followed by 256 random bits in base64url.
pub(crate) fn token(prefix: &str) -> Result<String, VendorError> {
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes()?)))
}

/// `prefix` followed by 128 random bits in hexadecimal: for what people copy and read on a page.
pub(crate) fn credential(prefix: &str) -> Result<String, VendorError> {
    let mut out = [0_u8; 16];
    getrandom::fill(&mut out).map_err(|_| VendorError::NoRandomness)?;
    Ok(format!("{prefix}{}", hex(&out)))
}

pub(crate) fn fingerprint(value: &str) -> Fingerprint {
    Sha256::digest(value.as_bytes()).into()
}

/// Compares two secrets of any length in constant time.
pub(crate) fn same(a: &str, b: &str) -> bool {
    fingerprint(a).ct_eq(&fingerprint(b)).into()
}

/// The S256 challenge of a PKCE verifier (RFC 7636, 4.2).
pub(crate) fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// HMAC-SHA256 over the parts, written one after the other.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Reads hexadecimal digits of either case; `None` for anything else.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut rest = text.as_bytes();
    while let [high, low, tail @ ..] = rest {
        out.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
        rest = tail;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_the_one_of_rfc_7636_appendix_b() {
        assert_eq!(
            s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn hexadecimal_survives_the_way_there_and_back() {
        assert_eq!(unhex(&hex(&[0, 15, 255])), Some(vec![0, 15, 255]));
        assert_eq!(unhex("FF"), Some(vec![255]));
        assert_eq!(unhex("f"), None);
        assert_eq!(unhex("+1"), None);
    }

    #[test]
    fn two_tokens_are_never_the_same() {
        assert_ne!(token("t_").unwrap(), token("t_").unwrap());
        assert!(same("a", "a"));
        assert!(!same("a", "ab"));
    }
}
