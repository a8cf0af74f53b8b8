//! The filters that real apps need, and the environment that holds them. Nothing else is reachable from a template.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use minijinja::value::{Rest, Value};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use sha2::{Digest as _, Sha256};

/// Names of the filters, for messages and the reference page.
pub const FILTERS: &[&str] = &[
    "base64",
    "base64url",
    "urlencode",
    "hex",
    "sha256",
    "hmac_sha256",
    "lower",
    "upper",
    "trim",
    "split",
    "join",
    "first",
    "last",
    "length",
    "replace",
    "default",
    "int",
    "string",
    "tojson",
];

/// Steps that one expression may take.
const FUEL: u64 = 10_000;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(build);

/// The one environment: filters, no functions, no loaders, no templates.
pub(super) fn environment() -> &'static Environment<'static> {
    &ENVIRONMENT
}

fn bad(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

/// A scalar as text. Refuses lists, objects and nothing.
fn text(value: &Value) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    match value.as_str() {
        Some(s) => Ok(s.to_owned()),
        None if value.is_number() || value.is_true() || *value == Value::from(false) => {
            Ok(value.to_string())
        }
        None => Err(bad("text is needed")),
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// HMAC-SHA256. A key of any length is valid, so this cannot fail for a reason of the caller's.
pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(mac.finalize().into_bytes().to_vec())
}

fn build() -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(32);
    env.add_filter("base64", |v: Value| {
        Ok::<_, Error>(STANDARD.encode(text(&v)?))
    });
    env.add_filter("base64url", |v: Value| {
        Ok::<_, Error>(URL_SAFE_NO_PAD.encode(text(&v)?))
    });
    env.add_filter("urlencode", |v: Value| {
        let mut out = String::new();
        super::escape::percent(&text(&v)?, &mut out);
        Ok::<_, Error>(out)
    });
    env.add_filter("hex", |v: Value| Ok::<_, Error>(hex(text(&v)?.as_bytes())));
    env.add_filter("sha256", |v: Value| {
        Ok::<_, Error>(hex(&Sha256::digest(text(&v)?)))
    });
    // `message | hmac_sha256(key)`, as hexadecimal.
    env.add_filter("hmac_sha256", |v: Value, key: Value| {
        hmac_sha256(text(&key)?.as_bytes(), text(&v)?.as_bytes())
            .map(|m| hex(&m))
            .ok_or_else(|| bad("bad key"))
    });
    env.add_filter("lower", |v: Value| Ok::<_, Error>(text(&v)?.to_lowercase()));
    env.add_filter("upper", |v: Value| Ok::<_, Error>(text(&v)?.to_uppercase()));
    env.add_filter("trim", |v: Value| {
        Ok::<_, Error>(text(&v)?.trim().to_owned())
    });
    env.add_filter("split", |v: Value, by: String| {
        Ok::<_, Error>(
            text(&v)?
                .split(by.as_str())
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    });
    env.add_filter("join", |v: Value, by: String| {
        let items = v
            .try_iter()?
            .map(|i| text(&i))
            .collect::<Result<Vec<_>, _>>()?;
        Ok::<_, Error>(items.join(&by))
    });
    env.add_filter("first", |v: Value| {
        Ok::<_, Error>(v.try_iter()?.next().unwrap_or(Value::UNDEFINED))
    });
    env.add_filter("last", |v: Value| {
        Ok::<_, Error>(v.try_iter()?.last().unwrap_or(Value::UNDEFINED))
    });
    env.add_filter("length", |v: Value| {
        v.len().ok_or_else(|| bad("it has no length"))
    });
    env.add_filter("replace", |v: Value, from: String, to: String| {
        Ok::<_, Error>(text(&v)?.replace(from.as_str(), &to))
    });
    env.add_filter("default", |v: Value, other: Rest<Value>| {
        if v.is_undefined() || v.is_none() || v.as_str() == Some("") {
            other.first().cloned().unwrap_or_else(|| Value::from(""))
        } else {
            v
        }
    });
    env.add_filter("int", |v: Value| {
        v.as_i64()
            .or_else(|| v.as_str().and_then(|s| s.trim().parse::<i64>().ok()))
            .ok_or_else(|| bad("a whole number is needed"))
    });
    env.add_filter("string", |v: Value| text(&v));
    env.add_filter("tojson", |v: Value| {
        serde_json::to_string(&v).map_err(|_| bad("not JSON"))
    });
    env
}
