//! Keys that sign: private keys in PEM, shared secrets in any of their spellings.
//!
//! People paste keys. What a form or a JSON file does to one (line breaks that became spaces or `\n`) is undone; anything
//! else that is not a key is refused before a request is made. The kind of key is held against the algorithm when it is
//! read, so that no signature is made that the other side could not check.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self as lc, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
    RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use keyport_manifest::{JwtAlg, KeyFormat};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::{JoseError, name};

/// A key that fits its algorithm.
pub(crate) struct SigningKey {
    alg: JwtAlg,
    kind: Kind,
}

enum Kind {
    Secret(Box<hmac::Key>),
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ec(Box<EcdsaKeyPair>),
    Ed(Box<Ed25519KeyPair>),
}

impl SigningKey {
    /// Reads a key as it was pasted.
    ///
    /// # Errors
    /// What is wrong with it: not a key, locked, or of another kind than the algorithm needs.
    pub(crate) fn parse(text: &str, format: KeyFormat, alg: JwtAlg) -> Result<Self, JoseError> {
        let kind = if alg.is_symmetric() {
            let bytes = secret_bytes(text, format)?;
            Kind::Secret(Box::new(hmac::Key::new(hmac_of(alg), &bytes)))
        } else {
            match format {
                KeyFormat::Pem => private(&private_key(text)?, alg)?,
                // A DER key in base64 is what is left of a PEM block whose frame was cut off.
                KeyFormat::Base64 => {
                    let der = Zeroizing::new(base64(text).ok_or(JoseError::KeyUnreadable)?);
                    let der = PrivateKeyDer::try_from(der.to_vec())
                        .map_err(|_| JoseError::KeyUnreadable)?;
                    private(&der, alg)?
                }
                KeyFormat::Text | KeyFormat::Hex => return Err(JoseError::KeyUnreadable),
            }
        };
        Ok(Self { alg, kind })
    }

    pub(crate) fn alg(&self) -> JwtAlg {
        self.alg
    }

    /// Signs.
    ///
    /// # Errors
    /// The primitive refused.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        let random = SystemRandom::new();
        match &self.kind {
            Kind::Secret(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Kind::Rsa(pair, padding) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(*padding, &random, message, &mut out)
                    .map_err(|_| JoseError::Sign)?;
                Ok(out)
            }
            Kind::Ec(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| JoseError::Sign),
            Kind::Ed(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }

    /// SHA-256 of the public key in DER (`SubjectPublicKeyInfo`), in base64: how Snowflake and others name a key. `None`
    /// for a shared secret, which has no public part.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        let der = self.public_der()?;
        Some(STANDARD.encode(digest::digest(&digest::SHA256, &der)))
    }

    pub(crate) fn public_der(&self) -> Option<Vec<u8>> {
        let der: Result<PublicKeyX509Der<'_>, _> = match &self.kind {
            Kind::Secret(_) => return None,
            Kind::Rsa(pair, _) => pair.public_key().as_der(),
            Kind::Ec(pair) => pair.public_key().as_der(),
            Kind::Ed(pair) => pair.public_key().as_der(),
        };
        der.ok().map(|der| der.as_ref().to_vec())
    }
}

pub(super) fn hmac_of(alg: JwtAlg) -> hmac::Algorithm {
    match alg {
        JwtAlg::Hs384 => hmac::HMAC_SHA384,
        JwtAlg::Hs512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    }
}

fn private(der: &PrivateKeyDer<'_>, alg: JwtAlg) -> Result<Kind, JoseError> {
    let rsa = |padding: &'static dyn RsaEncoding| {
        let pair = match der {
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            _ => return Err(other_kind(alg)),
        };
        pair.map(|pair| Kind::Rsa(Box::new(pair), padding))
            .map_err(|_| other_kind(alg))
    };
    let ec = |algorithm: &'static EcdsaSigningAlgorithm| {
        let pair = match der {
            PrivateKeyDer::Pkcs8(key) => {
                EcdsaKeyPair::from_pkcs8(algorithm, key.secret_pkcs8_der())
            }
            PrivateKeyDer::Sec1(key) => {
                EcdsaKeyPair::from_private_key_der(algorithm, key.secret_sec1_der())
            }
            _ => return Err(other_kind(alg)),
        };
        pair.map(|pair| Kind::Ec(Box::new(pair)))
            .map_err(|_| other_kind(alg))
    };
    match alg {
        JwtAlg::Rs256 => rsa(&lc::RSA_PKCS1_SHA256),
        JwtAlg::Rs384 => rsa(&lc::RSA_PKCS1_SHA384),
        JwtAlg::Rs512 => rsa(&lc::RSA_PKCS1_SHA512),
        JwtAlg::Ps256 => rsa(&lc::RSA_PSS_SHA256),
        JwtAlg::Ps384 => rsa(&lc::RSA_PSS_SHA384),
        JwtAlg::Ps512 => rsa(&lc::RSA_PSS_SHA512),
        JwtAlg::Es256 => ec(&lc::ECDSA_P256_SHA256_FIXED_SIGNING),
        JwtAlg::Es384 => ec(&lc::ECDSA_P384_SHA384_FIXED_SIGNING),
        JwtAlg::Es512 => ec(&lc::ECDSA_P521_SHA512_FIXED_SIGNING),
        JwtAlg::EdDsa => match der {
            PrivateKeyDer::Pkcs8(key) => Ed25519KeyPair::from_pkcs8(key.secret_pkcs8_der())
                .map(|pair| Kind::Ed(Box::new(pair)))
                .map_err(|_| other_kind(alg)),
            _ => Err(other_kind(alg)),
        },
        JwtAlg::Hs256 | JwtAlg::Hs384 | JwtAlg::Hs512 => Err(other_kind(alg)),
    }
}

fn other_kind(alg: JwtAlg) -> JoseError {
    let wanted = match alg {
        JwtAlg::Hs256 | JwtAlg::Hs384 | JwtAlg::Hs512 => "a shared secret",
        JwtAlg::Es256 => "an EC key on P-256",
        JwtAlg::Es384 => "an EC key on P-384",
        JwtAlg::Es512 => "an EC key on P-521",
        JwtAlg::EdDsa => "an Ed25519 key",
        _ => "an RSA key of at least 2048 bits",
    };
    JoseError::KeyOfAnotherKind {
        alg: name(alg),
        wanted,
    }
}

/// A private key in PEM, as it was pasted, whatever its kind.
pub(crate) fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, JoseError> {
    let text = framed(text);
    if text.contains("ENCRYPTED") {
        return Err(JoseError::KeyEncrypted);
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| JoseError::KeyUnreadable)
}

/// A PEM block with its lines as RFC 7468 wants them: `\n` written out and lines that a form joined are undone. The first
/// block of the text whose name ends in `KEY` is taken, for key files often begin with a certificate or parameters.
pub(super) fn framed(text: &str) -> Zeroizing<String> {
    let text = Zeroizing::new(text.replace("\\n", "\n").replace("\\r", ""));
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let Some((label, after)) = after.split_once("-----") else {
            break;
        };
        let end = format!("-----END {label}-----");
        let Some((body, after)) = after.split_once(end.as_str()) else {
            break;
        };
        rest = after;
        // Old OpenSSL keys that are locked say so in header lines, which are no base64.
        if label.ends_with("KEY") && body.contains(':') {
            return Zeroizing::new("ENCRYPTED".to_owned());
        }
        if label.ends_with("KEY") {
            let body: String = body.split_whitespace().collect();
            return Zeroizing::new(format!("-----BEGIN {label}-----\n{body}\n{end}\n"));
        }
    }
    text
}

/// The bytes of a shared secret. An empty one is none.
pub(super) fn secret_bytes(text: &str, format: KeyFormat) -> Result<Zeroizing<Vec<u8>>, JoseError> {
    let bytes = match format {
        KeyFormat::Text | KeyFormat::Pem => Some(text.as_bytes().to_vec()),
        KeyFormat::Hex => hex(text.trim()),
        KeyFormat::Base64 => base64(text),
    };
    match bytes {
        Some(bytes) if !bytes.is_empty() => Ok(Zeroizing::new(bytes)),
        _ => Err(JoseError::KeyUnreadable),
    }
}

/// Base64 of any of its four spellings, line breaks aside.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text: Zeroizing<String> = Zeroizing::new(text.split_whitespace().collect());
    [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD]
        .into_iter()
        .find_map(|spelling| spelling.decode(text.as_bytes()).ok())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}
