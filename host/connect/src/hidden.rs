//! A string that nobody prints: how credentials are held in this crate between the vault and the door out.
//!
//! It has no `Debug`, `Display` or `Serialize`, and is wiped when it is dropped. Records that are sealed name the way
//! out of it field by field (`#[serde(with = "hidden::text")]`), so that it cannot happen by accident.

use zeroize::Zeroizing;

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct Hidden(Zeroizing<String>);

impl Hidden {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Hidden(Zeroizing::new(text.into()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One hidden string inside a sealed record.
pub(crate) mod text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Hidden;

    pub(crate) fn serialize<S: Serializer>(value: &Hidden, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.expose())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Hidden, D::Error> {
        String::deserialize(from).map(Hidden::new)
    }
}

/// A hidden string that may be absent.
pub(crate) mod option {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Hidden;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Hidden>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.serialize_some(value.expose()),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Hidden>, D::Error> {
        Option::<String>::deserialize(from).map(|value| value.map(Hidden::new))
    }
}

/// Hidden strings by name.
pub(crate) mod map {
    use indexmap::IndexMap;
    use serde::ser::SerializeMap as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Hidden;

    pub(crate) fn serialize<S: Serializer>(
        values: &IndexMap<String, Hidden>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(values.len()))?;
        for (name, value) in values {
            map.serialize_entry(name, value.expose())?;
        }
        map.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<IndexMap<String, Hidden>, D::Error> {
        IndexMap::<String, String>::deserialize(from).map(|values| {
            values
                .into_iter()
                .map(|(name, value)| (name, Hidden::new(value)))
                .collect()
        })
    }
}
