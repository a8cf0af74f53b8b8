//! Which groups of values exist where: the phases of a connection, as lists.

use super::super::signin::Captures;

/// What a place may read.
pub(super) struct Place<'m> {
    pub(super) roots: &'static [&'static str],
    pub(super) secrets: bool,
    pub(super) methods: Vec<&'m str>,
    /// Which captures exist by then.
    pub(super) captures: Captures<'m>,
}

pub(super) const INJECT: &[&str] = &["fields", "credentials", "capture", "token", "app", "now"];
pub(super) const API: &[&str] = &["fields", "credentials", "capture"];
pub(super) const REQUEST: &[&str] = &["fields", "credentials", "capture", "now"];
pub(super) const ANSWER: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "now",
    "body",
    "headers",
    "status",
];
pub(super) const ACTION: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "account",
    "input",
    "now",
];
pub(super) const TRIGGER: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "account",
    "input",
    "cursor",
    "now",
];
pub(super) const EVENT: &[&str] = &[
    "fields", "capture", "input", "cursor", "item", "body", "headers", "status", "now",
];
/// An item of a list that a person chooses from.
pub(super) const ITEM: &[&str] = &["fields", "capture", "item", "body", "headers", "status"];
pub(super) const SUBSCRIBE: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "account",
    "input",
    "now",
    "webhook",
];
pub(super) const UNSUBSCRIBE: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "account",
    "input",
    "now",
    "webhook",
    "subscription",
];
/// A call that the app makes: its body and headers, and what was agreed with it.
pub(super) const HOOK: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "app",
    "webhook",
    "subscription",
    "request",
    "body",
    "headers",
    "now",
];
/// Whose a call is, as it says, and whose the connection is.
pub(super) const TENANT: &[&str] = &["fields", "capture", "account", "input", "body", "headers"];
/// A call to an app's one address: it is checked before anybody knows whose it is.
pub(super) const APP_HOOK: &[&str] = &["app", "webhook", "request", "body", "headers", "now"];
/// What such a call says, and what a connection is known by: never what a person typed.
pub(super) const CALL: &[&str] = &["body", "headers"];
pub(super) const KNOWN_BY: &[&str] = &["capture", "account"];
pub(super) const WISH: &[&str] = &["input"];
pub(super) const RECIPE: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "token",
    "app",
    "args",
    "key",
    "now",
];

/// Names that groups of the host's own have.
pub(super) const KNOWN: &[(&str, &[&str])] = &[
    ("token", &["access_token", "refresh_token"]),
    ("app", &["client_id", "client_secret"]),
    ("account", &["id", "label"]),
    ("webhook", &["url", "secret"]),
    ("jwt", &["token"]),
    ("key", &["fingerprint"]),
    (
        "request",
        &["method", "path", "query", "body", "body_sha256", "host"],
    ),
];
