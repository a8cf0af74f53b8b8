//! Regular expressions in manifests: compiled by the host's own engine (linear time, no look-around), matched whole.
//!
//! A pattern always has to match the entire value. Anchors are therefore implied, and a manifest that forgot one cannot
//! let `evil.example/acme` through.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Compiled size limit of one pattern, in bytes. Large repetition counts are refused instead of eating memory.
const SIZE_LIMIT: usize = 256 * 1024;

/// A compiled pattern; serialised as its source.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    whole: regex::Regex,
    part: regex::Regex,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What the engine says is wrong, in one line.
    pub fn parse(source: &str) -> Result<Self, String> {
        let compile = |text: &str| {
            regex::RegexBuilder::new(text)
                .size_limit(SIZE_LIMIT)
                .build()
                .map_err(|e| {
                    let text = e.to_string();
                    let reason = text
                        .lines()
                        .rfind(|l| !l.trim().is_empty())
                        .unwrap_or("invalid");
                    format!(
                        "the pattern does not compile: {}",
                        reason.trim_start_matches("error: ")
                    )
                })
        };
        Ok(Self {
            part: compile(source)?,
            whole: compile(&format!("^(?:{source})$"))?,
            source: source.to_owned(),
        })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the whole value matches.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.whole.is_match(value)
    }

    /// Whether some part of the value matches; used on answers, never on what a person typed.
    #[must_use]
    pub fn finds(&self, value: &str) -> bool {
        self.part.is_match(value)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.source)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let source = String::deserialize(d)?;
        Self::parse(&source).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_without_anchors_still_has_to_match_everything() {
        let p = Pattern::parse("[a-z]+|x1").unwrap();
        assert!(p.matches("acme") && p.matches("x1"));
        assert!(!p.matches("acme/evil") && !p.matches("x1x1"));
        assert!(p.finds("1acme1"));
    }

    #[test]
    fn look_around_and_bombs_are_refused_with_a_reason() {
        assert!(
            Pattern::parse("(?=a)b")
                .unwrap_err()
                .contains("look-around")
        );
        assert!(Pattern::parse("(a{1000}){1000}").is_err());
    }
}
