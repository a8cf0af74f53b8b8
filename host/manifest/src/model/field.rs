//! What a person is asked for, and how an answer is checked.
//!
//! Checking happens once, in [`Field::parse`], before a value is stored or used: by the form, by an import, and again when
//! URLs are resolved. Threats: pasted control characters that become header lines; a host name that sends a secret to
//! somebody else's server (`evil.example/`, `a@b`, `x.vendor.example.evil.example`, `0x7f.1`).

use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use super::{is_default, is_true, yes};
use crate::pattern::Pattern;
use crate::template::is_label;

/// Longest value of a one-line field, in bytes. Multi-line values (keys) may be four times as long.
const MAX_VALUE: usize = 4096;

/// One value that a connection asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Name in templates: lower-case letters, digits, underscores.
    pub id: String,
    /// Its label in the form.
    pub label: String,
    /// Whether it is secret: sealed, masked, and usable only where the host alone renders.
    #[serde(default, skip_serializing_if = "is_default")]
    pub secret: bool,
    /// Whether it must be given.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub required: bool,
    /// What kind of value it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub format: Format,
    /// For `host` and `origin`: what the host must end with. `.example.com` means a name under it, `example.com` also
    /// allows the name itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suffixes: Vec<String>,
    /// Shown before the input; taken off if a person types it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Shown after the input; taken off if a person types it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// What the whole value must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// The values that it can have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// The value if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Shown as a placeholder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// Where the person finds the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// A page that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help_url: Option<String>,
    /// Whether line breaks are part of the value (keys in PEM).
    #[serde(default, skip_serializing_if = "is_default")]
    pub multiline: bool,
}

/// One of the values that a field can have. Written as the value alone, or as `{value, label}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "ChoiceText")]
pub struct Choice {
    /// What is stored.
    pub value: String,
    /// What is shown.
    pub label: String,
}

#[derive(Serialize, Clone)]
#[serde(untagged)]
enum ChoiceText {
    Short(String),
    Long(ChoiceFull),
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct ChoiceFull {
    value: String,
    label: String,
}

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        super::text::short_or_long(
            d,
            |value: String| {
                Ok(Self {
                    label: value.clone(),
                    value,
                })
            },
            |ChoiceFull { value, label }| Ok(Self { value, label }),
        )
    }
}

impl From<Choice> for ChoiceText {
    fn from(choice: Choice) -> Self {
        if choice.label == choice.value {
            Self::Short(choice.value)
        } else {
            Self::Long(ChoiceFull {
                value: choice.value,
                label: choice.label,
            })
        }
    }
}

/// Kinds of value. `dns-label`, `host` and `origin` are host-safe: they may stand in a URL's host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// An https address.
    Url,
    /// An e-mail address.
    Email,
    /// A UUID.
    Uuid,
    /// Digits only.
    Digits,
}

impl Format {
    /// Whether values of this format may stand in a URL's host.
    #[must_use]
    pub fn is_host_safe(self) -> bool {
        matches!(self, Self::DnsLabel | Self::Host | Self::Origin)
    }

    /// The format as the manifest writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::DnsLabel => "dns-label",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Url => "url",
            Self::Email => "email",
            Self::Uuid => "uuid",
            Self::Digits => "digits",
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
        }
    }

    fn want(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::DnsLabel => "one name of letters, digits and hyphens, without dots or slashes",
            Self::Host => "a host name without https:// and slashes",
            Self::Origin => "an address like https://example.com, with nothing after the host",
            Self::Url => "an address that starts with https://",
            Self::Email => "an e-mail address",
            Self::Uuid => "an id like 01234567-89ab-cdef-0123-456789abcdef",
            Self::Digits => "digits only",
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

/// Why a typed value was refused: a sentence for the person, without the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Nothing was given.
    #[error("{label} is needed")]
    Missing {
        /// The field's label.
        label: String,
    },
    /// Control characters.
    #[error(
        "{label} contains a line break or another invisible character; copy it again without it"
    )]
    Invisible {
        /// The field's label.
        label: String,
    },
    /// Too long.
    #[error("{label} is too long")]
    TooLong {
        /// The field's label.
        label: String,
    },
    /// Not of the format, pattern or choices.
    #[error("{label} must be {want}")]
    Shape {
        /// The field's label.
        label: String,
        /// What is wanted.
        want: String,
    },
}

impl Field {
    /// Checks what a person typed and returns what to store: trimmed, without a typed prefix or suffix, in the one
    /// written form of its format; the default if nothing was typed. Optional fields yield an empty text.
    ///
    /// # Errors
    /// A sentence for the person; it never repeats the value.
    pub fn parse(&self, typed: &str) -> Result<String, FieldError> {
        let label = || self.label.clone();
        let mut text = typed.trim();
        if text.is_empty() {
            text = self.default.as_deref().unwrap_or_default();
        }
        if text.is_empty() {
            return if self.required {
                Err(FieldError::Missing { label: label() })
            } else {
                Ok(String::new())
            };
        }
        let limit = if self.multiline {
            4 * MAX_VALUE
        } else {
            MAX_VALUE
        };
        if text.len() > limit {
            return Err(FieldError::TooLong { label: label() });
        }
        let invisible = |c: char| {
            (c.is_control() && !(self.multiline && matches!(c, '\n' | '\r')))
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
        };
        if text.contains(invisible) {
            return Err(FieldError::Invisible { label: label() });
        }
        if self.format == Format::DnsLabel {
            text = self.without_affixes(text);
        }
        let value =
            self.format
                .normalise(text, &self.suffixes)
                .ok_or_else(|| FieldError::Shape {
                    label: label(),
                    want: self.want(),
                })?;
        if self.pattern.as_ref().is_some_and(|p| !p.matches(&value)) {
            return Err(FieldError::Shape {
                label: label(),
                want: match &self.example {
                    Some(example) => format!("like {example}"),
                    None => "in the form that the app gives it".to_owned(),
                },
            });
        }
        if !self.choices.is_empty() && !self.choices.iter().any(|c| c.value == value) {
            let labels: Vec<&str> = self.choices.iter().map(|c| c.label.as_str()).collect();
            return Err(FieldError::Shape {
                label: label(),
                want: format!("one of: {}", labels.join(", ")),
            });
        }
        Ok(value)
    }

    /// A person who pastes the whole address into a field that asks for a part of it is understood.
    fn without_affixes<'t>(&self, typed: &'t str) -> &'t str {
        let bare = typed.trim_end_matches('/');
        let after = self.prefix.as_deref().and_then(|p| bare.strip_prefix(p));
        let suffix = self.suffix.as_deref().filter(|s| !s.is_empty());
        match (after, suffix) {
            (Some(rest), Some(s)) => rest.strip_suffix(s).unwrap_or(typed),
            (Some(rest), None) => rest,
            (None, Some(s)) => bare.strip_suffix(s).unwrap_or(typed),
            (None, None) => typed,
        }
    }

    fn want(&self) -> String {
        if self.suffixes.is_empty() {
            self.format.want().to_owned()
        } else {
            format!(
                "{} (under {})",
                self.format.want(),
                self.suffixes.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(extra: serde_json::Value) -> Field {
        let mut base = json!({"id": "f", "label": "Thing"});
        base.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        serde_json::from_value(base).unwrap()
    }

    #[test]
    fn outer_space_is_trimmed_and_invisible_characters_are_refused() {
        let key = field(json!({"secret": true}));
        assert_eq!(key.parse("  abc\n").unwrap(), "abc");
        for bad in ["a\r\nb", "a\0b", "a\u{200b}b", "a\u{feff}b", "a\u{1b}[0m"] {
            let error = key.parse(bad).unwrap_err().to_string();
            assert!(
                error.contains("invisible") && !error.contains('a'.to_string().repeat(2).as_str())
            );
        }
        assert!(
            field(json!({"multiline": true}))
                .parse("-----BEGIN\nx\n-----END")
                .is_ok()
        );
    }

    #[test]
    fn a_pasted_whole_address_is_understood_where_a_part_is_asked_for() {
        let f =
            field(json!({"format": "dns-label", "prefix": "https://", "suffix": ".zendesk.com"}));
        for typed in [
            "acme",
            "ACME",
            "https://acme.zendesk.com",
            "https://acme.zendesk.com/",
            "acme.zendesk.com",
        ] {
            assert_eq!(f.parse(typed).unwrap(), "acme", "{typed}");
        }
        for typed in [
            "https://acme.zendesk.com.evil.example",
            "https://evil.example/.zendesk.com",
            "a.b.zendesk.com",
            "http://acme.zendesk.com",
        ] {
            assert!(f.parse(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn what_is_needed_and_what_has_a_default() {
        assert_eq!(
            field(json!({})).parse(" ").unwrap_err().to_string(),
            "Thing is needed"
        );
        assert_eq!(field(json!({"required": false})).parse("").unwrap(), "");
        assert_eq!(field(json!({"default": "x"})).parse("").unwrap(), "x");
    }

    #[test]
    fn patterns_choices_and_formats_are_told_in_words_without_the_value() {
        let sid = field(json!({"pattern": "AC[0-9a-f]{4}", "example": "AC12ab"}));
        assert!(sid.parse("AC12ab").is_ok());
        assert_eq!(
            sid.parse("sk_live_oops").unwrap_err().to_string(),
            "Thing must be like AC12ab"
        );
        let region = field(json!({"choices": ["us", {"value": "eu", "label": "Europe"}]}));
        assert_eq!(
            region.parse("xx").unwrap_err().to_string(),
            "Thing must be one of: us, Europe"
        );
        for (format, good, bad) in [
            ("email", "a@b.example", "a@b"),
            ("uuid", "01234567-89ab-CDEF-0123-456789abcdef", "0123"),
            ("digits", "042", "4x"),
            ("url", "https://a.example/x", "http://a.example"),
            ("host", "a.example.com", "a.example.com/"),
            ("host", "A.example", "127.0.0.1"),
            ("host", "a.example", "localhost"),
            ("host", "a.example", "0x7f.1"),
            ("dns-label", "a-1", "a_1"),
        ] {
            let f = field(json!({"format": format}));
            assert!(f.parse(good).is_ok() && f.parse(bad).is_err(), "{format}");
        }
    }

    #[test]
    fn a_value_without_end_is_refused() {
        assert!(matches!(
            field(json!({})).parse(&"x".repeat(4097)),
            Err(FieldError::TooLong { .. })
        ));
    }
}
