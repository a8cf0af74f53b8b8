//! Signatures that others made, checked with keys that we were given by somebody we asked.
//!
//! Which algorithms are good is said by the caller, never by the token: the header only picks one of them. A key is used
//! only for algorithms of its kind, so a public key is never a shared secret.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    self as lc, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyport_manifest::{JwtAlg, KeyFormat};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::Value;

use super::key::{framed, hmac_of, secret_bytes};
use super::name;

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 64 << 10;
/// Most keys of a set that are looked at.
const MAX_KEYS: usize = 64;

/// Why a token counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VerifyError {
    /// Not three parts of base64url with JSON in them.
    #[error("this is no signed token")]
    Malformed,
    /// Signed in a way that is not accepted here: `none`, a shared secret, anything not asked for.
    #[error("the token is signed in a way that is not accepted")]
    Algorithm,
    /// The set has no key of that name: perhaps it is an old copy.
    #[error("the token is signed with a key that is not known")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the token's signature is wrong")]
    Signature,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood; none is.
    #[serde(default)]
    crit: Option<Value>,
}

struct Parts<'t> {
    header: Header,
    signed: &'t [u8],
    payload: Vec<u8>,
    signature: Vec<u8>,
}

fn parts(token: &str) -> Result<Parts<'_>, VerifyError> {
    let bad = VerifyError::Malformed;
    if token.len() > MAX_TOKEN {
        return Err(bad);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(bad)?;
    let (header, payload) = signed.split_once('.').ok_or(bad)?;
    let read = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| bad);
    let header: Header = serde_json::from_slice(&read(header)?).map_err(|_| bad)?;
    if header.crit.is_some() {
        return Err(VerifyError::Algorithm);
    }
    Ok(Parts {
        header,
        signed: signed.as_bytes(),
        payload: read(payload)?,
        signature: read(signature)?,
    })
}

fn claims(payload: &[u8]) -> Result<Value, VerifyError> {
    let claims: Value = serde_json::from_slice(payload).map_err(|_| VerifyError::Malformed)?;
    claims
        .is_object()
        .then_some(claims)
        .ok_or(VerifyError::Malformed)
}

/// The claims of a token whose signature is not checked: for one that came over TLS from whoever made it.
///
/// # Errors
/// It is no token.
pub(crate) fn unverified(token: &str) -> Result<Value, VerifyError> {
    claims(&parts(token)?.payload)
}

/// Keys of an issuer (RFC 7517).
#[derive(Debug, Clone)]
pub(crate) struct KeySet(Vec<PublicKey>);

#[derive(Debug, Clone)]
struct PublicKey {
    kid: Option<String>,
    alg: Option<String>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The curve's name and the uncompressed point.
    Ec {
        curve: String,
        point: Vec<u8>,
    },
    Ed(Vec<u8>),
    /// A whole `SubjectPublicKeyInfo`; what kind it is shows when it is used.
    Der(Vec<u8>),
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

impl KeySet {
    /// Reads a key set. Keys that are for something else, or that can't be read, are passed over; shared secrets (`oct`)
    /// are no keys of a set that anybody can fetch.
    ///
    /// # Errors
    /// The document is no key set.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, VerifyError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document =
            serde_json::from_slice(document).map_err(|_| VerifyError::Malformed)?;
        let keys = document
            .keys
            .into_iter()
            .take(MAX_KEYS)
            .filter_map(|key| PublicKey::read(serde_json::from_value(key).ok()?))
            .collect();
        Ok(Self(keys))
    }

    /// The claims of a token that one of these keys signed in one of these ways.
    ///
    /// # Errors
    /// See [`VerifyError`]; [`VerifyError::UnknownKey`] is worth one fresh copy of the set.
    pub(crate) fn verify(&self, token: &str, accepted: &[JwtAlg]) -> Result<Value, VerifyError> {
        let parts = parts(token)?;
        let alg = *accepted
            .iter()
            .find(|alg| name(**alg) == parts.header.alg && !alg.is_symmetric())
            .ok_or(VerifyError::Algorithm)?;
        let fitting: Vec<&PublicKey> = self
            .0
            .iter()
            .filter(|key| match (&parts.header.kid, &key.kid) {
                (Some(wanted), Some(kid)) => wanted == kid,
                // A set of one nameless key, or a token that names none: whoever fits is tried.
                _ => parts.header.kid.is_none() || self.0.len() == 1,
            })
            .filter(|key| key.alg.as_deref().is_none_or(|own| own == name(alg)))
            .filter(|key| key.fits(alg))
            .collect();
        if fitting.is_empty() {
            return Err(VerifyError::UnknownKey);
        }
        if fitting
            .iter()
            .any(|key| key.verifies(alg, parts.signed, &parts.signature))
        {
            claims(&parts.payload)
        } else {
            Err(VerifyError::Signature)
        }
    }
}

/// The claims of a token that was signed with a key that both sides know, or whose public part is written down: a PEM
/// block for RSA, EC and EdDSA, the secret's text otherwise. No other algorithm than `alg` is accepted.
///
/// # Errors
/// See [`VerifyError`].
pub(crate) fn verify_with_text(token: &str, alg: JwtAlg, key: &str) -> Result<Value, VerifyError> {
    let parts = parts(token)?;
    if parts.header.alg != name(alg) {
        return Err(VerifyError::Algorithm);
    }
    let good = if alg.is_symmetric() {
        let secret = secret_bytes(key, KeyFormat::Text).map_err(|_| VerifyError::UnknownKey)?;
        let key = hmac::Key::new(hmac_of(alg), &secret);
        hmac::verify(&key, parts.signed, &parts.signature).is_ok()
    } else {
        let pem = framed(key);
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| VerifyError::UnknownKey)?;
        let key = PublicKey {
            kid: None,
            alg: None,
            kind: Kind::Der(der.as_ref().to_vec()),
        };
        key.verifies(alg, parts.signed, &parts.signature)
    };
    if good {
        claims(&parts.payload)
    } else {
        Err(VerifyError::Signature)
    }
}

impl PublicKey {
    fn read(jwk: Jwk) -> Option<Self> {
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let kind = match jwk.kty.as_str() {
            "RSA" => Kind::Rsa {
                n: without_zeros(bytes(&jwk.n)?),
                e: without_zeros(bytes(&jwk.e)?),
            },
            "EC" => {
                let mut point = vec![4];
                point.extend(bytes(&jwk.x)?);
                point.extend(bytes(&jwk.y)?);
                Kind::Ec {
                    curve: jwk.crv?,
                    point,
                }
            }
            "OKP" if jwk.crv.as_deref() == Some("Ed25519") => Kind::Ed(bytes(&jwk.x)?),
            _ => return None,
        };
        Some(Self {
            kid: jwk.kid,
            alg: jwk.alg,
            kind,
        })
    }

    fn fits(&self, alg: JwtAlg) -> bool {
        match &self.kind {
            Kind::Rsa { .. } => rsa(alg).is_some(),
            Kind::Ec { curve, .. } => {
                matches!(
                    (alg, curve.as_str()),
                    (JwtAlg::Es256, "P-256") | (JwtAlg::Es384, "P-384") | (JwtAlg::Es512, "P-521")
                )
            }
            Kind::Ed(_) => alg == JwtAlg::EdDsa,
            Kind::Der(_) => !alg.is_symmetric(),
        }
    }

    fn verifies(&self, alg: JwtAlg, message: &[u8], signature: &[u8]) -> bool {
        match &self.kind {
            Kind::Rsa { n, e } => rsa(alg).is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }
                    .verify(parameters, message, signature)
                    .is_ok()
            }),
            Kind::Ec { point: bytes, .. } | Kind::Ed(bytes) | Kind::Der(bytes) => {
                let algorithm: Option<&'static dyn VerificationAlgorithm> = match alg {
                    JwtAlg::Es256 => Some(&lc::ECDSA_P256_SHA256_FIXED),
                    JwtAlg::Es384 => Some(&lc::ECDSA_P384_SHA384_FIXED),
                    JwtAlg::Es512 => Some(&lc::ECDSA_P521_SHA512_FIXED),
                    JwtAlg::EdDsa => Some(&lc::ED25519),
                    other => rsa(other).map(|p| p as &'static dyn VerificationAlgorithm),
                };
                algorithm.is_some_and(|algorithm| {
                    UnparsedPublicKey::new(algorithm, bytes)
                        .verify(message, signature)
                        .is_ok()
                })
            }
        }
    }
}

fn rsa(alg: JwtAlg) -> Option<&'static RsaParameters> {
    Some(match alg {
        JwtAlg::Rs256 => &lc::RSA_PKCS1_2048_8192_SHA256,
        JwtAlg::Rs384 => &lc::RSA_PKCS1_2048_8192_SHA384,
        JwtAlg::Rs512 => &lc::RSA_PKCS1_2048_8192_SHA512,
        JwtAlg::Ps256 => &lc::RSA_PSS_2048_8192_SHA256,
        JwtAlg::Ps384 => &lc::RSA_PSS_2048_8192_SHA384,
        JwtAlg::Ps512 => &lc::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// RFC 7518, 6.3.1: without leading zeros; some issuers have one all the same.
fn without_zeros(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.into_iter().skip(zeros).collect()
}
