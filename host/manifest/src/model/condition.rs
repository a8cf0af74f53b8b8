//! When an answer counts as success, and what a failure means.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::message::PlainResponse;
use crate::path::JsonPath;
use crate::pattern::Pattern;
use crate::rules::Means;

/// A set of HTTP status codes: `200`, `2xx`, or a list of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSet(Vec<(u16, u16)>);

impl StatusSet {
    /// 200 to 299.
    #[must_use]
    pub fn success() -> Self {
        Self(vec![(200, 299)])
    }

    /// Whether a code is in the set.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&status))
    }
}

impl Default for StatusSet {
    fn default() -> Self {
        Self::success()
    }
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
enum StatusText {
    Code(u16),
    Class(String),
}

impl StatusText {
    fn range(&self) -> Result<(u16, u16), String> {
        match self {
            Self::Code(code) if (100..=599).contains(code) => Ok((*code, *code)),
            Self::Code(code) => Err(format!("{code} is not an HTTP status")),
            Self::Class(text) => match text.as_bytes() {
                [c @ b'1'..=b'5', b'x', b'x'] => {
                    let base = u16::from(c - b'0') * 100;
                    Ok((base, base + 99))
                }
                _ => Err(format!(
                    "`{text}` is not a status; write 200, 2xx or a list of them"
                )),
            },
        }
    }

    fn of(range: (u16, u16)) -> Self {
        if range.0 == range.1 {
            Self::Code(range.0)
        } else {
            Self::Class(format!("{}xx", range.0 / 100))
        }
    }
}

impl Serialize for StatusSet {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => StatusText::of(*one).serialize(s),
            many => s.collect_seq(many.iter().map(|r| StatusText::of(*r))),
        }
    }
}

impl<'de> Deserialize<'de> for StatusSet {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = StatusSet;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status like 200, a class like 2xx, or a list of them")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<StatusSet, E> {
                let code = u16::try_from(v).unwrap_or(0);
                StatusText::Code(code)
                    .range()
                    .map(|r| StatusSet(vec![r]))
                    .map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<StatusSet, E> {
                self.visit_u64(u64::try_from(v).unwrap_or(0))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<StatusSet, E> {
                StatusText::Class(v.to_owned())
                    .range()
                    .map(|r| StatusSet(vec![r]))
                    .map_err(E::custom)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<StatusSet, A::Error> {
                let mut ranges = Vec::new();
                while let Some(text) = seq.next_element::<StatusText>()? {
                    ranges.push(text.range().map_err(de::Error::custom)?);
                }
                if ranges.is_empty() {
                    return Err(de::Error::custom("an empty list of statuses never matches"));
                }
                Ok(StatusSet(ranges))
            }
        }
        d.deserialize_any(Visitor)
    }
}

/// Something that an answer says. Written as a path alone (it selects something that is neither null, false nor empty), or
/// as `{path | header, equals | matches | exists}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(into = "ConditionText")]
pub struct Condition {
    /// Where to look in the body.
    pub path: Option<JsonPath>,
    /// Where to look in the headers, instead.
    pub header: Option<String>,
    /// What is asked of it.
    pub is: Is,
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Is {
    /// Neither null, false nor empty.
    Truthy,
    /// Equal to this JSON value.
    Equals(Value),
    /// Text in which the pattern is found.
    Matches(Pattern),
    /// Selected at all, or not.
    Exists(bool),
}

#[derive(Clone, Serialize)]
#[serde(untagged)]
enum ConditionText {
    Short(String),
    Long(Box<ConditionFull>),
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        super::text::short_or_long(
            d,
            |path: JsonPath| {
                Ok(Self {
                    path: Some(path),
                    header: None,
                    is: Is::Truthy,
                })
            },
            Self::from_full,
        )
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct ConditionFull {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<JsonPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    // `equals: null` asks for null; only an absent key asks for nothing.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    equals: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    matches: Option<Pattern>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exists: Option<bool>,
}

impl Condition {
    fn from_full(full: ConditionFull) -> Result<Self, String> {
        if full.path.is_some() == full.header.is_some() {
            return Err("a condition looks at either `path` or `header`".to_owned());
        }
        let is = match (full.equals, full.matches, full.exists) {
            (None, None, None) => Is::Truthy,
            (Some(v), None, None) => Is::Equals(v),
            (None, Some(p), None) => Is::Matches(p),
            (None, None, Some(b)) => Is::Exists(b),
            _ => {
                return Err(
                    "a condition asks one thing: `equals`, `matches` or `exists`".to_owned(),
                );
            }
        };
        Ok(Self {
            path: full.path,
            header: full.header,
            is,
        })
    }
}

impl From<Condition> for ConditionText {
    fn from(c: Condition) -> Self {
        let mut full = ConditionFull {
            path: c.path,
            header: c.header,
            ..ConditionFull::default()
        };
        match c.is {
            Is::Truthy => {
                if let Some(path) = full.path {
                    return Self::Short(path.source().to_owned());
                }
            }
            Is::Equals(v) => full.equals = Some(v),
            Is::Matches(p) => full.matches = Some(p),
            Is::Exists(b) => full.exists = Some(b),
        }
        Self::Long(Box::new(full))
    }
}

impl Condition {
    /// Whether an answer says it. `body` is the decoded body.
    #[must_use]
    pub fn holds(&self, response: &PlainResponse, body: &Value) -> bool {
        let header;
        let found: Vec<&Value> = match (&self.path, &self.header) {
            (Some(path), _) if self.is == Is::Truthy => return path.holds(body),
            (Some(path), _) => path.select(body),
            (None, Some(name)) => {
                header = response.header(name).map(|v| Value::String(v.to_owned()));
                header.iter().collect()
            }
            (None, None) => Vec::new(),
        };
        match &self.is {
            Is::Truthy => found
                .iter()
                .any(|v| v.as_str().is_none_or(|s| !s.is_empty())),
            Is::Equals(wanted) => found.contains(&wanted),
            Is::Matches(pattern) => found.iter().any(|v| match v {
                Value::String(s) => pattern.finds(s),
                Value::Number(n) => pattern.finds(&n.to_string()),
                _ => false,
            }),
            Is::Exists(wanted) => found.is_empty() != *wanted,
        }
    }
}

/// The explicit rule of success.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OkRule {
    /// Codes of success; 2xx if not said.
    #[serde(default)]
    pub status: StatusSet,
    /// What the body or headers must say; all of them.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "crate::schema::OneOrMany<Condition>")
    )]
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    pub body: Vec<Condition>,
}

impl OkRule {
    /// Whether an answer is a success.
    #[must_use]
    pub fn holds(&self, response: &PlainResponse, body: &Value) -> bool {
        self.status.contains(response.status) && self.body.iter().all(|c| c.holds(response, body))
    }
}

/// What an answer that is no success means. The first rule that fits decides; usual meanings of status codes follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FailureRule {
    /// Codes; any if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusSet>,
    /// What the body or headers must say; all of them.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "crate::schema::OneOrMany<Condition>")
    )]
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    pub body: Vec<Condition>,
    /// What it means.
    pub means: Means,
    /// One sentence for the person.
    pub say: String,
}

impl FailureRule {
    /// Whether an answer is of this kind.
    #[must_use]
    pub fn fits(&self, response: &PlainResponse, body: &Value) -> bool {
        self.status
            .as_ref()
            .is_none_or(|s| s.contains(response.status))
            && self.body.iter().all(|c| c.holds(response, body))
    }
}

fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(d).map(Some)
}

/// One item, or a list of them.
pub(crate) mod one_or_many {
    use serde::{Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer, T: Serialize>(
        items: &[T],
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match items {
            [one] => one.serialize(s),
            many => many.serialize(s),
        }
    }

    pub(crate) fn deserialize<'de, D, T>(d: D) -> Result<Vec<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: serde::de::DeserializeOwned,
    {
        crate::model::text::list(d)
    }
}
