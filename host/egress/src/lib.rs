//! The one door out: allowed hosts, address filter, TLS, limits, credentials, redaction.
//!
//! Everything that Keyport sends to anybody goes through [`Egress::send`], whoever asked for it: a
//! component, a platform's proxied request, or the host's own sign-in flows. The caller brings a
//! [`Pass`], which says what this one call may do; the operator's [`EgressConfig`] bounds every pass.
//!
//! The threats: a component that wants a credential or wants to reach what it should not; a person who
//! types a host name that leads into the operator's network; an upstream that redirects, re-resolves,
//! never ends, explodes when decompressed, or sends back what it was sent; an owner who would profit
//! from another owner's open connection. `README.md` in this folder says which step meets which.
//!
//! Left out on purpose: HTTP/2 and HTTP/3 (one connection would carry several calls, and no upstream
//! we know needs them), proxies from the environment, cookies, and any switch to turn verification off.

mod address;
mod answer;
mod attach;
mod body;
mod connect;
mod decode;
mod error;
mod handles;
mod headers;
mod identity;
mod limits;
mod origins;
mod pass;
mod place;
mod pool;
mod redirect;
mod resolve;
mod scrub;
mod secret;
mod send;
mod sign;
mod slots;
mod target;
mod tls;
mod witness;

pub use address::{AddressFilter, blocked_reason};
pub use body::Body;
pub use error::{EgressError, Part, UrlFault, Wait};
pub use handles::{Handles, Mark, Slot};
pub use identity::{Identity, IdentityError};
pub use ipnet::IpNet;
pub use limits::Limits;
pub use origins::{Origins, OriginsError, Override};
pub use pass::{Methods, Pass, Purpose, Redirects, SafeRequest};
pub use resolve::{Resolve, SystemResolver};
pub use scrub::{MARK, MIN_SCRUBBED, ScrubStream, Scrubber};
pub use secret::{Credential, Injection, Place, Secret};
pub use send::{Egress, EgressConfig};
pub use sign::{Covers, NotSigned, Signed, Signer, Unsigned};
pub use witness::{Seen, SeenAnswer, SeenError, Witness};
