//! Handles in bodies: whether one stands in a declared member or parameter, and the value in its place.
//!
//! A body that holds a placeholder must be JSON or a form and say so: in anything else nobody can tell a slot from free text.
//! What is decided is decided on the parsed body; what is replaced is the text, so that a guest that signed the body over
//! placeholders (see [`Slot::Recipe`]) and the app see the same bytes. Values are written as the body's own kind wants it.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use url::form_urlencoded::{byte_serialize, parse};
use zeroize::Zeroizing;

use crate::error::EgressError;
use crate::handles::{Issued, Placeholders, Slot};
use crate::place::{Kind, kind};

/// The body with values in place of the placeholders in it.
///
/// # Errors
/// [`EgressError::HandleOutOfSlot`] where one stands elsewhere than in a slot of it.
pub(crate) fn fill(
    placeholders: &Placeholders<'_>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Bytes, EgressError> {
    let kind = kind(headers);
    let allowed = match kind {
        Kind::Json => in_json(placeholders, body),
        Kind::Form => in_form(placeholders, body),
        Kind::Unsaid | Kind::Other => false,
    };
    if !allowed {
        return Err(EgressError::HandleOutOfSlot("in the request's body"));
    }
    let mut filled = Vec::with_capacity(body.len());
    let mut rest = 0;
    for (at, handle) in placeholders.find(body) {
        filled.extend_from_slice(body.get(rest..at).unwrap_or_default());
        filled.extend_from_slice(written(handle, kind).as_bytes());
        rest = at + Placeholders::LEN;
    }
    filled.extend_from_slice(body.get(rest..).unwrap_or_default());
    Ok(filled.into())
}

/// The value as the body's kind wants it.
fn written(handle: &Issued, kind: Kind) -> Zeroizing<String> {
    let value = handle.value.expose();
    if kind == Kind::Form {
        return Zeroizing::new(byte_serialize(value.as_bytes()).collect());
    }
    let quoted = Zeroizing::new(Value::from(value).to_string());
    let inner = quoted.get(1..quoted.len().saturating_sub(1));
    Zeroizing::new(inner.unwrap_or_default().to_owned())
}

fn declared(handle: &Issued, name: &str) -> bool {
    handle
        .slots
        .iter()
        .any(|slot| matches!(slot, Slot::Body(slot) if slot == name))
}

/// Parted at `;` as well, a text after one would be another parameter to some.
fn in_form(placeholders: &Placeholders<'_>, body: &[u8]) -> bool {
    let slots = parse(body).all(|(name, value)| {
        let mut within = placeholders.find(value.as_bytes());
        !placeholders.any(name.as_bytes()) && within.all(|(_, handle)| declared(handle, &name))
    });
    let mut pairs = body.split(|byte| *byte == b'&');
    slots && !pairs.any(|pair| pair.contains(&b';') && placeholders.any(pair))
}

/// Whether they stand in texts under a declared name, or in a list under one, and nowhere else; never in a name. The body holds
/// them as often as its texts do: one that is written with escapes is not put in, and would make up for one that is hidden.
fn in_json(placeholders: &Placeholders<'_>, body: &[u8]) -> bool {
    let found = Cell::new(0);
    let look = Look {
        placeholders,
        name: None,
        found: &found,
    };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = look.deserialize(&mut reader).and_then(|()| reader.end());
    read.is_ok() && placeholders.find(body).count() == found.get()
}

/// Reads every value as it is written. A parsed body would forget all but the last of members that are there twice, and a
/// placeholder in the first would not be seen; so they are refused.
#[derive(Clone, Copy)]
struct Look<'a> {
    placeholders: &'a Placeholders<'a>,
    /// What the value stands under.
    name: Option<&'a str>,
    /// How many were found so far.
    found: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        for (_, handle) in self.placeholders.find(text.as_bytes()) {
            if !self.name.is_some_and(|name| declared(handle, name)) {
                return Err(E::custom("out of slot"));
            }
            self.found.set(self.found.get() + 1);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut known = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            members.next_value_seed(Look {
                name: Some(&name),
                ..self
            })?;
            if self.placeholders.any(name.as_bytes()) || !known.insert(name) {
                return Err(A::Error::custom("out of slot"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    use super::*;
    use crate::handles::Handles;
    use crate::secret::Secret;

    fn of(kind: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))])
    }

    fn filled(kind: &'static str, body: &str) -> Option<String> {
        let handles = Handles::default();
        let slots = vec![Slot::Body("code".to_owned())];
        let placeholder = handles.issue(Secret::new("a\"b&c"), slots);
        let issued = handles.issued();
        // `E` is the placeholder as well, its first letter written as an escape: to whoever parses the body it is the same.
        let escaped = format!("\\u006b{}", &placeholder[1..]);
        let body = body.replace('H', &placeholder).replace('E', &escaped);
        let headers = of(kind);
        let real = fill(&Placeholders::of(&issued), &headers, body.as_bytes()).ok()?;
        Some(String::from_utf8(real.to_vec()).unwrap())
    }

    #[test]
    fn a_value_stands_in_the_declared_member_written_as_the_body_wants_it() {
        let json = "application/json; charset=utf-8";
        assert_eq!(
            filled(json, r#"{ "x": [1], "in": {"code":"v1 H"} }"#).unwrap(),
            r#"{ "x": [1], "in": {"code":"v1 a\"b&c"} }"#
        );
        assert_eq!(
            filled(json, r#"{"code":["H","H"]}"#).unwrap(),
            r#"{"code":["a\"b&c","a\"b&c"]}"#
        );
        assert_eq!(
            filled("application/x-www-form-urlencoded", "a=b&code=H").unwrap(),
            "a=b&code=a%22b%26c"
        );
    }

    #[test]
    fn several_are_put_in_at_once_each_in_its_own_slot_and_no_value_is_looked_through() {
        let handles = Handles::default();
        let slot = |name: &str| vec![Slot::Body(name.to_owned())];
        let one = handles.issue(Secret::new("1"), slot("one"));
        // A value that reads like a placeholder is a value.
        let two = handles.issue(Secret::new(one.as_str()), slot("two"));
        let (issued, headers) = (handles.issued(), of("application/json"));
        let placeholders = Placeholders::of(&issued);
        let fill = |body: String| fill(&placeholders, &headers, body.as_bytes());
        assert_eq!(
            fill(format!(r#"{{"two":"{two}{two}","one":"kph_{one}"}}"#)).unwrap(),
            format!(r#"{{"two":"{one}{one}","one":"kph_1"}}"#)
        );
        assert!(fill(format!(r#"{{"two":"{two}","one":"{two}"}}"#)).is_err());
        assert!(fill(format!(r#"{{"two":"{two}","{one}":"x"}}"#)).is_err());
    }

    #[test]
    fn anywhere_else_it_is_refused() {
        for (kind, body) in [
            ("application/json", r#"{"other":"H"}"#),
            ("application/json", r#"{"code":{"other":"H"}}"#),
            ("application/json", r#"{"H":"x"}"#),
            ("application/json", r#""H""#),
            ("application/json", r#"{"code":"H","other":"H"}"#),
            // The second member hides the first from whoever parses it.
            ("application/json", r#"{"code":"H","code":"H"}"#),
            (
                "application/json",
                r#"{"other":"H","other":"x","code":"H"}"#,
            ),
            // An escaped one in the slot would make up for the one that is hidden.
            (
                "application/json",
                r#"{"other":"H","other":"x","code":"E"}"#,
            ),
            (
                "application/json",
                r#"{"in":{"other":"H"},"in":1,"code":["E"]}"#,
            ),
            ("application/json", r#"{"code":"H","in":{"code":"E"}}"#),
            ("application/json", r#"{"code":"H"} {"other":"x"}"#),
            ("application/json, text/plain", r#"{"code":"H"}"#),
            ("application/json; charset=utf-7", r#"{"code":"H"}"#),
            ("application/json", "code=H"),
            ("application/x-www-form-urlencoded", "other=H"),
            ("application/x-www-form-urlencoded", "H=code"),
            ("application/x-www-form-urlencoded", "code=x;other=H"),
            ("text/plain", r#"{"code":"H"}"#),
            ("multipart/form-data; boundary=x", "H"),
        ] {
            assert_eq!(filled(kind, body), None, "{kind} {body}");
        }
    }
}
