//! Which findings only follow from a mend.
//!
//! The checks run over a manifest in which wrong values were replaced by something that fits. What they say of such a value,
//! of what lies below it, or because of it, is not the author's mistake and is not told. Rather one finding too few in this
//! run than one that is not true: the next run tells it.
//!
//! "Because of it" is written down here: what each rule looks at beyond the place that it reports.

use super::finding::Finding;
use super::places::within;

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was wrong; something that fits stands there now.
    Wrong,
    /// It was missing; something that fits stands there now.
    Missing,
    /// An unknown key is read as the known one that it looks like.
    Guessed,
    /// An unknown key was taken out.
    Removed,
}

/// One place that was mended.
#[derive(Debug)]
pub(super) struct Mend {
    pub(super) path: String,
    pub(super) kind: Kind,
    /// What stood there, as JSON: what it names counts as used.
    pub(super) text: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Mends(Vec<Mend>);

/// Rules that report at a value what one of its parts lacks, and which parts. Other rules look at the whole value.
const LOOKS_AT: &[(&str, &[&str])] = &[
    ("V33", &["request", "code", "subscribe"]),
    (
        "V34",
        &[
            "fields",
            "inject",
            "username",
            "password",
            "token",
            "type",
            "grant",
            "discover",
            "authorize_url",
            "token_url",
            "device_url",
            "assertion",
            "sign",
            "steps",
        ],
    ),
    ("V51", &["revoke", "logout", "type", "none"]),
    ("V65", &["sample", "output"]),
    ("V66", &["dedupe", "kind"]),
    ("V67", &["subscribe", "unsubscribe", "verify", "kind"]),
    // Of the test everything decides which fixture shows what; of a way to sign in, only what it is.
    (
        "V95",
        &[
            "type", "steps", "grant", "id", "request", "ok", "account", "failures", "any_of",
            "none", "code", "capture", "exchange", "refresh", "callback",
        ],
    ),
];

/// Parts of a field or capture that decide how others may use it.
const DECIDES: &[&str] = &[
    "id", "secret", "public", "format", "suffixes", "suffix", "choices", "pattern", "path",
    "callback", "header", "cookie", "claim", "default", "hidden", "required",
];

impl Mends {
    pub(super) fn add(&mut self, mend: Mend) {
        self.0.push(mend);
    }

    /// Whether something other than unknown keys was mended.
    pub(super) fn stand_ins(&self) -> bool {
        self.0.iter().any(|m| m.kind != Kind::Removed)
    }

    /// Whether a path lies in a value that is only guessed to be meant.
    pub(super) fn guessed(&self, path: &str) -> bool {
        self.0
            .iter()
            .any(|m| m.kind == Kind::Guessed && within(path, &m.path) && path != m.path)
            || self
                .0
                .iter()
                .any(|m| m.kind == Kind::Guessed && m.path == path && !m.text.is_empty())
    }

    /// Whether a part of the manifest is not what the author wrote: it, something in it, or something around it.
    pub(super) fn touch(&self, part: &str) -> bool {
        self.0
            .iter()
            .any(|m| within(&m.path, part) || within(part, &m.path))
    }

    /// Whether a finding is about a mend, or follows from one.
    pub(super) fn hide(&self, f: &Finding) -> bool {
        self.0.iter().any(|m| follows(f, m))
    }
}

fn follows(f: &Finding, m: &Mend) -> bool {
    // What is not used may be used by what was wrong.
    if f.rule == "V15" {
        let name = f.message.split('`').nth(1).unwrap_or_default();
        let id = m.kind == Kind::Wrong && within(&m.path, &f.path);
        return m.kind == Kind::Missing || id || within(&f.path, &m.path) || m.text.contains(name);
    }
    if m.kind == Kind::Removed {
        return false;
    }
    // In a file beside the manifest; whether it follows from a mend was decided there.
    if f.file.is_some() {
        return false;
    }
    if within(&f.path, &m.path) {
        return true;
    }
    if within(&m.path, &f.path) {
        if f.path.is_empty() || f.path == "auth" {
            return true;
        }
        let rest = m.path.get(f.path.len()..).unwrap_or_default();
        let part = rest
            .trim_start_matches('.')
            .split(['.', '['])
            .next()
            .unwrap_or_default();
        return LOOKS_AT
            .iter()
            .find(|(rule, _)| *rule == f.rule)
            .is_none_or(|(_, parts)| part.is_empty() || parts.contains(&part));
    }
    elsewhere(f.rule, &m.path)
}

/// What rules look at beyond their own place.
fn elsewhere(rule: &str, mend: &str) -> bool {
    let parts: Vec<&str> = mend
        .split(['.', '['])
        .map(|part| part.trim_end_matches(']'))
        .collect();
    let (head, third, fourth) = (
        parts.first().copied().unwrap_or_default(),
        parts.get(2).copied(),
        parts.get(3).copied(),
    );
    match rule {
        // What is declared, and as what.
        "V14" | "V16" | "V18" | "V21" | "V22" | "V31" | "V34" | "V46" | "V47" => match head {
            "fields" => third.is_none_or(|key| DECIDES.contains(&key)),
            "auth" => match third {
                None | Some("type" | "steps" | "grant") => true,
                Some("fields" | "capture") => {
                    fourth.is_none() || parts.get(4).is_none_or(|key| DECIDES.contains(key))
                }
                Some("inject") => rule == "V34",
                _ => false,
            },
            "variants" | "discovery" => true,
            "self_hosted" => rule == "V31",
            "api" | "component" | "recipes" | "handles" => rule == "V34",
            "triggers" => rule == "V14",
            _ => false,
        },
        // Which hosts there are, and which of them get a credential.
        "V32" => head == "self_hosted",
        "V33" | "V42" => matches!(head, "api" | "component" | "variants"),
        "V40" => matches!(head, "component" | "test") || third == Some("type"),
        // Headers that the host fills in.
        "V57" => {
            (head == "api" && matches!(parts.get(1), None | Some(&"headers")))
                || (head == "auth" && matches!(third, None | Some("inject" | "type")))
        }
        // Scopes that are asked for.
        "V06" | "V35" | "V39" | "V45" | "V48" => {
            head == "auth" && matches!(third, None | Some("type" | "scopes" | "authorize_params"))
        }
        // What an action says of itself.
        "V41" | "V60" | "V70" => head == "actions" && third == Some("effect"),
        "V62" | "V63" => matches!(head, "actions" | "triggers"),
        "V29" => mend.ends_with("help_url") || mend.ends_with("help"),
        _ => false,
    }
}
