//! Why a call did not happen, or did not end well.
//!
//! One enum for all of it, so that the layers above map it once. No variant carries a header value, a
//! query string, a body or anything an upstream said: only names that the caller itself gave, and
//! reasons of our own. [`EgressError::before_sending`] answers the one question that a token refresh
//! must ask: can the upstream have seen the request?

use std::fmt;

/// Why [`Egress::send`](crate::Egress::send), or reading an answer's body, failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The configuration does not work; only from [`Egress::new`](crate::Egress::new).
    #[error("egress configuration: {0}")]
    Config(String),
    /// The URL cannot be used, whatever the allowed hosts are.
    #[error("the url is refused: {0}")]
    BadUrl(UrlFault),
    /// The host (or its port) is not among those this call may reach.
    #[error("{host} is not an allowed host of this app; {hint}")]
    HostNotAllowed {
        /// Host, and port where it is not the scheme's own.
        host: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// A header that the caller may not set.
    #[error("the header {0} is set by the host and may not be set by the caller; leave it out")]
    ForbiddenHeader(String),
    /// A query parameter that carries the credential.
    #[error("the query parameter {0} is filled in by the host; leave it out")]
    ForbiddenParameter(String),
    /// The method is never allowed (CONNECT, TRACE), or writes where only reading is allowed.
    #[error("the method {method} is not allowed: {why}")]
    MethodNotAllowed {
        /// The method.
        method: String,
        /// Why.
        why: &'static str,
    },
    /// A handle where its manifest declares no slot.
    #[error("a secret's handle stands {0}, where the manifest declares no slot for it")]
    HandleOutOfSlot(&'static str),
    /// A credential or fixed header cannot be written into a request (control characters, bad name).
    #[error("the value for {0} cannot be sent: it holds characters that are not allowed there")]
    Unsendable(String),
    /// A credential that goes into the body, and a body that has no room for it.
    #[error("this app's credential goes into the request's body; send a json object or a form")]
    NoPlaceInBody,
    /// The request cannot be signed as the app demands.
    #[error("the request cannot be signed: {0}")]
    NotSigned(&'static str),
    /// The upstream does not take the client certificate.
    #[error("{host} refuses the client certificate")]
    IdentityRefused {
        /// The host.
        host: String,
    },
    /// The name did not resolve.
    #[error("{host} could not be found: {why}")]
    Dns {
        /// The name.
        host: String,
        /// The resolver's word.
        why: String,
    },
    /// Every address of the host is one that nothing may be sent to.
    #[error("{host} resolves only to blocked addresses ({reason}); an operator can allow a range")]
    AddressBlocked {
        /// The host.
        host: String,
        /// The kind of the first address that was dropped.
        reason: &'static str,
    },
    /// No TCP connection.
    #[error("could not connect to {host}: {why}")]
    Connect {
        /// The host.
        host: String,
        /// The operating system's word.
        why: String,
    },
    /// No TLS session: the certificate or the protocol.
    #[error("tls with {host} failed: {why}")]
    Tls {
        /// The host.
        host: String,
        /// The TLS library's word.
        why: String,
    },
    /// Too slow.
    #[error("timed out {0}")]
    Timeout(Wait),
    /// Too large.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What.
        what: Part,
        /// The limit in bytes.
        limit: u64,
    },
    /// More redirects than the call may follow.
    #[error("more than {0} redirects")]
    TooManyRedirects(u8),
    /// The answer is not one that can be passed on.
    #[error("the answer cannot be used: {0}")]
    BadAnswer(&'static str),
    /// The connection broke after the request may have been sent.
    #[error("the connection broke before the answer was complete")]
    Broken,
    /// The caller's own body could not be read to its end.
    #[error("the request body could not be read")]
    RequestBody,
}

impl EgressError {
    /// A stable word for APIs, logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(_) => "egress_config",
            Self::BadUrl(_) => "bad_url",
            Self::HostNotAllowed { .. } => "host_not_allowed",
            Self::ForbiddenHeader(_) => "forbidden_header",
            Self::ForbiddenParameter(_) => "forbidden_parameter",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::HandleOutOfSlot(_) => "handle_out_of_slot",
            Self::Unsendable(_) => "unsendable_value",
            Self::NoPlaceInBody => "no_place_in_body",
            Self::NotSigned(_) => "not_signed",
            Self::IdentityRefused { .. } => "client_certificate_refused",
            Self::Dns { .. } => "dns_failed",
            Self::AddressBlocked { .. } => "address_blocked",
            Self::Connect { .. } => "connect_failed",
            Self::Tls { .. } => "tls_failed",
            Self::Timeout(_) => "timeout",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyRedirects(_) => "too_many_redirects",
            Self::BadAnswer(_) => "bad_answer",
            Self::Broken => "connection_broken",
            Self::RequestBody => "request_body",
        }
    }

    /// True where the upstream cannot have seen any part of the request, so that asking again is safe
    /// even for a request that must not be made twice. Holds for the *last* hop of followed redirects.
    pub fn before_sending(&self) -> bool {
        match self {
            Self::Config(_)
            | Self::BadUrl(_)
            | Self::HostNotAllowed { .. }
            | Self::ForbiddenHeader(_)
            | Self::ForbiddenParameter(_)
            | Self::MethodNotAllowed { .. }
            | Self::HandleOutOfSlot(_)
            | Self::Unsendable(_)
            | Self::NoPlaceInBody
            | Self::NotSigned(_)
            | Self::IdentityRefused { .. }
            | Self::Dns { .. }
            | Self::AddressBlocked { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Timeout(Wait::Connecting) => true,
            Self::Timeout(_)
            | Self::TooLarge { .. }
            | Self::TooManyRedirects(_)
            | Self::BadAnswer(_)
            | Self::Broken
            | Self::RequestBody => false,
        }
    }

    /// True where the upstream or the way to it is at fault, so that the same call may pass later.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Dns { .. }
                | Self::Connect { .. }
                | Self::Tls { .. }
                | Self::Timeout(_)
                | Self::Broken
        )
    }
}

/// What is wrong with a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlFault {
    /// Not a URL at all, or two readers would read it differently.
    Unreadable,
    /// Relative, and the call has no base URL.
    NoBase,
    /// Any scheme but https.
    NotHttps,
    /// `user:password@`.
    UserInfo,
    /// `host.` with the root's dot, which compares unequal to `host` but resolves the same.
    TrailingDot,
    /// An address instead of a name, in any notation.
    IpLiteral,
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "it is not a complete url",
            Self::NoBase => "it is relative, and this call has no base url",
            Self::NotHttps => "only https is allowed",
            Self::UserInfo => "it carries a user name or password",
            Self::TrailingDot => "its host ends in a dot; leave the dot out",
            Self::IpLiteral => {
                "its host is an address; use a name, or let the operator allow the address"
            }
        })
    }
}

/// What was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Look-up, TCP and TLS: the request was not sent.
    Connecting,
    /// The answer's status and headers.
    Headers,
    /// The answer's body.
    Body,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "while connecting",
            Self::Headers => "while waiting for the answer",
            Self::Body => "while reading the answer's body",
        })
    }
}

/// What was too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The request's headers.
    RequestHeaders,
    /// The request's body.
    RequestBody,
    /// The answer's headers.
    ResponseHeaders,
    /// The answer's body, received or decompressed.
    ResponseBody,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RequestHeaders => "the request's headers",
            Self::RequestBody => "the request's body",
            Self::ResponseHeaders => "the answer's headers",
            Self::ResponseBody => "the answer's body",
        })
    }
}
