//! How rows are named in the store.
//!
//! ```text
//! r/<kind>/<owner>/<id>   a record            i/<kind>/<id>   index: whose record has this id
//! k/<owner>               an owner's keys     s/keyring       the keyring     s/check   the check value
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
