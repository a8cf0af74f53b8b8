//! Does the document have the shape of the model? Every misfit in one run.
//!
//! `serde` stops at the first error. So the document is read section by section, and within a section the misfit is noted,
//! taken out or replaced by something that fits, and the section is read again, until nothing is left to say. Places come
//! from the path at which `serde` stopped.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::places::{child, item};
use crate::model::{
    Action, Api, ApiKey, AppId, AuthMethod, AwsSigv4, Basic, Bearer, Discovery, Field, Handle,
    Hmac, JwtAuth, Manifest, Migration, Mtls, NoAuth, Oauth1, Oauth2, Recipe, RequestSpec, Session,
    TestCall, Trigger, Variants, Wsse,
};
use crate::path::JsonPath;
use crate::pattern::Pattern;
use crate::template::{Template, nearest};

/// Most findings of one section.
const MAX_ROUNDS: usize = 40;

/// A misfit: rule, path, whether the key (and not the value) is meant, message, fix.
pub(super) struct Misfit {
    pub(super) rule: &'static str,
    pub(super) path: String,
    pub(super) at_key: bool,
    pub(super) message: String,
    pub(super) fix: Option<String>,
}

/// What came of reading the shape.
pub(super) struct Shape {
    pub(super) misfits: Vec<Misfit>,
    /// The manifest; there if nothing was wrong but unknown keys.
    pub(super) manifest: Option<Manifest>,
}

/// Reads a tree into the model.
pub(super) fn read(tree: &Value) -> Shape {
    let mut reader = Reader {
        misfits: Vec::new(),
    };
    let Value::Object(root) = tree else {
        reader.say(
            "V02",
            "",
            false,
            "a manifest is a map of keys, starting with `manifest: 1`",
            None,
        );
        return Shape {
            misfits: reader.misfits,
            manifest: None,
        };
    };
    let mut whole = root.clone();
    // A format version that is not ours decides how everything else is to be read: nothing else is said.
    if let Some(version) = root.get("manifest")
        && version != &json!(1)
    {
        reader.say(
            "V02",
            "manifest",
            false,
            "this Keyport reads format version 1",
            Some("write `manifest: 1`".to_owned()),
        );
        return Shape {
            misfits: reader.misfits,
            manifest: None,
        };
    }
    reader.items::<Field>(&mut whole, "fields");
    reader.items::<Discovery>(&mut whole, "discovery");
    reader.items::<Migration>(&mut whole, "migrations");
    if let Some(variants) = whole.get_mut("variants") {
        reader.section::<Variants>("variants", variants);
    }
    reader.entries(&mut whole, "actions", Reader::section::<Action>);
    reader.entries(&mut whole, "triggers", Reader::section::<Trigger>);
    reader.entries(&mut whole, "recipes", Reader::section::<Recipe>);
    reader.entries(&mut whole, "handles", Reader::section::<Handle>);
    reader.entries(&mut whole, "auth", Reader::method);
    if let Some(test) = whole.get_mut("test") {
        reader.test("test", test);
    }
    if let Some(api) = whole.get_mut("api") {
        reader.section::<Api>("api", api);
    }
    let only_unknown_keys = |misfits: &[Misfit]| misfits.iter().all(|m| m.rule == "V03");
    if !only_unknown_keys(&reader.misfits) {
        // The broken sections were told; what is left is judged with sections that are surely sound.
        for (key, sound) in [
            ("fields", json!([])),
            ("discovery", json!([])),
            ("migrations", json!([])),
            (
                "variants",
                json!({"label": "x", "choices": {"x": {"label": "x"}}}),
            ),
            ("actions", json!({})),
            ("triggers", json!({})),
            ("recipes", json!({})),
            ("handles", json!({})),
            ("test", json!({"none": "x"})),
            ("api", json!({"base_url": "https://x.example"})),
            ("auth", json!({"x": {"type": "bearer", "label": "x"}})),
        ] {
            if whole.contains_key(key) {
                whole.insert(key.to_owned(), sound);
            }
        }
    }
    let mut whole = Value::Object(whole);
    reader.section::<Manifest>("", &mut whole);
    let manifest = only_unknown_keys(&reader.misfits)
        .then(|| serde_json::from_value(whole).ok())
        .flatten();
    Shape {
        misfits: reader.misfits,
        manifest,
    }
}

struct Reader {
    misfits: Vec<Misfit>,
}

impl Reader {
    fn say(
        &mut self,
        rule: &'static str,
        path: &str,
        at_key: bool,
        message: impl Into<String>,
        fix: Option<String>,
    ) {
        self.misfits.push(Misfit {
            rule,
            path: path.to_owned(),
            at_key,
            message: message.into(),
            fix,
        });
    }

    fn items<T: DeserializeOwned>(&mut self, whole: &mut Map<String, Value>, key: &str) {
        if let Some(Value::Array(items)) = whole.get_mut(key) {
            for (i, value) in items.iter_mut().enumerate() {
                self.section::<T>(&item(key, i), value);
            }
        }
    }

    fn entries(
        &mut self,
        whole: &mut Map<String, Value>,
        key: &str,
        read: impl Fn(&mut Self, &str, &mut Value),
    ) {
        if let Some(Value::Object(map)) = whole.get_mut(key) {
            for (name, value) in map.iter_mut() {
                read(self, &child(key, name), value);
            }
        }
    }

    /// One way to sign in: read as what its `type` says, with its parts that have several forms read apart.
    fn method(&mut self, path: &str, value: &mut Value) {
        const TYPES: &[&str] = AuthMethod::KINDS;
        let Value::Object(map) = value else {
            self.say(
                "V02",
                path,
                false,
                "a way to sign in is a map with a `type`",
                None,
            );
            return;
        };
        let kind = match map.get("type") {
            Some(Value::String(kind)) if TYPES.contains(&kind.as_str()) => kind.clone(),
            Some(Value::String(kind)) => {
                let fix = nearest(kind, TYPES).map(|s| format!("write `{s}`"));
                self.say(
                    "V05",
                    &child(path, "type"),
                    false,
                    format!(
                        "there is no type `{kind}`; it is one of: {}",
                        TYPES.join(", ")
                    ),
                    fix,
                );
                return;
            }
            _ => {
                self.say(
                    "V02",
                    path,
                    true,
                    format!("`type` is missing; it is one of: {}", TYPES.join(", ")),
                    None,
                );
                return;
            }
        };
        map.shift_remove("type");
        let mut test = map.shift_remove("test");
        let mut revoke = if matches!(kind.as_str(), "oauth2" | "oauth1") {
            map.shift_remove("revoke")
        } else {
            None
        };
        if let Some(Value::Array(fields)) = map.get_mut("fields") {
            for (i, field) in fields.iter_mut().enumerate() {
                self.section::<Field>(&item(&child(path, "fields"), i), field);
            }
        }
        match kind.as_str() {
            "oauth2" => self.section::<Oauth2>(path, value),
            "api_key" => self.section::<ApiKey>(path, value),
            "basic" => self.section::<Basic>(path, value),
            "session" => self.section::<Session>(path, value),
            "jwt" => self.section::<JwtAuth>(path, value),
            "oauth1" => self.section::<Oauth1>(path, value),
            "aws_sigv4" => self.section::<AwsSigv4>(path, value),
            "hmac" => self.section::<Hmac>(path, value),
            "wsse" => self.section::<Wsse>(path, value),
            "mtls" => self.section::<Mtls>(path, value),
            "none" => self.section::<NoAuth>(path, value),
            _ => self.section::<Bearer>(path, value),
        }
        if let Some(test) = &mut test {
            self.test(&child(path, "test"), test);
        }
        if let Some(revoke) = &mut revoke {
            let revoke_path = child(path, "revoke");
            if revoke.get("none").is_some() {
                self.only_key(&revoke_path, revoke, "none");
            } else if revoke.get("url").is_some() {
                self.only_key(&revoke_path, revoke, "url");
            } else {
                self.section::<RequestSpec>(&revoke_path, revoke);
            }
        }
        if let Value::Object(map) = value {
            map.insert("type".to_owned(), Value::String(kind));
            map.extend(test.map(|t| ("test".to_owned(), t)));
            map.extend(revoke.map(|r| ("revoke".to_owned(), r)));
        }
    }

    fn test(&mut self, path: &str, value: &mut Value) {
        if value.get("none").is_some() {
            self.only_key(path, value, "none");
        } else if value.get("code").is_some() {
            self.only_key(path, value, "code");
            if value.get("code") != Some(&Value::Bool(true)) {
                self.say(
                    "V02",
                    &child(path, "code"),
                    false,
                    "`code` is true or absent",
                    Some("write `code: true`".to_owned()),
                );
            }
        } else if value.get("any_of").is_some() {
            self.only_key(path, value, "any_of");
            let path = child(path, "any_of");
            match value.get_mut("any_of") {
                Some(Value::Array(calls)) if !calls.is_empty() => {
                    for (i, call) in calls.iter_mut().enumerate() {
                        self.section::<TestCall>(&item(&path, i), call);
                    }
                }
                _ => self.say(
                    "V02",
                    &path,
                    false,
                    "`any_of` is a list of test calls",
                    None,
                ),
            }
        } else {
            self.section::<TestCall>(path, value);
        }
    }

    /// A form with one key: everything beside it is unknown.
    fn only_key(&mut self, path: &str, value: &mut Value, key: &str) {
        let Value::Object(map) = value else { return };
        for other in map
            .keys()
            .filter(|k| *k != key)
            .cloned()
            .collect::<Vec<_>>()
        {
            map.shift_remove(&other);
            self.say(
                "V03",
                &child(path, &other),
                true,
                format!("unknown key `{other}` beside `{key}`"),
                Some(format!("remove `{other}`")),
            );
        }
        match map.get(key) {
            Some(Value::String(text)) if key == "url" => {
                if let Err(e) = Template::parse(text) {
                    self.say("V13", &child(path, key), false, e.to_string(), None);
                }
            }
            Some(Value::String(_)) | Some(Value::Bool(_)) => {}
            _ if key == "any_of" => {}
            _ => self.say(
                "V02",
                &child(path, key),
                false,
                format!("`{key}` must be text"),
                None,
            ),
        }
    }

    /// Reads a section again and again until it fits, noting each misfit.
    fn section<T: DeserializeOwned>(&mut self, path: &str, value: &mut Value) {
        for _ in 0..MAX_ROUNDS {
            let Err(e) = try_read::<T>(value) else { return };
            if !self.mend::<T>(path, value, &e) {
                return;
            }
        }
    }

    /// Notes one misfit and makes the section fit there; false if that cannot be done.
    fn mend<T: DeserializeOwned>(&mut self, base: &str, value: &mut Value, e: &Misread) -> bool {
        let message = e.message.as_str();
        if let Some(key) = quoted(message, "unknown field `") {
            let steps: &[Step] = match e.steps.split_last() {
                Some((Step::Key(last), rest)) if *last == key => rest,
                _ => &e.steps,
            };
            let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
            let path = child(&join(base, steps), &key);
            let fix = match nearest(&key, &known) {
                Some(near) => Some(format!("did you mean `{near}`?")),
                None if known.is_empty() => None,
                None => Some(format!("known keys here: {}", known.join(", "))),
            };
            let removed = at(value, steps)
                .and_then(Value::as_object_mut)
                .and_then(|m| m.shift_remove(&key))
                .is_some();
            // An unknown key below a value that `serde` reads as a whole cannot be reached: the whole value is at fault.
            let path = if removed { path } else { join(base, &e.steps) };
            self.say("V03", &path, true, format!("unknown key `{key}`"), fix);
            return removed || replace::<T>(value, &e.steps);
        }
        if let Some(key) = quoted(message, "missing field `") {
            let path = join(base, &e.steps);
            self.say(
                "V02",
                &path,
                true,
                format!("`{key}` is missing"),
                Some(format!("add `{key}:`")),
            );
            let mut steps = e.steps.clone();
            steps.push(Step::Key(key));
            return replace::<T>(value, &steps);
        }
        let path = join(base, &e.steps);
        let text = at(value, &e.steps).and_then(|v| v.as_str().map(str::to_owned));
        let (rule, message, fix) = classify(message, text.as_deref());
        self.say(rule, &path, false, message, fix);
        replace::<T>(value, &e.steps)
    }
}

fn classify(message: &str, text: Option<&str>) -> (&'static str, String, Option<String>) {
    if let Some(word) = quoted(message, "unknown variant `") {
        let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        let fix = nearest(&word, &known).map(|s| format!("write `{s}`"));
        return (
            "V05",
            format!("there is no `{word}`; it is one of: {}", known.join(", ")),
            fix,
        );
    }
    if let Some(text) = text {
        let same = |e: String| e == message;
        if Template::parse(text).is_err_and(|e| same(e.to_string())) {
            return ("V13", message.to_owned(), None);
        }
        if Pattern::parse(text).is_err_and(same) {
            return ("V24", message.to_owned(), None);
        }
        if text.parse::<AppId>().is_err_and(|e| same(e.to_string())) {
            return ("V09", message.to_owned(), None);
        }
        if JsonPath::parse(text).is_err_and(|e| same(e.to_string())) {
            return ("V58", message.to_owned(), None);
        }
    }
    if message.contains("is not a JSONPath") {
        return ("V58", message.to_owned(), None);
    }
    if let Some(text) = text
        && text
            .parse::<semver::Version>()
            .is_err_and(|e| e.to_string() == message)
    {
        return (
            "V02",
            format!("`{text}` is not a version; write it like 1.0.0"),
            None,
        );
    }
    (
        "V02",
        message.replace("invalid type: ", "wrong kind of value: "),
        None,
    )
}

/// Where `serde` stopped, and what it said.
struct Misread {
    steps: Vec<Step>,
    message: String,
}

#[derive(Clone, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

fn try_read<T: DeserializeOwned>(value: &Value) -> Result<T, Misread> {
    serde_path_to_error::deserialize::<_, T>(value.clone()).map_err(|e| {
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

/// Puts something there that fits, so that reading can go on; takes it out if nothing does.
fn replace<T: DeserializeOwned>(value: &mut Value, steps: &[Step]) -> bool {
    let Some((last, around)) = steps.split_last() else {
        return false;
    };
    let stand_ins = ["x", "read", "1.0.0", "rest", "$", "GET", "needs_reconnect"]
        .into_iter()
        .map(|s| json!(s))
        .chain([
            json!({}),
            json!([]),
            json!(1),
            json!(true),
            json!({"path": "/x"}),
            json!({"id": "x", "label": "x"}),
            json!({"none": "x"}),
        ]);
    for stand_in in stand_ins {
        put(value, around, last, Some(stand_in));
        match try_read::<T>(value) {
            Ok(_) => return true,
            Err(e) if !e.steps.starts_with(steps) => return true,
            Err(_) => {}
        }
    }
    put(value, around, last, None);
    !matches!(try_read::<T>(value), Err(e) if e.steps.starts_with(steps))
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
        (Some(Value::Array(items)), Step::Index(i)) => match (items.get_mut(*i), what) {
            (Some(slot), Some(v)) => *slot = v,
            (Some(_), None) => {
                items.remove(*i);
            }
            (None, _) => {}
        },
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

fn quoted(message: &str, before: &str) -> Option<String> {
    let rest = message.get(message.find(before)? + before.len()..)?;
    rest.split('`').next().map(str::to_owned)
}
