//! The signature of a delivery, by Standard Webhooks (<https://github.com/standard-webhooks/standard-webhooks>, symmetric).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::hidden::Hidden;

/// What secrets are shown with.
pub(super) const SECRET_PREFIX: &str = "whsec_";

/// `webhook-signature`: one for each secret, apart by spaces, so that a secret can be changed while deliveries are checked.
/// A secret that is not base64 signs nothing; none is ever made.
pub(super) fn signatures(secrets: &[&Hidden], id: &str, seconds: i64, body: &[u8]) -> String {
    secrets
        .iter()
        .filter_map(|secret| {
            let key = Zeroizing::new(STANDARD.decode(secret.expose()).ok()?);
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
            mac.update(format!("{id}.{seconds}.").as_bytes());
            mac.update(body);
            Some(format!(
                "v1,{}",
                STANDARD.encode(mac.finalize().into_bytes())
            ))
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn the_signature_is_that_of_the_standards_own_example() {
        let secret = Hidden::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let made = signatures(
            &[&secret],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_new_secret_signs_beside_the_old_one() {
        let (new, old) = (Hidden::new("bmV3"), Hidden::new("b2xk"));
        let both = signatures(&[&new, &old], "evt_1", 1, b"{}");
        assert_eq!(both.split(' ').count(), 2);
        assert!(both.starts_with(&signatures(&[&new], "evt_1", 1, b"{}")));
    }
}
