//! Values with a short and a long form, read so that an error names what is wrong in the form that was used.
//! (`serde`'s untagged enums only say that nothing fitted.)

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads the long form from an object and the short one from anything else.
pub(super) fn short_or_long<'de, D, S, L, T>(
    d: D,
    short: impl FnOnce(S) -> Result<T, String>,
    long: impl FnOnce(L) -> Result<T, String>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    S: DeserializeOwned,
    L: DeserializeOwned,
{
    let value = Value::deserialize(d)?;
    let read = if value.is_object() {
        serde_json::from_value::<L>(value)
            .map_err(|e| e.to_string())
            .and_then(long)
    } else {
        serde_json::from_value::<S>(value)
            .map_err(|e| e.to_string())
            .and_then(short)
    };
    read.map_err(D::Error::custom)
}

/// Reads a list, or one item as a list of one.
pub(super) fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    d: D,
) -> Result<Vec<T>, D::Error> {
    let value = Value::deserialize(d)?;
    let items = match value {
        Value::Array(items) => items,
        one => vec![one],
    };
    items
        .into_iter()
        .map(serde_json::from_value)
        .collect::<Result<_, _>>()
        .map_err(D::Error::custom)
}
