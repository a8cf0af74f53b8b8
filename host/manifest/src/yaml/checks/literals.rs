//! Secrets that were written down.
//!
//! V19 no real key, token or private key stands in a manifest or a fixture: it would be published with it, and whoever reads it can
//! use it.
//! Known forms are refused wherever they stand, samples and examples included; text that only looks random is refused where a
//! credential would go. The message never repeats what was found: reports end up in logs.

use std::sync::LazyLock;

use serde_json::Value;

use super::Checker;
use super::texts;
use crate::pattern::Pattern;
use crate::template::Template;

/// What a secret of a known form is called, and its form.
const FORMS: &[(&str, &str)] = &[
    ("an AWS access key", r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("a Slack token", r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}"),
    (
        "a Slack webhook address",
        r"hooks\.slack\.com/services/T[0-9A-Z]+/B[0-9A-Z]+/[0-9A-Za-z]{16,}",
    ),
    ("a Stripe key", r"\b[sr]k_(live|test)_[0-9A-Za-z]{16,}"),
    ("a Stripe webhook secret", r"\bwhsec_[0-9A-Za-z+/]{24,}"),
    (
        "a GitHub token",
        r"\bgh[pousr]_[0-9A-Za-z]{30,}|\bgithub_pat_[0-9A-Za-z_]{30,}",
    ),
    ("a GitLab token", r"\bglpat-[0-9A-Za-z_-]{20,}"),
    ("a Google API key", r"\bAIza[0-9A-Za-z_-]{35}"),
    ("a Google client secret", r"\bGOCSPX-[0-9A-Za-z_-]{20,}"),
    (
        "a SendGrid key",
        r"\bSG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}",
    ),
    ("a Shopify token", r"\bshp(at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("an npm token", r"\bnpm_[0-9A-Za-z]{36}"),
    ("a DigitalOcean token", r"\bdo[por]_v1_[0-9a-f]{64}"),
    ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    (
        "a signed token (JWT)",
        r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}",
    ),
    (
        "a password in an address",
        r"https?://[^/\s:@{}]+:[^/\s@{}]+@",
    ),
];

static PATTERNS: LazyLock<Vec<(&'static str, Pattern)>> = LazyLock::new(|| {
    FORMS
        .iter()
        .filter_map(|(name, form)| Some((*name, Pattern::parse(&of_bytes(form)).ok()?)))
        .collect()
});

/// All forms as one: nearly every text has none of them, and is read once instead of sixteen times.
static ANY: LazyLock<Option<Pattern>> = LazyLock::new(|| {
    let all: Vec<String> = FORMS
        .iter()
        .map(|(_, form)| format!("(?:{})", of_bytes(form)))
        .collect();
    Pattern::parse(&all.join("|")).ok()
});

/// A form with word boundaries as ASCII has them. Unicode's cost the engine its quick way through every text that is not
/// English: measured, they were more than a third of the time of all checks.
fn of_bytes(form: &str) -> String {
    form.replace(r"\b", r"(?-u:\b)")
}

/// Shortest run that can look random, in characters.
const MIN_RUN: usize = 24;
/// Bits per character from which a run looks random. English identifiers stay below 3.8, base64 of random bytes is near 4.5 at this
/// length, hexadecimal digits near 3.6 (so those are known by their alphabet).
const MIN_BITS: f64 = 4.0;

pub(super) fn check(c: &mut Checker<'_>) {
    for (path, text) in texts::all(c.tree) {
        if let Some(name) = secret_form(text) {
            say(c, &path, &format!("{name} is written down here"));
        } else if takes_credential(&path) && has_random_run(text) {
            say(c, &path, "this looks like a secret that is written down");
        }
    }
}

/// The places of a tree that have a secret of a known form, and what it is called.
pub(in crate::yaml) fn written(tree: &Value) -> Vec<(String, &'static str)> {
    let all = texts::all(tree).into_iter();
    all.filter_map(|(path, text)| Some((path, secret_form(text)?)))
        .collect()
}

/// What a text that has a secret of a known form is called: `a Stripe key`.
pub fn secret_form(text: &str) -> Option<&'static str> {
    let any = ANY.as_ref().is_none_or(|p| p.finds(text));
    let known = PATTERNS.iter().find(|(_, p)| any && p.finds(text));
    known.map(|(name, _)| *name)
}

fn say(c: &mut Checker<'_>, path: &str, message: &str) {
    c.error(
        "V19",
        path,
        message,
        Some("revoke it at the vendor, then ask for it in a field with `secret: true`"),
    );
}

/// Whether a place holds, or stands beside, what credentials are made of.
fn takes_credential(path: &str) -> bool {
    const WITHIN: &[&str] = &[
        "inject",
        "headers",
        "query",
        "token_params",
        "refresh_params",
        "authorize_params",
        "token_headers",
        "form",
        "json",
        "client",
        "params",
    ];
    const KEYS: &[&str] = &[
        "username",
        "password",
        "token",
        "token_secret",
        "key",
        "value",
        "default",
        "secret",
        "message",
        "secret_access_key",
        "access_key_id",
        "private_key",
    ];
    !texts::in_sample(path)
        && (KEYS.contains(&texts::last_key(path))
            || path.split(['.', '[']).any(|part| WITHIN.contains(&part)))
}

/// Whether the fixed text of a template has a run that looks random.
fn has_random_run(text: &str) -> bool {
    let Ok(template) = Template::parse(text) else {
        return false;
    };
    template.literals().any(|literal| {
        literal
            .split(|ch: char| !(ch.is_ascii_alphanumeric() || matches!(ch, '+' | '_' | '-' | '=')))
            .any(looks_random)
    })
}

fn looks_random(run: &str) -> bool {
    if run.len() < MIN_RUN {
        return false;
    }
    let has = |test: fn(&u8) -> bool| run.as_bytes().iter().any(test);
    if !has(u8::is_ascii_digit) || !has(u8::is_ascii_alphabetic) {
        return false;
    }
    let hex = run.len() >= 32 && run.bytes().all(|b| b.is_ascii_hexdigit());
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    hex || (mixed && bits(run) >= MIN_BITS)
}

/// Shannon entropy in bits per character.
fn bits(text: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = text.len() as f64;
    counts
        .iter()
        .filter(|n| **n > 0)
        .map(|n| {
            let share = f64::from(*n) / total;
            -share * share.log2()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_text_is_told_from_words() {
        for text in [
            "f3a9c1d2e4b5a6978877665544332211",
            "Bearer wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
            "{{ fields.a }}-Zx8Kq2Lm9Pv4Rt7Wy1Bn3Cd5",
        ] {
            assert!(has_random_run(text), "{text}");
        }
        for text in [
            "application/vnd.github+json",
            "{{ credentials.a_very_long_name_of_a_field_2 | base64 }}",
            "https://www.googleapis.com/auth/calendar.readonly",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "00000000-0000-0000-0000-000000000000",
            "application_x_www_form_urlencoded_2022-11-28",
        ] {
            assert!(!has_random_run(text), "{text}");
        }
    }

    #[test]
    fn every_form_compiles() {
        assert_eq!(PATTERNS.len(), FORMS.len());
        assert!(ANY.is_some());
    }
}
