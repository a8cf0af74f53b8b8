//! One HTTP request and one answer as plain data.
//!
//! The guest, the host and the offline checks all see the same two shapes, so that a rule never depends on which HTTP
//! library carried the bytes. Limits (sizes, times) are the egress's business, not this module's.

use serde_json::Value;

/// A request that is ready to be handed to the egress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainRequest {
    /// Upper-case method.
    pub method: String,
    /// Relative to the API's base URL (starts with `/`), or absolute.
    pub url: String,
    /// Names as written in the manifest, in its order.
    pub headers: Vec<(String, String)>,
    /// The body, already encoded.
    pub body: Option<Vec<u8>>,
}

/// An answer, with its body decompressed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlainResponse {
    /// HTTP status code.
    pub status: u16,
    /// Names in any case; repeated headers are repeated entries.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// How the body of an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Decode {
    /// JSON, with or without a byte order mark.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`; becomes an object of texts.
    Form,
    /// Text; becomes a JSON string.
    Text,
    /// XML: elements become objects, attributes `@name`, the text of an element with attributes or children `$text`,
    /// repeated elements lists; the root element is the one top key. Documents with a DTD are not read.
    Xml,
}

impl PlainResponse {
    /// The first value of a header, by name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The body as JSON, or `None` if it is not JSON. A byte order mark is skipped.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        let bytes = self
            .body
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.body);
        serde_json::from_slice(bytes).ok()
    }

    /// The body as the manifest says it is written; `Value::Null` if it is empty or not so written.
    #[must_use]
    pub fn decoded(&self, decode: Decode) -> Value {
        match decode {
            Decode::Json => self.json().unwrap_or(Value::Null),
            Decode::Form => std::str::from_utf8(&self.body)
                .map(form_to_json)
                .unwrap_or(Value::Null),
            Decode::Xml => crate::xml::to_json(&self.body).unwrap_or(Value::Null),
            Decode::Text => Value::String(String::from_utf8_lossy(&self.body).into_owned()),
        }
    }

    /// The headers as a JSON object with lower-case names, for templates and conditions.
    #[must_use]
    pub fn headers_value(&self) -> Value {
        let mut map = serde_json::Map::new();
        for (name, value) in &self.headers {
            map.entry(name.to_ascii_lowercase())
                .or_insert_with(|| Value::String(value.clone()));
        }
        Value::Object(map)
    }
}

/// A form body as an object of texts; the first value of a repeated name wins.
pub(crate) fn form_to_json(text: &str) -> Value {
    let mut map = serde_json::Map::new();
    for (name, value) in url::form_urlencoded::parse(text.trim().as_bytes()) {
        map.entry(name.into_owned())
            .or_insert_with(|| Value::String(value.into_owned()));
    }
    Value::Object(map)
}
