//! V96: what of the language an app uses, and what of it its own component does. For reviewers; never a finding.
//!
//! Read from the typed manifest written out again, so that a default does not count as a use.

use serde_json::Value;

use crate::model::Manifest;

/// What an app uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Capabilities, in a fixed order.
    pub uses: Vec<&'static str>,
    /// Ways to sign in, by type.
    pub signs_in: Vec<String>,
    /// What the manifest leaves to the app's own component: `actions.create_note`, `test`.
    pub by_component: Vec<String>,
}

/// What must stand at one of some paths (`*` is any key or item): anything, or a text that contains something.
const CAPABILITIES: &[(&str, &[&str], Option<&str>)] = &[
    (
        "addresses built from fields",
        &[
            "api.base_url",
            "auth.*.base_url",
            "auth.*.authorize_url",
            "auth.*.token_url",
        ],
        Some("{{"),
    ),
    (
        "constant headers or parameters",
        &["api.headers.*", "api.query.*"],
        None,
    ),
    (
        "parameters of authorize, token or refresh requests",
        &[
            "auth.*.authorize_params.*",
            "auth.*.token_params.*",
            "auth.*.refresh_params.*",
        ],
        None,
    ),
    ("credential placed by hand", &["auth.*.inject.*"], None),
    (
        "scope separator or parameter",
        &[
            "auth.*.scopes.separator",
            "auth.*.scopes.param",
            "auth.*.scopes.extra.*",
        ],
        None,
    ),
    ("optional scopes", &["auth.*.scopes.optional.*"], None),
    (
        "client authentication other than in the body",
        &["auth.*.client_auth"],
        None,
    ),
    (
        "PKCE off or plain",
        &["auth.*.pkce.off", "auth.*.pkce.plain"],
        None,
    ),
    (
        "parameters renamed or dropped",
        &["auth.*.params.rename.*", "auth.*.params.drop.*"],
        None,
    ),
    ("captured values", &["auth.*.capture.*"], None),
    ("discovery after signing in", &["discovery.*"], None),
    (
        "token answer with a form of its own",
        &["auth.*.response.*"],
        None,
    ),
    ("separate refresh address", &["auth.*.refresh_url"], None),
    ("sign-in by own requests", &["auth.*.steps.*"], None),
    (
        "signed tokens or assertions",
        &[
            "auth.*.sign",
            "auth.*.steps.*.sign",
            "auth.*.assertion",
            "auth.*.client_assertion",
        ],
        None,
    ),
    ("API address per way to sign in", &["auth.*.base_url"], None),
    (
        "scopes built from fields",
        &["auth.*.scopes.default.*", "auth.*.scopes.optional.*"],
        Some("{{"),
    ),
    (
        "client certificate",
        &["auth.*.client_certificate", "auth.*.certificate"],
        None,
    ),
    ("signing recipes", &["recipes.*"], None),
    (
        "fallbacks",
        &["test.account.label", "test.account.id"],
        Some("default("),
    ),
    (
        "fields with choices, patterns or conditions",
        &[
            "fields.*.choices.*",
            "fields.*.pattern",
            "fields.*.shown_when",
            "auth.*.fields.*.choices.*",
            "auth.*.fields.*.pattern",
            "auth.*.fields.*.shown_when",
        ],
        None,
    ),
    ("callback verified", &["auth.*.callback.verify"], None),
    (
        "grant revoked at the app",
        &["auth.*.revoke.url", "auth.*.revoke.path"],
        None,
    ),
    (
        "test that looks at the body",
        &["test.ok.body", "auth.*.test.ok.body"],
        None,
    ),
    ("candidates of a test", &["test.any_of.*"], None),
    (
        "details of the authorize address",
        &["auth.*.authorize.*"],
        None,
    ),
    ("metadata of the vendor", &["auth.*.discover.*"], None),
    ("built on another app", &["extends"], None),
    ("variants", &["variants.choices.*"], None),
    (
        "pagination",
        &["actions.*.pagination", "triggers.*.pagination"],
        None,
    ),
    (
        "webhooks",
        &[
            "triggers.*.subscribe",
            "triggers.*.manual",
            "webhook.manual",
        ],
        None,
    ),
    ("migrations", &["migrations.*"], None),
];

/// All capabilities, in their order.
pub fn capabilities() -> impl Iterator<Item = &'static str> {
    CAPABILITIES.iter().map(|(name, ..)| *name)
}

/// Sums up what a manifest uses.
#[must_use]
pub fn coverage(manifest: &Manifest) -> Coverage {
    let Ok(tree) = serde_json::to_value(manifest) else {
        return Coverage::default();
    };
    let uses = CAPABILITIES
        .iter()
        .filter(|(_, paths, contains)| {
            paths.iter().any(|path| {
                at(&tree, path).into_iter().any(|v| match contains {
                    None => !v.is_null(),
                    Some(part) => v.as_str().is_some_and(|text| text.contains(part)),
                })
            })
        })
        .map(|(name, ..)| *name)
        .collect();
    let mut signs_in: Vec<String> = at(&tree, "auth.*.type")
        .into_iter()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect();
    signs_in.dedup();
    let mut by_component: Vec<String> = Vec::new();
    if tree.pointer("/test/code").is_some() {
        by_component.push("test".to_owned());
    }
    for kind in ["actions", "triggers"] {
        for (id, one) in tree
            .get(kind)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            if one.get("code") == Some(&Value::Bool(true)) {
                by_component.push(format!("{kind}.{id}"));
            }
        }
    }
    Coverage {
        uses,
        signs_in,
        by_component,
    }
}

/// All values at a path.
fn at<'v>(tree: &'v Value, path: &str) -> Vec<&'v Value> {
    path.split('.').fold(vec![tree], |found, step| {
        found
            .into_iter()
            .flat_map(|value| -> Vec<&'v Value> {
                match (step, value) {
                    ("*", Value::Object(map)) => map.values().collect(),
                    ("*", Value::Array(items)) => items.iter().collect(),
                    (key, value) => value.get(key).into_iter().collect(),
                }
            })
            .collect()
    })
}
