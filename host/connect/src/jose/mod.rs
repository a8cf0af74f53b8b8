//! JSON Web Signatures (RFC 7515, 7518, 8037): signed here, and checked here.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`key`] | private keys and shared secrets, as people paste them; what they sign |
//! | [`mint`] | a JWT as a manifest declares it: claims, header, life |
//! | [`verify`] | key sets (RFC 7517) and signatures that others made |
//!
//! The primitives are those of aws-lc-rs. Threats: a key of one kind used with an algorithm of
//! another (a signature that nobody can check, or worse, one that is checked with a public key as if it were a shared
//! secret); `alg: none`; a token that names its own key. So the algorithm always comes from our side, the key must be of
//! its kind before anything is signed or checked, and `jwk`, `jku` and `x5u` of a header are never looked at.
//!
//! Left out: encryption (JWE), detached and JSON serialisations, `crit` extensions (refused), encrypted private keys.

pub(crate) mod key;
pub(crate) mod mint;
mod verify;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use mint::mint;
pub(crate) use verify::{KeySet, VerifyError, unverified, verify_with_text};

use keyport_manifest::JwtAlg;

/// Why nothing was signed. Never holds a key or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JoseError {
    /// Not a key in the form that it should have.
    #[error("the key can't be read; paste it whole, as the app gave it")]
    KeyUnreadable,
    /// A PEM block that is locked with a password.
    #[error(
        "the private key is encrypted; decrypt it first, for instance with `openssl pkey -in key.pem`"
    )]
    KeyEncrypted,
    /// A key of another kind than the algorithm's (R44 of the requirements: an EC key with RS256 fails here).
    #[error("a key of this kind can't sign with {alg}; the app needs {wanted}")]
    KeyOfAnotherKind {
        /// The algorithm.
        alg: &'static str,
        /// The kind of key that it needs.
        wanted: &'static str,
    },
    /// A template of the claims or the header has no value.
    #[error("a claim has no value: fill in every field of the form")]
    Claim,
    /// The primitive refused.
    #[error("the key can't sign")]
    Sign,
}

impl JoseError {
    /// A stable code.
    pub(crate) fn code(self) -> &'static str {
        match self {
            JoseError::KeyUnreadable => "key_unreadable",
            JoseError::KeyEncrypted => "key_encrypted",
            JoseError::KeyOfAnotherKind { .. } => "key_of_another_kind",
            JoseError::Claim => "claim_missing",
            JoseError::Sign => "not_signed",
        }
    }
}

/// The algorithm's name in a header.
pub(crate) fn name(alg: JwtAlg) -> &'static str {
    match alg {
        JwtAlg::Hs256 => "HS256",
        JwtAlg::Hs384 => "HS384",
        JwtAlg::Hs512 => "HS512",
        JwtAlg::Rs256 => "RS256",
        JwtAlg::Rs384 => "RS384",
        JwtAlg::Rs512 => "RS512",
        JwtAlg::Ps256 => "PS256",
        JwtAlg::Ps384 => "PS384",
        JwtAlg::Ps512 => "PS512",
        JwtAlg::Es256 => "ES256",
        JwtAlg::Es384 => "ES384",
        JwtAlg::Es512 => "ES512",
        JwtAlg::EdDsa => "EdDSA",
    }
}

/// What signs an `id_token` that is worth anything: never `none`, never a shared secret.
pub(crate) const ASYMMETRIC: &[JwtAlg] = &[
    JwtAlg::Rs256,
    JwtAlg::Rs384,
    JwtAlg::Rs512,
    JwtAlg::Ps256,
    JwtAlg::Ps384,
    JwtAlg::Ps512,
    JwtAlg::Es256,
    JwtAlg::Es384,
    JwtAlg::Es512,
    JwtAlg::EdDsa,
];
