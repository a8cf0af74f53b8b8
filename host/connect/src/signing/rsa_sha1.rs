//! RSA with SHA-1 (RFC 5849, 3.4.3; PKCS #1 v1.5 of RFC 8017), which some OAuth 1.0a servers ask for.
//!
//! aws-lc-rs, which makes every other signature here, checks such signatures and makes none, so this one is the crate
//! `rsa`'s. Threat: who can time many signatures learns the key. Each is made blinded, with random bytes that are given.
//! That SHA-1 no longer resists collisions is the server's choice; a collision would have to be found among requests that
//! the host itself makes, each with a random nonce.

use keyport_egress::NotSigned;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::rand_core::{TryCryptoRng, TryRng};
use rsa::{Pkcs1v15Sign, PrivateKey};
use rustls_pki_types::PrivateKeyDer;
use sha1::{Digest as _, Sha1};
use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::error::ConnectError;
use crate::jose::key::private_key;

/// `DigestInfo` of a SHA-1 sum in DER, but for the sum (RFC 8017, 9.2, note 1).
const DIGEST_INFO: [u8; 15] = [
    0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
];

/// Signs with a private key in PEM, as it was pasted: at least 1024 bits, the least that the crate takes.
pub(super) fn sign(key: &str, message: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, NotSigned> {
    let unusable =
        |_| NotSigned("the client's secret is no RSA private key in PEM; paste the key whole");
    let der = private_key(key).map_err(unusable)?;
    let key = match &der {
        PrivateKeyDer::Pkcs8(key) => PrivateKey::from_pkcs8_der(key.secret_pkcs8_der())
            .map_err(|_| NotSigned("the private key is not RSA; the app needs an RSA key"))?,
        PrivateKeyDer::Pkcs1(key) => PrivateKey::from_pkcs1_der(key.secret_pkcs1_der())
            .map_err(|_| NotSigned("the RSA private key is damaged; paste it again"))?,
        _ => {
            return Err(NotSigned(
                "the private key is not RSA; the app needs an RSA key",
            ));
        }
    };
    let mut info = Zeroizing::new(DIGEST_INFO.to_vec());
    info.extend_from_slice(&Sha1::digest(message));
    key.sign_with_rng(
        &mut Blinding(entropy),
        Pkcs1v15Sign::new_unprefixed(),
        &info,
    )
    .map_err(|_| NotSigned("the RSA private key can't sign"))
}

/// The host's random bytes, as the crate asks for them.
struct Blinding<'a>(&'a dyn Entropy);

impl TryRng for Blinding<'_> {
    type Error = ConnectError;

    fn try_next_u32(&mut self) -> Result<u32, ConnectError> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, ConnectError> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), ConnectError> {
        self.0.fill(out)
    }
}

impl TryCryptoRng for Blinding<'_> {}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
    use keyport_manifest::{JwtAlg, KeyFormat};

    use super::*;
    use crate::clock::OsEntropy;
    use crate::jose::key::SigningKey;
    use crate::jose::tests::pem;

    /// R54: another implementation checks it; of another message it is none.
    #[test]
    fn a_signature_with_rsa_and_sha_1_is_one_that_others_verify() {
        let pem = pem(JwtAlg::Rs256);
        let public = SigningKey::parse(&pem, KeyFormat::Pem, JwtAlg::Rs256)
            .unwrap()
            .public_der()
            .unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, public);
        // As it is read from a file, and as a form leaves it.
        for pasted in [pem.clone(), pem.replace('\n', "\\n")] {
            let signature = sign(&pasted, b"GET&a&b", &OsEntropy).unwrap();
            public.verify(b"GET&a&b", &signature).unwrap();
            assert!(public.verify(b"GET&a&c", &signature).is_err());
            let again = sign(&pasted, b"GET&a&b", &OsEntropy).unwrap();
            assert_eq!(signature, again, "blinding does not show");
        }
    }

    /// An unblinded signature would tell by the time it takes what the key is.
    #[test]
    fn without_random_bytes_no_rsa_signature_is_made() {
        struct Dry;
        impl Entropy for Dry {
            fn fill(&self, _: &mut [u8]) -> Result<(), ConnectError> {
                Err(ConnectError::invalid("entropy", "there are none"))
            }
        }
        assert!(sign(&pem(JwtAlg::Rs256), b"GET&a&b", &Dry).is_err());
    }

    #[test]
    fn what_is_no_rsa_key_is_refused_and_not_shown() {
        let ec = pem(JwtAlg::Es256);
        for key in ["kd94hf93k423kf44", "", &ec] {
            let NotSigned(why) = sign(key, b"m", &OsEntropy).unwrap_err();
            assert!(why.contains("RSA"), "{why}");
        }
    }
}
