//! Reading a section until it fits, noting each misfit at the deepest place that is at fault.
//!
//! `serde` stops at the first error. So the misfit is noted, something that fits is put in its place (a *mend*), and the
//! section is read again, until nothing is left to say. An unknown key that looks like a known one is read as that one.
//!
//! Some types are read as a whole before they are looked at (forms of several shapes, tagged enums); `serde` then names the
//! value around the mistake. There the place is found by trying: the child whose exchange mends the section is at fault.
//!
//! Threat: a document made to be read many times over. All reading together may cost [`MAX_WORK`]; what is not told by then
//! is told in the next run.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::classify::{classify, quoted};
use super::follow::{Kind, Mend, Mends};
use super::places::{child, item};
use crate::template::nearest;

/// Most findings of one section.
const MAX_ROUNDS: usize = 40;
/// Most values that are read in one document, counted again for each time that they are.
pub(super) const MAX_WORK: usize = 1_000_000;
/// Most children of one value that are tried.
const MAX_TRIED: usize = 64;

/// A misfit: rule, path, whether the key (and not the value) is meant, message, fix.
#[derive(Debug, PartialEq)]
pub(super) struct Misfit {
    pub(super) rule: &'static str,
    pub(super) path: String,
    pub(super) at_key: bool,
    pub(super) message: String,
    pub(super) fix: Option<String>,
}

/// Reads sections, and keeps what was wrong and what was mended.
pub(super) struct Reader {
    pub(super) misfits: Vec<Misfit>,
    pub(super) mends: Mends,
    /// Values that may still be read.
    pub(super) work: usize,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            misfits: Vec::new(),
            mends: Mends::default(),
            work: MAX_WORK,
        }
    }

    /// Notes a misfit, unless it lies in something that was only guessed at, or was told already.
    pub(super) fn say(
        &mut self,
        rule: &'static str,
        path: &str,
        at_key: bool,
        message: impl Into<String>,
        fix: Option<String>,
    ) {
        let misfit = Misfit {
            rule,
            path: path.to_owned(),
            at_key,
            message: message.into(),
            fix,
        };
        if !self.mends.guessed(path) && !self.misfits.contains(&misfit) {
            self.misfits.push(misfit);
        }
    }

    /// Notes that what stands at a path is not what the author wrote.
    pub(super) fn mended(&mut self, path: &str, kind: Kind, was: Option<&Value>) {
        self.mends.add(Mend {
            path: path.to_owned(),
            kind,
            text: was.map(Value::to_string).unwrap_or_default(),
        });
    }

    /// Reads a value, at the cost of its size.
    fn try_read<T: DeserializeOwned>(&mut self, value: &Value) -> Result<(), Misread> {
        self.work = self.work.saturating_sub(size(value));
        try_read::<T>(value)
    }

    /// Reads a section again and again until it fits, noting each misfit. What cannot be made to fit is told all the same.
    pub(super) fn section<T: DeserializeOwned>(&mut self, path: &str, value: &mut Value) {
        for _ in 0..MAX_ROUNDS {
            let Err(e) = self.try_read::<T>(value) else {
                return;
            };
            if self.work == 0 || !self.mend::<T>(path, value, &e) {
                return;
            }
        }
    }

    /// Whether a section can be read as it stands now.
    pub(super) fn fits<T: DeserializeOwned>(&mut self, value: &Value) -> bool {
        self.try_read::<T>(value).is_ok()
    }

    /// Notes one misfit and makes the section fit there; false if that cannot be done.
    fn mend<T: DeserializeOwned>(&mut self, base: &str, value: &mut Value, e: &Misread) -> bool {
        let message = e.message.as_str();
        if let Some(key) = quoted(message, "unknown field `") {
            return self.unknown::<T>(base, value, e, &key);
        }
        let steps = self.deepest::<T>(value, e);
        let path = join(base, &steps);
        if let Some(key) = quoted(message, "missing field `") {
            self.say(
                "V02",
                &path,
                true,
                format!("`{key}` is missing"),
                Some(format!("add `{key}:`")),
            );
            let mut steps = steps;
            steps.push(Step::Key(key));
            self.mended(&join(base, &steps), Kind::Missing, None);
            return self.replace::<T>(base, value, &steps, Vec::new(), &e.message);
        }
        let there = at(value, &steps).cloned();
        let text = there.as_ref().and_then(Value::as_str);
        let (rule, message, fix) = classify(message, text);
        self.say(rule, &path, false, message, fix);
        // Of words, one that is known; the likeliest first.
        let known: Vec<&str> = match rule {
            "V05" => e.message.split('`').skip(3).step_by(2).collect(),
            _ => Vec::new(),
        };
        let near = text.and_then(|text| nearest(text, &known));
        let first = near
            .into_iter()
            .chain(known.iter().map(|k| (*k).to_owned()));
        let first = first.map(Value::String).collect();
        self.replace::<T>(base, value, &steps, first, &e.message)
    }

    /// An unknown key: read as the known one that it looks like, or taken out.
    fn unknown<T: DeserializeOwned>(
        &mut self,
        base: &str,
        value: &mut Value,
        e: &Misread,
        key: &str,
    ) -> bool {
        let known: Vec<&str> = e.message.split('`').skip(3).step_by(2).collect();
        let near = nearest(key, &known);
        let fix = match &near {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if known.is_empty() => None,
            None => Some(format!("known keys here: {}", known.join(", "))),
        };
        let Some(steps) = self.holder::<T>(value, e, key) else {
            // A key below a value that `serde` reads as a whole, and that cannot be found: the whole value is at fault.
            let path = join(base, &e.steps);
            self.say("V03", &path, true, format!("unknown key `{key}`"), fix);
            return self.replace::<T>(base, value, &e.steps, Vec::new(), &e.message);
        };
        let around = join(base, &steps);
        let path = child(&around, key);
        self.say("V03", &path, true, format!("unknown key `{key}`"), fix);
        let Some(Value::Object(map)) = at(value, &steps) else {
            return false;
        };
        let was = map.shift_remove(key);
        match near {
            Some(near) if !map.contains_key(&near) => {
                map.extend(was.clone().map(|v| (near.clone(), v)));
                let near = child(&around, &near);
                self.mended(&near, Kind::Guessed, was.as_ref());
                self.mended(&path, Kind::Guessed, None);
            }
            _ => self.mended(&path, Kind::Removed, was.as_ref()),
        }
        true
    }

    /// The map that holds an unknown key: where `serde` stopped, or the first below whose loss of the key changes things.
    fn holder<T: DeserializeOwned>(
        &mut self,
        value: &mut Value,
        e: &Misread,
        key: &str,
    ) -> Option<Vec<Step>> {
        let steps = match e.steps.split_last() {
            Some((Step::Key(last), rest)) if *last == key => rest.to_vec(),
            _ => e.steps.clone(),
        };
        let mut open = vec![steps];
        for _ in 0..MAX_TRIED {
            if open.is_empty() || self.work == 0 {
                return None;
            }
            let steps = open.remove(0);
            let here = at(value, &steps)?;
            if let Value::Object(map) = here
                && let Some(was) = map.shift_remove(key)
            {
                let after = self.try_read::<T>(value);
                if let Some(Value::Object(map)) = at(value, &steps) {
                    map.insert(key.to_owned(), was);
                }
                if after.err().as_ref() != Some(e) {
                    return Some(steps);
                }
            }
            open.extend(children(at(value, &steps)?).map(|step| with(&steps, step)));
        }
        None
    }

    /// The deepest value that is at fault: a child at fault is one whose exchange makes the misfit go away.
    fn deepest<T: DeserializeOwned>(&mut self, value: &mut Value, e: &Misread) -> Vec<Step> {
        let mut steps = e.steps.clone();
        while let Some(here) = at(value, &steps) {
            let tried: Vec<Step> = children(here).take(MAX_TRIED).collect();
            let Some(next) = tried
                .into_iter()
                .map(|step| with(&steps, step))
                .find(|below| self.at_fault::<T>(value, below, e))
            else {
                break;
            };
            steps = next;
        }
        steps
    }

    fn at_fault<T: DeserializeOwned>(
        &mut self,
        value: &mut Value,
        below: &[Step],
        e: &Misread,
    ) -> bool {
        let Some(was) = at(value, below).cloned() else {
            return false;
        };
        let Some((last, around)) = below.split_last() else {
            return false;
        };
        // In a list, an item is at fault if it fails alone as the list fails, and an empty list does not: however many others are.
        if let (Step::Index(_), Some(list @ Value::Array(_))) = (last, at(value, around)) {
            let all = std::mem::replace(list, json!([was]));
            let alone = self.try_read::<T>(value);
            put_list(value, around, json!([]));
            let empty = self.try_read::<T>(value);
            put_list(value, around, all);
            let same = |read: Result<(), Misread>| read.is_err_and(|r| r.message == e.message);
            return same(alone) && !same(empty);
        }
        let mut cured = false;
        for stand_in in stand_ins() {
            if self.work == 0 {
                break;
            }
            put(value, around, last, Some(stand_in));
            cured = match self.try_read::<T>(value) {
                Ok(()) => true,
                Err(after) => !after.steps.starts_with(&e.steps),
            };
            if cured {
                break;
            }
        }
        put(value, around, last, Some(was));
        cured
    }

    /// Puts something there that fits, so that reading can go on. Where nothing does, the value around it is replaced; items of
    /// a list stay in number, so that the places of the others stay true.
    fn replace<T: DeserializeOwned>(
        &mut self,
        base: &str,
        value: &mut Value,
        steps: &[Step],
        first: Vec<Value>,
        said: &str,
    ) -> bool {
        let (mut steps, mut first) = (steps, first);
        loop {
            let was = at(value, steps).cloned();
            for stand_in in std::mem::take(&mut first).into_iter().chain(stand_ins()) {
                match steps.split_last() {
                    Some((last, around)) => put(value, around, last, Some(stand_in)),
                    None => *value = stand_in,
                }
                if self.goes_on::<T>(value, steps, said) {
                    self.mended(&join(base, steps), Kind::Wrong, was.as_ref());
                    return true;
                }
                if self.work == 0 {
                    break;
                }
            }
            let Some((last, around)) = steps.split_last() else {
                value.clone_from(&was.unwrap_or_default());
                return false;
            };
            if matches!(last, Step::Key(_)) {
                put(value, around, last, None);
                if self.goes_on::<T>(value, steps, said) {
                    self.mended(&join(base, steps), Kind::Wrong, was.as_ref());
                    return true;
                }
            }
            put(value, around, last, was);
            steps = around;
        }
    }

    /// Whether reading gets past a place, at which something stands in now. Where `serde` only names a value around the place,
    /// its words tell whether it is still about this one.
    fn goes_on<T: DeserializeOwned>(&mut self, value: &Value, steps: &[Step], was: &str) -> bool {
        let Err(e) = self.try_read::<T>(value) else {
            return true;
        };
        if e.steps.starts_with(steps) {
            return false;
        }
        if !steps.starts_with(&e.steps) {
            return true;
        }
        let stands_in = steps.iter().try_fold(value, |v, step| match step {
            Step::Key(key) => v.get(key),
            Step::Index(i) => v.get(*i),
        });
        let map = stands_in.is_some_and(Value::is_object);
        if let Some(key) = quoted(&e.message, "missing field `") {
            return !map && steps.last() != Some(&Step::Key(key));
        }
        if e.message.contains("unknown field `") {
            return !map;
        }
        e.message != was && !e.message.contains(STAND_IN) && !e.message.contains("invalid type: ")
    }
}

/// The text that stands in for others.
pub(super) const STAND_IN: &str = "standin";

/// What is put in the place of something wrong, in the order in which it is tried.
fn stand_ins() -> impl Iterator<Item = Value> {
    [
        STAND_IN,
        "read",
        "1.0.0",
        "rest",
        "$",
        "GET",
        "needs_reconnect",
        "pem",
        "RS256",
        "sha256",
        "HMAC-SHA1",
        "polling",
        "form",
        "seconds",
        "ask",
        "main",
    ]
    .into_iter()
    .map(|s| json!(s))
    .chain([
        json!({}),
        json!([]),
        json!(1),
        json!(200),
        json!(true),
        json!({"path": "/standin"}),
        json!({"path": "$"}),
        json!({"id": "standin", "label": "standin"}),
        json!({"none": "standin"}),
        json!({"never": "standin"}),
        json!({"header": "standin"}),
        json!({"header": "standin", "value": "standin"}),
        json!({"base_url": "https://standin.example"}),
        json!({"type": "bearer", "label": "standin"}),
        json!({"means": "needs_reconnect", "say": "standin"}),
    ])
}

/// Where `serde` stopped, and what it said.
#[derive(PartialEq)]
struct Misread {
    steps: Vec<Step>,
    message: String,
}

#[derive(Clone, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

fn try_read<T: DeserializeOwned>(value: &Value) -> Result<(), Misread> {
    serde_path_to_error::deserialize::<_, T>(value)
        .map(drop)
        .map_err(|e| {
            let steps = e
                .path()
                .iter()
                .filter_map(|s| match s {
                    serde_path_to_error::Segment::Seq { index } => Some(Step::Index(*index)),
                    serde_path_to_error::Segment::Map { key } => Some(Step::Key(key.clone())),
                    _ => None,
                })
                .collect();
            Misread {
                steps,
                message: e.inner().to_string(),
            }
        })
}

/// How many values a tree has.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum(),
        _ => 0,
    }
}

fn children(value: &Value) -> impl Iterator<Item = Step> {
    let (keys, count) = match value {
        Value::Object(map) => (map.keys().cloned().collect(), 0),
        Value::Array(items) => (Vec::new(), items.len()),
        _ => (Vec::new(), 0),
    };
    keys.into_iter()
        .map(Step::Key)
        .chain((0..count).map(Step::Index))
}

fn with(steps: &[Step], step: Step) -> Vec<Step> {
    let mut all = steps.to_vec();
    all.push(step);
    all
}

fn put_list(value: &mut Value, steps: &[Step], items: Value) {
    if let Some(list) = at(value, steps) {
        *list = items;
    }
}

fn put(value: &mut Value, around: &[Step], last: &Step, what: Option<Value>) {
    match (at(value, around), last) {
        (Some(Value::Object(map)), Step::Key(key)) => match what {
            Some(v) => {
                map.insert(key.clone(), v);
            }
            None => {
                map.shift_remove(key);
            }
        },
        (Some(Value::Array(items)), Step::Index(i)) => {
            if let (Some(slot), Some(v)) = (items.get_mut(*i), what) {
                *slot = v;
            }
        }
        _ => {}
    }
}

fn at<'v>(value: &'v mut Value, steps: &[Step]) -> Option<&'v mut Value> {
    steps.iter().try_fold(value, |v, step| match step {
        Step::Key(key) => v.get_mut(key),
        Step::Index(i) => v.get_mut(*i),
    })
}

fn join(base: &str, steps: &[Step]) -> String {
    steps.iter().fold(base.to_owned(), |path, step| match step {
        Step::Key(key) => child(&path, key),
        Step::Index(i) => item(&path, *i),
    })
}
