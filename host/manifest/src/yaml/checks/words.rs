//! What people read.
//!
//! V28 labels are short and begin like a label, help says more than the label · V29 whoever asks for a key says where it is ·
//! V30 links lead to web pages, and no text carries HTML (texts are shown on pages: `javascript:` there runs as the owner) ·
//! V74 names like API, URL and OAuth are spelt as everybody spells them.

use std::sync::LazyLock;

use super::Checker;
use super::texts;
use crate::model::{AuthMethod, Field};
use crate::pattern::Pattern;
use crate::yaml::places::{child, item};

/// Longest label, in characters.
const MAX_LABEL: usize = 60;
/// Shortest help that helps, in characters.
const MIN_HELP: usize = 10;

/// Keys whose text is shown to people.
const SHOWN: &[&str] = &[
    "label",
    "help",
    "summary",
    "description",
    "title",
    "say",
    "reconnect",
    "manual",
    "group",
    "name",
];
/// Keys whose text is an address to click.
const LINKS: &[&str] = &["help_url", "home", "docs", "support", "register"];

static HTML: LazyLock<Option<Pattern>> =
    LazyLock::new(|| Pattern::parse(r"</?[A-Za-z][A-Za-z0-9]*(\s[^<>]*)?/?>|<!--").ok());
static SCRIPT: LazyLock<Option<Pattern>> =
    LazyLock::new(|| Pattern::parse(r"(?i)(?-u:\b)(javascript|vbscript|data)\s*:\s*[^\s]").ok());
static LINK: LazyLock<Option<Pattern>> = LazyLock::new(|| Pattern::parse(r"\]\(\s*([^)\s]*)").ok());

/// Wrong spellings as whole words, and the right ones. All lower case is left alone: scopes and parameters are named so.
const SPELLINGS: &[(&str, &str)] = &[
    ("Api", "API"),
    ("Url", "URL"),
    ("Oauth", "OAuth"),
    ("OAUTH", "OAuth"),
    ("Oauth2", "OAuth 2.0"),
    ("Id", "ID"),
    ("Json", "JSON"),
    ("Http", "HTTP"),
    ("Jwt", "JWT"),
];

pub(super) fn check(c: &mut Checker<'_>) {
    for (path, text) in texts::all(c.tree) {
        if texts::in_sample(&path) {
            continue;
        }
        let key = texts::last_key(&path);
        if LINKS.contains(&key) && (key == "help_url" || path.starts_with("links.")) {
            link(c, &path, text);
        }
        if SHOWN.contains(&key) {
            shown(c, &path, text);
        }
    }
    let m = c.manifest;
    for (i, field) in m.fields.iter().enumerate() {
        self::field(c, &item("fields", i), field);
    }
    for (method, auth) in &m.auth {
        let path = child("auth", method);
        label(c, &path, auth.label(), auth.help());
        for (i, field) in auth.fields().iter().enumerate() {
            // Fields that a method has by itself are not written and need nothing said about them.
            if c.tree
                .pointer(&format!("/auth/{method}/fields/{i}"))
                .is_none()
            {
                continue;
            }
            let path = item(&child(&path, "fields"), i);
            self::field(c, &path, field);
            where_it_is(c, &path, auth, field);
        }
    }
}

/// V30: what is clicked leads to a web page.
fn link(c: &mut Checker<'_>, path: &str, text: &str) {
    let good = url::Url::parse(text)
        .is_ok_and(|u| matches!(u.scheme(), "https" | "http") && u.host().is_some());
    if !good {
        c.error(
            "V30",
            path,
            "this link does not lead to a web page",
            Some("write an address that starts with https://"),
        );
    }
}

/// V30, V74 for a text that is shown.
fn shown(c: &mut Checker<'_>, path: &str, text: &str) {
    if HTML.as_ref().is_some_and(|p| p.finds(text)) {
        c.error(
            "V30",
            path,
            "texts carry no HTML",
            Some("write plain text; a link is `[text](https://…)`"),
        );
    }
    if SCRIPT.as_ref().is_some_and(|p| p.finds(text)) {
        c.error(
            "V30",
            path,
            "an address like this could run code on the page that shows it",
            Some("link to a page with https://"),
        );
    } else if LINK.is_some() {
        for target in text.split("](").skip(1) {
            let target = target.split([')', ' ']).next().unwrap_or_default();
            link(c, path, target);
        }
    }
    if text.trim() != text || text.contains("  ") {
        c.note("V74", path, "there are spaces too many");
    }
    let words = text.split(|ch: char| {
        !(ch.is_alphanumeric() || matches!(ch, '_' | '-' | '.' | '/' | ':' | '@'))
    });
    for word in words.map(|w| w.trim_matches(['.', ':'])) {
        if let Some((wrong, right)) = SPELLINGS.iter().find(|(wrong, _)| *wrong == word) {
            c.note("V74", path, format!("`{wrong}` is mostly spelt {right}"));
        }
    }
}

/// V28.
fn label(c: &mut Checker<'_>, path: &str, label: &str, help: Option<&str>) {
    let at = child(path, "label");
    let first = label.chars().next();
    // `iCloud`, `npm`: names that begin small are at home here too.
    let begins = first.is_none_or(|ch| !ch.is_lowercase())
        || label.chars().nth(1).is_some_and(char::is_uppercase)
        || c.manifest.name.split(' ').next() == label.split(' ').next();
    if label.chars().count() > MAX_LABEL {
        c.warn(
            "V28",
            &at,
            format!("the label is longer than {MAX_LABEL} characters"),
            Some("put the rest into `help`"),
        );
    } else if !begins {
        c.warn("V28", &at, "a label begins with a capital letter", None);
    } else if label.ends_with([':', '.']) {
        c.warn(
            "V28",
            &at,
            "a label has no full stop or colon at its end",
            None,
        );
    }
    if let Some(help) = help {
        let same = help
            .trim()
            .trim_end_matches('.')
            .eq_ignore_ascii_case(label.trim());
        if same || help.trim().chars().count() < MIN_HELP {
            c.warn(
                "V28",
                &child(path, "help"),
                "the help says no more than the label",
                Some("say where the value is found, or remove it"),
            );
        }
    }
}

fn field(c: &mut Checker<'_>, path: &str, field: &Field) {
    label(c, path, &field.label, field.help.as_deref());
}

/// V29: a key is somewhere at the vendor's, and a link says where. A person's own password is not; nor has an app that people run
/// themselves one address. An owner's OAuth client is found through `links.register`.
fn where_it_is(c: &mut Checker<'_>, path: &str, auth: &AuthMethod, field: &Field) {
    let own = format!("{} {}", field.id, field.label).to_lowercase();
    let registered = auth.oauth2().is_some() && c.manifest.links.register.is_some();
    let linked = |text: Option<&str>| text.is_some_and(|t| t.contains("https://"));
    if !field.secret
        || registered
        || c.manifest.self_hosted
        || ["password", "passphrase", "pin"]
            .iter()
            .any(|w| own.contains(w))
        || field.help_url.is_some()
        || linked(field.help.as_deref())
        || linked(auth.help())
    {
        return;
    }
    c.warn(
        "V29",
        path,
        format!("nothing links to where `{}` is found", field.id),
        Some("add `help_url:` with the vendor's page"),
    );
}
