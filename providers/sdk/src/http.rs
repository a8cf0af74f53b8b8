//! Requests and answers.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::{Failure, Means};

/// A request to the app. The host adds the credential and the manifest's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Upper case.
    pub method: String,
    /// A path under the manifest's `api.base_url`, or an absolute https URL at one of its hosts.
    pub url: String,
    /// Headers of the provider's own.
    pub headers: Vec<(String, String)>,
    /// The body, encoded.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// A request of any method.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// A GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A POST.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a query parameter, escaped.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url
            .push(if self.url.contains('?') { '&' } else { '?' });
        escape(name, &mut self.url);
        self.url.push('=');
        escape(value, &mut self.url);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets a JSON body and its content type.
    ///
    /// # Errors
    /// Where the value has no JSON form (a map with keys that are not text).
    pub fn json(mut self, body: &impl Serialize) -> Result<Self, Failure> {
        let bytes = serde_json::to_vec(body)
            .map_err(|e| Failure::other(format!("the request cannot be written: {e}")))?;
        self.body = Some(bytes);
        Ok(self.header("content-type", "application/json"))
    }
}

/// A text as one segment of a path: `!room:server` becomes `%21room%3Aserver`. What people type never leads to another path.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(text, &mut out);
    // Dots alone would mean another folder, escaped or not (https://url.spec.whatwg.org/#double-dot-path-segment).
    match text {
        "." | ".." => String::new(),
        _ => out,
    }
}

/// Everything but the unreserved characters of RFC 3986 is escaped.
fn escape(text: &str, out: &mut String) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend(
                [byte >> 4, byte & 15]
                    .iter()
                    .filter_map(|digit| HEX.get(usize::from(*digit))),
            );
        }
    }
}

/// An answer of the app.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers, as sent.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header, by name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The answer if its status is 2xx, else the failure that its status usually means.
    ///
    /// # Errors
    /// 401 needs a reconnect, 403 lacks a right, 404 is not found, 429 and 5xx are for later, other 4xx blame the input.
    pub fn success(self) -> Result<Self, Failure> {
        let (means, say) = match self.status {
            200..=299 => return Ok(self),
            401 => (
                Means::NeedsReconnect,
                "the app no longer accepts this sign-in",
            ),
            403 => (
                Means::MissingScope,
                "this sign-in lacks a right that is needed here",
            ),
            404 | 410 => (Means::NotFound, "the app does not have what was asked for"),
            429 => (
                Means::RateLimited,
                "the app asks to slow down; try again later",
            ),
            408 | 425 | 500..=599 => (
                Means::ProviderDown,
                "the app has a problem of its own; try again later",
            ),
            400..=499 => (Means::InvalidInput, "the app did not accept what was sent"),
            _ => (Means::Other, "the app answered with an unusual status"),
        };
        let seconds: Option<u64> = self
            .header("retry-after")
            .and_then(|text| text.trim().parse().ok());
        let retry_after_ms = seconds.map(|seconds| seconds.min(86_400) * 1000);
        Err(Failure {
            retry_after_ms,
            ..Failure::new(means, say)
        })
    }

    /// The body as a typed value.
    ///
    /// # Errors
    /// `ProviderDown` where it is not what was expected: the usual cause is an error page instead of an API.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let bytes = self
            .body
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.body);
        serde_json::from_slice(bytes).map_err(|_| {
            Failure::provider_down("the app's answer is not in the form that it documents")
                .code("unexpected_answer")
        })
    }
}

/// Reads an action's input into a type of the provider's.
pub(crate) fn typed<T: DeserializeOwned>(input: Value) -> Result<T, Failure> {
    // serde's message names fields and types of the provider's own; it repeats at most a short value of the input.
    serde_json::from_value(input)
        .map_err(|e| Failure::invalid_input(format!("the input does not fit: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_are_escaped_so_that_they_stay_one_value() {
        let request = Request::get("/notes")
            .query("q", "a&b=c d/é")
            .query("n", "1");
        assert_eq!(request.url, "/notes?q=a%26b%3Dc%20d%2F%C3%A9&n=1");
    }

    #[test]
    fn what_people_type_stays_one_segment() {
        assert_eq!(segment("!room:server"), "%21room%3Aserver");
        assert_eq!(segment("a/../b?c#d%2F"), "a%2F..%2Fb%3Fc%23d%252F");
        assert_eq!(
            (segment(".."), segment("...")),
            (String::new(), "...".to_owned())
        );
    }

    #[test]
    fn a_refusal_becomes_the_meaning_of_its_status() {
        let answer = |status| Response {
            status,
            headers: vec![("Retry-After".into(), "3".into())],
            body: Vec::new(),
        };
        assert_eq!(
            answer(401).success().unwrap_err().means,
            Means::NeedsReconnect
        );
        assert_eq!(
            answer(422).success().unwrap_err().means,
            Means::InvalidInput
        );
        let slow = answer(429).success().unwrap_err();
        assert_eq!(
            (slow.means, slow.retry_after_ms),
            (Means::RateLimited, Some(3000))
        );
        assert!(answer(204).success().is_ok());
    }

    #[test]
    fn an_error_page_instead_of_json_is_the_apps_fault() {
        let page = Response {
            status: 200,
            headers: Vec::new(),
            body: b"<html>".to_vec(),
        };
        assert_eq!(page.json::<Value>().unwrap_err().means, Means::ProviderDown);
    }
}
