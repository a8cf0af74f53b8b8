//! Step 3, its end: a signature over the request as it leaves.
//!
//! Some apps take no token: each request proves itself, by a signature over its method, URL, headers or body (OAuth 1.0a,
//! AWS Signature Version 4, HMAC). So the signer runs last, on the very bytes and the very URL that the upstream will see,
//! origin overrides included. The layer above brings the algorithm and its keys as a [`Signer`]; this module fixes what a
//! signer is shown and what it can do: name parts that are put where parts go, and nothing else. It cannot change where a
//! request goes, and it is asked only for URLs within its credential's audience; a redirect that leaves the audience is not
//! signed.
//!
//! Threat: what a signature is made of comes back. PLAINTEXT signatures are the secrets themselves, and a signed token is
//! as good as a password until it ends; a signer names such values as `derived`, and they are scrubbed like any secret.

use std::borrow::Cow;

use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::secret::{Injection, Place, Secret};

/// How much of a request's body a signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// Nothing of it: it may stream.
    Nothing,
    /// All of it: a stream is read to its end first, within the limit on request bodies.
    Body,
    /// All of it where it is at hand; a longer or a streamed one goes out unsigned.
    BodyAtHand,
}

/// A request that is ready but for its signature.
pub struct Unsigned<'a> {
    /// The method.
    pub method: &'a Method,
    /// The URL as the upstream sees it.
    pub url: &'a Url,
    /// The headers; `host` is not among them, see [`Unsigned::authority`].
    pub headers: &'a HeaderMap,
    /// The body; `None` where the signer does not cover it or it is not at hand.
    pub body: Option<&'a [u8]>,
}

impl Unsigned<'_> {
    /// What the `host` header will say: the port only where it is not the scheme's own.
    pub fn authority(&self) -> Cow<'_, str> {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => Cow::Owned(format!("{host}:{port}")),
            None => Cow::Borrowed(host),
        }
    }

    /// Whether the body is a form (`application/x-www-form-urlencoded`).
    pub fn is_form(&self) -> bool {
        crate::place::is_form(self.headers)
    }
}

/// What a signer adds.
pub struct Signed {
    /// Put in place like the parts of a credential.
    pub parts: Vec<Injection>,
    /// Values that are worth something to whoever reads them; scrubbed from the answer.
    pub derived: Vec<Secret>,
}

/// Why a request was not signed. A fixed sentence: lower case, no full stop, no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotSigned(pub &'static str);

/// Signs requests with one connection's keys.
pub trait Signer: Send + Sync {
    /// How much of the body of a request with these headers it wants to see.
    fn covers(&self, headers: &HeaderMap) -> Covers;

    /// Whether it fills in the query parameter or the body's member of this name, so that no caller may.
    fn fills_in(&self, place: Place, name: &str) -> bool {
        let _ = (place, name);
        false
    }

    /// Signs.
    ///
    /// # Errors
    /// When the request cannot be signed as the app demands.
    fn sign(&self, request: &Unsigned<'_>) -> Result<Signed, NotSigned>;

    /// Whether the answer says that the signature's time was wrong and the signer now knows better: the request is then
    /// signed and sent once more, where its body is at hand. Only asked about refusals.
    fn again(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let _ = (status, headers);
        false
    }
}
