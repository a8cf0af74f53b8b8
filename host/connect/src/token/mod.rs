//! Tokens: obtained, renewed, ended.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`client`] | the `oauth2` crate's client with our own HTTP client in its slot |
//! | [`send`] | one request to one host, its answer read whole |
//! | [`failure`] | why no token came |
//! | [`by_component`] | token requests that an app's component makes |
//! | [`exchange`] | first tokens: for a code, an assertion, the client itself; the further exchange |
//! | [`id_token`] | who signed in, where a manifest keeps it |
//! | [`introspect`] | when a token ends, asked where its answer does not say it |
//! | [`refresh`] | one refresh at a time, durable before it is used |
//! | [`renew`] | what a token is renewed with |
//! | [`gate`] | how many token requests go to one host at once, and when it is left alone |
//! | [`found`], [`discover`] | endpoints that are found out, under the limits of strangers' documents |
//! | [`register`] | clients that this host registers by itself |
//! | [`revoke`] | a grant is ended at the app |

mod by_component;
pub(crate) mod client;
pub(crate) mod discover;
pub(crate) mod exchange;
mod failure;
pub(crate) mod found;
pub(crate) mod gate;
pub(crate) mod id_token;
mod introspect;
mod refresh;
mod register;
pub(crate) mod renew;
mod revoke;
mod send;

pub(crate) use refresh::Need;
