//! What the suite needs to drive the built program from outside, as its users would.
//!
//! | module | what it holds |
//! |---|---|
//! | [`authority`] | certificates and keys, made for one run |
//! | [`binary`] | finds the built `keyport`; runs a command to its end |
//! | [`guest`] | components that only tests need |
//! | [`host`] | a running `keyport serve` or `keyport dev`, stopped when dropped |
//! | [`http`] | a small blocking client that keeps cookies and follows nothing by itself |
//! | [`peer`] | programs that nobody here wrote, started on free loopback ports |
//! | [`platform`] | the calls that a platform's backend makes |
//! | [`postgres`] | a database server of the test's own |
//! | [`provider`] | an OAuth provider that can be stopped in the middle of a refresh |
//! | [`script`] | a provider that says, exchange by exchange, what a case tells it to say, and looks at what it is asked |
//! | [`proxy`] | a network at its worst, between a host and its database |
//! | [`browser`] | the page's calls, for tests that need no real browser |
//!
//! It depends on no crate of this workspace: what it can't see from outside, users can't either.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this crate is only ever a test; a failure here should stop it loudly"
)]

pub mod authority;
pub mod binary;
pub mod browser;
pub mod guest;
pub mod host;
pub mod http;
pub mod peer;
pub mod platform;
pub mod postgres;
pub mod provider;
pub mod proxy;
pub mod script;
