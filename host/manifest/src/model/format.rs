//! Kinds of value, and the one written form of each.
//!
//! Threat: a host name that sends a secret to somebody else's server (`evil.example/`, `a@b`,
//! `x.vendor.example.evil.example`, `0x7f.1`), so what may stand in a host is as narrow as it can be.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::template::{is_label, is_plain_segment};

/// Kinds of value. `dns-label`, `host`, `origin` and `base-url` are host-safe: they may decide a URL's host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Any text.
    #[default]
    Text,
    /// One label of a host name: `acme`.
    DnsLabel,
    /// A host name: `acme.example.com`.
    Host,
    /// Scheme, host and port: `https://gitlab.example`. Typed without a scheme, https is meant.
    Origin,
    /// An origin with a path under which requests go: `https://rest91.example.com/rest-services/a1b2`. Nothing else of an
    /// address: no query, no fragment, no `.` and `..`.
    BaseUrl,
    /// An https address.
    Url,
    /// An e-mail address.
    Email,
    /// A UUID.
    Uuid,
    /// Digits only.
    Digits,
    /// A whole number, negative ones too.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A JSON document (a service account's key file).
    Json,
    /// A key or certificate in PEM.
    Pem,
    /// A day: `2026-01-31`.
    Date,
}

impl Format {
    /// Whether values of this format may stand in a URL's host.
    #[must_use]
    pub fn is_host_safe(self) -> bool {
        matches!(
            self,
            Self::DnsLabel | Self::Host | Self::Origin | Self::BaseUrl
        )
    }

    /// Whether a value of this format is a whole host, or holds one: whoever types it chooses the server.
    #[must_use]
    pub fn names_a_host(self) -> bool {
        matches!(self, Self::Host | Self::Origin | Self::BaseUrl | Self::Url)
    }

    /// The format as the manifest writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::DnsLabel => "dns-label",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::BaseUrl => "base-url",
            Self::Url => "url",
            Self::Email => "email",
            Self::Uuid => "uuid",
            Self::Digits => "digits",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Json => "json",
            Self::Pem => "pem",
            Self::Date => "date",
        }
    }

    /// Checks a value and brings it into its one written form; `None` if it is not of this format.
    #[must_use]
    pub fn normalise(self, text: &str, suffixes: &[String]) -> Option<String> {
        match self {
            Self::Text => Some(text.to_owned()),
            Self::DnsLabel => is_label(text).then(|| text.to_ascii_lowercase()),
            Self::Host => {
                let host = text.to_ascii_lowercase();
                (is_public_name(&host) && ends_well(&host, suffixes)).then_some(host)
            }
            Self::Origin => origin(text, suffixes),
            Self::BaseUrl => base_url(text, suffixes),
            Self::Url => Url::parse(text)
                .ok()
                .filter(|u| {
                    u.scheme() == "https" && u.username().is_empty() && u.password().is_none()
                })
                .map(|u| u.to_string()),
            Self::Email => {
                let (name, host) = text.rsplit_once('@')?;
                let plain = |s: &str| !s.is_empty() && !s.contains(char::is_whitespace);
                (plain(name)
                    && !name.contains(':')
                    && plain(host)
                    && host.contains('.')
                    && !host.starts_with('.'))
                .then(|| text.to_owned())
            }
            Self::Uuid => {
                let groups: Vec<&str> = text.split('-').collect();
                let hex = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
                (hex && groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12]))
                    .then(|| text.to_ascii_lowercase())
            }
            Self::Digits => (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
                .then(|| text.to_owned()),
            Self::Integer => text.parse::<i64>().ok().map(|n| n.to_string()),
            Self::Boolean => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Some("true".to_owned()),
                "false" | "no" | "off" | "0" => Some("false".to_owned()),
                _ => None,
            },
            Self::Json => serde_json::from_str::<serde_json::Value>(text)
                .ok()
                .filter(|v| v.is_object() || v.is_array())
                .map(|_| text.to_owned()),
            Self::Pem => pem(text),
            Self::Date => is_date(text).then(|| text.to_owned()),
        }
    }

    pub(super) fn want(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::DnsLabel => "one name of letters, digits and hyphens, without dots or slashes",
            Self::Host => "a host name without https:// and slashes",
            Self::Origin => "an address like https://example.com, with nothing after the host",
            Self::BaseUrl => "an address like https://example.com/api, without ? and #",
            Self::Url => "an address that starts with https://",
            Self::Email => "an e-mail address",
            Self::Uuid => "an id like 01234567-89ab-cdef-0123-456789abcdef",
            Self::Digits => "digits only",
            Self::Integer => "a whole number",
            Self::Boolean => "true or false",
            Self::Json => "a whole JSON document, from its first brace to its last",
            Self::Pem => "a key or certificate from its `-----BEGIN` line to its `-----END` line",
            Self::Date => "a day like 2026-01-31",
        }
    }
}

/// A host name of two or more labels that is not an address in disguise.
fn is_public_name(host: &str) -> bool {
    host.len() <= 253
        && host.contains('.')
        && host.split('.').all(is_label)
        && host != "localhost"
        && !host.ends_with(".localhost")
        && matches!(url::Host::parse(host), Ok(url::Host::Domain(d)) if d == host)
}

fn ends_well(host: &str, suffixes: &[String]) -> bool {
    suffixes.is_empty()
        || suffixes.iter().any(|s| match s.strip_prefix('.') {
            Some(_) => host
                .strip_suffix(s.as_str())
                .is_some_and(|left| !left.is_empty()),
            None => {
                host == s
                    || host
                        .strip_suffix(s.as_str())
                        .is_some_and(|left| left.ends_with('.'))
            }
        })
}

fn origin(text: &str, suffixes: &[String]) -> Option<String> {
    // The URL parser forgives backslashes, tabs and credentials; none of them belongs in an origin.
    if text.contains(['\\', '@', '?', '#', '%']) || text.contains(char::is_whitespace) {
        return None;
    }
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = Url::parse(&full).ok()?;
    if url.scheme() != "https"
        || !matches!(url.path(), "" | "/")
        || full.matches("://").count() != 1
    {
        return None;
    }
    match url.host()? {
        // Single-label intranet names and addresses are a self-hosted affair: only where no suffix is demanded.
        url::Host::Domain(host) => {
            let labels = host.split('.').all(is_label)
                && host != "localhost"
                && !host.ends_with(".localhost");
            (labels && ends_well(host, suffixes)).then_some(())?;
        }
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => suffixes.is_empty().then_some(())?,
    }
    Some(url.origin().ascii_serialization())
}

/// An origin and a plain path, without the slash at its end.
fn base_url(text: &str, suffixes: &[String]) -> Option<String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let base = origin(&format!("{scheme}://{authority}"), suffixes)?;
    if path.is_empty() {
        return Some(base);
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/')
        .all(is_plain_segment)
        .then(|| format!("{base}/{path}"))
}

/// One or more PEM blocks (RFC 7468) as they are meant: with line breaks, also where a form or a JSON file turned them into
/// `\n` or spaces. What is between the lines is not decoded here.
fn pem(text: &str) -> Option<String> {
    let text = text.replace("\\n", "\n").replace('\r', "");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (label, after) = rest.strip_prefix("-----BEGIN ")?.split_once("-----")?;
        let legal = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ';
        if label.is_empty() || !label.bytes().all(legal) {
            return None;
        }
        let end = format!("-----END {label}-----");
        let (body, after) = after.split_once(end.as_str())?;
        // Spaces are line breaks that got lost, but for the headers of old encrypted keys (`Proc-Type: 4,ENCRYPTED`).
        let lines: Vec<&str> = if body.contains(':') {
            body.lines().map(str::trim).collect()
        } else {
            body.split_ascii_whitespace().collect()
        };
        let data = lines.join("\n");
        let data = data.trim_matches('\n');
        if data.is_empty() || data.contains("-----") {
            return None;
        }
        out.push_str(&format!("-----BEGIN {label}-----\n{data}\n{end}\n"));
        rest = after.trim();
    }
    (!out.is_empty()).then_some(out)
}

/// A day of the calendar, `YYYY-MM-DD`.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    let number = |s: &str, len: usize| {
        (s.len() == len && s.bytes().all(|b| b.is_ascii_digit()))
            .then(|| s.parse::<u32>().ok())
            .flatten()
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2))
    else {
        return false;
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_an_origin_with_a_plain_path() {
        let under = [".acme.example".to_owned()];
        for (typed, stored) in [
            (
                "https://Rest91.acme.example/rest-services/A1b2/",
                Some("https://rest91.acme.example/rest-services/A1b2"),
            ),
            ("rest91.acme.example", Some("https://rest91.acme.example")),
            (
                "https://rest91.acme.example:8443/v1",
                Some("https://rest91.acme.example:8443/v1"),
            ),
            ("https://rest91.acme.example//", None),
            ("https://rest91.acme.example/a/./b", None),
            ("https://rest91.acme.example/a?b", None),
            ("https://acme.example/a", None),
            ("ftp://rest91.acme.example/a", None),
        ] {
            let read = Format::BaseUrl.normalise(typed, &under);
            assert_eq!(read.as_deref(), stored, "{typed}");
        }
    }
}
