//! `{{ … }}` in manifests: expressions and filters, nothing else.
//!
//! A template is text with holes. Each hole is one minijinja expression (no statements, no calls but filters), evaluated
//! with fuel and strict about what is undefined; each result is escaped for the slot it lands in, *one by one*. So a value
//! can never add a path segment, a query parameter, a header line or another template: values are data, never source.
//!
//! Parsing checks the syntax, the filters and the roots, so a template that exists can only fail for lack of a value.
//! A hole must name what it wants (`fields.subdomain`, never `fields` or `fields[x]`): that is what lets secrecy and
//! phases be checked from the text. Errors name the expression, never a value.

mod escape;
mod filters;
mod syntax;
mod time;

use std::fmt;

use minijinja::value::ValueKind;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use escape::Slot;
pub(crate) use escape::{is_label, is_plain_segment, percent};
pub use filters::FILTERS;
pub(crate) use filters::{hex, hmac_sha1, hmac_sha256, hmac_sha512};
pub use syntax::ROOTS;
#[cfg(feature = "yaml")]
pub(crate) use syntax::nearest;

use crate::scope::Scope;
use crate::secret::SecretText;

/// Text with `{{ … }}` holes; serialised as its source.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

/// A piece of a template, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text that is sent as written.
    Literal(String),
    /// One expression.
    Expr { source: String, refs: Vec<Ref> },
}

/// A value that a template reads: `fields.subdomain` has root `fields` and path `["subdomain"]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ref {
    /// The first name.
    pub root: String,
    /// The names after it.
    pub path: Vec<String>,
}

impl Ref {
    /// The first name after the root.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.path.first().map(String::as_str)
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)?;
        self.path.iter().try_for_each(|p| write!(f, ".{p}"))
    }
}

/// Why a template was refused when it was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{{` without `}}`.
    #[error("`{{{{` is never closed; end the expression with `}}}}`")]
    Unclosed,
    /// `{% … %}` or `{# … #}`.
    #[error(
        "only `{{{{ expressions }}}}` are allowed here, no statements or comments (`{{%`, `{{#`)"
    )]
    Statement,
    /// Nothing between the braces.
    #[error("`{{{{ }}}}` is empty")]
    Empty,
    /// Not an expression.
    #[error("`{expression}` is not a valid expression{detail}")]
    Syntax {
        /// The text between the braces.
        expression: String,
        /// `: what the parser says`, or nothing.
        detail: String,
    },
    /// A filter that does not exist.
    #[error("there is no filter `{name}`{}", did_you_mean(.suggestion))]
    UnknownFilter {
        /// What was written.
        name: String,
        /// The nearest filter.
        suggestion: Option<String>,
    },
    /// A function or method call.
    #[error("`{0}(…)` cannot be called; only filters are available (`value | {0}`)")]
    Call(String),
    /// A root that does not exist.
    #[error("there is no `{name}`{}", did_you_mean(.suggestion))]
    UnknownRoot {
        /// What was written.
        name: String,
        /// The nearest root.
        suggestion: Option<String>,
    },
    /// A whole group instead of one of its values.
    #[error("name one value of `{0}` with a dot, such as `{0}.name`")]
    WholeRoot(String),
    /// Longer than any template needs to be.
    #[error("the template is longer than {} bytes", syntax::MAX_LEN)]
    TooLong,
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map_or_else(String::new, |s| format!("; did you mean `{s}`?"))
}

/// Why a template could not be rendered. Never contains a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The expression has no value here.
    #[error("`{0}` has no value")]
    Missing(String),
    /// A list or object where text is needed.
    #[error("`{0}` is a list or object, where text is needed")]
    NotText(String),
    /// The value cannot stand in this slot.
    #[error("the value of `{expression}` cannot be used in a {slot}: {reason}")]
    Unsafe {
        /// The expression, or the literal text of the manifest.
        expression: String,
        /// Name of the slot.
        slot: &'static str,
        /// What is wrong, without the value.
        reason: &'static str,
    },
    /// A filter refused its input, or the evaluation used up its fuel.
    #[error("`{expression}` could not be computed: {reason}")]
    Failed {
        /// The expression.
        expression: String,
        /// A fixed text per kind of failure.
        reason: &'static str,
    },
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// Bad syntax, unknown filters or roots, statements, calls.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        Ok(Self {
            source: source.to_owned(),
            parts: syntax::split(source)?,
        })
    }

    /// A template without holes.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self {
            source: text.to_owned(),
            parts: vec![Part::Literal(text.to_owned())],
        }
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The literal pieces of text, in order.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|p| match p {
            Part::Literal(text) => Some(text.as_str()),
            Part::Expr { .. } => None,
        })
    }

    /// The expressions, in order.
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|p| match p {
            Part::Expr { source, .. } => Some(source.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// Every value that it reads, each once, in order of appearance.
    #[must_use]
    pub fn refs(&self) -> Vec<Ref> {
        let mut all: Vec<Ref> = Vec::new();
        for part in &self.parts {
            if let Part::Expr { refs, .. } = part {
                all.extend(
                    refs.iter()
                        .filter(|r| !all.contains(r))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
            }
        }
        all
    }

    /// Whether it has no holes.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.parts.iter().any(|p| matches!(p, Part::Expr { .. }))
    }

    /// The text of a template without holes.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        self.is_literal().then_some(self.source.as_str())
    }

    /// The expression, if the template is one hole and nothing else; such a template keeps its value's type.
    #[must_use]
    pub fn lone_expression(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Expr { source, .. }] => Some(source),
            _ => None,
        }
    }

    /// Renders to text; every hole is escaped for `slot`. Fixed text is kept, checked where a slot demands it, and encoded where
    /// it could not stand in a URL or a form.
    ///
    /// # Errors
    /// A missing value, a value that is not text, or one that the slot refuses.
    pub fn render(&self, scope: &Scope, slot: Slot) -> Result<String, RenderError> {
        let mut out = String::with_capacity(self.source.len());
        for part in &self.parts {
            match part {
                Part::Literal(text) => escape::literal(text, slot, &mut out)?,
                Part::Expr { source, .. } => {
                    let value = self.eval(source, scope)?;
                    escape::value(source, &text_of(source, &value)?, slot, &mut out)?;
                }
            }
        }
        if slot == Slot::PathSegment {
            escape::no_dot_segments(&out, &self.source)?;
        }
        Ok(out)
    }

    /// Renders a template that may hold secrets; the result is wiped when dropped.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_secret(&self, scope: &Scope, slot: Slot) -> Result<SecretText, RenderError> {
        self.render(scope, slot).map(SecretText::new)
    }

    /// Renders, or `None` where the template is one hole whose value is null or absent: an optional parameter.
    ///
    /// Absent is forgiven only for what a caller may leave out (`input`, `cursor`, `args`, `item`, `body`); a missing
    /// field or credential stays an error.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_optional(
        &self,
        scope: &Scope,
        slot: Slot,
    ) -> Result<Option<String>, RenderError> {
        if let Some(source) = self.lone_expression() {
            let value = self.eval(source, scope)?;
            if value.is_none() || (value.is_undefined() && self.may_be_absent()) {
                return Ok(None);
            }
        }
        self.render(scope, slot).map(Some)
    }

    /// The value: a lone expression keeps its type, anything else is text.
    ///
    /// # Errors
    /// A missing value or a failed filter.
    pub fn value(&self, scope: &Scope) -> Result<serde_json::Value, RenderError> {
        self.value_optional(scope)?
            .ok_or_else(|| RenderError::Missing(self.source.clone()))
    }

    /// Like [`Template::value`], but `None` where a lone expression names something that a caller may leave out.
    ///
    /// # Errors
    /// As [`Template::value`].
    pub fn value_optional(&self, scope: &Scope) -> Result<Option<serde_json::Value>, RenderError> {
        let Some(source) = self.lone_expression() else {
            return self
                .render(scope, Slot::Raw)
                .map(|s| Some(serde_json::Value::String(s)));
        };
        let value = self.eval(source, scope)?;
        if value.is_undefined() {
            return if self.may_be_absent() {
                Ok(None)
            } else {
                Err(RenderError::Missing(source.to_owned()))
            };
        }
        serde_json::to_value(&value)
            .map(Some)
            .map_err(|_| RenderError::Failed {
                expression: source.to_owned(),
                reason: "the result is not JSON",
            })
    }

    /// Whether every value it reads is one that a caller may leave out.
    fn may_be_absent(&self) -> bool {
        self.refs().iter().all(|r| {
            matches!(
                r.root.as_str(),
                "input" | "cursor" | "args" | "item" | "body"
            )
        })
    }

    /// The whole template as one expression: `{{ a }}/x` becomes `((a) ~ "/x")`. Used to compose templates.
    pub(crate) fn as_expression(&self) -> String {
        let terms: Vec<String> = self
            .parts
            .iter()
            .map(|p| match p {
                Part::Literal(text) => syntax::quote(text),
                Part::Expr { source, .. } => format!("({source})"),
            })
            .collect();
        if terms.is_empty() {
            "\"\"".to_owned()
        } else {
            format!("({})", terms.join(" ~ "))
        }
    }

    fn eval(&self, source: &str, scope: &Scope) -> Result<minijinja::Value, RenderError> {
        let failed = |e: minijinja::Error| match e.kind() {
            minijinja::ErrorKind::UndefinedError => RenderError::Missing(source.to_owned()),
            minijinja::ErrorKind::OutOfFuel => RenderError::Failed {
                expression: source.to_owned(),
                reason: "it takes too many steps",
            },
            _ => RenderError::Failed {
                expression: source.to_owned(),
                reason: "a filter or operator does not fit the value",
            },
        };
        let refs = self.parts.iter().find_map(|p| match p {
            Part::Expr { source: s, refs } if s == source => Some(refs.as_slice()),
            _ => None,
        });
        filters::environment()
            .compile_expression(source)
            .and_then(|e| e.eval(scope.context(refs.unwrap_or_default())))
            .map_err(failed)
    }
}

/// A scalar as text, numbers and booleans as JSON writes them.
fn text_of(source: &str, value: &minijinja::Value) -> Result<String, RenderError> {
    match value.kind() {
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Number | ValueKind::Bool => Ok(value.to_string()),
        ValueKind::Undefined | ValueKind::None => Err(RenderError::Missing(source.to_owned())),
        _ => Err(RenderError::NotText(source.to_owned())),
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.source)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Template;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text (with `{{ … }}` where a value goes)")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Template, E> {
                Template::parse(v).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Template, E> {
                Ok(Template::literal(&v.to_string()))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Template, E> {
                Ok(Template::literal(&v.to_string()))
            }
            fn visit_bool<E: de::Error>(self, v: bool) -> Result<Template, E> {
                Ok(Template::literal(&v.to_string()))
            }
        }
        d.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests;
