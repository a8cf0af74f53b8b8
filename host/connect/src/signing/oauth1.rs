//! OAuth 1.0a (RFC 5849): the signature base string, the four ways to sign it, and the signer of a connection's requests.
//!
//! The signature covers method, URL, query and form, so a request that is changed on its way does not verify. Nonce and
//! time make it good once. A caller's own `oauth_*` parameters are refused: with two of each, what was signed and what the
//! app reads could differ.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use keyport_egress::{Covers, Injection, NotSigned, Place, Secret, Signed, Signer, Unsigned};
use keyport_manifest::{HmacAlgorithm, Oauth1Place, Oauth1Signature};
use url::Url;
use zeroize::Zeroizing;

use super::clocks::HostTime;
use super::hmac::mac;
use super::{hex, percent, rsa_sha1};
use crate::clock::Entropy;
use crate::hidden::Hidden;

/// The client's and the resource owner's credentials (RFC 5849, 1.1).
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) consumer_key: String,
    /// The shared secret; a private key in PEM for RSA-SHA1.
    pub(crate) consumer_secret: Hidden,
    /// Token and its secret, once there are any.
    pub(crate) token: Option<(String, Hidden)>,
}

pub(crate) struct Oauth1Signer {
    pub(crate) keys: Keys,
    pub(crate) method: Oauth1Signature,
    pub(crate) place: Oauth1Place,
    pub(crate) realm: Option<String>,
    /// `oauth_callback` or `oauth_verifier`, while signing in.
    pub(crate) further: Vec<(&'static str, Hidden)>,
    pub(crate) time: HostTime,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Signer for Oauth1Signer {
    fn covers(&self, headers: &HeaderMap) -> Covers {
        if is_form(headers) {
            Covers::Body
        } else {
            Covers::Nothing
        }
    }

    fn fills_in(&self, place: Place, name: &str) -> bool {
        place != Place::Header && is_protocol(name)
    }

    fn sign(&self, request: &Unsigned<'_>) -> Result<Signed, NotSigned> {
        let mut random = [0_u8; 16];
        self.entropy
            .fill(&mut random)
            .map_err(|_| NotSigned("the operating system gave no random bytes"))?;
        let (nonce, unix) = (hex(&random), self.time.unix().to_string());
        let mut protocol = self.protocol(&nonce, &unix);
        let mut all = callers(request)?;
        all.extend(
            protocol
                .iter()
                .map(|(n, v)| ((*n).to_owned(), v.expose().to_owned())),
        );
        let base = base_string(request.method.as_str(), request.url, &all);
        let secret = self.keys.token.as_ref().map(|(_, secret)| secret);
        let client = &self.keys.consumer_secret;
        let signature = sign(self.method, &base, client, secret, &*self.entropy)?;
        let derived = vec![Secret::new(signature.expose())];
        protocol.push(("oauth_signature", signature));
        let parts = self.placed(protocol, request)?;
        Ok(Signed { parts, derived })
    }

    fn again(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.time.learn_from(status, headers)
    }
}

impl Oauth1Signer {
    /// The protocol parameters but for the signature (RFC 5849, 3.1). PLAINTEXT may go without time and nonce; they are
    /// sent all the same, because some apps demand them.
    fn protocol(&self, nonce: &str, unix: &str) -> Vec<(&'static str, Hidden)> {
        let mut all = vec![
            (
                "oauth_consumer_key",
                Hidden::new(self.keys.consumer_key.as_str()),
            ),
            ("oauth_nonce", Hidden::new(nonce)),
            ("oauth_signature_method", Hidden::new(name(self.method))),
            ("oauth_timestamp", Hidden::new(unix)),
            ("oauth_version", Hidden::new("1.0")),
        ];
        if let Some((token, _)) = &self.keys.token {
            all.push(("oauth_token", Hidden::new(token.as_str())));
        }
        all.extend(self.further.iter().cloned());
        all
    }

    fn placed(
        &self,
        protocol: Vec<(&'static str, Hidden)>,
        request: &Unsigned<'_>,
    ) -> Result<Vec<Injection>, NotSigned> {
        let place = match self.place {
            Oauth1Place::Query => Place::Query,
            // RFC 5849, 3.5.2: only a form has room for them.
            Oauth1Place::Body if request.is_form() => Place::Body,
            Oauth1Place::Body | Oauth1Place::Header => {
                let line = authorization(self.realm.as_deref(), &protocol)?;
                return Ok(vec![Injection {
                    place: Place::Header,
                    name: "Authorization".to_owned(),
                    value: Secret::new(line.expose()),
                }]);
            }
        };
        Ok(protocol
            .into_iter()
            .map(|(name, value)| Injection {
                place,
                name: name.to_owned(),
                value: Secret::new(value.expose()),
            })
            .collect())
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| {
            kind.trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}

fn is_protocol(name: &str) -> bool {
    name.get(..6)
        .is_some_and(|start| start.eq_ignore_ascii_case("oauth_"))
}

/// The parameters that the request brings: query and form (RFC 5849, 3.4.1.3.1).
fn callers(request: &Unsigned<'_>) -> Result<Vec<(String, String)>, NotSigned> {
    let mut all: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
    if request.is_form() {
        let body = request.body.unwrap_or_default();
        all.extend(url::form_urlencoded::parse(body).into_owned());
    }
    if all.iter().any(|(name, _)| is_protocol(name)) {
        return Err(NotSigned(
            "it brings oauth parameters of its own; leave them out",
        ));
    }
    Ok(all)
}

/// RFC 5849, 3.4.1: method, base URI and sorted parameters. The default port is not part of it, nor is the query.
fn base_string(method: &str, url: &Url, params: &[(String, String)]) -> Zeroizing<String> {
    let mut encoded: Vec<(String, String)> = params
        .iter()
        .map(|(name, value)| (percent(name.as_bytes()), percent(value.as_bytes())))
        .collect();
    encoded.sort();
    let joined: Vec<String> = encoded
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let joined = Zeroizing::new(joined.join("&"));
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    Zeroizing::new(format!(
        "{}&{}&{}",
        method.to_ascii_uppercase(),
        percent(base.as_str().as_bytes()),
        percent(joined.as_bytes())
    ))
}

fn name(method: Oauth1Signature) -> &'static str {
    match method {
        Oauth1Signature::HmacSha1 => "HMAC-SHA1",
        Oauth1Signature::HmacSha256 => "HMAC-SHA256",
        Oauth1Signature::RsaSha1 => "RSA-SHA1",
        Oauth1Signature::Plaintext => "PLAINTEXT",
    }
}

fn sign(
    method: Oauth1Signature,
    base: &str,
    consumer_secret: &Hidden,
    token_secret: Option<&Hidden>,
    entropy: &dyn Entropy,
) -> Result<Hidden, NotSigned> {
    let token_secret = token_secret.map(Hidden::expose).unwrap_or_default();
    let key = Zeroizing::new(format!(
        "{}&{}",
        percent(consumer_secret.expose().as_bytes()),
        percent(token_secret.as_bytes())
    ));
    let hmac = |algorithm| {
        mac(algorithm, key.as_bytes(), base.as_bytes()).map(|sum| Hidden::new(STANDARD.encode(sum)))
    };
    match method {
        Oauth1Signature::HmacSha1 => hmac(HmacAlgorithm::Sha1),
        Oauth1Signature::HmacSha256 => hmac(HmacAlgorithm::Sha256),
        Oauth1Signature::Plaintext => Ok(Hidden::new(key.as_str())),
        Oauth1Signature::RsaSha1 => {
            rsa_sha1::sign(consumer_secret.expose(), base.as_bytes(), entropy)
                .map(|signature| Hidden::new(STANDARD.encode(signature)))
        }
    }
}

/// RFC 5849, 3.5.1. The realm stands as it is, so it may not end its own quotes.
fn authorization(
    realm: Option<&str>,
    protocol: &[(&'static str, Hidden)],
) -> Result<Hidden, NotSigned> {
    let mut fields = Vec::with_capacity(protocol.len() + 1);
    if let Some(realm) = realm {
        if realm.contains(['"', '\\']) || realm.chars().any(char::is_control) {
            return Err(NotSigned(
                "the realm holds a quote, a backslash or a control character",
            ));
        }
        fields.push(format!("realm=\"{realm}\""));
    }
    for (name, value) in protocol {
        fields.push(format!("{name}=\"{}\"", percent(value.expose().as_bytes())));
    }
    Ok(Hidden::new(format!("OAuth {}", fields.join(", "))))
}

#[cfg(test)]
#[path = "oauth1_tests.rs"]
mod tests;
