//! What a value becomes in the slot it lands in.
//!
//! Threats: a value that adds `../`, `?`, `&` or a second header line (attacks on any template engine that pastes text),
//! and a value that changes which host a request goes to. Each value is escaped alone, so no value can complete what
//! another began.

use super::RenderError;

/// Where a rendered value goes; decides how it is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Nothing is changed: JSON strings, labels, text bodies. Never a URL or header.
    Raw,
    /// A part of a URL's path: everything but unreserved characters is percent-encoded; empty, `.` and `..` are refused.
    PathSegment,
    /// A name or value in a URL's query.
    Query,
    /// A name or value in a form body (`application/x-www-form-urlencoded`).
    Form,
    /// Text of an XML document, inside an element or an attribute; characters that XML 1.0 cannot hold are refused.
    Xml,
    /// A header value: visible ASCII and inner spaces; control characters are refused.
    Header,
    /// One label of a host name: letters, digits, inner hyphens, at most 63 characters.
    HostLabel,
    /// A whole host name: labels joined by dots.
    Host,
    /// A scheme, host and optional port, and maybe a plain path: `https://gitlab.example`, `https://api.example/v1`. Whether a
    /// value may bring a path along is said by its format, which is checked before.
    Base,
}

impl Slot {
    fn name(self) -> &'static str {
        match self {
            Self::Raw => "text",
            Self::PathSegment => "path",
            Self::Query => "query",
            Self::Form => "form",
            Self::Xml => "XML",
            Self::Header => "header",
            Self::HostLabel | Self::Host => "host name",
            Self::Base => "base of an address",
        }
    }
}

fn unsafe_value(expression: &str, slot: Slot, reason: &'static str) -> RenderError {
    RenderError::Unsafe {
        expression: expression.to_owned(),
        slot: slot.name(),
        reason,
    }
}

/// Appends a value, escaped.
pub(super) fn value(
    expression: &str,
    text: &str,
    slot: Slot,
    out: &mut String,
) -> Result<(), RenderError> {
    let refuse = |reason| Err(unsafe_value(expression, slot, reason));
    match slot {
        Slot::Raw => out.push_str(text),
        Slot::PathSegment if text.is_empty() => return refuse("it is empty"),
        Slot::PathSegment | Slot::Query => percent(text, out),
        Slot::Form => form(text, out),
        Slot::Xml => {
            for c in text.chars() {
                match c {
                    '&' => out.push_str("&amp;"),
                    '<' => out.push_str("&lt;"),
                    '>' => out.push_str("&gt;"),
                    '"' => out.push_str("&quot;"),
                    '\'' => out.push_str("&apos;"),
                    '\t' | '\n' | '\r' => out.push(c),
                    c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                        return refuse("it contains characters that XML cannot hold");
                    }
                    c => out.push(c),
                }
            }
        }
        Slot::Header => {
            if !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
                return refuse("it contains control or non-ASCII characters");
            }
            out.push_str(text);
        }
        Slot::HostLabel => {
            if !is_label(text) {
                return refuse("only letters, digits and inner hyphens make a host label");
            }
            out.push_str(&text.to_ascii_lowercase());
        }
        Slot::Host => {
            if text.len() > 253 || !text.split('.').all(is_label) {
                return refuse("it is not a host name");
            }
            out.push_str(&text.to_ascii_lowercase());
        }
        Slot::Base => {
            if !is_base(text) {
                return refuse("it is not an https origin, alone or with a plain path");
            }
            out.push_str(text);
        }
    }
    Ok(())
}

/// Appends a manifest's own text. In a URL or a form, what can stand in none of them (a space, a letter beyond ASCII) is
/// encoded; what has a meaning there (`&`, `+`, `%2F`) is the author's to write.
pub(super) fn literal(text: &str, slot: Slot, out: &mut String) -> Result<(), RenderError> {
    match slot {
        Slot::Header if !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) => Err(
            unsafe_value(text, slot, "it contains control or non-ASCII characters"),
        ),
        Slot::PathSegment | Slot::Query | Slot::Form => {
            for c in text.chars() {
                if c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>') {
                    out.push(c);
                } else {
                    percent(c.encode_utf8(&mut [0; 4]), out);
                }
            }
            Ok(())
        }
        _ => {
            out.push_str(text);
            Ok(())
        }
    }
}

/// Refuses a path in which values made a `.` or `..` segment: URL parsers would climb.
pub(super) fn no_dot_segments(path: &str, expression: &str) -> Result<(), RenderError> {
    let only_path = path.split(['?', '#']).next().unwrap_or_default();
    if only_path.split('/').any(|s| s == "." || s == "..") {
        return Err(unsafe_value(
            expression,
            Slot::PathSegment,
            "it makes a `.` or `..` segment",
        ));
    }
    Ok(())
}

/// A DNS label (RFC 1035 letters, digits, hyphens; not at the ends; at most 63 bytes). `xn--` labels are refused: what a
/// person cannot read they cannot check.
pub(crate) fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.to_ascii_lowercase().starts_with("xn--")
}

/// Whether a text is exactly an https origin as the URL standard writes it, alone or with a path of plain segments.
fn is_base(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|u| {
        let origin = u.origin().ascii_serialization();
        u.scheme() == "https"
            && u.username().is_empty()
            && u.password().is_none()
            && text.strip_prefix(origin.as_str()).is_some_and(|path| {
                path.is_empty()
                    || path
                        .strip_prefix('/')
                        .is_some_and(|path| path.split('/').all(is_plain_segment))
            })
    })
}

/// One segment of a path that no URL parser reads otherwise: unreserved characters and neither `.` nor `..`.
pub(crate) fn is_plain_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
}

/// RFC 3986: everything but unreserved characters.
pub(crate) fn percent(text: &str, out: &mut String) {
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
}

/// The form encoding: space as `+`.
pub(crate) fn form(text: &str, out: &mut String) {
    out.extend(url::form_urlencoded::byte_serialize(text.as_bytes()));
}
