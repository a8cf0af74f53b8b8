//! What a person is asked for, and how an answer is checked.
//!
//! Checking happens once, in [`Field::parse`], before a value is stored or used: by the form, by an import, and again when
//! URLs are resolved. Threats: pasted control characters that become header lines; a host name that sends a secret to
//! somebody else's server (`evil.example/`, `a@b`, `x.vendor.example.evil.example`, `0x7f.1`).

use serde::{Deserialize, Deserializer, Serialize};

use super::{Format, is_default, is_true, yes};
use crate::pattern::Pattern;

/// Longest value of a one-line field, in bytes. Multi-line values (keys) may be four times as long.
const MAX_VALUE: usize = 4096;
/// Largest value that comes as a file, in bytes.
const MAX_FILE: usize = 64 * 1024;

/// One value that a connection asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Never shown; its default is its value.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hidden: bool,
    /// Shown and asked for only while another field has a certain value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_when: Option<ShownWhen>,
    /// The value may be given as a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileRule>,
    /// Heading under which the form puts it, together with others of the same group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether line breaks are part of the value (keys in PEM).
    #[serde(default, skip_serializing_if = "is_default")]
    pub multiline: bool,
}

/// Shows a field while another one has a certain value. Written as `{field, equals}` or `{field, in: [..]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "ShownWhenText", into = "ShownWhenText")]
pub struct ShownWhen {
    /// Id of the other field.
    pub field: String,
    /// Its values that show this one.
    pub values: Vec<String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct ShownWhenText {
    /// The field whose value decides.
    field: String,
    /// The value at which this field is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equals: Option<Scalar>,
    /// The values at which this field is asked for.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    values: Option<Vec<Scalar>>,
}

/// Stored values are texts; YAML reads `true` and `1` as something else.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Flag(bool),
    Number(i64),
}

impl From<Scalar> for String {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Text(text) => text,
            Scalar::Flag(flag) => flag.to_string(),
            Scalar::Number(number) => number.to_string(),
        }
    }
}

impl TryFrom<ShownWhenText> for ShownWhen {
    type Error = String;

    fn try_from(text: ShownWhenText) -> Result<Self, String> {
        let values = match (text.equals, text.values) {
            (Some(one), None) => vec![one.into()],
            (None, Some(many)) if !many.is_empty() => many.into_iter().map(Into::into).collect(),
            _ => return Err("say one value with `equals:`, or several with `in: [..]`".to_owned()),
        };
        Ok(Self {
            field: text.field,
            values,
        })
    }
}

impl From<ShownWhen> for ShownWhenText {
    fn from(shown: ShownWhen) -> Self {
        let mut values: Vec<Scalar> = shown.values.into_iter().map(Scalar::Text).collect();
        let one = if values.len() == 1 {
            values.pop()
        } else {
            None
        };
        Self {
            field: shown.field,
            equals: one,
            values: (!values.is_empty()).then_some(values),
        }
    }
}

/// A value that may be given as a file; it is stored as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FileRule {
    /// Endings of the file's name that the form offers: `.pem`, `.p8`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
    /// Largest file, in bytes; at most 65536, which is also meant if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<usize>,
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// A required, public field with these and nothing else.
    #[must_use]
    pub fn named(id: &str, label: &str, format: Format) -> Self {
        Self {
            id: id.to_owned(),
            label: label.to_owned(),
            secret: false,
            required: true,
            format,
            suffixes: Vec::new(),
            prefix: None,
            suffix: None,
            pattern: None,
            choices: Vec::new(),
            default: None,
            example: None,
            help: None,
            help_url: None,
            hidden: false,
            shown_when: None,
            file: None,
            group: None,
            multiline: false,
        }
    }

    /// Whether line breaks are part of the value: said, or plain from its format or from its coming as a file.
    #[must_use]
    pub fn is_multiline(&self) -> bool {
        self.multiline || self.file.is_some() || matches!(self.format, Format::Json | Format::Pem)
    }

    /// Whether the field is asked for, given the values of the others by id. One that is not has no value.
    pub fn is_shown<V: AsRef<str>>(&self, value_of: impl Fn(&str) -> Option<V>) -> bool {
        self.shown_when.as_ref().is_none_or(|shown| {
            value_of(&shown.field)
                .is_some_and(|value| shown.values.iter().any(|v| v == value.as_ref()))
        })
    }

    /// Largest value, in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        match &self.file {
            Some(file) => file.max.unwrap_or(MAX_FILE).min(MAX_FILE),
            None if self.is_multiline() => 4 * MAX_VALUE,
            None => MAX_VALUE,
        }
    }

    /// Checks what a person typed and returns what to store: trimmed, without a typed prefix or suffix, in the one
    /// written form of its format; the default if nothing was typed. Optional fields yield an empty text.
    ///
    /// # Errors
    /// A sentence for the person; it never repeats the value.
    pub fn parse(&self, typed: &str) -> Result<String, FieldError> {
        let label = || self.label.clone();
        // What nobody sees nobody can have typed.
        let mut text = if self.hidden { "" } else { typed.trim() };
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
        if text.len() > self.limit() {
            return Err(FieldError::TooLong { label: label() });
        }
        let multiline = self.is_multiline();
        let invisible = |c: char| {
            (c.is_control() && !(multiline && matches!(c, '\n' | '\r' | '\t')))
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
