//! Token requests that a component makes: everything secret goes in and comes out as placeholders.
//!
//! The threats: a component that keeps a code, a client's secret or a token for itself; one that puts an account of its
//! author's in the place of the person's, by returning a token that it brought along; one that sends a code elsewhere. So
//! what goes in is a placeholder with the slots that the manifest declares, good towards the token endpoint alone; in
//! answers of the token endpoint every declared token, and whatever goes by a token's usual names, becomes a placeholder
//! before the component sees it; and where the component's answer has a token, only such a placeholder is taken. Nowhere
//! else does one become a token again: a token as a public capture would be shown to the component by its next call.
//!
//! The endpoint is one address, not a host: on the host of an API, a code in a declared member could be posted to where its
//! component's author reads it.
//!
//! Left out: a component that redeems a grant of its author's own there, of which it knows the secret. What comes of that is
//! a sign-in to another account, and the test call shows whose it is before it counts. And answers that are neither JSON nor
//! a form, or a text and nothing else: their body is withheld, for nobody can tell what in it is a token.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyport_egress::{Handles, MARK, Scrubber, Secret};
use keyport_manifest::{
    AllowedHosts, CaptureSource, ExchangeValue, JsonPath, Oauth2, SecretSlot, SecretText,
    TokenFields,
};
use serde_json::{Map, Value};
use url::Url;

use crate::imports::slots_of;

/// Members that hold a token wherever they stand, beside all whose name ends in `token` or `secret`. Compared without case and
/// without `_` and `-`.
const NAMES: &[&str] = &[
    "accesskey",
    "apikey",
    "devicecode",
    "jwt",
    "password",
    "privatekey",
    "secretkey",
    "sessionkey",
];

/// Shorter values under those names are no tokens (`"token": "1"` would make a placeholder of every `1`).
const MIN_TOKEN: usize = 8;

/// Tokens that one call may be answered with, over all its requests. An app gives a handful; a body that is full of them would
/// cost the host the search for each of them in everything that follows.
const MAX_TOKENS: usize = 200;

/// A token request that a component is to make.
#[derive(Clone)]
pub struct TokenRequest {
    /// The way to sign in: where its tokens are in answers, and what may be placed where.
    pub oauth: Arc<Oauth2>,
    /// What the component reads as it is: `url`, `client_id`, `redirect_uri`, `scope` …
    pub public: Map<String, Value>,
    /// What it gets as placeholders. A value without a declared slot is not handed over at all.
    pub secrets: Vec<(ExchangeValue, Secret)>,
}

/// The request while the call lasts.
#[derive(Clone)]
pub(crate) struct Exchange {
    oauth: Arc<Oauth2>,
    /// The token endpoint.
    url: Option<Url>,
    pub(crate) handles: Handles,
    audience: AllowedHosts,
    /// What answers of the token endpoint gave, by its placeholder.
    answered: Arc<Mutex<HashMap<String, Secret>>>,
}

impl Exchange {
    /// The exchange, and what its component is told.
    pub(crate) fn begin(request: TokenRequest, audience: AllowedHosts) -> (Self, Value) {
        let exchange = Self {
            oauth: request.oauth,
            url: request
                .public
                .get("url")
                .and_then(Value::as_str)
                .and_then(|url| Url::parse(url).ok()),
            handles: Handles::default(),
            audience,
            answered: Arc::default(),
        };
        let mut input = request.public;
        for (name, value) in request.secrets {
            let Some(slots) = exchange.slots(name) else {
                continue;
            };
            let placeholder = exchange.issue(value, slots);
            if let Ok(Value::String(name)) = serde_json::to_value(name) {
                input.insert(name, placeholder.into());
            }
        }
        (exchange, Value::Object(input))
    }

    /// Whether a request goes to the token endpoint; its query is the component's to write.
    pub(crate) fn is_for(&self, url: &str) -> bool {
        let Ok(mut given) = Url::parse(url) else {
            return false;
        };
        self.url.clone().is_some_and(|mut own| {
            own.set_query(None);
            own.set_fragment(None);
            given.set_query(None);
            given.set_fragment(None);
            own == given
        })
    }

    fn slots(&self, name: ExchangeValue) -> Option<&[SecretSlot]> {
        let declared = self.oauth.by_component.as_ref()?;
        declared.slots.get(&name).map(Vec::as_slice)
    }

    fn issue(&self, value: Secret, slots: &[SecretSlot]) -> String {
        self.handles
            .issue_for(value, slots_of(slots), self.audience.clone())
    }

    /// An answer of the token endpoint as its component may see it. Nothing of it where it can't be read, or has more tokens
    /// than a call may be answered with.
    pub(crate) fn shown(&self, content_type: &str, body: &[u8]) -> Vec<u8> {
        let Some(mut tree) = parsed(content_type, body) else {
            return Vec::new();
        };
        let places = self.places(&tree);
        let slots = self.slots(ExchangeValue::Answer).unwrap_or_default();
        let room = MAX_TOKENS.saturating_sub(self.lock().len());
        let mut hidden: HashMap<String, String> = HashMap::new();
        each_text(&mut tree, &places, &mut |token, text| {
            if token && hidden.len() <= room && !hidden.contains_key(text) {
                hidden.insert(text.clone(), String::new());
            }
        });
        let held = hidden.len() <= room;
        if held {
            for (text, placeholder) in &mut hidden {
                let value = Secret::new(text.as_str());
                *placeholder = self.issue(value.clone(), slots);
                self.lock().insert(placeholder.clone(), value);
            }
            each_text(&mut tree, &places, &mut |token, text| {
                if let Some(placeholder) = hidden.get(text) {
                    // Where no token may stand, it is one that the component could not hand on.
                    let shown = if token { placeholder } else { MARK };
                    drop(Secret::new(std::mem::replace(text, shown.to_owned())));
                }
            });
        }
        let wiped = hidden.into_keys().map(Secret::new);
        wiped.for_each(drop);
        if !held {
            wipe(&mut tree);
            return Vec::new();
        }
        // A token that stands in another text as well (an address, say) is taken out of that, and so is what went in.
        let scrubber = Scrubber::new(&self.handles.values());
        scrubber.bytes(tree.to_string().as_bytes())
    }

    /// The component's answer with the tokens in it.
    ///
    /// # Errors
    /// What is wrong with it, as a part of a sentence.
    pub(crate) fn taken(&self, mut answer: Value) -> Result<SecretText, &'static str> {
        let places = self.places(&answer);
        let answered = self.lock();
        let (mut foreign, mut misplaced) = (false, false);
        each_text(&mut answer, &places, &mut |token, text| {
            if !token {
                misplaced |= text.contains("kph_");
            } else if let Some(value) = answered.get(text.as_str()) {
                value.expose().clone_into(text);
            } else {
                foreign = true;
            }
        });
        drop(answered);
        let out = SecretText::new(answer.to_string());
        wipe(&mut answer);
        if foreign {
            Err("it has a token that the app's token endpoint did not give in this call")
        } else if misplaced {
            Err("it has a placeholder where no token may stand")
        } else {
            Ok(out)
        }
    }

    /// Where the host looks for tokens and captures.
    fn places(&self, tree: &Value) -> Places {
        let mut places = Places::default();
        let response = &self.oauth.response;
        let mut tokens_of = |root: Option<&JsonPath>, fields: &TokenFields| {
            let Some(root) = root.map_or(Some(tree), |root| root.first(tree)) else {
                return;
            };
            for (path, usual) in [
                (&fields.access_token, "access_token"),
                (&fields.refresh_token, "refresh_token"),
            ] {
                match path {
                    Some(path) => places
                        .secret
                        .extend(path.select(root).into_iter().map(address)),
                    None => places.secret.extend(root.get(usual).map(address)),
                }
            }
        };
        tokens_of(response.root.as_ref(), &response.fields);
        for second in response.also.values() {
            tokens_of(Some(&second.root), &second.fields);
        }
        for capture in self.oauth.capture.values() {
            if let Some(CaptureSource::Path(path)) = capture.source() {
                let of = match capture.public {
                    true => &mut places.public,
                    false => &mut places.secret,
                };
                of.extend(path.first(tree).map(address));
            }
        }
        places
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Secret>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Headers of a token endpoint's answer that say something to a component and hold no secret.
pub(crate) fn shown_header(name: &str) -> bool {
    matches!(name, "content-type" | "date" | "retry-after")
}

/// A body that has names for what is in it.
fn parsed(content_type: &str, body: &[u8]) -> Option<Value> {
    if let Ok(mut tree) = serde_json::from_slice::<Value>(body) {
        if tree.is_object() || tree.is_array() {
            return Some(tree);
        }
        wipe(&mut tree);
        return None;
    }
    let named = |pair: &[u8]| pair.is_empty() || pair.contains(&b'=');
    if !content_type.contains("form-urlencoded") || !body.split(|b| *b == b'&').all(named) {
        return None;
    }
    let pairs = url::form_urlencoded::parse(body);
    Some(Value::Object(
        pairs
            .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
            .collect(),
    ))
}

/// Places of values in one tree, told by their addresses: nothing in it moves while they are of use, for its values are only
/// changed in place.
#[derive(Default)]
struct Places {
    /// Tokens, and captures that are secret.
    secret: HashSet<*const Value>,
    /// Captures that anybody may see, the component's later calls among them.
    public: HashSet<*const Value>,
}

fn address(value: &Value) -> *const Value {
    std::ptr::from_ref(value)
}

fn names_token(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect();
    plain.ends_with("token") || plain.ends_with("secret") || NAMES.contains(&plain.as_str())
}

/// Every text of a tree, and whether a token stands there. A number in the place of one is made text first: some apps count
/// their tenants.
fn each_text(tree: &mut Value, places: &Places, visit: &mut impl FnMut(bool, &mut String)) {
    each(tree, places, false, visit);
}

fn each(
    value: &mut Value,
    places: &Places,
    named: bool,
    visit: &mut impl FnMut(bool, &mut String),
) {
    let at = address(value);
    let declared = places.secret.contains(&at);
    if declared && let Value::Number(number) = value {
        *value = Value::String(number.to_string());
    }
    match value {
        Value::String(text) => {
            let by_name = named && text.len() >= MIN_TOKEN && !places.public.contains(&at);
            visit(!text.is_empty() && (declared || by_name), text);
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| each(item, places, false, visit)),
        Value::Object(map) => map
            .iter_mut()
            .for_each(|(name, value)| each(value, places, names_token(name), visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Takes every text out of a tree and wipes it.
fn wipe(tree: &mut Value) {
    each_text(tree, &Places::default(), &mut |_, text| {
        drop(Secret::new(std::mem::take(text)));
    });
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
