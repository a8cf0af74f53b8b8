//! Connections: one account of one owner at one app.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`list`] | finding, listing, showing |
//! | [`state`] | who moves a connection from one state to another, and how that is written down |
//! | [`pending`] | from a fresh sign-in to one that counts: test, hand-over, or letting go |
//! | [`check`] | the test call |
//! | [`scopes`] | what was asked for and what was granted |
//! | [`verbs`] | rename, test, pause, resume, disconnect, delete |
//! | [`details`] | new details and imported credentials, tested before they count |

pub(crate) mod check;
mod details;
mod list;
mod pending;
pub(crate) mod scopes;
mod state;
mod verbs;

pub(crate) use pending::Fresh;
pub(crate) use state::{Verdict, verdict_of};
