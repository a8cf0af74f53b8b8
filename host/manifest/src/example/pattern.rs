//! Texts that match a regular expression, made from its parse tree.
//!
//! Assertions (`^`, `\b`) are taken as holding, so a text may miss; the caller tries each on the field itself.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Longest text that is made, in bytes.
const MAX_LENGTH: usize = 512;
/// How many repetitions beyond the least are tried.
const MORE: u32 = 3;

/// A text that should match `source`. Different numbers give different texts where the expression leaves a choice.
pub(super) fn matching(source: &str, number: u64) -> Option<String> {
    let tree = regex_syntax::parse(source).ok()?;
    let mut maker = Maker {
        choice: number,
        text: String::new(),
    };
    maker.add(&tree).then_some(maker.text)
}

struct Maker {
    choice: u64,
    text: String,
}

impl Maker {
    /// Appends a text for one part; `false` where there is none or it grows too long.
    fn add(&mut self, part: &Hir) -> bool {
        if self.text.len() > MAX_LENGTH {
            return false;
        }
        match part.kind() {
            HirKind::Empty | HirKind::Look(_) => true,
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => {
                    self.text.push_str(text);
                    true
                }
                Err(_) => false,
            },
            HirKind::Class(class) => match self.character(class) {
                Some(c) => {
                    self.text.push(c);
                    true
                }
                None => false,
            },
            HirKind::Repetition(repetition) => {
                let most = repetition.max.unwrap_or(u32::MAX);
                let extra = u32::try_from(self.next(u64::from(MORE) + 1)).unwrap_or(0);
                let times = repetition.min.saturating_add(extra).min(most);
                (0..times).all(|_| self.add(&repetition.sub))
            }
            HirKind::Capture(capture) => self.add(&capture.sub),
            HirKind::Concat(parts) => parts.iter().all(|part| self.add(part)),
            HirKind::Alternation(parts) => {
                let count = u64::try_from(parts.len()).unwrap_or(1);
                let at = usize::try_from(self.next(count)).unwrap_or(0);
                parts.get(at).is_some_and(|part| self.add(part))
            }
        }
    }

    /// A character of a class, a plain one if there is one.
    fn character(&mut self, class: &Class) -> Option<char> {
        let ranges: Vec<(char, char)> = match class {
            Class::Unicode(class) => class.iter().map(|r| (r.start(), r.end())).collect(),
            Class::Bytes(class) => class
                .iter()
                .map(|r| (char::from(r.start()), char::from(r.end())))
                .collect(),
        };
        let within = |c: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
        let plain: Vec<char> = ('a'..='z')
            .chain('0'..='9')
            .chain('A'..='Z')
            .filter(|c| within(*c))
            .collect();
        if plain.is_empty() {
            return ranges.first().map(|(from, _)| *from);
        }
        let count = u64::try_from(plain.len()).ok()?;
        let at = usize::try_from(self.next(count)).ok()?;
        plain.get(at).copied()
    }

    /// The next choice among `count`: a small congruential generator is plenty for examples. The first number makes the
    /// first choice everywhere, which reads best.
    fn next(&mut self, count: u64) -> u64 {
        if self.choice == 0 {
            return 0;
        }
        self.choice = self
            .choice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.choice >> 33).checked_rem(count).unwrap_or(0)
    }
}
