//! The text of a manifest, and ways to break it at a line.

use regex::Regex;

/// A broken text, and the line (from 1) at which that has to be told.
pub(crate) type Broken = (String, usize);
pub(crate) struct Text<'a> {
    pub(crate) lines: Vec<&'a str>,
}

impl Text<'_> {
    /// The first line that matches, after the line at which `after` first matches.
    pub(crate) fn find(&self, after: &str, line: &str) -> Option<usize> {
        let after = Regex::new(after).unwrap();
        let line = Regex::new(line).unwrap();
        let from = self.lines.iter().position(|l| after.is_match(l))?;
        let rest = self.lines.get(from..)?;
        rest.iter().position(|l| line.is_match(l)).map(|i| from + i)
    }

    /// The text with one line replaced, told at that line.
    pub(crate) fn with(&self, at: usize, line: &str) -> Broken {
        let mut lines: Vec<&str> = self.lines.clone();
        lines[at] = line;
        (lines.join("\n") + "\n", at + 1)
    }

    /// Replaces what a pattern matches in the first line that has it.
    pub(crate) fn swap(&self, after: &str, pattern: &str, by: &str) -> Option<Broken> {
        let at = self.find(after, pattern)?;
        let new = Regex::new(pattern).unwrap().replace(self.lines[at], by);
        (new != self.lines[at]).then(|| self.with(at, &new))
    }

    /// Puts a line behind another one, told at the new line.
    pub(crate) fn insert(&self, after: &str, line: &str, new: &str) -> Option<Broken> {
        let at = self.find(after, line)?;
        let mut lines: Vec<&str> = self.lines.clone();
        lines.insert(at + 1, new);
        Some((lines.join("\n") + "\n", at + 2))
    }

    /// The line of the key around a line: a way to sign in, an action, a trigger.
    pub(crate) fn head(&self, at: usize) -> Option<usize> {
        let head = Regex::new("^  [a-z0-9_]+:").unwrap();
        (0..at).rev().find(|i| head.is_match(self.lines[*i]))
    }

    /// The text without a line, told at the key around it.
    pub(crate) fn cut(&self, at: usize) -> Option<Broken> {
        let head = self.head(at)?;
        let mut lines = self.lines.clone();
        lines.remove(at);
        Some((lines.join("\n") + "\n", head + 1))
    }

    /// Takes a top-level section out; told where the document begins.
    pub(crate) fn without(&self, key: &str) -> Option<Broken> {
        let at = self.find("^", &format!("^{key}:"))?;
        let end = self.lines[at + 1..]
            .iter()
            .position(|l| !l.is_empty() && !l.starts_with([' ', '#', '-']))
            .map_or(self.lines.len(), |n| at + 1 + n);
        let mut lines: Vec<&str> = self.lines.clone();
        lines.drain(at..end);
        let begin = lines
            .iter()
            .position(|l| !l.is_empty() && !l.starts_with('#'))?;
        Some((lines.join("\n") + "\n", begin + 1))
    }
}
