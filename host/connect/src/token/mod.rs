//! Tokens: obtained, renewed, ended.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`client`] | the `oauth2` crate's client with our own HTTP client in its slot |
//! | [`exchange`] | a code for tokens |
//! | [`refresh`] | one refresh at a time, durable before it is used |
//! | [`renew`] | what a refresh asks for |
//! | [`gate`] | how many token requests go to one host at once, and when it is left alone |
//! | [`revoke`] | a grant is ended at the app |

pub(crate) mod client;
pub(crate) mod exchange;
pub(crate) mod gate;
mod refresh;
mod renew;
mod revoke;

pub(crate) use refresh::Need;
