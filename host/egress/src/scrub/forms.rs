//! The shapes in which a secret comes back.
//!
//! An upstream that echoes a request, or an error page that quotes it, rarely quotes a secret byte for
//! byte: it shows the URL (percent-encoded), the `Authorization` header (base64 of `user:password`), or
//! a JSON string (escaped). Each of these is listed here and nothing else is attempted: a hash, an
//! encryption or a reversal of a secret passes through.

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
            add(percent_encoded(secret.as_bytes(), style, upper));
        }
    }
    let escaped = json_escaped(secret);
    add(escaped.replace('/', "\\/").into_bytes());
    add(escaped.to_string().into_bytes());
    for lead in 0..3 {
        for url_safe in [false, true] {
            add(base64_inside(secret.as_bytes(), lead, url_safe));
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

fn json_escaped(secret: &str) -> Zeroizing<String> {
    let quoted = Zeroizing::new(serde_json::Value::from(secret).to_string());
    Zeroizing::new(
        quoted
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(secret)
            .to_owned(),
    )
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
            r"p@ss\/word+ ~é'(x)?>",
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

    #[test]
    fn a_short_value_has_no_forms_because_it_would_be_found_in_innocent_text() {
        assert!(forms("1234567").is_empty());
        assert!(!forms("12345678").is_empty());
    }
}
