//! What one call may do: built by the layer above from manifest, configuration and connection.
//!
//! A pass is for one call. It has no `Debug` and no `Serialize`, because it holds the credential.

use bytes::Bytes;
use http::{HeaderMap, Method};
use keyport_manifest::hosts::AllowedHosts;
use url::Url;

use crate::answer;
use crate::attach;
use crate::handles::{Handles, Mark};
use crate::identity::Identity;
use crate::limits::Limits;
use crate::scrub::Scrubber;
use crate::secret::Credential;
use crate::witness::Witness;

/// Who is calling, which decides how much the caller is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A component. Every header it may not set is refused; the answer is scrubbed.
    Guest,
    /// A platform's request through a connection. Headers that belong to the hop from the platform to
    /// us are dropped; those that would carry a credential are refused; the answer is scrubbed.
    Proxy,
    /// The host's own request: token, revocation, discovery, webhook. Any header; the answer is *not*
    /// scrubbed, as it may be the token. `Pass::hosts` should hold the exact origin and nothing else.
    Flow,
}

/// What happens to an answer that points elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// The 3xx is the answer.
    #[default]
    Return,
    /// Follow GET and HEAD (and what becomes a GET) up to three times, with every header of the caller
    /// dropped and every check run again. A 307 or 308 of any other method is returned.
    Follow,
}

/// Which methods a call may use. CONNECT and TRACE never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Methods {
    /// All others.
    #[default]
    Any,
    /// GET, HEAD and OPTIONS: for test calls and actions declared as reading.
    ReadOnly,
    /// As `ReadOnly`, and these requests that the manifest marks as safe.
    ReadOnlyAnd(Vec<SafeRequest>),
}

/// A request that does not change anything although its method could (GraphQL queries, searches).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeRequest {
    /// The method.
    pub method: Method,
    /// The exact path of the final URL, base path included, without the query.
    pub path: String,
}

/// The right to one call.
#[derive(Clone)]
pub struct Pass {
    /// Whose call it is. Connections and TLS sessions are never shared between owners.
    pub owner: String,
    /// Who is calling.
    pub purpose: Purpose,
    /// Relative request URLs are appended to it, and its own origin is allowed.
    pub base_url: Option<Url>,
    /// The hosts that manifest *and* operator allow.
    pub hosts: AllowedHosts,
    /// What is attached, to whom.
    pub credential: Option<Credential>,
    /// Further credentials, each with an audience of its own: an app's second token.
    pub further: Vec<Credential>,
    /// The client certificate, for the hosts of its audience.
    pub identity: Option<Identity>,
    /// The manifest's constant headers. Set where the caller did not set them (name them in
    /// `reserved_headers` too where the caller may not).
    pub fixed_headers: Vec<(String, String)>,
    /// The manifest's constant query parameters. Added where the URL does not have them.
    pub fixed_query: Vec<(String, String)>,
    /// Headers that the caller may not set, in addition to those that no caller may and to those of the
    /// credential.
    pub reserved_headers: Vec<String>,
    /// The placeholders issued in this call.
    pub handles: Handles,
    /// Whether the answer comes back unscrubbed even for a guest: only where whoever sends for it takes out secrets itself,
    /// because the answer is a token (and may well be one that is known already).
    pub raw_answer: bool,
    /// Follow or return.
    pub redirects: Redirects,
    /// Read or write.
    pub methods: Methods,
    /// Limits of this call; the operator's are the ceiling.
    pub limits: Limits,
    /// Who is shown this call's requests and answers, without what is attached: an author who tries an app. Nobody where answers
    /// are not scrubbed.
    pub witness: Option<Witness>,
}

impl Pass {
    /// Every credential of the call.
    pub fn credentials(&self) -> impl Iterator<Item = &Credential> {
        self.credential.iter().chain(&self.further)
    }

    /// Whether secrets are taken out of answers here, and not by whoever sends for them.
    pub(crate) fn is_scrubbed(&self) -> bool {
        match self.purpose {
            Purpose::Guest | Purpose::Proxy => !self.raw_answer,
            Purpose::Flow => false,
        }
    }

    /// What takes out of an answer all that the call knows by now; nothing where the answer is the host's own to read.
    pub(crate) fn scrubber(&self) -> Scrubber {
        if self.is_scrubbed() {
            attach::scrubber(self)
        } else {
            Scrubber::default()
        }
    }

    /// Looks through an answer once more that was read while others of the same call were under way: what was issued or derived
    /// since its head arrived (`known` is [`Handles::mark`] of before) is taken out of it too.
    pub fn scrubbed_since(&self, known: Mark, headers: &mut HeaderMap, body: Bytes) -> Bytes {
        if self.handles.mark() == known {
            return body;
        }
        let scrubber = self.scrubber();
        if scrubber.is_empty() {
            return body;
        }
        answer::scrub_headers(&scrubber, headers);
        scrubber.bytes(&body).into()
    }

    /// A pass that allows the given hosts and nothing else: no base, no credential, no redirects, every
    /// method, default limits.
    pub fn new(owner: impl Into<String>, purpose: Purpose, hosts: AllowedHosts) -> Self {
        Self {
            owner: owner.into(),
            purpose,
            base_url: None,
            hosts,
            credential: None,
            further: Vec::new(),
            identity: None,
            fixed_headers: Vec::new(),
            fixed_query: Vec::new(),
            reserved_headers: Vec::new(),
            handles: Handles::default(),
            raw_answer: false,
            redirects: Redirects::Return,
            methods: Methods::Any,
            limits: Limits::default(),
            witness: None,
        }
    }
}
