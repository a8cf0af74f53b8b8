//! Values that an answer carries beside its tokens: where they stand, and what they may be.

use serde_json::Value;

use super::expiry::claims;
use crate::message::PlainResponse;
use crate::model::{Capture, CaptureSource, Format};

impl Capture {
    /// The captured text as an answer has it, unchecked; `None` if the answer lacks it or it is empty. `body` is the decoded
    /// body. A callback's parameters are not of an answer: they give `None`.
    #[must_use]
    pub fn read(
        &self,
        response: &PlainResponse,
        body: &Value,
        id_token: Option<&str>,
    ) -> Option<String> {
        let text = match self.source()? {
            CaptureSource::Path(path) => path.text(body),
            CaptureSource::Header(name) => response.header(name).map(|v| v.trim().to_owned()),
            CaptureSource::Cookie(name) => cookie(response, name),
            CaptureSource::Claim(name) => claims(id_token?).and_then(|c| match c.0.get(name)? {
                Value::String(text) => Some(text.clone()),
                Value::Number(n) => Some(n.to_string()),
                Value::Bool(b) => Some(b.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => None,
            }),
            CaptureSource::Callback(_) => None,
        };
        text.filter(|t| !t.is_empty())
    }

    /// Checks a captured value against its declared format and suffixes, as a typed one would be: captured hosts are as
    /// foreign as typed ones. Control characters are refused.
    #[must_use]
    pub fn check(&self, text: &str) -> Option<String> {
        if text.len() > 4096 || text.contains(char::is_control) {
            return None;
        }
        if self.format == Format::Text {
            Some(text.to_owned())
        } else {
            self.format.normalise(text, &self.suffixes)
        }
    }
}

/// The value of a cookie that an answer sets (RFC 6265, 5.2), the last one of that name.
fn cookie(response: &PlainResponse, name: &str) -> Option<String> {
    response
        .headers
        .iter()
        .rev()
        .filter(|(header, _)| header.eq_ignore_ascii_case("set-cookie"))
        .find_map(|(_, text)| {
            let (cookie, value) = text.split(';').next()?.split_once('=')?;
            (cookie.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
        })
}
