//! How rows are named in the store.
//!
//! ```text
//! r/<kind>/<owner>/<id>   a record            i/<kind>/<id>   index: whose record has this id
//! k/<owner>               an owner's keys     s/keyring       the keyring     s/check   the check value
//! s/next/keyring, s/next/check                the same under the next root key, while that is changed
//! s/terms, s/term/<n>                         states of the terms; term n sealed with the one before
//! s/floor                 below what revisions have counted before this store (a restore)
//! s/job                   a rotation under way            s/restoring    a restore under way
//! ```
//! Parts are percent-encoded (everything but `A–Z a–z 0–9 - _ .`), so `/` only ever separates: no owner can be chosen
//! such that their rows fall under another's prefix, and all rows of a kind, or of a kind and owner, are one range.
//! The whole key is part of each sealed value's associated data.

use crate::ids::{Kind, Owner, RecordId};
use crate::store::Key;

/// The encrypted keyring.
pub(crate) fn keyring() -> Key {
    Key::from("s/keyring")
}

/// The sealed value that tells a wrong root key.
pub(crate) fn check() -> Key {
    Key::from("s/check")
}

/// The keyring under the next root key.
pub(crate) fn next_keyring() -> Key {
    Key::from("s/next/keyring")
}

/// The check value of the next root key.
pub(crate) fn next_check() -> Key {
    Key::from("s/next/check")
}

/// Numbers and states of the terms.
pub(crate) fn terms() -> Key {
    Key::from("s/terms")
}

/// A term, sealed with the one before it. The number is written such that rows sort by it.
pub(crate) fn term(id: u32) -> Key {
    Key::from(format!("{TERM}{id:08x}"))
}

/// What all rows of [`term`] begin with.
pub(crate) const TERM: &str = "s/term/";

/// Where this store's revisions go on from, and when it was restored.
pub(crate) fn floor() -> Key {
    Key::from("s/floor")
}

/// The rotation that is under way.
pub(crate) fn job() -> Key {
    Key::from("s/job")
}

/// The restore that is under way.
pub(crate) fn restoring() -> Key {
    Key::from("s/restoring")
}

/// All versions of one owner's key.
pub(crate) fn owner_keys(owner: &Owner) -> Key {
    Key::from(format!("k/{}", encode(owner.as_str())))
}

/// The row of a record.
pub(crate) fn record(id: &RecordId) -> Key {
    Key::from(format!(
        "{}{}",
        kind_owner_prefix(id.kind, Some(&id.owner)),
        encode(&id.id)
    ))
}

/// The row that says whose record `id` is.
pub(crate) fn index(kind: Kind, id: &str) -> Key {
    Key::from(format!("i/{kind}/{}", encode(id)))
}

/// What all rows of a kind (and owner) begin with.
pub(crate) fn kind_owner_prefix(kind: Kind, owner: Option<&Owner>) -> String {
    match owner {
        Some(owner) => format!("r/{kind}/{}/", encode(owner.as_str())),
        None => format!("r/{kind}/"),
    }
}

/// What all records begin with.
pub(crate) const RECORDS: &str = "r/";
/// What all rows of [`index`] begin with.
pub(crate) const INDEX: &str = "i/";
/// What all rows of [`owner_keys`] begin with.
pub(crate) const OWNERS: &str = "k/";

/// Reads the key of a row of [`owner_keys`] back.
pub(crate) fn parse_owner(key: &Key) -> Option<Owner> {
    let text = std::str::from_utf8(key.as_bytes()).ok()?;
    Owner::stored(&decode(text.strip_prefix(OWNERS)?)?).ok()
}

/// Reads the key of a row of [`index`] back: kind and id.
pub(crate) fn parse_index(key: &Key) -> Option<(&str, String)> {
    let text = std::str::from_utf8(key.as_bytes()).ok()?;
    let (kind, id) = text.strip_prefix(INDEX)?.split_once('/')?;
    Some((kind, decode(id)?))
}

/// [`index`] for a kind that was read back from a key.
pub(crate) fn index_named(kind: &str, id: &str) -> Key {
    Key::from(format!("{INDEX}{kind}/{}", encode(id)))
}

/// [`record`] for a kind that was read back from a key.
pub(crate) fn record_named(kind: &str, owner: &Owner, id: &str) -> Key {
    Key::from(format!(
        "{RECORDS}{kind}/{}/{}",
        encode(owner.as_str()),
        encode(id)
    ))
}

/// Reads a record's key back: kind as text, owner, id. `None` for any other row.
pub(crate) fn parse_record(key: &Key) -> Option<(&str, Owner, String)> {
    let text = std::str::from_utf8(key.as_bytes()).ok()?;
    let mut parts = text.strip_prefix(RECORDS)?.split('/');
    let (kind, owner, id) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some((kind, Owner::stored(&decode(owner)?).ok()?, decode(id)?))
}

fn encode(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(u32::from(nibble), 16));
            }
        }
    }
    out
}

fn decode(part: &str) -> Option<String> {
    let mut bytes = part.bytes();
    let mut out = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIND: Kind = Kind::new("connection");

    #[test]
    fn an_owner_cannot_reach_into_anothers_rows() {
        let inner = RecordId::new(KIND, Owner::new("a/b").unwrap(), "c");
        let outer = RecordId::new(KIND, Owner::new("a").unwrap(), "b/c");
        assert_ne!(record(&inner), record(&outer));
        let prefix = kind_owner_prefix(KIND, Some(&outer.owner));
        assert!(!record(&inner).as_bytes().starts_with(prefix.as_bytes()));
        let longer = RecordId::new(KIND, Owner::new("ab").unwrap(), "c");
        assert!(!record(&longer).as_bytes().starts_with(prefix.as_bytes()));
    }

    proptest! {
        #[test]
        fn a_key_reads_back_to_the_same_owner_and_id(owner in "[^\\p{Cc}@][^\\p{Cc}]{0,40}", id in "[^\\p{Cc}]{1,40}") {
            let id = RecordId::new(KIND, Owner::new(&owner).unwrap(), id);
            let key = record(&id);
            let (kind, owner, back) = parse_record(&key).unwrap();
            prop_assert_eq!((kind, &owner, &back), (KIND.as_str(), &id.owner, &id.id));
        }
    }
}
