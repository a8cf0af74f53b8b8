//! JSONPath (RFC 9535) as manifests use it: parsed once, evaluated without surprises.
//!
//! Built on `serde_json_path`. What a path *means* where one value is wanted (the first selected) or where a truth is
//! wanted (selected and neither null, false nor empty) is defined here and nowhere else.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

/// A parsed JSONPath; serialised as its source.
#[derive(Clone)]
pub struct JsonPath {
    source: String,
    parsed: serde_json_path::JsonPath,
}

/// Why a path was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{source_text}` is not a JSONPath (RFC 9535): {reason}")]
pub struct PathError {
    /// What was written.
    pub source_text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl JsonPath {
    /// Parses a path such as `$.user.id` or `$.items[*]`.
    ///
    /// # Errors
    /// When the text is not RFC 9535 JSONPath.
    pub fn parse(source: &str) -> Result<Self, PathError> {
        let parsed = serde_json_path::JsonPath::parse(source).map_err(|e| PathError {
            source_text: source.to_owned(),
            reason: if source.starts_with('$') {
                format!("{} at character {}", e.message(), e.position() + 1)
            } else {
                "it must start with `$`".to_owned()
            },
        })?;
        Ok(Self {
            source: source.to_owned(),
            parsed,
        })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Every value that it selects, in order.
    #[must_use]
    pub fn select<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        self.parsed.query(value).all()
    }

    /// The first value that it selects.
    #[must_use]
    pub fn first<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.parsed.query(value).first()
    }

    /// The first value as text: strings as they are, numbers and booleans as written; null, lists and objects are `None`.
    #[must_use]
    pub fn text(&self, value: &Value) -> Option<String> {
        match self.first(value)? {
            Value::String(s) => Some(s.clone()),
            Value::Number(n) => Some(n.to_string()),
            Value::Bool(b) => Some(b.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Whether it selects something that is neither null, false nor empty.
    #[must_use]
    pub fn holds(&self, value: &Value) -> bool {
        self.select(value).into_iter().any(|v| match v {
            Value::Null => false,
            Value::Bool(b) => *b,
            Value::String(s) => !s.is_empty(),
            Value::Array(a) => !a.is_empty(),
            Value::Object(o) => !o.is_empty(),
            Value::Number(_) => true,
        })
    }

    /// Whether it can select one value at most: only names and indices, no wildcard, slice, filter or descent.
    #[must_use]
    pub fn is_singular(&self) -> bool {
        let mut quote = None;
        let mut previous = ' ';
        for c in self.source.chars() {
            match quote {
                Some(q) if c == q && previous != '\\' => quote = None,
                Some(_) => {}
                None if c == '\'' || c == '"' => quote = Some(c),
                None if matches!(c, '*' | '?' | ':' | ',') => return false,
                None if c == '.' && previous == '.' => return false,
                None => {}
            }
            previous = c;
        }
        true
    }
}

impl PartialEq for JsonPath {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonPath({})", self.source)
    }
}

impl Serialize for JsonPath {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for JsonPath {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let source = String::deserialize(d)?;
        Self::parse(&source).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(s: &str) -> JsonPath {
        JsonPath::parse(s).unwrap()
    }

    #[test]
    fn a_path_holds_only_for_values_that_say_something() {
        let doc = json!({"a": 0, "n": null, "f": false, "e": "", "l": [], "o": {}, "t": "x"});
        for (p, expected) in [
            ("$.a", true),
            ("$.t", true),
            ("$.n", false),
            ("$.f", false),
            ("$.e", false),
            ("$.l", false),
            ("$.o", false),
            ("$.missing", false),
        ] {
            assert_eq!(path(p).holds(&doc), expected, "{p}");
        }
    }

    #[test]
    fn singular_paths_are_told_from_those_that_select_many() {
        for (p, singular) in [
            ("$", true),
            ("$.a.b[0]", true),
            ("$['a.b,c*']", true),
            ("$.a[*]", false),
            ("$..a", false),
            ("$.a[0:2]", false),
            ("$[?@.x]", false),
            ("$[0,1]", false),
        ] {
            assert_eq!(path(p).is_singular(), singular, "{p}");
        }
    }

    #[test]
    fn a_path_without_its_dollar_says_so() {
        let error = JsonPath::parse("user.id").unwrap_err().to_string();
        assert_eq!(
            error,
            "`user.id` is not a JSONPath (RFC 9535): it must start with `$`"
        );
    }
}
