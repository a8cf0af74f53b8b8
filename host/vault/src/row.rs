//! How a record lies in the store.
//!
//! ```text
//! 0  version    1  = 1                14 clear JSON, clear_len bytes
//! 1  flags      1  bit 0: sealed      …  envelope (when flag bit 0), to 16 bytes before the end
//! 2  generation 8                     −16 HMAC-SHA256(row key, lp(store key) ‖ all before), first 16 bytes
//! 10 clear_len  4
//! ```
//! The generation stands in the clear and goes up with every new secret; the envelope is opened with *this* generation, so
//! that an older sealed value put back beside a newer row does not open.
//!
//! **Why a MAC over what is in the clear.** The clear part names, for instance, the app that a credential is for. Whoever
//! could change that in the file would have the credential sent elsewhere without opening it.
//! A row whose MAC is wrong is *damaged*: it can be listed, replaced and deleted, and its secret stays shut.

use bytes::Bytes;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::envelope::lp;
use crate::secret::Key32;
use crate::store::Key;

const VERSION: u8 = 1;
const SEALED: u8 = 1;
const MAC: usize = 16;
/// The largest clear part, in bytes of JSON.
pub const CLEAR_MAX: usize = 256 * 1024;

/// A row as read.
pub(crate) struct Row {
    pub(crate) generation: u64,
    pub(crate) clear: Value,
    /// The envelope, still shut.
    pub(crate) sealed: Option<Bytes>,
    /// The row was altered or cannot be read: nothing in it can be relied on.
    pub(crate) damaged: bool,
}

/// The clear part is too long.
#[derive(Debug)]
pub(crate) struct TooLong;

pub(crate) fn encode(
    mac_key: &Key32,
    key: &Key,
    generation: u64,
    clear: &Value,
    sealed: Option<&[u8]>,
) -> Result<Bytes, TooLong> {
    let clear = serde_json::to_vec(clear).map_err(|_| TooLong)?;
    if clear.len() > CLEAR_MAX {
        return Err(TooLong);
    }
    let clear_len = u32::try_from(clear.len()).map_err(|_| TooLong)?;
    let mut row = Vec::with_capacity(14 + clear.len() + sealed.map_or(0, <[u8]>::len) + MAC);
    row.push(VERSION);
    row.push(if sealed.is_some() { SEALED } else { 0 });
    row.extend_from_slice(&generation.to_be_bytes());
    row.extend_from_slice(&clear_len.to_be_bytes());
    row.extend_from_slice(&clear);
    row.extend_from_slice(sealed.unwrap_or_default());
    let mac = mac(mac_key, key, &row).finalize().into_bytes();
    row.extend(mac.iter().take(MAC));
    Ok(Bytes::from(row))
}

/// Reads a row. Never fails: what cannot be read is a damaged row, so that a list lives on.
pub(crate) fn decode(mac_key: &Key32, key: &Key, bytes: &Bytes) -> Row {
    let genuine = bytes
        .split_last_chunk::<MAC>()
        .is_some_and(|(body, expected)| {
            mac(mac_key, key, body)
                .verify_truncated_left(expected)
                .is_ok()
        });
    match parse(bytes) {
        Some(row) => Row {
            damaged: !genuine,
            ..row
        },
        None => Row {
            generation: 0,
            clear: Value::Null,
            sealed: None,
            damaged: true,
        },
    }
}

fn parse(bytes: &Bytes) -> Option<Row> {
    let (body, _) = bytes.split_last_chunk::<MAC>()?;
    let ([version, flags], rest) = body.split_first_chunk::<2>()?;
    let (generation, rest) = rest.split_first_chunk::<8>()?;
    let (clear_len, rest) = rest.split_first_chunk::<4>()?;
    let clear_len = usize::try_from(u32::from_be_bytes(*clear_len)).ok()?;
    let (clear, envelope) = rest.split_at_checked(clear_len)?;
    let sealed = match *flags {
        0 if envelope.is_empty() => None,
        SEALED => Some(bytes.slice_ref(envelope)),
        _ => return None,
    };
    (*version == VERSION).then_some(Row {
        generation: u64::from_be_bytes(*generation),
        clear: serde_json::from_slice(clear).ok()?,
        sealed,
        damaged: false,
    })
}

fn mac(mac_key: &Key32, key: &Key, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = mac_key.hmac();
    let mut name = Vec::with_capacity(key.as_bytes().len() + 4);
    lp(&mut name, key.as_bytes());
    mac.update(&name);
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_reads_back() {
        let key32 = Key32::random().unwrap();
        let key = Key::from("r/connection/u1/con_1");
        for sealed in [None, Some(b"envelope".as_slice())] {
            let bytes = encode(&key32, &key, 7, &json!({"title": "Ada"}), sealed).unwrap();
            let row = decode(&key32, &key, &bytes);
            assert!(!row.damaged);
            assert_eq!(row.generation, 7);
            assert_eq!(row.clear, json!({"title": "Ada"}));
            assert_eq!(row.sealed.as_deref(), sealed);
        }
    }

    #[test]
    fn every_changed_bit_every_cut_and_another_place_make_a_row_damaged() {
        let key32 = Key32::random().unwrap();
        let key = Key::from("r/connection/u1/con_1");
        let bytes = encode(&key32, &key, 7, &json!({"app": "slack"}), Some(b"envelope")).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(
                decode(&key32, &key, &Bytes::from(changed)).damaged,
                "bit {bit}"
            );
        }
        for len in 0..bytes.len() {
            assert!(
                decode(&key32, &key, &bytes.slice(..len)).damaged,
                "cut to {len}"
            );
        }
        let elsewhere = Key::from("r/connection/u2/con_1");
        assert!(decode(&key32, &elsewhere, &bytes).damaged);
    }
}
