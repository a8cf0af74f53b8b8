//! Using a connection: what a call may do, and the calls.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`scope`] | the values that templates see for one connection |
//! | [`pass`] | the right to one call: hosts, credential, headers |
//! | [`ready`] | from an id to a connection that may be used, its token fresh |
//! | [`proxy`] | any request, with the credentials attached |
//! | [`call`] | actions and triggers, in the sandbox |
//! | [`choices`] | what an input can be, as the app lists it |
//! | [`held`] | their input and output, held to their schemas |
//! | [`trial`] | a call for a connection that nobody made: an author tries an app |
//! | [`credentials`] | the credentials themselves, audited before they leave |

pub(crate) mod call;
mod choices;
mod credentials;
pub(crate) mod held;
pub(crate) mod pass;
mod proxy;
mod ready;
pub(crate) mod scope;
pub(crate) mod trial;

pub use choices::InputOf;
