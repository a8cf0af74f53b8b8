//! Step 3, the part about bodies: a member is put into a JSON object or a form that somebody else wrote.
//!
//! The body is not read and written anew: numbers beyond 64 bits, the order of members and whatever else the caller meant
//! would not survive it. The member is put in front, byte by byte, after the body was checked to be one object (or a form)
//! without that member, so that an upstream that takes the first of two and one that takes the last see the same.

use std::borrow::Cow;
use std::collections::HashMap;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::de::IgnoredAny;
use url::form_urlencoded::{byte_serialize, parse};
use zeroize::Zeroizing;

use crate::error::EgressError;
use crate::secret::Secret;

/// What a body says to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Unsaid,
    Json,
    Form,
    /// Something else; or more than one thing, of which we and the upstream might each read another. Or text in a charset in
    /// which the bytes that we look for mean something else (UTF-7, UTF-16, EBCDIC).
    Other,
}

/// Reads `content-type`.
pub(crate) fn kind(headers: &HeaderMap) -> Kind {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let said = match (lines.next(), lines.next()) {
        (None, _) => return Kind::Unsaid,
        (Some(said), None) => said.to_str().unwrap_or_default().to_ascii_lowercase(),
        (Some(_), Some(_)) => return Kind::Other,
    };
    let mut parts = said.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let plain = parts.all(|part| {
        part.strip_prefix("charset=").is_none_or(|charset| {
            let charset = charset.trim_matches('"');
            LIKE_ASCII.iter().any(|known| charset.starts_with(known))
        })
    });
    if !plain || said.contains(',') {
        Kind::Other
    } else if essence == "application/json" || essence.ends_with("+json") {
        Kind::Json
    } else if essence == "application/x-www-form-urlencoded" {
        Kind::Form
    } else {
        Kind::Other
    }
}

/// Beginnings of charsets in which ASCII is ASCII.
const LIKE_ASCII: &[&str] = &["utf-8", "utf8", "us-ascii", "iso-8859-", "windows-125"];

/// Whether the headers announce a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    kind(headers) == Kind::Form
}

/// The names in a form or a query, as any upstream may read them: some part pairs at `;`, too, as HTML 4 has it.
pub(crate) fn names(pairs: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    pairs
        .split(|byte| matches!(byte, b'&' | b';'))
        .flat_map(|pair| parse(pair).map(|(name, _)| name))
}

/// Puts `name: value` into the body. An empty body becomes an object, or a form where the headers announce one.
///
/// # Errors
/// [`EgressError::NoPlaceInBody`] where the body is neither an object nor a form, [`EgressError::ForbiddenParameter`] where
/// it has the member already.
pub(crate) fn put(
    headers: &mut HeaderMap,
    body: &[u8],
    name: &str,
    value: &Secret,
) -> Result<Vec<u8>, EgressError> {
    match kind(headers) {
        Kind::Form => return form(body, name, value),
        Kind::Json => {}
        Kind::Unsaid if body.is_empty() => {}
        Kind::Unsaid | Kind::Other => return Err(EgressError::NoPlaceInBody),
    }
    let whole = object(body, name, value)?;
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    Ok(whole)
}

fn form(body: &[u8], name: &str, value: &Secret) -> Result<Vec<u8>, EgressError> {
    if names(body).any(|known| known.eq_ignore_ascii_case(name)) {
        return Err(EgressError::ForbiddenParameter(name.to_owned()));
    }
    let mut out: Vec<u8> = body.to_vec();
    if !out.is_empty() && !out.ends_with(b"&") {
        out.push(b'&');
    }
    for (i, text) in [name, value.expose()].into_iter().enumerate() {
        if i == 1 {
            out.push(b'=');
        }
        for piece in byte_serialize(text.as_bytes()) {
            out.extend_from_slice(piece.as_bytes());
        }
    }
    Ok(out)
}

fn object(body: &[u8], name: &str, value: &Secret) -> Result<Vec<u8>, EgressError> {
    let text = Zeroizing::new(serde_json::Value::from(value.expose()).to_string());
    let member = Zeroizing::new(format!("{}:{}", serde_json::Value::from(name), *text));
    if body.trim_ascii().is_empty() {
        return Ok(format!("{{{}}}", *member).into_bytes());
    }
    let known: HashMap<String, IgnoredAny> =
        serde_json::from_slice(body).map_err(|_| EgressError::NoPlaceInBody)?;
    if known.keys().any(|known| known.eq_ignore_ascii_case(name)) {
        return Err(EgressError::ForbiddenParameter(name.to_owned()));
    }
    let after = body
        .iter()
        .position(|&byte| byte == b'{')
        .and_then(|at| body.get(at + 1..))
        .ok_or(EgressError::NoPlaceInBody)?;
    let mut out = Vec::with_capacity(body.len() + member.len() + 2);
    out.push(b'{');
    out.extend_from_slice(member.as_bytes());
    if !known.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(after);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn headers(kind: Option<&'static str>) -> HeaderMap {
        kind.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind)))
            .into_iter()
            .collect()
    }

    fn put_in(kind: Option<&'static str>, body: &str) -> Result<String, EgressError> {
        let out = put(
            &mut headers(kind),
            body.as_bytes(),
            "api_key",
            &Secret::new("k\"&é"),
        )?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_member_is_added_and_the_rest_stays_byte_for_byte() {
        let member = r#"{"api_key":"k\"&é""#;
        for (body, wanted) in [
            ("", format!("{member}}}")),
            (" {} ", format!("{member}}} ")),
            (
                "{ \"n\": 123456789012345678901234567890.10 }",
                format!("{member}, \"n\": 123456789012345678901234567890.10 }}"),
            ),
        ] {
            assert_eq!(put_in(Some("application/json"), body), Ok(wanted));
        }
        assert_eq!(put_in(None, ""), Ok(format!("{member}}}")));
        let mut made = HeaderMap::new();
        put(&mut made, b"", "a", &Secret::new("b")).unwrap();
        assert_eq!(made[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn a_form_gets_a_parameter() {
        let kind = Some("application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(
            put_in(kind, "a=b"),
            Ok("a=b&api_key=k%22%26%C3%A9".to_owned())
        );
        assert_eq!(put_in(kind, ""), Ok("api_key=k%22%26%C3%A9".to_owned()));
    }

    /// Without the look at the members, an upstream that takes the last of two would be sent the caller's.
    #[test]
    fn a_caller_cannot_bring_the_member_in_any_spelling_of_json_or_forms() {
        let twice = Err(EgressError::ForbiddenParameter("api_key".to_owned()));
        for body in [
            r#"{"api_key":1}"#,
            r#"{"a":{},"api\u005fkey":null}"#,
            r#"{"API_Key":1}"#,
        ] {
            assert_eq!(put_in(Some("application/json"), body), twice);
        }
        let kind = Some("application/x-www-form-urlencoded");
        for body in ["api%5Fkey=mine", "a=b;api_key=mine", "Api_Key=mine"] {
            assert_eq!(put_in(kind, body), twice, "{body}");
        }
    }

    #[test]
    fn a_body_that_has_no_room_is_told() {
        for (kind, body) in [
            (Some("application/json"), "[1]"),
            (Some("application/json"), "{"),
            (Some("application/json"), "\"{\""),
            (Some("text/plain"), "x"),
            (Some("application/json, text/plain"), "{}"),
            (Some("application/json; charset=utf-16"), "{}"),
            (None, "{}"),
        ] {
            assert_eq!(
                put_in(kind, body),
                Err(EgressError::NoPlaceInBody),
                "{body}"
            );
        }
    }

    #[test]
    fn a_body_that_says_to_be_two_things_is_neither() {
        let mut two = headers(Some("application/json"));
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        two.append(CONTENT_TYPE, form);
        assert_eq!(kind(&two), Kind::Other);
        for (said, is) in [
            ("application/json", Kind::Json),
            ("Application/JSON;charset=\"UTF-8\"", Kind::Json),
            ("application/vnd.api+json; v=1", Kind::Json),
            (
                "application/x-www-form-urlencoded; charset=ISO-8859-1",
                Kind::Form,
            ),
            ("application/json; charset=utf-7", Kind::Other),
            ("application/json; charset=ibm500", Kind::Other),
            (
                "application/x-www-form-urlencoded; x=y; charset=utf-16le",
                Kind::Other,
            ),
            ("multipart/form-data; boundary=x", Kind::Other),
        ] {
            assert_eq!(kind(&headers(Some(said))), is, "{said}");
        }
    }

    proptest! {
        #[test]
        fn an_object_keeps_its_members_and_gains_one(
            map in proptest::collection::hash_map("[a-z\"\\\\{}]{1,6}", any::<i64>(), 0..6), value in ".{0,20}",
        ) {
            prop_assume!(!map.contains_key("api_key"));
            let body = json!(map).to_string();
            let out = object(body.as_bytes(), "api_key", &Secret::new(value.clone())).unwrap();
            let mut wanted = json!(map);
            wanted["api_key"] = Value::from(value);
            prop_assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), wanted);
        }
    }
}
