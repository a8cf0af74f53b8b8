//! Handles in bodies: whether one stands in a declared member or parameter, and the value in its place.
//!
//! A body that holds a placeholder must be JSON or a form and say so: in anything else nobody can tell a slot from free text.
//! What is decided is decided on the parsed body; what is replaced is the text, so that a guest that signed the body over
//! placeholders (see [`Slot::Recipe`]) and the app see the same bytes. Values are written as the body's own kind wants it.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use url::form_urlencoded::{byte_serialize, parse};
use zeroize::Zeroizing;

use crate::error::EgressError;
use crate::handles::{Issued, Slot};

#[derive(PartialEq, Eq)]
enum Kind {
    Json,
    Form,
    Other,
}

fn kind(headers: &HeaderMap) -> Kind {
    let said = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase())
        .unwrap_or_default();
    if said == "application/json" || said.ends_with("+json") {
        Kind::Json
    } else if said == "application/x-www-form-urlencoded" {
        Kind::Form
    } else {
        Kind::Other
    }
}

fn declared(handle: &Issued, name: &str) -> bool {
    handle
        .slots
        .iter()
        .any(|slot| matches!(slot, Slot::Body(slot) if slot == name))
}

/// Whether every place where the placeholder stands in this body is a slot of it.
pub(crate) fn allows(handle: &Issued, headers: &HeaderMap, body: &[u8]) -> bool {
    match kind(headers) {
        Kind::Json => {
            serde_json::from_slice::<Value>(body).is_ok_and(|body| in_json(handle, &body, None))
        }
        Kind::Form => parse(body).all(|(name, value)| {
            !name.contains(&handle.placeholder)
                && (!value.contains(&handle.placeholder) || declared(handle, &name))
        }),
        Kind::Other => false,
    }
}

/// A text under a declared name, or in a list under one; never a name.
fn in_json(handle: &Issued, value: &Value, name: Option<&str>) -> bool {
    match value {
        Value::String(text) => {
            !text.contains(&handle.placeholder) || name.is_some_and(|name| declared(handle, name))
        }
        Value::Array(items) => items.iter().all(|item| in_json(handle, item, name)),
        Value::Object(map) => map.iter().all(|(name, value)| {
            !name.contains(&handle.placeholder) && in_json(handle, value, Some(name))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// How often it stands in texts. A parsed body forgets members that are there twice; the text does not.
fn count_in(handle: &Issued, value: &Value) -> usize {
    match value {
        Value::String(text) => text.matches(&handle.placeholder).count(),
        Value::Array(items) => items.iter().map(|item| count_in(handle, item)).sum(),
        Value::Object(map) => map.values().map(|value| count_in(handle, value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// The body with the value in place of the placeholder.
///
/// # Errors
/// [`EgressError::HandleOutOfSlot`] where the text holds it more often than the parsed body: a member that is there twice.
pub(crate) fn fill(
    handle: &Issued,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Bytes, EgressError> {
    let refused = || EgressError::HandleOutOfSlot("in the request's body");
    let text = std::str::from_utf8(body).map_err(|_| refused())?;
    let value = handle.value.expose();
    let written = Zeroizing::new(match kind(headers) {
        Kind::Json => {
            let parsed: Value = serde_json::from_str(text).map_err(|_| refused())?;
            if text.matches(&handle.placeholder).count() != count_in(handle, &parsed) {
                return Err(refused());
            }
            let quoted = Value::from(value).to_string();
            quoted
                .get(1..quoted.len().saturating_sub(1))
                .unwrap_or_default()
                .to_owned()
        }
        Kind::Form => byte_serialize(value.as_bytes()).collect(),
        Kind::Other => return Err(refused()),
    });
    Ok(Bytes::from(
        text.replace(&handle.placeholder, &written).into_bytes(),
    ))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

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
        let body = body.replace('H', &placeholder);
        let headers = of(kind);
        if !allows(&issued[0], &headers, body.as_bytes()) {
            return None;
        }
        let real = fill(&issued[0], &headers, body.as_bytes()).ok()?;
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
            ("application/json", "code=H"),
            ("application/x-www-form-urlencoded", "other=H"),
            ("application/x-www-form-urlencoded", "H=code"),
            ("text/plain", r#"{"code":"H"}"#),
            ("multipart/form-data; boundary=x", "H"),
        ] {
            assert_eq!(filled(kind, body), None, "{kind} {body}");
        }
    }
}
