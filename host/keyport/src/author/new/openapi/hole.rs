//! One hole of a server's URL: a field, a choice, a constant, or nothing that can be used.
//!
//! The threat is a value that sends a credential to somebody else's server. So a value that people type fills one label under
//! an ending that somebody owns (`{{ x }}.acme.com`, never `{{ x }}.co.uk`), or the whole host of an app that people run
//! themselves; and nothing that looks like a credential stands in an address at all.

use serde_json::Value;

use super::super::draft::Field;
use super::super::text::{field_id, title};
use super::servers::is_public;

/// A hole of a server's URL.
#[derive(Debug, Clone, Default)]
pub struct Variable {
    default: Option<String>,
    choices: Vec<String>,
}

/// A variable as a server declares it.
pub fn variable(variables: Option<&Value>, name: &str) -> Variable {
    // A value that is a hole itself (`{accountName}`) says nothing.
    let text = |v: &Value| match v {
        Value::String(t) => Some(t.clone()).filter(|t| !t.contains(['{', '}', '<', '>'])),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    };
    let Some(one) = variables.and_then(|v| v.get(name)) else {
        return Variable::default();
    };
    let choices = one.get("enum").and_then(Value::as_array);
    let mut unique: Vec<String> = Vec::new();
    for choice in choices.into_iter().flatten().filter_map(text) {
        if !unique.contains(&choice) {
            unique.push(choice);
        }
    }
    Variable {
        default: one.get("default").and_then(text).filter(|d| !d.is_empty()),
        choices: unique,
    }
}

/// What becomes of one hole.
pub enum Hole {
    /// It always has this value.
    Constant(String),
    /// People are asked for it; true if it decides the whole host.
    Field(Box<Field>, bool),
    /// Nothing safe can stand there.
    Unusable,
}

/// What becomes of the hole `name`, which stands between `before` and `after`.
pub fn hole(name: &str, variable: &Variable, before: &str, after: &str, in_host: bool) -> Hole {
    let default = variable.default.clone();
    let lower = name.to_ascii_lowercase();
    let Some(id) = field_id(name) else {
        return default.map_or(Hole::Unusable, Hole::Constant);
    };
    let constant = matches!(
        lower.as_str(),
        "basepath" | "version" | "apiversion" | "api_version" | "protocol" | "scheme"
    );
    if let (true, Some(default)) = (constant || variable.choices.len() == 1, &default) {
        return Hole::Constant(default.clone());
    }
    // A port, a list of hosts, or something that is one label only in part: only the default is safe.
    if before.ends_with(':') {
        return default.map_or(Hole::Unusable, Hole::Constant);
    }
    if looks_secret(&id) {
        return Hole::Unusable;
    }
    let field = Field {
        label: title(&id),
        id,
        ..Field::default()
    };
    let part = |text: &str| !text.is_empty() && text.split('.').all(is_label);
    if variable.choices.len() > 1 {
        let safe = if in_host {
            variable.choices.iter().all(|c| part(c))
        } else {
            variable.choices.iter().all(|c| {
                !c.is_empty()
                    && c.chars()
                        .all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c))
            })
        };
        return match (safe, default) {
            (true, default) => Hole::Field(
                Box::new(Field {
                    default: default.filter(|d| variable.choices.contains(d)),
                    choices: variable.choices.clone(),
                    ..field
                }),
                false,
            ),
            (false, Some(default)) => Hole::Constant(default),
            (false, None) => Hole::Unusable,
        };
    }
    if before.is_empty() || before == "https://" {
        whole_or_label(field, default, before.is_empty(), after)
    } else if in_host {
        label(field, default, before.ends_with('.'), after)
    } else {
        match default {
            Some(default) => Hole::Constant(default),
            None => Hole::Field(Box::new(field), false),
        }
    }
}

/// The first hole of an address: a label under a fixed ending, or all of the host.
fn whole_or_label(field: Field, default: Option<String>, origin: bool, after: &str) -> Hole {
    let ends = after.is_empty() || after.starts_with(['/', ':']);
    if !ends {
        return label(field, default, true, after);
    }
    let format = if origin { "origin" } else { "host" };
    if let Some(default) = default
        .filter(|d| !origin && is_public(&format!("https://{d}")) && d.split('.').all(is_label))
    {
        // A host that is really there is the vendor's own, unless the document speaks of others.
        return Hole::Constant(default);
    }
    let example = if origin {
        "https://api.acme.net"
    } else {
        "api.acme.net"
    };
    Hole::Field(
        Box::new(Field {
            format: Some(format),
            example: Some(example.to_owned()),
            ..field
        }),
        true,
    )
}

/// One label of a host.
fn label(field: Field, default: Option<String>, begins: bool, after: &str) -> Hole {
    let ending = after.split(['/', ':']).next().unwrap_or_default();
    let fixed = ending.rsplit('}').next().unwrap_or_default();
    // What follows may be a hole that turns out to be a constant; the finished address is looked at once more.
    let under =
        ending.starts_with('.') && (ending.starts_with(".{") || is_owned(fixed.trim_matches('.')));
    if let Some(default) = default
        .as_ref()
        .filter(|d| d.contains('.') || !begins || !under)
    {
        return if default.split('.').all(is_label) {
            Hole::Constant(default.clone())
        } else {
            Hole::Unusable
        };
    }
    if !begins || !under {
        return Hole::Unusable;
    }
    let suffix = (!ending.contains('{')).then(|| ending.to_owned());
    Hole::Field(
        Box::new(Field {
            format: Some("dns-label"),
            prefix: suffix.is_some().then(|| "https://".to_owned()),
            suffix,
            example: Some("acme".to_owned()),
            ..field
        }),
        false,
    )
}

/// One label of a host name.
pub fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether a part of an address would be a credential; those never stand in a path or host.
fn looks_secret(id: &str) -> bool {
    id.split('_').any(|w| {
        matches!(
            w,
            "token" | "secret" | "password" | "key" | "apikey" | "pin" | "credential"
        )
    })
}

/// Whether an ending is one that somebody owns: two labels or more, and not a registry's `co.uk`.
pub fn is_owned(ending: &str) -> bool {
    const SECOND: &[&str] = &[
        "com", "co", "org", "net", "gov", "edu", "ac", "or", "ne", "gob", "mil",
    ];
    let labels: Vec<&str> = ending.split('.').filter(|l| !l.is_empty()).collect();
    match labels.as_slice() {
        [] | [_] => false,
        [second, top] => !(top.len() == 2 && SECOND.contains(second)),
        _ => true,
    }
}

/// A first label that stands for the reader's own: `your-domain.acme.com` is meant as `{your_domain}.acme.com`.
pub fn spelled_out(url: &str) -> Option<String> {
    const OWN: &[&str] = &[
        "subdomain",
        "mycompany",
        "yourcompany",
        "yoursubdomain",
        "yourdomain",
        "yourinstance",
        "yourtenant",
        "yourstore",
        "yoursite",
        "youraccount",
        "mydomain",
        "mytenant",
        "tenant",
        "companyname",
        "storename",
    ];
    let rest = url.strip_prefix("https://")?;
    let (first, after) = rest.split_once('.')?;
    let ending = after.split(['/', ':']).next().unwrap_or_default();
    let plain: String = first
        .to_ascii_lowercase()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let own = OWN.contains(&plain.as_str())
        || first.to_ascii_lowercase().starts_with("your-")
        || first.starts_with('<') && first.ends_with('>');
    let id = field_id(first.trim_matches(['<', '>']))?;
    (own && is_owned(ending)).then(|| {
        format!(
            "https://{{{}}}.{after}",
            id.trim_start_matches("your_").trim_start_matches("my_")
        )
    })
}
