//! The values that requests are shown with: examples, what `--set` gives, and placeholders for secrets.
//!
//! A placeholder goes through the host's own functions as plain letters and digits, which no escaping changes, and becomes
//! `‹token›` in what is shown. Where a filter took it apart (a hash, a signature) the expression is shown in its place.

use std::cell::RefCell;
use std::collections::BTreeMap;

use keyport_manifest::{
    Manifest, PlainRequest, ResolvedApi, Scope, Slot, Template, VARIANT_FIELD, example,
};
use serde_json::{Value, json};

use super::{Failure, RequestShown};

/// The moment that requests are shown at, in seconds of Unix time: the first of 2026, so that what is shown does not change.
const NOW: i64 = 1_767_225_600;

/// What `--set` gives: field and typed text.
pub type Given = BTreeMap<String, String>;

/// Reads `--set field=value`.
///
/// # Errors
/// Not of that form, or no field of this app.
pub fn given(manifest: &Manifest, set: &[String]) -> Result<Given, Failure> {
    let known: Vec<&str> = manifest
        .auth
        .keys()
        .flat_map(|id| manifest.fields_for(id))
        .map(|f| f.id.as_str())
        .collect();
    set.iter()
        .map(|text| {
            let (id, value) = text.split_once('=').ok_or_else(|| {
                Failure::Said(format!(
                    "`--set {text}` sets nothing; write `--set field=value`"
                ))
            })?;
            if known.contains(&id) {
                Ok((id.to_owned(), value.to_owned()))
            } else {
                Err(Failure::Said(format!(
                    "{} asks for no `{id}`; it asks for: {}",
                    manifest.id,
                    known.join(", ")
                )))
            }
        })
        .collect()
}

/// The values of one connection that does not exist.
pub struct Values {
    /// What everybody may see.
    pub public: Scope,
    /// The same with placeholders for secrets.
    pub all: Scope,
    /// The API, or why there is none with these values.
    pub api: Result<ResolvedApi, String>,
    placeholders: RefCell<Vec<String>>,
}

impl Values {
    /// Values for one way to sign in.
    ///
    /// # Errors
    /// A value that its field refuses, or a field for which none can be made up.
    pub fn new(manifest: &Manifest, method: &str, given: &Given) -> Result<Self, Failure> {
        let own = manifest
            .auth
            .get(method)
            .map(|m| m.fields())
            .unwrap_or_default();
        let mut made = example::Connection::default();
        for field in manifest.fields_for(method) {
            if field.secret || !asked(field, &made) {
                continue;
            }
            let value = match given.get(&field.id) {
                Some(typed) => field.parse(typed).map_err(|e| Failure::Said(e.to_string()))?,
                None => example::values(field).into_iter().next().ok_or_else(|| {
                    Failure::Said(format!(
                        "no value can be made up for `{id}`; give the field an `example`, or one here: `--set {id}=…`",
                        id = field.id
                    ))
                })?,
            };
            let group = if own.iter().any(|f| f.id == field.id) {
                &mut made.credentials
            } else {
                &mut made.fields
            };
            group.insert(field.id.clone(), Value::String(value));
        }
        made.capture = example::connections(manifest, method, 1)
            .into_iter()
            .next()
            .map(|connection| connection.capture)
            .unwrap_or_default();
        let public = made.scope(manifest).with("now", json!(NOW));
        let placeholders = RefCell::new(Vec::new());
        let mut all = public.clone();
        example::fill_in(&mut all, manifest, method, &mut |path| {
            stand_in(&placeholders, path)
        });
        // What the app adds to its callback is known by name from the templates that read it.
        let written = manifest
            .auth
            .get(method)
            .and_then(|auth| serde_json::to_value(auth).ok());
        for found in written.iter().flat_map(callback_values) {
            all.set_value(
                "callback",
                &found,
                Value::String(stand_in(&placeholders, &format!("callback.{found}"))),
            );
        }
        Ok(Self {
            api: manifest
                .resolve_for(method, &public)
                .map_err(|e| e.to_string()),
            public,
            all,
            placeholders,
        })
    }

    /// A text that becomes `‹name›` when it is shown.
    pub fn placeholder(&self, name: &str) -> String {
        stand_in(&self.placeholders, name)
    }

    /// A request as it would be sent to the API: under its base URL, with what every request carries.
    pub fn sent(
        &self,
        request: PlainRequest,
        credentials: &[(bool, String, String)],
    ) -> Result<RequestShown, String> {
        let api = self.api.as_ref().map_err(Clone::clone)?;
        let mut url = if request.url.starts_with('/') {
            format!(
                "{}{}",
                api.base_url.as_str().trim_end_matches('/'),
                request.url
            )
        } else {
            request.url.clone()
        };
        let mut headers = request.headers;
        let mut query: Vec<(String, String)> = api.query.clone();
        headers.extend(api.headers.iter().cloned());
        for (in_query, name, value) in credentials {
            let into = if *in_query { &mut query } else { &mut headers };
            into.push((name.clone(), value.clone()));
        }
        for (name, value) in query {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&format!("{name}={value}"));
        }
        Ok(self.shown(PlainRequest {
            url,
            headers,
            ..request
        }))
    }

    /// A request with placeholders as people read them.
    pub fn shown(&self, request: PlainRequest) -> RequestShown {
        RequestShown {
            method: request.method,
            url: self.readable(&request.url),
            headers: request
                .headers
                .into_iter()
                .map(|(name, value)| (name, self.readable(&value)))
                .collect(),
            body: request
                .body
                .map(|bytes| self.readable(&String::from_utf8_lossy(&bytes))),
        }
    }

    /// A template that may read secrets, as people read it.
    pub fn rendered(&self, template: &Template) -> Result<String, String> {
        let text = template
            .render(&self.all, Slot::Raw)
            .map_err(|e| e.to_string())?;
        let shown = self.readable(&text);
        let secret = template.refs().iter().any(|r| {
            self.all.get(&r.root, r.name().unwrap_or_default())
                != self.public.get(&r.root, r.name().unwrap_or_default())
        });
        if secret && !shown.contains('‹') {
            let expressions: Vec<&str> = template.expressions().collect();
            return Ok(format!("‹{}›", expressions.join(" ~ ")));
        }
        Ok(shown)
    }

    /// Placeholders become `‹name›`, also inside of HTTP Basic.
    pub fn readable(&self, text: &str) -> String {
        let mut out = text.to_owned();
        if let Some(pair) = text.strip_prefix("Basic ").and_then(decoded) {
            out = format!("Basic base64({pair})");
        }
        for (at, name) in self.placeholders.borrow().iter().enumerate() {
            out = out.replace(&mark(at), &format!("‹{name}›"));
        }
        out
    }

    /// This scope with one more root.
    pub fn with(&self, root: &str, value: Value) -> Scope {
        self.public
            .clone()
            .with("account", json!({"id": self.placeholder("account.id"), "label": self.placeholder("account.label")}))
            .with(root, value)
    }
}

/// Names of the callback's parameters that templates in this tree read.
fn callback_values(tree: &Value) -> Vec<String> {
    match tree {
        Value::String(text) => Template::parse(text)
            .map(|template| template.refs())
            .unwrap_or_default()
            .iter()
            .filter(|found| found.root == "callback")
            .filter_map(|found| found.name().map(str::to_owned))
            .collect(),
        Value::Array(items) => items.iter().flat_map(callback_values).collect(),
        Value::Object(map) => map.values().flat_map(callback_values).collect(),
        _ => Vec::new(),
    }
}

/// Whether a person would be asked for it, with the values so far.
fn asked(field: &keyport_manifest::Field, made: &example::Connection) -> bool {
    field.shown_when.as_ref().is_none_or(|when| {
        let other = made
            .fields
            .get(&when.field)
            .or_else(|| made.credentials.get(&when.field));
        let other = other.and_then(Value::as_str).unwrap_or_default();
        when.values.iter().any(|value| value == other)
    }) || field.id == VARIANT_FIELD
}

fn stand_in(placeholders: &RefCell<Vec<String>>, path: &str) -> String {
    let name = path
        .strip_prefix("credentials.")
        .or(path.strip_prefix("token."))
        .unwrap_or(path);
    let mut all = placeholders.borrow_mut();
    let at = all
        .iter()
        .position(|known| known == name)
        .unwrap_or_else(|| {
            all.push(name.to_owned());
            all.len() - 1
        });
    mark(at)
}

/// Letters and digits that no manifest has by chance and no escaping changes.
fn mark(at: usize) -> String {
    format!("kpplaceholder{at:03}zz")
}

fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for c in text.bytes().filter(|c| *c != b'=') {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    String::from_utf8(out).ok()
}
