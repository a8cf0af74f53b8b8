//! What stands where, to the byte: the span of every key and value, and every comment.
//!
//! [`places`](super::places) knows where a value begins, which is all that a message needs. To change a text, or to tell a
//! comment from a `#` inside of one, its end is needed too. So this walk is only made when there is something to change or
//! to allow; a clean manifest is never walked twice.
//!
//! The parser's own spans are taken with two corrections: the end of a quoted scalar (it runs on to the next token) is found
//! by its closing quote, and positions are counted in bytes.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::places::{child, item};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Text without quotes.
    Plain,
    /// Text in quotes.
    Quoted,
    /// `|` or `>`.
    Block,
    /// `{ … }` or `[ … ]`.
    Flow,
    /// A map or list over lines.
    Lines,
}

/// A key or value in the text.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    /// Its bytes.
    pub(super) bytes: Range<usize>,
    /// How it is written.
    pub(super) form: Form,
}

/// One key with its value; a list's item has no key.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) key: Option<Spot>,
    pub(super) value: Spot,
}

/// A comment: its bytes with the `#`, without the end of the line.
pub(super) type Comment = Range<usize>;

/// The text, taken apart.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// In the order of the text; a key that is there twice has two.
    pub(super) entries: Vec<Entry>,
    by_path: HashMap<String, usize>,
    scalars: Vec<Range<usize>>,
}

impl Outline {
    /// Takes a text apart, as far as it can be read.
    pub(super) fn of(text: &str) -> Self {
        let bytes = Bytes::of(text);
        let mut walk = Walk {
            outline: Self::default(),
            open: Vec::new(),
        };
        for next in Parser::new_from_str(text) {
            let Ok((event, span)) = next else { break };
            let (start, end) = (bytes.at(span.start.index()), bytes.at(span.end.index()));
            walk.step(text, &event, start, end);
        }
        walk.outline.by_path = walk
            .outline
            .entries
            .iter()
            .enumerate()
            .rev()
            .map(|(i, entry)| (entry.path.clone(), i))
            .collect();
        walk.outline
    }

    /// The first entry at a path.
    pub(super) fn entry(&self, path: &str) -> Option<&Entry> {
        self.by_path.get(path).and_then(|i| self.entries.get(*i))
    }

    /// All comments. A `#` begins one at the start of a line or after a blank, unless it is part of a scalar.
    pub(super) fn comments(&self, text: &str) -> Vec<Comment> {
        let mut out: Vec<Comment> = Vec::new();
        for (at, _) in text.match_indices('#') {
            let before = text.get(..at).and_then(|t| t.chars().next_back());
            let begins = before.is_none_or(|c| c.is_whitespace() || c == '\u{feff}');
            // Scalars are in the order of the text: the last that begins before is the only one that can hold it.
            let holds = self
                .scalars
                .partition_point(|s| s.start <= at)
                .checked_sub(1)
                .and_then(|i| self.scalars.get(i))
                .is_some_and(|s| s.contains(&at));
            let in_comment = out.last().is_some_and(|c| c.contains(&at));
            if begins && !holds && !in_comment {
                let rest = text.get(at..).unwrap_or_default();
                let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
                out.push(at..at + length);
            }
        }
        out
    }
}

/// From characters to bytes; a text of ASCII needs no table.
struct Bytes {
    table: Option<Vec<usize>>,
    length: usize,
}

impl Bytes {
    fn of(text: &str) -> Self {
        Self {
            table: (!text.is_ascii()).then(|| text.char_indices().map(|(i, _)| i).collect()),
            length: text.len(),
        }
    }

    fn at(&self, character: usize) -> usize {
        match &self.table {
            None => character.min(self.length),
            Some(table) => table.get(character).copied().unwrap_or(self.length),
        }
    }
}

/// What a container that is being read waits for, and which entry it is the value of.
enum Open {
    Map {
        path: String,
        key: Option<(String, Spot)>,
        entry: Option<usize>,
    },
    List {
        path: String,
        next: usize,
        entry: Option<usize>,
    },
}

struct Walk {
    outline: Outline,
    open: Vec<Open>,
}

impl Walk {
    fn step(&mut self, text: &str, event: &Event<'_>, start: usize, end: usize) {
        match event {
            Event::Scalar(value, style, ..) => {
                let spot = scalar(text, *style, start, end);
                self.outline.scalars.push(spot.bytes.clone());
                if let Some(Open::Map { key, .. }) = self.open.last_mut()
                    && key.is_none()
                {
                    *key = Some((value.to_string(), spot));
                } else {
                    self.enter(spot);
                }
            }
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let flow = text
                    .get(start..)
                    .is_some_and(|rest| rest.starts_with(['{', '[']));
                let form = if flow { Form::Flow } else { Form::Lines };
                let (path, entry) = self.enter(Spot {
                    bytes: start..start,
                    form,
                });
                self.open.push(match event {
                    Event::MappingStart(..) => Open::Map {
                        path,
                        key: None,
                        entry,
                    },
                    _ => Open::List {
                        path,
                        next: 0,
                        entry,
                    },
                });
            }
            Event::MappingEnd | Event::SequenceEnd => self.leave(start),
            _ => {}
        }
    }

    /// Notes a value and returns its path and number.
    fn enter(&mut self, value: Spot) -> (String, Option<usize>) {
        let (path, key) = match self.open.last_mut() {
            Some(Open::Map { path, key, .. }) => match key.take() {
                Some((name, spot)) => (child(path, &name), Some(spot)),
                None => (path.clone(), None),
            },
            Some(Open::List { path, next, .. }) => {
                *next += 1;
                (item(path, *next - 1), None)
            }
            None => (String::new(), None),
        };
        self.outline.entries.push(Entry {
            path: path.clone(),
            key,
            value,
        });
        (path, Some(self.outline.entries.len() - 1))
    }

    /// A container ends: at its bracket, or where its last scalar did.
    fn leave(&mut self, bracket: usize) {
        let Some(Open::Map { entry, .. } | Open::List { entry, .. }) = self.open.pop() else {
            return;
        };
        let last = self.outline.scalars.last().map_or(0, |s| s.end);
        let Some(entry) = entry.and_then(|i| self.outline.entries.get_mut(i)) else {
            return;
        };
        entry.value.bytes.end = match entry.value.form {
            Form::Flow => bracket + 1,
            _ => last.max(entry.value.bytes.start),
        };
    }
}

fn scalar(text: &str, style: ScalarStyle, start: usize, end: usize) -> Spot {
    let rest = text.get(start..).unwrap_or_default();
    let (form, length) = match style {
        ScalarStyle::DoubleQuoted => (Form::Quoted, closing_double(rest)),
        ScalarStyle::SingleQuoted => (Form::Quoted, closing_single(rest)),
        ScalarStyle::Plain => (Form::Plain, None),
        ScalarStyle::Literal | ScalarStyle::Folded => (Form::Block, None),
    };
    Spot {
        bytes: start..length.map_or(end, |n| start + n),
        form,
    }
}

fn closing_double(rest: &str) -> Option<usize> {
    let mut escaped = false;
    rest.bytes().enumerate().skip(1).find_map(|(i, b)| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends.then_some(i + 1)
    })
}

fn closing_single(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut i = 1;
    while let Some(b) = bytes.get(i) {
        match (b, bytes.get(i + 1)) {
            (b'\'', Some(b'\'')) => i += 2,
            (b'\'', _) => return Some(i + 1),
            _ => i += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\u{feff}# top\na: \"x # y\\\" # z\" # one\né: 'it''s # not' # two\nb: |  # three\n  lit # not\n\n  # not either\n# four\nc: { d: plain#not, e: [1, 2] }  # five\nf:\n  plain # six\n";

    #[test]
    fn a_comment_is_told_from_a_hash_in_a_text() {
        let outline = Outline::of(TEXT);
        let found: Vec<&str> = outline
            .comments(TEXT)
            .into_iter()
            .map(|c| TEXT.get(c).unwrap_or_default())
            .collect();
        assert_eq!(
            found,
            [
                "# top", "# one", "# two", "# three", "# four", "# five", "# six"
            ]
        );
    }

    #[test]
    fn every_value_is_found_with_its_end() {
        let outline = Outline::of(TEXT);
        let of = |path: &str| {
            outline
                .entry(path)
                .and_then(|e| TEXT.get(e.value.bytes.clone()))
        };
        assert_eq!(of("a"), Some("\"x # y\\\" # z\""));
        assert_eq!(of("é"), Some("'it''s # not'"));
        assert_eq!(of("c"), Some("{ d: plain#not, e: [1, 2] }"));
        assert_eq!(of("c.d"), Some("plain#not"));
        assert_eq!(of("c.e"), Some("[1, 2]"));
        assert_eq!(of("c.e[1]"), Some("2"));
        assert_eq!(of("f"), Some("plain"));
        assert_eq!(of("nothing"), None);
    }
}
