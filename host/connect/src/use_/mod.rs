//! Using a connection: what a call may do, and the calls.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`scope`] | the values that templates see for one connection |
//! | [`pass`] | the right to one call: hosts, credential, headers |
//! | [`ready`] | from an id to a connection that may be used, its token fresh |
//! | [`proxy`] | any request, with the credentials attached |
//! | [`call`] | actions and triggers, in the sandbox |
//! | [`credentials`] | the credentials themselves, audited before they leave |

pub(crate) mod call;
mod credentials;
pub(crate) mod pass;
mod proxy;
mod ready;
pub(crate) mod scope;
