//! Tokens: obtained, renewed, ended.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`client`] | the `oauth2` crate's client with our own HTTP client in its slot |
//! | [`exchange`] | a code for tokens |
//! | [`refresh`] | one refresh at a time, durable before it is used |
//! | [`revoke`] | a grant is ended at the app |

pub(crate) mod client;
pub(crate) mod exchange;
mod refresh;
mod revoke;
