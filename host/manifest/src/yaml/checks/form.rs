//! How tightly what people type is held.
//!
//! V21 what is no secret is not hidden from its owner · V26 a token's pattern leaves room for tokens of another length (vendors change
//! their form without a word) · V27 what becomes a host, a region or an address has a form.

use super::Checker;
use crate::model::{Field, Format};
use crate::yaml::places::{child, item};

/// Last words of an id that tell of something that people know and show.
const OPEN_WORDS: &[&str] = &[
    "email",
    "username",
    "subdomain",
    "domain",
    "host",
    "hostname",
    "region",
    "site",
    "url",
    "workspace",
];
/// Last words of an id that tell of a part of an address.
const ADDRESS_WORDS: &[&str] = &[
    "host",
    "hostname",
    "domain",
    "subdomain",
    "region",
    "site",
    "server",
    "datacenter",
    "dc",
    "url",
    "origin",
    "endpoint",
];

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    for (i, field) in m.fields.iter().enumerate() {
        one(c, &item("fields", i), field);
    }
    for (method, auth) in &m.auth {
        let path = child(&child("auth", method), "fields");
        for (i, field) in auth.fields().iter().enumerate() {
            one(c, &item(&path, i), field);
        }
    }
}

fn one(c: &mut Checker<'_>, path: &str, field: &Field) {
    let last = field.id.rsplit('_').next().unwrap_or_default();
    let shown = field.format.is_host_safe()
        || field.format == Format::Email
        || !field.choices.is_empty()
        || OPEN_WORDS.contains(&last);
    if field.secret && shown {
        c.warn(
            "V21",
            &child(path, "secret"),
            format!("`{}` is nothing to hide from its owner", field.id),
            Some("remove `secret: true`"),
        );
    }
    if let Some(pattern) = &field.pattern
        && field.secret
        && fixed_length(pattern.source())
    {
        c.warn(
            "V26",
            &child(path, "pattern"),
            "the pattern only takes tokens of one length, and vendors change it",
            Some("ask for a prefix or a shortest length: `{20,}`"),
        );
    }
    let free = field.format == Format::Text && field.pattern.is_none() && field.choices.is_empty();
    if free && !field.secret && ADDRESS_WORDS.contains(&last) {
        c.warn(
            "V27",
            path,
            format!(
                "`{}` takes anything, and a typing error only shows later",
                field.id
            ),
            Some("add `format:` (dns-label, host, origin, url), `choices:` or `pattern:`"),
        );
    }
}

/// Whether a pattern has a repetition of eight or more without room above: `{32}`, `{32,40}`.
fn fixed_length(pattern: &str) -> bool {
    pattern.split('{').skip(1).any(|rest| {
        let Some((count, _)) = rest.split_once('}') else {
            return false;
        };
        let (from, to) = match count.split_once(',') {
            Some((from, to)) => (from.parse::<u32>(), to.parse::<u32>()),
            None => (count.parse(), count.parse()),
        };
        matches!((from, to), (Ok(from), Ok(to)) if from >= 8 && to < from.saturating_mul(2))
    })
}
