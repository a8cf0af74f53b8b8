//! The shapes in which a secret comes back.
//!
//! An upstream that echoes a request, or an error page that quotes it, rarely quotes a secret byte for
//! byte: it shows the URL (percent-encoded), the `Authorization` header (base64 of `user:password`), or
//! a JSON string or HTML (escaped, each language's library in its own way). Each of these is listed here and nothing else is
//! attempted: a hash, an encryption or a reversal of a secret passes through.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// Secrets shorter than this are not searched for: they would also be found in innocent text.
pub const MIN_SCRUBBED: usize = 8;

/// Every form of one secret that is searched for, without duplicates.
pub(super) fn forms(secret: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let mut all: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    if secret.len() < MIN_SCRUBBED {
        return all;
    }
    let mut add = |form: Vec<u8>| {
        let form = Zeroizing::new(form);
        if form.len() >= MIN_SCRUBBED && !all.contains(&form) {
            all.push(form);
        }
    };
    add(secret.as_bytes().to_vec());
    for style in [Style::Strict, Style::Component, Style::Form] {
        for upper in [true, false] {
            let form = percent_encoded(secret.as_bytes(), style, upper);
            // An address within an address: where a redirect says what to come back to.
            add(percent_encoded(&form, Style::Strict, upper));
            add(form);
        }
    }
    // Most tokens have nothing in them that anybody escapes.
    if !secret
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~=:".contains(&b))
    {
        for writer in JSON_WRITERS {
            add(writer.escaped(secret).into_bytes());
        }
        for (quote, apostrophe, plus) in HTML_WRITERS {
            add(html_escaped(secret, quote, apostrophe, plus).into_bytes());
        }
    }
    for lead in 0..3 {
        for url_safe in [false, true] {
            let form = base64_inside(secret.as_bytes(), lead, url_safe);
            if !url_safe && form.iter().any(|byte| matches!(byte, b'+' | b'/')) {
                for upper in [true, false] {
                    add(percent_encoded(&form, Style::Strict, upper));
                }
                // It is ASCII.
                let text = String::from_utf8_lossy(&form);
                add(text.replace('/', "\\/").into_bytes());
                add(text.replace('+', "\\u002B").into_bytes());
            }
            add(form);
        }
    }
    all
}

/// Which characters stay as they are.
#[derive(Clone, Copy)]
enum Style {
    /// RFC 3986 unreserved: letters, digits, `-._~`.
    Strict,
    /// JavaScript's `encodeURIComponent`: also `!*'()`.
    Component,
    /// `application/x-www-form-urlencoded`: letters, digits, `-._*`, and a space is a plus.
    Form,
}

fn percent_encoded(bytes: &[u8], style: Style, upper: bool) -> Vec<u8> {
    let extra: &[u8] = match style {
        Style::Strict => b"-._~",
        Style::Component => b"-._~!*'()",
        Style::Form => b"-._*",
    };
    let mut out = Vec::with_capacity(bytes.len() * 3);
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || extra.contains(&byte) {
            out.push(byte);
        } else if byte == b' ' && matches!(style, Style::Form) {
            out.push(b'+');
        } else {
            let digit = |nibble: u8| {
                let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                let digit = if upper {
                    digit.to_ascii_uppercase()
                } else {
                    digit
                };
                // A hexadecimal digit is one byte of ASCII.
                digit as u8
            };
            out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

/// How a library writes texts in JSON, beyond what RFC 8259, 7 asks for.
struct JsonWriter {
    /// What of ASCII it writes as `\uXXXX`.
    escapes: &'static str,
    /// Whether it does so with all beyond ASCII.
    ascii_only: bool,
    /// How it writes a slash.
    slash: &'static str,
    /// Whether its digits are upper case.
    upper: bool,
}

const JSON_WRITERS: [JsonWriter; 6] = [
    // As most do; and with a slash that need not be escaped and is by some.
    JsonWriter::of("", false, "/", false),
    JsonWriter::of("", false, "\\/", false),
    // Python, and PHP.
    JsonWriter::of("", true, "/", false),
    JsonWriter::of("", true, "\\/", false),
    // Go and Rails.
    JsonWriter::of("<>&", false, "/", false),
    // .NET.
    JsonWriter::of("\"&'+<>`", true, "/", true),
];

impl JsonWriter {
    const fn of(escapes: &'static str, ascii_only: bool, slash: &'static str, upper: bool) -> Self {
        Self {
            escapes,
            ascii_only,
            slash,
            upper,
        }
    }

    fn escaped(&self, secret: &str) -> String {
        use std::fmt::Write as _;
        let mut out = String::with_capacity(secret.len() * 6);
        for c in secret.chars() {
            if self.escapes.contains(c) || (self.ascii_only && !c.is_ascii()) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = match self.upper {
                        true => write!(out, "\\u{unit:04X}"),
                        false => write!(out, "\\u{unit:04x}"),
                    };
                }
            } else if c == '/' {
                out.push_str(self.slash);
            } else {
                let quoted = serde_json::Value::from(c.to_string()).to_string();
                out.push_str(
                    quoted
                        .get(1..quoted.len().saturating_sub(1))
                        .unwrap_or_default(),
                );
            }
        }
        out
    }
}

/// How `"`, `'` and `+` are written in HTML by those that escape them: PHP and JavaScript, Python, Go, .NET.
const HTML_WRITERS: [(&str, &str, &str); 4] = [
    ("&quot;", "&#39;", "+"),
    ("&quot;", "&#x27;", "+"),
    ("&#34;", "&#39;", "&#43;"),
    ("&quot;", "&#x27;", "&#x2B;"),
];

fn html_escaped(secret: &str, quote: &str, apostrophe: &str, plus: &str) -> String {
    let mut out = String::with_capacity(secret.len() * 6);
    for c in secret.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str(quote),
            '\'' => out.push_str(apostrophe),
            '+' => out.push_str(plus),
            other => out.push(other),
        }
    }
    out
}

/// The part of any base64 text that is decided by `secret` alone, when `lead` (modulo 3) unknown bytes
/// come before it: this finds the secret in `base64(user:secret)`, `base64(secret:)` and in itself, padded
/// or not, whatever surrounds it.
fn base64_inside(secret: &[u8], lead: usize, url_safe: bool) -> Vec<u8> {
    let mut shifted = Zeroizing::new(vec![0_u8; lead]);
    shifted.extend_from_slice(secret);
    let encoded = Zeroizing::new(if url_safe {
        URL_SAFE_NO_PAD.encode(&*shifted)
    } else {
        STANDARD_NO_PAD.encode(&*shifted)
    });
    let first = (lead * 8).div_ceil(6);
    // The last character stands for the secret alone only if it uses six of its bits.
    let end = shifted.len() * 8 / 6;
    encoded
        .as_bytes()
        .get(first..end.min(encoded.len()))
        .unwrap_or_default()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    fn holds(secret: &str, text: &str) -> bool {
        forms(secret).iter().any(|form| {
            text.as_bytes()
                .windows(form.len())
                .any(|window| window == form.as_slice())
        })
    }

    #[test]
    fn a_secret_is_found_in_every_listed_form() {
        let secret = "p@ss/word+ ~é'(x)?>";
        for text in [
            "p@ss/word+ ~é'(x)?>",
            "p%40ss%2Fword%2B%20~%C3%A9%27%28x%29%3F%3E",
            "p%40ss%2fword%2b%20~%c3%a9%27%28x%29%3f%3e",
            "p%40ss%2Fword%2B%20~%C3%A9'(x)%3F%3E",
            "p%40ss%2Fword%2B+%7E%C3%A9%27%28x%29%3F%3E",
            "p%2540ss%252Fword%252B%2520~%25C3%25A9%2527%2528x%2529%253F%253E",
            r"p@ss\/word+ ~é'(x)?>",
            r"p@ss/word+ ~\u00e9'(x)?>",
            r"p@ss\/word+ ~\u00e9'(x)?>",
            r"p@ss/word+ ~é'(x)?\u003e",
            r"p@ss/word\u002B ~\u00E9\u0027(x)?\u003E",
            "p@ss/word+ ~é&#39;(x)?&gt;",
            "p@ss/word+ ~é&#x27;(x)?&gt;",
            "p@ss/word&#43; ~é&#39;(x)?&gt;",
            "p@ss/word&#x2B; ~é&#x27;(x)?&gt;",
        ] {
            assert!(holds(secret, text), "{text}");
        }
        for before in ["", "a", "ab", "abc:", "api:", "someone@example.com/token:"] {
            for after in ["", ":", ":x"] {
                let plain = format!("{before}{secret}{after}");
                assert!(holds(secret, &STANDARD.encode(&plain)), "{plain}");
                assert!(holds(secret, &URL_SAFE.encode(&plain)), "{plain}");
                assert!(holds(secret, &URL_SAFE_NO_PAD.encode(&plain)), "{plain}");
            }
        }
    }

    /// A header of basic authentication, quoted by what escapes what base64 is made of.
    #[test]
    fn a_secret_in_base64_is_found_where_that_is_escaped_in_turn() {
        // Each of whose base64 forms has both.
        let secret = "~~~???>>>~~~???>>>";
        for before in ["", "a", "ab"] {
            let text = STANDARD.encode(format!("{before}{secret}"));
            assert!(text.contains('+') && text.contains('/'), "{text}");
            for escaped in [
                text.replace('/', "\\/"),
                text.replace('+', "\\u002B"),
                text.replace('+', "%2B")
                    .replace('/', "%2F")
                    .replace('=', "%3D"),
                text.replace('+', "%2b")
                    .replace('/', "%2f")
                    .replace('=', "%3d"),
            ] {
                assert!(holds(secret, &escaped), "{escaped}");
            }
        }
    }

    #[test]
    fn a_short_value_has_no_forms_because_it_would_be_found_in_innocent_text() {
        assert!(forms("1234567").is_empty());
        assert!(!forms("12345678").is_empty());
    }
}
