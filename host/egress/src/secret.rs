//! Secret text on its way to an upstream, and what is attached where.
//!
//! A [`Secret`] has no `Debug`, `Display` or `Serialize`, and is wiped when dropped: printing one by
//! accident does not compile. [`Credential`] binds secrets to an *audience*: the hosts that may see
//! them. Nothing in this crate attaches a secret to a request whose URL is outside that audience.

use std::sync::Arc;

use keyport_manifest::hosts::AllowedHosts;
use url::Url;
use zeroize::Zeroizing;

use crate::sign::Signer;

/// A piece of secret text. Wiped on drop; cannot be printed, compared or serialised.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the text, so that no second copy stays behind.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The secret itself. Every caller of this is a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

/// Where an injected value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A request header of this name.
    Header,
    /// A query parameter of this name.
    Query,
    /// A cookie of this name (RFC 6265, 4.2): one pair of the `cookie` header, beside the others.
    Cookie,
    /// A member of the JSON object, or a parameter of the form, that the request's body is.
    Body,
}

/// One rendered line of an auth method's `inject` list.
#[derive(Clone)]
pub struct Injection {
    /// Header, query parameter, cookie or member of the body.
    pub place: Place,
    /// The header's, parameter's, cookie's or member's name.
    pub name: String,
    /// The whole value, scheme included (`Bearer …`).
    pub value: Secret,
}

/// What is attached to requests that go to the audience, and only to those.
#[derive(Clone)]
pub struct Credential {
    /// The hosts that may see the credential. A host that the pass allows but the audience does not
    /// gets the request without it.
    pub audience: AllowedHosts,
    /// Hosts inside the audience that have a credential of their own, or none: the narrower line holds.
    pub except: AllowedHosts,
    /// What to attach.
    pub parts: Vec<Injection>,
    /// What signs the finished request, after the parts are in.
    pub signer: Option<Arc<dyn Signer>>,
    /// Every secret value that must not come back in an answer: the bare token or key, not the
    /// rendered header. Values under [`MIN_SCRUBBED`](crate::MIN_SCRUBBED) bytes are not scrubbed.
    /// The parts themselves are *not* scrubbed, because a part may be a harmless constant.
    pub scrub: Vec<Secret>,
}

impl Credential {
    /// Nothing yet, for this audience.
    pub fn new(audience: AllowedHosts) -> Self {
        Self {
            audience,
            except: AllowedHosts::none(),
            parts: Vec::new(),
            signer: None,
            scrub: Vec::new(),
        }
    }

    /// Whether a request to this URL carries it.
    pub fn is_for(&self, url: &Url) -> bool {
        self.audience.allows(url) && !self.except.allows(url)
    }

    /// The declared name of the query parameter or body member that the host fills in, if the caller's `name` is one.
    pub(crate) fn filled_in(&self, place: Place, name: &str) -> Option<String> {
        let part = self
            .parts
            .iter()
            .find(|part| part.place == place && part.name.eq_ignore_ascii_case(name));
        let signer = || {
            let signer = self.signer.as_ref()?;
            signer.fills_in(place, name).then(|| name.to_owned())
        };
        part.map(|part| part.name.clone()).or_else(signer)
    }
}
