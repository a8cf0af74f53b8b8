//! Reading a template: splitting text from holes, and refusing what a hole may not contain.

use super::filters::{self, FILTERS};
use super::{Part, Ref, TemplateError};

/// Longest template, in bytes. The longest in any manifest known is under 400.
pub(super) const MAX_LEN: usize = 8 * 1024;

/// The groups of values that exist. What may be used *where* is checked per place.
pub const ROOTS: &[&str] = &[
    "fields",
    "credentials",
    "token",
    "callback",
    "capture",
    "account",
    "app",
    "input",
    "body",
    "headers",
    "status",
    "cursor",
    "item",
    "args",
    "now",
    "variant",
    "tokens",
    "key",
    "jwt",
    "signature",
    "timestamp",
    "nonce",
    "request",
    "webhook",
    "subscription",
];

/// Roots that may be used as a whole: they are not groups, or reading all of them gives nothing away.
const WHOLE: &[&str] = &[
    "input",
    "body",
    "headers",
    "status",
    "cursor",
    "item",
    "now",
    "signature",
    "timestamp",
    "nonce",
];

/// Splits a template into literal text and checked expressions.
pub(super) fn split(source: &str) -> Result<Vec<Part>, TemplateError> {
    if source.len() > MAX_LEN {
        return Err(TemplateError::TooLong);
    }
    let mut parts = Vec::new();
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("{{") {
        literal(before, &mut parts)?;
        let (expression, tail) = close(after).ok_or(TemplateError::Unclosed)?;
        parts.push(expression_part(expression.trim())?);
        rest = tail;
    }
    literal(rest, &mut parts)?;
    Ok(parts)
}

fn literal(text: &str, parts: &mut Vec<Part>) -> Result<(), TemplateError> {
    if text.contains("{%") || text.contains("{#") {
        return Err(TemplateError::Statement);
    }
    if !text.is_empty() {
        parts.push(Part::Literal(text.to_owned()));
    }
    Ok(())
}

/// Finds `}}` outside of quotes; returns what is before and after it.
fn close(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let mut escaped = false;
    let mut previous = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '}' && previous == Some('}') => {
                return Some((text.get(..at - 1)?, text.get(at + 1..)?));
            }
            None => {}
        }
        previous = Some(c);
    }
    None
}

fn expression_part(expression: &str) -> Result<Part, TemplateError> {
    if expression.is_empty() {
        return Err(TemplateError::Empty);
    }
    let env = filters::environment();
    let compiled = env
        .compile_expression(expression)
        .map_err(|e| TemplateError::Syntax {
            expression: expression.to_owned(),
            detail: e.detail().map_or_else(String::new, |d| format!(": {d}")),
        })?;
    calls(expression)?;
    let mut refs: Vec<Ref> = compiled
        .undeclared_variables(true)
        .into_iter()
        .map(|name| {
            let mut names = name.split('.').map(str::to_owned);
            Ref {
                root: names.next().unwrap_or_default(),
                path: names.collect(),
            }
        })
        .collect();
    // A nested name is reported beside its own root by some forms of access: keep the longest.
    refs.sort();
    for r in &refs {
        if !ROOTS.contains(&r.root.as_str()) {
            return Err(TemplateError::UnknownRoot {
                name: r.root.clone(),
                suggestion: nearest(&r.root, ROOTS),
            });
        }
        if r.path.is_empty() && !WHOLE.contains(&r.root.as_str()) {
            return Err(TemplateError::WholeRoot(r.root.clone()));
        }
    }
    Ok(Part::Expr {
        source: expression.to_owned(),
        refs,
    })
}

/// The candidate that was probably meant, if one is near enough.
pub(crate) fn nearest(word: &str, candidates: &[&str]) -> Option<String> {
    candidates
        .iter()
        .map(|c| (strsim::damerau_levenshtein(word, c), *c))
        .filter(|(distance, c)| *distance <= 1 + c.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c.to_owned())
}

/// Refuses unknown filters and every call that is not a filter, by reading the expression's words.
fn calls(expression: &str) -> Result<(), TemplateError> {
    let mut words = words(expression).into_iter().peekable();
    let mut previous = Word::Sign(' ');
    while let Some(word) = words.next() {
        if let Word::Name(name) = &word {
            let called = matches!(words.peek(), Some(Word::Sign('(')));
            if matches!(previous, Word::Sign('|')) {
                if !FILTERS.contains(&name.as_str()) {
                    return Err(TemplateError::UnknownFilter {
                        name: name.clone(),
                        suggestion: nearest(name, FILTERS),
                    });
                }
            } else if called && !KEYWORDS.contains(&name.as_str()) {
                return Err(TemplateError::Call(name.clone()));
            }
        }
        previous = word;
    }
    Ok(())
}

/// Words that may stand before a bracket without being called.
const KEYWORDS: &[&str] = &["if", "else", "and", "or", "not", "in", "is"];

enum Word {
    Name(String),
    Sign(char),
}

fn words(expression: &str) -> Vec<Word> {
    let mut out = Vec::new();
    let mut chars = expression.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '"' || c == '\'' {
            let mut escaped = false;
            for s in chars.by_ref() {
                if escaped {
                    escaped = false;
                } else if s == '\\' {
                    escaped = true;
                } else if s == c {
                    break;
                }
            }
            out.push(Word::Sign('"'));
        } else if c.is_alphanumeric() || c == '_' {
            let mut name = String::from(c);
            while let Some(n) = chars.next_if(|n| n.is_alphanumeric() || *n == '_') {
                name.push(n);
            }
            out.push(Word::Name(name));
        } else if !c.is_whitespace() {
            out.push(Word::Sign(c));
        }
    }
    out
}

/// Text as a string of the expression language.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}
