//! Sign-in by an app's own log-in requests, and what is asked of an app right after any sign-in.
//!
//! Both are requests that a manifest writes down and the host itself sends, so they share how such a request is made.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`request`] | a request of the manifest's, sent by the host to exactly the host that it names |
//! | [`steps`] | the steps of a log-in, one after the other; the log-out |
//! | [`renew`] | a session that has ended is begun again, one at a time |
//! | [`discovery`] | which site, workspace or company a connection is for |
//! | [`choose`] | the person's answer, where only they can know |
//!
//! Threats: an answer names the host that the next request goes to (captures are held to their declared form, and a URL to
//! the host that its template makes); an answer is endless (egress bounds it); a wrong password is tried again and again
//! until the account is locked (a refusal makes the connection `needs_reconnect`, and nothing is sent for it after that).

mod choose;
mod discovery;
mod renew;
pub(crate) mod request;
mod steps;

pub(crate) use discovery::{CHOOSE, waits_for_choice};
