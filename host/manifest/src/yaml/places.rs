//! Where everything is: a walk over the YAML events that notes the place of every key and value by its path.
//!
//! The same walk refuses what a manifest from a stranger may not do: aliases (the bomb that is small on disk), depth, size,
//! duplicate keys (YAML keeps the last one without a word), tags and several documents. It runs before the typed reading,
//! which never sees such a document.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::finding::{Finding, Severity};

/// Largest manifest or fixture, in bytes.
const MAX_BYTES: usize = 1024 * 1024;
/// Longest line, in bytes. The parser keeps all of a line that may yet turn out to be a key: of a megabyte it makes a hundred.
const MAX_LINE: usize = 64 * 1024;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most keys and values.
const MAX_VALUES: usize = 50_000;
/// Longest key, in bytes.
const MAX_KEY: usize = 256;
/// Longest text, in bytes. Certificates and long descriptions are a tenth of it.
const MAX_TEXT: usize = 64 * 1024;
/// Room for all paths together, in bytes: a long way down and many values there would multiply.
const MAX_PATHS: usize = 16 * 1024 * 1024;
/// Most findings before reading stops.
const MAX_FINDINGS: usize = 100;

/// A range in the file: line and column from 1, and its length in characters where it ends on the same line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// The places of all keys and values.
#[derive(Debug, Default)]
pub(super) struct Places {
    keys: HashMap<String, Place>,
    values: HashMap<String, Place>,
    /// Unquoted scalars that YAML may take for something else, by path, in the order of the file.
    plain: Vec<(String, String)>,
}

impl Places {
    /// Unquoted scalars that YAML may take for something else: path and text.
    pub(super) fn plain(&self) -> impl Iterator<Item = (&str, &str)> {
        self.plain.iter().map(|(p, t)| (p.as_str(), t.as_str()))
    }

    /// The place of the value at a path, or of the nearest thing around it. A section that is written below its key is
    /// found at the key: its first line is about something else.
    pub(super) fn value(&self, path: &str) -> Place {
        match (self.values.get(path), self.keys.get(path)) {
            (Some(value), Some(key)) if value.line > key.line => *key,
            _ => self.nearest(&self.values, path),
        }
    }

    /// The place of the key at a path, or of the nearest thing around it.
    pub(super) fn key(&self, path: &str) -> Place {
        match self.keys.get(path) {
            Some(place) => *place,
            None => self.value(path),
        }
    }

    fn nearest(&self, map: &HashMap<String, Place>, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = map.get(path).or_else(|| self.keys.get(path)) {
                return *place;
            }
            if path.is_empty() {
                return Place { line: 1, column: 1 };
            }
            path = parent(path);
        }
    }
}

/// The path of a key inside of a path.
pub(super) fn child(path: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    match (plain, path.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{key:?}]"),
    }
}

/// The path of an item of a list.
pub(super) fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// Whether a path is another one or lies below it.
pub(super) fn within(path: &str, around: &str) -> bool {
    path.strip_prefix(around)
        .is_some_and(|rest| rest.is_empty() || around.is_empty() || rest.starts_with(['.', '[']))
}

/// The path around a path.
pub(super) fn parent(path: &str) -> &str {
    if path.ends_with(']') {
        let cut = path
            .rfind("[\"")
            .filter(|_| path.ends_with("\"]"))
            .or_else(|| path.rfind('['));
        return cut.and_then(|at| path.get(..at)).unwrap_or_default();
    }
    path.rfind('.')
        .and_then(|at| path.get(..at))
        .unwrap_or_default()
}

fn place(span: Span) -> Place {
    Place {
        line: span.start.line().max(1),
        column: span.start.col() + 1,
    }
}

fn error(
    rule: &'static str,
    at: Place,
    path: &str,
    message: impl Into<String>,
    fix: Option<&str>,
) -> Finding {
    Finding {
        rule,
        file: None,
        severity: Severity::Error,
        message: message.into(),
        path: path.to_owned(),
        line: at.line,
        column: at.column,
        fix: fix.map(str::to_owned),
        edit: None,
    }
}

/// What a container that is being read waits for.
enum Open {
    Map {
        path: String,
        keys: HashSet<String>,
        key: Option<String>,
    },
    List {
        path: String,
        next: usize,
    },
}

/// Walks a document. Findings that make reading on pointless come alone; others are collected.
pub(super) fn scan(yaml: &str) -> Result<Places, Vec<Finding>> {
    scan_counted(yaml).0
}

/// The same, and how many events it took.
fn scan_counted(yaml: &str) -> (Result<Places, Vec<Finding>>, usize) {
    let mut steps = 0;
    (walk(yaml, &mut steps), steps)
}

fn walk(yaml: &str, steps: &mut usize) -> Result<Places, Vec<Finding>> {
    let top = Place { line: 1, column: 1 };
    if yaml.len() > MAX_BYTES {
        return Err(vec![error(
            "V08",
            top,
            "",
            "the file is larger than 1 MB",
            None,
        )]);
    }
    if let Some(number) = yaml.lines().position(|line| line.len() > MAX_LINE) {
        let at = Place {
            line: number + 1,
            column: 1,
        };
        let message = format!("the line is longer than {MAX_LINE} bytes");
        return Err(vec![error("V08", at, "", message, Some("break it"))]);
    }
    let mut walk = Walk {
        places: Places::default(),
        open: Vec::new(),
        findings: Vec::new(),
        documents: 0,
        paths: 0,
    };
    let mut parser = Parser::new_from_str(yaml);
    while let Some(next) = parser.next_event() {
        *steps += 1;
        match next {
            Ok((event, span)) => {
                let at = place(span);
                if walk.step(&event, at).is_break() || walk.too_much(at, *steps) {
                    return Err(walk.findings);
                }
            }
            Err(e) => {
                let at = Place {
                    line: e.marker().line().max(1),
                    column: e.marker().col() + 1,
                };
                walk.findings.push(error(
                    "V01",
                    at,
                    "",
                    format!("this is not YAML: {}", e.info()),
                    None,
                ));
                return Err(walk.findings);
            }
        }
    }
    if walk.findings.is_empty() {
        Ok(walk.places)
    } else {
        Err(walk.findings)
    }
}

struct Walk {
    places: Places,
    open: Vec<Open>,
    findings: Vec<Finding>,
    documents: usize,
    /// Bytes of all paths so far.
    paths: usize,
}

type Flow = std::ops::ControlFlow<()>;

impl Walk {
    fn step(&mut self, event: &Event<'_>, at: Place) -> Flow {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.findings.push(error(
                        "V01",
                        at,
                        "",
                        "there is more than one document in this file",
                        Some("remove the `---`"),
                    ));
                    return Flow::Break(());
                }
            }
            Event::Alias(_) => {
                let path = self.here();
                self.findings.push(error(
                    "V08",
                    at,
                    &path,
                    "aliases are not allowed",
                    Some("write the value out"),
                ));
                return Flow::Break(());
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.mark(*anchor, tag.is_some(), at);
                self.scalar(text, *style, at);
            }
            Event::MappingStart(anchor, tag) | Event::SequenceStart(anchor, tag) => {
                self.mark(*anchor, tag.is_some(), at);
                if matches!(self.open.last(), Some(Open::Map { key: None, .. })) {
                    self.findings
                        .push(error("V01", at, "", "a key must be text", None));
                    return Flow::Break(());
                }
                let path = self.enter(at);
                if self.open.len() >= MAX_DEPTH {
                    self.findings.push(error(
                        "V08",
                        at,
                        &path,
                        "the document is nested deeper than 64 levels",
                        None,
                    ));
                    return Flow::Break(());
                }
                self.open.push(if matches!(event, Event::MappingStart(..)) {
                    Open::Map {
                        path,
                        keys: HashSet::new(),
                        key: None,
                    }
                } else {
                    Open::List { path, next: 0 }
                });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.open.pop();
            }
            _ => {}
        }
        Flow::Continue(())
    }

    /// Whether it is time to stop reading: too many values, too long paths, or enough said.
    fn too_much(&mut self, at: Place, steps: usize) -> bool {
        let message = if steps > MAX_VALUES {
            "the document has more than 50,000 keys and values"
        } else if self.paths > MAX_PATHS {
            "the document has too many values too far down"
        } else {
            return self.findings.len() >= MAX_FINDINGS;
        };
        self.findings.push(error("V08", at, "", message, None));
        true
    }

    fn mark(&mut self, anchor: usize, tagged: bool, at: Place) {
        let path = self.here();
        if anchor != 0 {
            self.findings.push(error(
                "V08",
                at,
                &path,
                "anchors are not allowed",
                Some("write the value out where it is used"),
            ));
        }
        if tagged {
            self.findings
                .push(error("V08", at, &path, "tags (`!…`) are not allowed", None));
        }
    }

    fn here(&self) -> String {
        match self.open.last() {
            Some(Open::Map { path, .. } | Open::List { path, .. }) => path.clone(),
            None => String::new(),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: Place) {
        let is_key = matches!(self.open.last(), Some(Open::Map { key: None, .. }));
        let limit = if is_key { MAX_KEY } else { MAX_TEXT };
        if text.len() > limit {
            let what = if is_key { "key" } else { "text" };
            let message = format!("the {what} is longer than {limit} bytes");
            let path = self.here();
            self.findings.push(error("V08", at, &path, message, None));
        }
        if let Some(Open::Map { path, keys, key }) = self.open.last_mut()
            && key.is_none()
        {
            let full = child(path, text);
            if text == "<<" && style == ScalarStyle::Plain {
                self.findings.push(error(
                    "V08",
                    at,
                    path,
                    "merge keys (`<<`) are not allowed",
                    Some("write the values out"),
                ));
            }
            if !keys.insert(text.to_owned()) {
                self.findings.push(error(
                    "V01",
                    at,
                    &full,
                    format!("the key `{text}` is there twice"),
                    Some("remove one of them"),
                ));
            }
            self.paths += full.len();
            self.places.keys.entry(full).or_insert(at);
            *key = Some(text.to_owned());
            return;
        }
        let path = self.enter(at);
        if style == ScalarStyle::Plain && super::traps::suspicious(text) {
            self.places.plain.push((path, text.to_owned()));
        }
    }

    /// Notes the place of a value and returns its path.
    fn enter(&mut self, at: Place) -> String {
        let path = match self.open.last_mut() {
            Some(Open::Map { path, key, .. }) => child(path, &key.take().unwrap_or_default()),
            Some(Open::List { path, next }) => {
                *next += 1;
                item(path, *next - 1)
            }
            None => String::new(),
        };
        self.paths += path.len();
        self.places.values.entry(path.clone()).or_insert(at);
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way to make a small file expensive is stopped by a count, so that the cost does not grow with the file. Measured with
    /// the release binary on one core of a busy machine, its own start (4 ms) included: ten megabytes of anything 11 to 45 ms,
    /// nearly all of it reading the file; a megabyte of nested lists 9 ms; of short keys, list items or fields 58 to 86 ms and
    /// 23 MB. (Before lines had a limit, a megabyte in one line cost 290 ms and 107 MB.)
    #[test]
    fn hostile_documents_are_left_after_a_bounded_number_of_events() {
        let deep_and_wide = format!(
            "{}[{}]{}",
            format!("{{{}: ", "k".repeat(250)).repeat(60),
            "1,".repeat(40_000),
            "}".repeat(60)
        );
        for (yaml, most) in [
            (format!("a: {}", "[".repeat(10_000_000)), 0),
            (format!("a: {}", "x".repeat(10_000_000)), 0),
            ("a: b\n".repeat(2_000_000), 0),
            (format!("a: {}", "[".repeat(900_000)), 70),
            (format!("[{}]", "[],".repeat(300_000)), MAX_VALUES + 1),
            // The same without a line that is too long by itself.
            (format!("[{}]", "[],\n".repeat(200_000)), MAX_VALUES + 1),
            (format!("[{}]", "&a x,\n".repeat(150_000)), 104),
            (format!("{{{}}}", "a: 1,\n".repeat(100_000)), 206),
            (
                deep_and_wide.replace("1,", "1,\n").replace(": ", ":\n"),
                2_000,
            ),
            (format!("[{}]", "&a x,".repeat(200_000)), 104),
            (format!("{{{}}}", "a: 1, ".repeat(100_000)), 206),
            (deep_and_wide, 2_000),
        ] {
            let (read, steps) = scan_counted(&yaml);
            assert!(
                read.is_err_and(|found| found.len() <= MAX_FINDINGS + 1),
                "{:.20}",
                yaml
            );
            assert!(steps <= most, "{:.20}: {steps}", yaml);
        }
    }

    #[test]
    fn a_key_or_text_beyond_all_measure_is_refused() {
        for yaml in [
            format!("{}: 1", "k".repeat(MAX_KEY + 1)),
            format!("a: {}", "x".repeat(MAX_TEXT + 1)),
        ] {
            let found = scan(&yaml).err().unwrap_or_default();
            assert_eq!(found.iter().map(|f| f.rule).collect::<Vec<_>>(), ["V08"]);
        }
    }
}
