//! Signatures that a manifest describes: HMAC (RFC 2104) over a message made of the request.
//!
//! The message is rendered when the request is finished, from the request as it leaves. What a caller wrote stands in the
//! message as it is, so an author has to part its pieces by something that cannot be in them; the host cannot know what.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac as Mac, KeyInit as _, Mac as _};
use http::{HeaderMap, StatusCode};
use keyport_egress::{Covers, Injection, NotSigned, Place, Secret, Signed, Signer, Unsigned};
use keyport_manifest::{CredentialRef, Encoding, Hmac, HmacAlgorithm, Scope, Slot};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use super::clocks::HostTime;
use super::hex;
use crate::clock::Entropy;

pub(super) struct HmacSigner {
    pub(super) rule: Hmac,
    /// The key's bytes.
    pub(super) key: Zeroizing<Vec<u8>>,
    pub(super) scope: Scope,
    pub(super) time: HostTime,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Signer for HmacSigner {
    fn covers(&self, _: &HeaderMap) -> Covers {
        let reads =
            self.rule.message.refs().iter().any(|at| {
                at.root == "request" && matches!(at.name(), Some("body" | "body_sha256"))
            });
        if reads { Covers::Body } else { Covers::Nothing }
    }

    fn fills_in(&self, place: Place, name: &str) -> bool {
        self.rule
            .inject
            .iter()
            .any(|inject| place_of(inject.place) == place && inject.name.eq_ignore_ascii_case(name))
    }

    fn sign(&self, request: &Unsigned<'_>) -> Result<Signed, NotSigned> {
        let mut random = [0_u8; 16];
        self.entropy
            .fill(&mut random)
            .map_err(|_| NotSigned("the operating system gave no random bytes"))?;
        let mut scope = self.scope.clone();
        scope.set("timestamp", Value::from(self.time.unix()));
        scope.set("nonce", Value::from(hex(&random)));
        scope.set("request", self.request(request)?);
        let message = self
            .rule
            .message
            .render_secret(&scope, Slot::Raw)
            .map_err(|_| NotSigned("what is to be signed has no value here"))?;
        let signature = self.mac(message.expose().as_bytes())?;
        let written = match self.rule.encoding {
            Encoding::Hex => hex(&signature),
            Encoding::Base64 => STANDARD.encode(&signature),
            Encoding::Base64url => URL_SAFE_NO_PAD.encode(&signature),
        };
        scope.set("signature", Value::from(written.as_str()));
        let mut parts = Vec::new();
        for inject in &self.rule.inject {
            if inject.credential != CredentialRef::Main {
                continue;
            }
            let slot = match inject.place {
                keyport_manifest::Place::Header | keyport_manifest::Place::Cookie => Slot::Header,
                keyport_manifest::Place::Query | keyport_manifest::Place::Body => Slot::Raw,
            };
            let value = inject
                .value
                .render_secret(&scope, slot)
                .map_err(|_| NotSigned("a value beside the signature cannot be sent"))?;
            parts.push(Injection {
                place: place_of(inject.place),
                name: inject.name.clone(),
                value: Secret::new(value.expose()),
            });
        }
        Ok(Signed {
            parts,
            derived: vec![Secret::new(written)],
        })
    }

    fn again(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.time.learn_from(status, headers)
    }
}

impl HmacSigner {
    fn request(&self, request: &Unsigned<'_>) -> Result<Value, NotSigned> {
        let body = request.body.unwrap_or_default();
        let reads_text = self
            .rule
            .message
            .refs()
            .iter()
            .any(|at| at.root == "request" && at.name() == Some("body"));
        let text = match std::str::from_utf8(body) {
            Ok(text) => text,
            Err(_) if !reads_text => "",
            Err(_) => {
                return Err(NotSigned(
                    "its body is not text, and this app signs bodies as text",
                ));
            }
        };
        Ok(json!({
            "method": request.method.as_str(),
            "path": request.url.path(),
            "query": request.url.query().unwrap_or_default(),
            "body": text,
            "body_sha256": hex(&Sha256::digest(body)),
            "host": request.authority(),
        }))
    }

    fn mac(&self, message: &[u8]) -> Result<Vec<u8>, NotSigned> {
        mac(self.rule.algorithm, &self.key, message)
    }
}

pub(super) fn mac(
    algorithm: HmacAlgorithm,
    key: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, NotSigned> {
    macro_rules! with {
        ($hash:ty) => {{
            let mut mac = Mac::<$hash>::new_from_slice(key)
                .map_err(|_| NotSigned("the key cannot be used"))?;
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        }};
    }
    if key.is_empty() {
        return Err(NotSigned("the key is empty"));
    }
    Ok(match algorithm {
        HmacAlgorithm::Sha1 => with!(Sha1),
        HmacAlgorithm::Sha256 => with!(Sha256),
        HmacAlgorithm::Sha512 => with!(Sha512),
    })
}

pub(super) fn place_of(place: keyport_manifest::Place) -> Place {
    match place {
        keyport_manifest::Place::Header => Place::Header,
        keyport_manifest::Place::Cookie => Place::Cookie,
        keyport_manifest::Place::Query => Place::Query,
        keyport_manifest::Place::Body => Place::Body,
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use url::Url;

    use super::*;
    use crate::signing::clocks::Clocks;

    struct Still;
    impl crate::clock::Clock for Still {
        fn now_ms(&self) -> i64 {
            1_700_000_000_000
        }
    }

    fn signer(rule: Value) -> HmacSigner {
        HmacSigner {
            rule: serde_json::from_value(rule).unwrap(),
            key: Zeroizing::new(b"Jefe".to_vec()),
            scope: Scope::new(),
            time: HostTime::new(Arc::new(Still), Arc::<Clocks>::default(), "a"),
            entropy: Arc::new(crate::clock::OsEntropy),
        }
    }

    fn rule(message: &str) -> Value {
        json!({
            "label": "Key", "key": "{{ credentials.k }}", "message": message,
            "inject": [{"header": "X-Signature", "value": "v1={{ signature }}"}, {"query": "ts", "value": "{{ timestamp }}"}],
        })
    }

    fn sign(rule: Value, body: Option<&[u8]>) -> Result<Vec<String>, NotSigned> {
        let url = Url::parse("https://api.acme.dev:8443/v1/a%20b?x=1&y=%2F").unwrap();
        let (method, headers) = (Method::POST, HeaderMap::new());
        let request = Unsigned {
            method: &method,
            url: &url,
            headers: &headers,
            body,
        };
        let signed = signer(rule).sign(&request)?;
        Ok(signed
            .parts
            .iter()
            .map(|part| format!("{}: {}", part.name, part.value.expose()))
            .collect())
    }

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        let parts = sign(rule("what do ya want for nothing?"), None).unwrap();
        assert_eq!(
            parts,
            [
                "X-Signature: v1=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                "ts: 1700000000"
            ]
        );
        // RFC 2202 and RFC 4231, test case 2.
        let of =
            |algorithm| hex(&mac(algorithm, b"Jefe", b"what do ya want for nothing?").unwrap());
        assert_eq!(
            of(HmacAlgorithm::Sha1),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
        assert!(of(HmacAlgorithm::Sha512).starts_with("164b7a7bfcf819e2e395fbe73b56e0a3"));
        assert!(mac(HmacAlgorithm::Sha256, b"", b"m").is_err());
    }

    #[test]
    fn the_message_sees_the_request_as_it_leaves() {
        let message = "{{ request.method }} {{ request.host }}{{ request.path }}?{{ request.query }} {{ request.body_sha256 }}";
        let wanted = format!(
            "POST api.acme.dev:8443/v1/a%20b?x=1&y=%2F {}",
            hex(&Sha256::digest(b"{}"))
        );
        let wanted = hex(&mac(HmacAlgorithm::Sha256, b"Jefe", wanted.as_bytes()).unwrap());
        assert_eq!(
            sign(rule(message), Some(b"{}")).unwrap()[0],
            format!("X-Signature: v1={wanted}")
        );
    }

    #[test]
    fn a_body_is_asked_for_only_where_it_is_signed_and_one_that_is_no_text_is_not_signed_as_text() {
        let covers = |message: &str| signer(rule(message)).covers(&HeaderMap::new());
        assert_eq!(covers("{{ request.path }}"), Covers::Nothing);
        assert_eq!(covers("{{ request.body }}"), Covers::Body);
        assert_eq!(covers("{{ request.body_sha256 }}"), Covers::Body);
        assert!(sign(rule("{{ request.body }}"), Some(b"\xff")).is_err());
        assert!(sign(rule("{{ request.body_sha256 }}"), Some(b"\xff")).is_ok());
    }
}
