//! Connections: one account of one owner at one app.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`list`] | finding, listing, showing |
//! | [`state`] | who moves a connection from one state to another, and how that is written down |
//! | [`pending`] | from a fresh sign-in to one that counts: test, hand-over, or letting go |
//! | [`migrate`] | connections of an older version of a manifest, brought to the one that is loaded |
//! | [`check`] | the test call |
//! | [`first`] | a refusal, as somebody hears it who has only just typed a key |
//! | [`lifecycle`] | code of a component's own, after the test call and before the end |
//! | [`scopes`] | what was asked for and what was granted |
//! | [`verbs`] | rename, test, pause, resume, disconnect, delete |
//! | [`details`] | new details, tested before they count |
//! | [`import`] | credentials that were made elsewhere, tested before they count |

pub(crate) mod check;
mod details;
mod first;
mod import;
mod lifecycle;
mod list;
pub(crate) mod migrate;
mod pending;
pub(crate) mod scopes;
mod state;
mod verbs;

pub(crate) use pending::Fresh;
pub(crate) use scopes::lacking_scopes;
pub(crate) use state::{Verdict, verdict_of};
