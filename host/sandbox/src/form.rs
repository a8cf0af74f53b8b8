//! Reading `application/x-www-form-urlencoded`, strictly.
//!
//! A parameter that is given twice is refused (RFC 6749, 3.1): two parsers that pick different ones are how checks are
//! walked around. One without a value counts as absent.

use std::collections::HashMap;

use axum::http::{HeaderMap, header};
use url::form_urlencoded;

/// Parameters of a query or a form.
pub(crate) struct Params {
    values: HashMap<String, String>,
    repeated: Vec<String>,
}

impl Params {
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut values = HashMap::new();
        let mut repeated = Vec::new();
        for (name, value) in form_urlencoded::parse(text) {
            if values.contains_key(name.as_ref()) {
                repeated.push(name.into_owned());
            } else {
                values.insert(name.into_owned(), value.into_owned());
            }
        }
        values.retain(|_, value| !value.is_empty());
        Self { values, repeated }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether this parameter was given more than once.
    pub(crate) fn is_repeated(&self, name: &str) -> bool {
        self.repeated.iter().any(|other| other == name)
    }

    /// Whether any parameter was given more than once.
    pub(crate) fn has_repeated(&self) -> bool {
        !self.repeated.is_empty()
    }
}

/// Whether the body is declared to be a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| {
            kind.trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}

/// Undoes form encoding of one value; `None` for a broken escape or bytes that are not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        match rest {
            [] => return String::from_utf8(out).ok(),
            [b'%', high, low, tail @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                out.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
                rest = tail;
            }
            [b'%', ..] => return None,
            [b'+', tail @ ..] => {
                out.push(b' ');
                rest = tail;
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
}

/// `uri` with the parameters added to its query. The rest of it stays as it was registered, character by character.
pub(crate) fn append(uri: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    let separator = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{separator}{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_parameter_is_noticed_and_an_empty_one_is_absent() {
        let params = Params::parse(b"a=1&a=2&b=&c=x+y");
        assert!(params.is_repeated("a") && params.has_repeated());
        assert_eq!(params.get("b"), None);
        assert_eq!(params.get("c"), Some("x y"));
    }

    #[test]
    fn decoding_one_value_keeps_separators_and_refuses_broken_escapes() {
        assert_eq!(decode("a%3Ab+c&=%25"), Some("a:b c&=%".to_owned()));
        assert_eq!(decode("%zz"), None);
        assert_eq!(decode("%e9"), None);
        assert_eq!(decode("%4"), None);
    }

    #[test]
    fn parameters_are_added_to_a_query_that_is_there() {
        assert_eq!(
            append("http://a/?x=1", &[("s", "a b&")]),
            "http://a/?x=1&s=a+b%26"
        );
        assert_eq!(append("http://a/", &[("s", "1")]), "http://a/?s=1");
    }
}
