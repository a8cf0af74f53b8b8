//! WS-Security user name tokens in a header (OASIS UsernameToken Profile 1.0, as `X-WSSE` carries them).
//!
//! The digest is SHA-1 because the profile says so; what protects the request is TLS. The nonce makes each header good for
//! one request at apps that remember nonces.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use keyport_egress::{Covers, Injection, NotSigned, Place, Secret, Signed, Signer, Unsigned};
use keyport_manifest::{WsseDigest, WsseNonce};
use sha1::{Digest as _, Sha1};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use super::clocks::HostTime;
use super::hex;
use crate::clock::Entropy;
use crate::hidden::Hidden;

pub(super) struct Wsse {
    pub(super) header: String,
    pub(super) username: String,
    pub(super) secret: Hidden,
    pub(super) digest: WsseDigest,
    pub(super) nonce: WsseNonce,
    pub(super) time: HostTime,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Signer for Wsse {
    fn covers(&self, _: &HeaderMap) -> Covers {
        Covers::Nothing
    }

    fn sign(&self, _: &Unsigned<'_>) -> Result<Signed, NotSigned> {
        let mut random = [0_u8; 16];
        self.entropy
            .fill(&mut random)
            .map_err(|_| NotSigned("the operating system gave no random bytes"))?;
        let created = OffsetDateTime::from_unix_timestamp(self.time.unix())
            .ok()
            .and_then(|at| at.format(&Rfc3339).ok())
            .ok_or(NotSigned("the clock is beyond the calendar"))?;
        let value = token(
            (self.digest, self.nonce),
            &self.username,
            self.secret.expose(),
            &random,
            &created,
        )?;
        let derived = vec![Secret::new(value.as_str())];
        Ok(Signed {
            parts: vec![Injection {
                place: Place::Header,
                name: self.header.clone(),
                value: Secret::new(value),
            }],
            derived,
        })
    }

    fn again(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.time.learn_from(status, headers)
    }
}

fn token(
    (digest, nonce): (WsseDigest, WsseNonce),
    username: &str,
    secret: &str,
    random: &[u8],
    created: &str,
) -> Result<String, NotSigned> {
    if username.contains(['"', '\\']) || username.chars().any(char::is_control) {
        return Err(NotSigned(
            "the user name holds a quote, a backslash or a control character",
        ));
    }
    let sum = |nonce: &[u8]| {
        let mut whole = Zeroizing::new(nonce.to_vec());
        whole.extend_from_slice(created.as_bytes());
        whole.extend_from_slice(secret.as_bytes());
        Sha1::digest(&whole)
    };
    let (nonce, sum) = match nonce {
        WsseNonce::Base64 => (STANDARD.encode(random), sum(random)),
        WsseNonce::Hex => {
            let nonce = hex(random);
            let sum = sum(nonce.as_bytes());
            (nonce, sum)
        }
    };
    let digest = match digest {
        WsseDigest::Base64 => STANDARD.encode(sum),
        WsseDigest::Base64OfHex => STANDARD.encode(hex(&sum)),
    };
    Ok(format!(
        "UsernameToken Username=\"{username}\", PasswordDigest=\"{digest}\", Nonce=\"{nonce}\", Created=\"{created}\""
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the profile that Atom's WSSE page spread: nonce `d36e316282959a9ed4c89851497a717f` as raw text.
    #[test]
    fn the_digest_is_that_of_the_published_example() {
        let value = token(
            (WsseDigest::Base64, WsseNonce::Base64),
            "bob",
            "taadtaadpstcsm",
            b"d36e316282959a9ed4c89851497a717f",
            "2003-12-15T14:43:07Z",
        )
        .unwrap();
        assert!(
            value.contains("PasswordDigest=\"quR/EWLAV4xLf9Zqyw4pDmfV9OY=\""),
            "{value}"
        );
        assert!(
            value.contains("Nonce=\"ZDM2ZTMxNjI4Mjk1OWE5ZWQ0Yzg5ODUxNDk3YTcxN2Y=\""),
            "{value}"
        );
    }

    #[test]
    fn the_dialect_in_hexadecimal_hashes_and_writes_the_nonce_as_text() {
        let value = token(
            (WsseDigest::Base64OfHex, WsseNonce::Hex),
            "u",
            "s",
            &[0xab; 16],
            "2026-01-01T00:00:00Z",
        )
        .unwrap();
        let nonce = "ab".repeat(16);
        let sum = hex(&Sha1::digest(format!("{nonce}2026-01-01T00:00:00Zs")));
        assert!(value.contains(&format!("Nonce=\"{nonce}\"")));
        assert!(value.contains(&STANDARD.encode(sum)));
    }

    /// A24: without the check of the user name, a quote in it would write further parameters.
    #[test]
    fn a_user_name_cannot_write_parameters_of_its_own() {
        for name in ["a\", Nonce=\"x", "a\\", "a\nb"] {
            assert!(
                token(
                    (WsseDigest::Base64, WsseNonce::Base64),
                    name,
                    "s",
                    b"n",
                    "c"
                )
                .is_err(),
                "{name}"
            );
        }
    }
}
