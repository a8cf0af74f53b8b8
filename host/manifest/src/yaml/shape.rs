//! Does the document have the shape of the model? Every misfit in one run.
//!
//! The document is read part by part, so that a mistake in one part hides nothing in another. What was wrong is mended
//! (`mend`), so that the checks of sense can run over the rest in the same run; `follow` keeps back what they only say
//! because of a mend.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::follow::{Kind, Mends};
use super::mend::{Misfit, Reader, STAND_IN};
use super::places::{child, item};
use crate::model::{
    Action, Api, ApiKey, AppWebhook, AuthMethod, AwsSigv4, Basic, Bearer, Discovery, Field, Handle,
    Hmac, JwtAuth, Manifest, Migration, Mtls, NoAuth, Oauth1, Oauth2, Recipe, RequestSpec, Session,
    Test, TestCall, Trigger, Variants, Wsse,
};
use crate::template::{Template, nearest};

/// What came of reading the shape.
pub(super) struct Shape {
    pub(super) misfits: Vec<Misfit>,
    /// The manifest, of the mended document; absent only where too much was wrong to go on.
    pub(super) manifest: Option<Manifest>,
    /// The document that it was read from.
    pub(super) tree: Value,
    /// Where it is not what the author wrote.
    pub(super) mends: Mends,
}

/// Makes the least that a part can be.
type Least = fn() -> Value;

/// The parts that are read apart, and the least that each can be.
const SOUND: &[(&str, Least)] = &[
    ("fields", || json!([])),
    ("discovery", || json!([])),
    ("migrations", || json!([])),
    ("actions", || json!({})),
    ("triggers", || json!({})),
    (
        "webhook",
        || json!({"manual": "standin", "verify": {"none": "standin"}, "tenant": {"event": "standin", "connection": "standin"}}),
    ),
    ("recipes", || json!({})),
    ("handles", || json!({})),
    ("auth", || json!({})),
    (
        "variants",
        || json!({"label": "standin", "choices": {"standin": {"label": "standin"}}}),
    ),
    ("test", || json!({"none": "standin"})),
    ("api", || json!({"base_url": "https://standin.example"})),
];

/// Reads a tree into the model.
pub(super) fn read(tree: &Value) -> Shape {
    let mut reader = Reader::new();
    let Value::Object(root) = tree else {
        reader.say(
            "V02",
            "",
            false,
            "a manifest is a map of keys, starting with `manifest: 1`",
            None,
        );
        return nothing(reader);
    };
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
        return nothing(reader);
    }
    let mut whole = root.clone();
    reader.items::<Field>(&mut whole, "fields");
    reader.items::<Discovery>(&mut whole, "discovery");
    reader.items::<Migration>(&mut whole, "migrations");
    reader.entries::<Action>(&mut whole, "actions", Reader::section::<Action>);
    reader.entries::<Trigger>(&mut whole, "triggers", Reader::section::<Trigger>);
    reader.entries::<Recipe>(&mut whole, "recipes", Reader::section::<Recipe>);
    reader.entries::<Handle>(&mut whole, "handles", Reader::section::<Handle>);
    reader.entries::<AuthMethod>(&mut whole, "auth", Reader::method);
    reader.one::<Variants>(&mut whole, "variants", Reader::section::<Variants>);
    reader.one::<AppWebhook>(&mut whole, "webhook", Reader::section::<AppWebhook>);
    reader.one::<Test>(&mut whole, "test", Reader::test);
    reader.one::<Api>(&mut whole, "api", Reader::section::<Api>);
    // The parts fit by now. What is left is read without them, which is cheaper, and they are put back.
    let mut parts = Map::new();
    for (key, sound) in SOUND {
        if let Some(slot) = whole.get_mut(*key) {
            let part = std::mem::replace(slot, sound());
            if part.is_object() || part.is_array() {
                parts.insert((*key).to_owned(), part);
            } else {
                *slot = part;
            }
        }
    }
    let mut whole = Value::Object(whole);
    reader.section::<Manifest>("", &mut whole);
    if let Value::Object(map) = &mut whole {
        map.extend(parts);
    }
    let manifest = serde_json::from_value(whole.clone()).ok();
    if manifest.is_none() && reader.misfits.is_empty() {
        // What the parts did not say, the whole does.
        reader.section::<Manifest>("", &mut whole);
    }
    Shape {
        misfits: reader.misfits,
        manifest,
        tree: whole,
        mends: reader.mends,
    }
}

fn nothing(reader: Reader) -> Shape {
    Shape {
        misfits: reader.misfits,
        manifest: None,
        tree: Value::Null,
        mends: reader.mends,
    }
}

impl Reader {
    /// Reads each item of a list. Where one cannot be made to fit, the list is left out: the others would change their places.
    fn items<T: DeserializeOwned>(&mut self, whole: &mut Map<String, Value>, key: &str) {
        let Some(Value::Array(items)) = whole.get_mut(key) else {
            return;
        };
        let mut fit = true;
        for (i, value) in items.iter_mut().enumerate() {
            self.section::<T>(&item(key, i), value);
            fit &= self.fits::<T>(value);
        }
        if !fit {
            self.left_out(whole, key);
        }
    }

    /// Reads a part that is one value.
    fn one<T: DeserializeOwned>(
        &mut self,
        whole: &mut Map<String, Value>,
        key: &str,
        read: impl Fn(&mut Self, &str, &mut Value),
    ) {
        let Some(value) = whole.get_mut(key) else {
            return;
        };
        let before = self.misfits.len();
        read(self, key, value);
        if self.fits::<T>(value) {
            return;
        }
        if self.misfits.len() == before {
            self.section::<T>(key, value);
        }
        self.left_out(whole, key);
    }

    /// Puts the least that a part can be in its place.
    fn left_out(&mut self, whole: &mut Map<String, Value>, key: &str) {
        let sound = SOUND.iter().find(|(k, _)| *k == key);
        if let (Some(slot), Some((_, sound))) = (whole.get_mut(key), sound) {
            let was = std::mem::replace(slot, sound());
            self.mended(key, Kind::Wrong, Some(&was));
        }
    }

    /// Reads each entry of a map; one that cannot be made to fit is left out.
    fn entries<T: DeserializeOwned>(
        &mut self,
        whole: &mut Map<String, Value>,
        key: &str,
        read: impl Fn(&mut Self, &str, &mut Value),
    ) {
        let Some(Value::Object(map)) = whole.get_mut(key) else {
            return;
        };
        let mut lost = Vec::new();
        for (name, value) in map.iter_mut() {
            let (path, before) = (child(key, name), self.misfits.len());
            read(self, &path, value);
            if !self.fits::<T>(value) {
                if self.misfits.len() == before {
                    self.section::<T>(&path, value);
                }
                self.mended(&path, Kind::Wrong, Some(value));
                lost.push(name.clone());
            }
        }
        map.retain(|name, _| !lost.contains(name));
    }

    /// One way to sign in: read as what its `type` says, with its parts that have several forms read apart.
    fn method(&mut self, path: &str, value: &mut Value) {
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
            Some(Value::String(kind)) if AuthMethod::KINDS.contains(&kind.as_str()) => kind.clone(),
            found => match self.meant(path, found.cloned().as_ref(), map) {
                Some(kind) => kind,
                None => return,
            },
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

    /// The type that is meant where there is none, or none that is known: the one that it looks like, or the first that
    /// takes everything else that is written there. The rest of the section is then read as that.
    fn meant(
        &mut self,
        path: &str,
        found: Option<&Value>,
        map: &mut Map<String, Value>,
    ) -> Option<String> {
        const TYPES: &[&str] = AuthMethod::KINDS;
        let at = child(path, "type");
        let near = match found {
            Some(Value::String(kind)) => {
                let near = nearest(kind, TYPES);
                let fix = near.as_ref().map(|s| format!("write `{s}`"));
                let message = format!(
                    "there is no type `{kind}`; it is one of: {}",
                    TYPES.join(", ")
                );
                self.say("V05", &at, false, message, fix);
                near
            }
            _ => {
                // A key that looks like it has the word.
                let keys: Vec<&str> = map.keys().map(String::as_str).collect();
                let key = nearest("type", &keys).filter(|key| key != "type" && found.is_none());
                let word = key.as_ref().and_then(|key| map.get(key)?.as_str());
                let word = word.filter(|word| TYPES.contains(word)).map(str::to_owned);
                match (key, word) {
                    (Some(key), Some(word)) => {
                        let was = map.shift_remove(&key);
                        let wrong = child(path, &key);
                        let fix = Some("did you mean `type`?".to_owned());
                        self.say("V03", &wrong, true, format!("unknown key `{key}`"), fix);
                        self.mended(&wrong, Kind::Removed, was.as_ref());
                        Some(word)
                    }
                    _ => {
                        let message =
                            format!("`type` is missing; it is one of: {}", TYPES.join(", "));
                        self.say("V02", path, true, message, None);
                        None
                    }
                }
            }
        };
        let meant = near.or_else(|| self.takes_all(map))?;
        self.mended(&at, Kind::Wrong, found);
        Some(meant)
    }

    /// The first type as which a section has no misfit but its type.
    fn takes_all(&mut self, map: &Map<String, Value>) -> Option<String> {
        for kind in AuthMethod::KINDS {
            let mut tried = map.clone();
            tried.insert("type".to_owned(), Value::String((*kind).to_owned()));
            if self.fits::<AuthMethod>(&Value::Object(tried)) {
                return Some((*kind).to_owned());
            }
        }
        None
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
        let others: Vec<String> = map.keys().filter(|k| *k != key).cloned().collect();
        for other in others {
            let (was, other_path) = (map.shift_remove(&other), child(path, &other));
            self.say(
                "V03",
                &other_path,
                true,
                format!("unknown key `{other}` beside `{key}`"),
                Some(format!("remove `{other}`")),
            );
            self.mended(&other_path, Kind::Removed, was.as_ref());
        }
        let Some(slot) = map.get_mut(key) else { return };
        let path = child(path, key);
        match (&*slot, key) {
            (Value::String(text), "url") => match Template::parse(text) {
                Ok(_) => return,
                Err(e) => self.say("V13", &path, false, e.to_string(), None),
            },
            (Value::String(_), "none") | (Value::Bool(_), "code") | (_, "any_of") => return,
            _ => self.say("V02", &path, false, format!("`{key}` must be text"), None),
        }
        let sound = match key {
            "url" => json!("https://standin.example"),
            "code" => json!(true),
            _ => json!(STAND_IN),
        };
        let was = std::mem::replace(slot, sound);
        self.mended(&path, Kind::Wrong, Some(&was));
    }
}
