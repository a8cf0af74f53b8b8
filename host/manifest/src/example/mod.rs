//! Connections that could exist: values for an app's fields, made from what the manifest says of each.
//!
//! Two readers: `diff` makes connections of an old version and tries them on the new one, and `keyport render` shows what a
//! manifest produces. A value is only used if [`Field::parse`] takes it, as it would from a person, so nothing here can
//! disagree with the form. Everything is deterministic: the same manifest gives the same connections.
//!
//! Left out: secrets. A secret has no example; whoever needs one in its place puts a placeholder there.

mod pattern;

use serde_json::{Map, Value};

use crate::model::{AuthMethod, Capture, Field, Format, Manifest, VARIANT_FIELD};
use crate::scope::Scope;

/// Most values that are made for one field.
const MAX_VALUES: usize = 12;
/// How many texts are tried from a pattern.
const PATTERN_TRIES: u64 = 4;

/// Values that some format takes; each field keeps those that it takes itself.
const USUAL: &[&str] = &[
    "acme",
    "acme-2",
    "acme.example.com",
    "https://acme.example.com",
    "https://acme.example.com:8443",
    "https://acme.example.com/path",
    "ada@example.com",
    "01234567-89ab-cdef-0123-456789abcdef",
    "12345",
    "-3",
    "true",
    "false",
    "2026-01-31",
    "{\"a\": 1}",
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----",
];

/// What free text is tried with where the manifest gives no hint of what people type.
const TEXTS: &[&str] = &["acme", "Sample 1"];

/// Values that a field takes, in the form in which they are stored: its default, its example and its choices first, then
/// what its format, its suffixes and its pattern allow. An optional field also has the empty one, last.
#[must_use]
pub fn values(field: &Field) -> Vec<String> {
    let mut tried: Vec<String> = field
        .default
        .iter()
        .chain(&field.example)
        .cloned()
        .collect();
    tried.extend(field.choices.iter().map(|c| c.value.clone()));
    for suffix in &field.suffixes {
        let name = format!("acme.{}", suffix.trim_start_matches('.'));
        tried.push(format!("https://{name}"));
        tried.push(name);
    }
    if let Some(pattern) = &field.pattern {
        tried.extend((0..PATTERN_TRIES).filter_map(|n| pattern::matching(pattern.source(), n)));
    }
    let usual = match field.format {
        Format::Text if tried.is_empty() => TEXTS,
        Format::Text => &[],
        _ => USUAL,
    };
    tried.extend(usual.iter().map(|&text| text.to_owned()));
    let mut values: Vec<String> = Vec::new();
    for text in tried {
        if text.trim().is_empty() {
            continue;
        }
        if let Ok(value) = field.parse(&text)
            && !values.contains(&value)
            && values.len() < MAX_VALUES
        {
            values.push(value);
        }
    }
    if !field.required && field.default.is_none() {
        values.push(String::new());
    }
    values
}

/// What a connection that somebody might have made holds, apart from its secrets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Connection {
    /// Values of the app's own fields.
    pub fields: Map<String, Value>,
    /// Values of the fields of the way to sign in.
    pub credentials: Map<String, Value>,
    /// Public captures.
    pub capture: Map<String, Value>,
}

impl Connection {
    /// These values as the templates of `manifest` see them.
    #[must_use]
    pub fn scope(&self, manifest: &Manifest) -> Scope {
        let mut scope = Scope::new()
            .with("fields", Value::Object(self.fields.clone()))
            .with("credentials", Value::Object(self.credentials.clone()))
            .with("capture", Value::Object(self.capture.clone()));
        if let Some(constants) = self.variant(manifest) {
            scope.set("variant", constants);
        }
        scope
    }

    /// What the chosen variant sets, if the manifest has variants.
    #[must_use]
    pub fn variant(&self, manifest: &Manifest) -> Option<Value> {
        let key = self.fields.get(VARIANT_FIELD)?.as_str()?;
        manifest.variants.as_ref()?.values(key)
    }
}

/// Connections that people may have made with a manifest by one way to sign in: at most `limit`, every value of every field
/// in at least one of them if `limit` is large enough. Empty if a required field takes no value that can be made up.
#[must_use]
pub fn connections(manifest: &Manifest, method: &str, limit: usize) -> Vec<Connection> {
    let Some(auth) = manifest.auth.get(method) else {
        return Vec::new();
    };
    let mut axes: Vec<Axis> = Vec::new();
    let asked = manifest
        .app_fields()
        .map(|field| (Root::Fields, field))
        .chain(auth.fields().iter().map(|field| (Root::Credentials, field)));
    for (root, field) in asked.filter(|(_, f)| !f.secret) {
        let values = match (&field.default, field.hidden) {
            (Some(default), true) => vec![default.clone()],
            _ => values(field),
        };
        axes.push(Axis {
            root,
            id: field.id.clone(),
            values,
        });
    }
    for (id, capture) in declared(manifest, method) {
        if capture.public {
            axes.push(Axis {
                root: Root::Capture,
                id: id.to_owned(),
                values: captured(capture),
            });
        }
    }
    if axes.iter().any(|axis| axis.values.is_empty()) {
        return Vec::new();
    }
    let mut all: Vec<Connection> = Vec::new();
    let longest = axes.iter().map(|axis| axis.values.len()).max().unwrap_or(1);
    // First each value once, all fields moving together; then the mixtures, like the digits of a counter.
    let together = (0..longest).map(|n| vec![n; axes.len()]);
    let mixtures = (0..limit).map(|n| {
        let mut rest = n;
        axes.iter()
            .map(|axis| {
                let digit = rest.checked_rem(axis.values.len()).unwrap_or(0);
                rest = rest.checked_div(axis.values.len()).unwrap_or(0);
                digit
            })
            .collect()
    });
    for digits in together.chain(mixtures) {
        let made = connection(&axes, &digits);
        let made = hide(made, manifest, auth);
        if all.len() < limit && !all.contains(&made) {
            all.push(made);
        }
    }
    all
}

#[derive(Clone, Copy)]
enum Root {
    Fields,
    Credentials,
    Capture,
}

struct Axis {
    root: Root,
    id: String,
    values: Vec<String>,
}

fn connection(axes: &[Axis], digits: &[usize]) -> Connection {
    let mut made = Connection::default();
    for (axis, digit) in axes.iter().zip(digits) {
        let values = &axis.values;
        let value = digit
            .checked_rem(values.len())
            .and_then(|at| values.get(at));
        let into = match axis.root {
            Root::Fields => &mut made.fields,
            Root::Credentials => &mut made.credentials,
            Root::Capture => &mut made.capture,
        };
        into.insert(
            axis.id.clone(),
            Value::String(value.cloned().unwrap_or_default()),
        );
    }
    made
}

/// A field that is not shown with these values is not asked for, and nothing is stored for it.
fn hide(mut made: Connection, manifest: &Manifest, auth: &AuthMethod) -> Connection {
    for field in manifest.app_fields().chain(auth.fields()) {
        let Some(when) = &field.shown_when else {
            continue;
        };
        let other = made
            .fields
            .get(&when.field)
            .or_else(|| made.credentials.get(&when.field))
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !when.values.iter().any(|value| value == other) {
            made.fields.shift_remove(&field.id);
            made.credentials.shift_remove(&field.id);
        }
    }
    made
}

/// The captures of a way to sign in, those of the discovery after it included.
fn declared<'m>(manifest: &'m Manifest, method: &str) -> Vec<(&'m str, &'m Capture)> {
    let own = manifest.auth.get(method).map(AuthMethod::captures);
    let found = manifest
        .discovery
        .iter()
        .filter(|step| step.is_for(method))
        .flat_map(|step| step.capture.iter().map(|(id, c)| (id.as_str(), c)));
    own.unwrap_or_default().into_iter().chain(found).collect()
}

/// Values of a public capture, which is judged by its format and suffixes, as a field is.
#[must_use]
pub fn captured(capture: &Capture) -> Vec<String> {
    let mut tried: Vec<String> = Vec::new();
    for suffix in &capture.suffixes {
        let name = format!("acme.{}", suffix.trim_start_matches('.'));
        tried.push(format!("https://{name}"));
        tried.push(name);
    }
    let usual = if capture.format == Format::Text {
        TEXTS
    } else {
        USUAL
    };
    tried.extend(usual.iter().map(|&text| text.to_owned()));
    let mut values: Vec<String> = Vec::new();
    for value in tried.iter().filter_map(|text| capture.check(text)) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// Puts in place of every secret, and of what only the host knows while it serves, what `placeholder` makes of its name
/// (`credentials.token`, `token.access_token`, `signature`).
pub fn fill_in(
    scope: &mut Scope,
    manifest: &Manifest,
    method: &str,
    placeholder: &mut dyn FnMut(&str) -> String,
) {
    let own = manifest.auth.get(method).map(AuthMethod::fields);
    let secrets = manifest
        .fields
        .iter()
        .map(|f| ("fields", f))
        .chain(own.unwrap_or_default().iter().map(|f| ("credentials", f)));
    let mut put = |root: &str, name: &str, path: &str| {
        let value = Value::String(placeholder(path));
        scope.set_value(root, name, value);
    };
    for (root, field) in secrets.filter(|(_, f)| f.secret) {
        put(root, &field.id, &format!("{root}.{}", field.id));
    }
    for (id, _) in declared(manifest, method).iter().filter(|(_, c)| !c.public) {
        put("capture", id, &format!("capture.{id}"));
    }
    for (root, names) in HOST_VALUES {
        for name in *names {
            put(root, name, &format!("{root}.{name}"));
        }
    }
    for name in ["signature", "timestamp", "nonce"] {
        let value = Value::String(placeholder(name));
        scope.set(name, value);
    }
    let second = manifest.auth.get(method).and_then(|m| m.oauth2());
    for name in second.into_iter().flat_map(|o| o.response.also.keys()) {
        let values: Map<String, Value> = ["access_token", "refresh_token", "id_token"]
            .iter()
            .map(|&part| {
                let text = placeholder(&format!("tokens.{name}.{part}"));
                (part.to_owned(), Value::String(text))
            })
            .collect();
        scope.set_value("tokens", name, Value::Object(values));
    }
}

/// Roots and names that the host fills in while it serves.
const HOST_VALUES: &[(&str, &[&str])] = &[
    ("token", &["access_token", "refresh_token", "id_token"]),
    ("app", &["client_id", "client_secret"]),
    ("account", &["id", "label"]),
    ("jwt", &["token"]),
    ("key", &["fingerprint"]),
    (
        "request",
        &["method", "path", "query", "body", "body_sha256", "host"],
    ),
    ("webhook", &["url", "secret"]),
];

#[cfg(test)]
mod tests;
