//! What proves each request where a credential alone does not: signatures that the host makes, and tokens that it mints.
//!
//! Egress calls a [`Signer`](keyport_egress::Signer) on the request that is about to leave; the algorithms and keys are
//! here. [`arrange`] puts together what one connection needs. No key reaches a component, a log or an error, and what is
//! made of keys (a PLAINTEXT signature, a minted token) is named to egress, which takes it out of answers.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`arrange`] | which of these a way to sign in takes, with which keys |
//! | [`oauth1`] | OAuth 1.0a (RFC 5849), for API calls and for the sign-in itself |
//! | [`rsa_sha1`] | its signature with a private key |
//! | [`sigv4`] | AWS Signature Version 4 |
//! | [`role`] | temporary keys of an AWS role |
//! | [`hmac`] | signatures that a manifest describes |
//! | [`wsse`] | WS-Security user name tokens |
//! | [`clocks`] | what time it is at an app whose clock is another one |
//! | [`kept`] | minted tokens and temporary keys, kept until shortly before they end |
//!
//! Left out: signatures over streamed bodies in pieces (AWS `STREAMING-…`), `oauth_body_hash`, and SigV4A.

mod arrange;
pub(crate) mod clocks;
mod hmac;
mod kept;
pub(crate) mod oauth1;
mod role;
mod rsa_sha1;
mod sigv4;
mod wsse;

use std::sync::Arc;

pub(crate) use arrange::oauth1_client;
pub(crate) use role::unsent;

/// What the signers of one engine share. Nothing of it outlives the process.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) clocks: Arc<clocks::Clocks>,
    pub(crate) kept: kept::Kept,
}

/// RFC 3986, 2.3: everything but letters, digits, `-._~` as `%XX`.
pub(crate) fn percent(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |nibble: u8| {
                char::from_digit(u32::from(nibble), 16)
                    .unwrap_or('0')
                    .to_ascii_uppercase()
            };
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
