//! The filters that real apps need, and the environment that holds them. Nothing else is reachable from a template.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

/// Names of the filters, for messages and the reference page.
pub const FILTERS: &[&str] = &[
    "base64",
    "base64url",
    "urlencode",
    "hex",
    "sha256",
    "sha1",
    "sha512",
    "md5",
    "hmac_sha256",
    "hmac_sha1",
    "hmac_sha512",
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
    "json",
    "slice",
    "strip_prefix",
    "strip_suffix",
    "nth",
    "date",
    "iso8601",
    "unix_ms",
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
        None if matches!(value.kind(), ValueKind::Number | ValueKind::Bool) => {
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

/// HMAC-SHA1, for the apps that still sign with it.
pub(crate) fn hmac_sha1(key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(mac.finalize().into_bytes().to_vec())
}

/// HMAC-SHA512.
pub(crate) fn hmac_sha512(key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(mac.finalize().into_bytes().to_vec())
}

/// A whole number, also one that is written as text; fractions are cut off.
fn whole(value: &Value) -> Result<i64, Error> {
    value
        .as_i64()
        .or_else(|| value.as_str().and_then(|s| s.trim().parse().ok()))
        .or_else(|| {
            let float = f64::try_from(value.clone()).ok()?;
            // Beyond 2^53 a float no longer tells whole numbers apart.
            #[expect(
                clippy::cast_possible_truncation,
                reason = "cut off on purpose, within bounds"
            )]
            (float.abs() < 9_007_199_254_740_992.0).then_some(float.trunc() as i64)
        })
        .ok_or_else(|| bad("a whole number is needed"))
}

/// An index into a list of `len`; negative ones count from the end.
fn index(at: i64, len: usize) -> usize {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let at = if at < 0 { at.saturating_add(len) } else { at };
    usize::try_from(at.clamp(0, len)).unwrap_or(0)
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
    env.add_filter("sha1", |v: Value| {
        Ok::<_, Error>(hex(&Sha1::digest(text(&v)?)))
    });
    env.add_filter("sha512", |v: Value| {
        Ok::<_, Error>(hex(&Sha512::digest(text(&v)?)))
    });
    env.add_filter("md5", |v: Value| {
        Ok::<_, Error>(hex(&Md5::digest(text(&v)?)))
    });
    env.add_filter("hmac_sha1", |v: Value, key: Value| {
        hmac_sha1(text(&key)?.as_bytes(), text(&v)?.as_bytes())
            .map(|m| hex(&m))
            .ok_or_else(|| bad("bad key"))
    });
    env.add_filter("hmac_sha512", |v: Value, key: Value| {
        hmac_sha512(text(&key)?.as_bytes(), text(&v)?.as_bytes())
            .map(|m| hex(&m))
            .ok_or_else(|| bad("bad key"))
    });
    cutting(&mut env);
    times(&mut env);
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

/// Filters that take a part of something.
fn cutting(env: &mut Environment<'static>) {
    // Characters `from` to before `to`; negative numbers count from the end.
    env.add_filter("slice", |v: Value, from: i64, to: Option<i64>| {
        let chars: Vec<char> = text(&v)?.chars().collect();
        let to = to.map_or(chars.len(), |to| index(to, chars.len()));
        let from = index(from, chars.len());
        Ok::<_, Error>(
            chars
                .get(from..to)
                .unwrap_or_default()
                .iter()
                .collect::<String>(),
        )
    });
    env.add_filter("strip_prefix", |v: Value, prefix: String| {
        let text = text(&v)?;
        Ok::<_, Error>(text.strip_prefix(&prefix).unwrap_or(&text).to_owned())
    });
    env.add_filter("strip_suffix", |v: Value, suffix: String| {
        let text = text(&v)?;
        Ok::<_, Error>(text.strip_suffix(&suffix).unwrap_or(&text).to_owned())
    });
    // The item at a place, from 0; negative numbers count from the end.
    env.add_filter("nth", |v: Value, at: i64| {
        if v.as_str().is_some() {
            return Err(bad("a list is needed; split the text first"));
        }
        let items: Vec<Value> = v.try_iter()?.collect();
        let from_end = usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX);
        let at = if at < 0 {
            items.len().checked_sub(from_end)
        } else {
            Some(from_end)
        };
        Ok::<_, Error>(
            at.and_then(|at| items.get(at))
                .cloned()
                .unwrap_or(Value::UNDEFINED),
        )
    });
    env.add_filter("json", |v: Value| {
        serde_json::from_str::<serde_json::Value>(&text(&v)?)
            .map(|v| Value::from(minijinja::value::Serde(v)))
            .map_err(|_| bad("not JSON"))
    });
}

/// Filters of moments, given as Unix seconds.
fn times(env: &mut Environment<'static>) {
    env.add_filter("date", |v: Value, format: String| {
        super::time::date(whole(&v)?, &format)
            .ok_or_else(|| bad("the format has only %Y %m %d %H %M %S %y %j %e %a %b %s %F %T %%"))
    });
    env.add_filter("iso8601", |v: Value| {
        super::time::iso8601(whole(&v)?).ok_or_else(|| bad("not a moment"))
    });
    env.add_filter("unix_ms", |v: Value| {
        whole(&v)?
            .checked_mul(1000)
            .ok_or_else(|| bad("not a moment"))
    });
}
