//! V34, as a table: which keys each type and grant needs, and which fight its flow.

use serde_json::Value;

use crate::yaml::checks::Checker;
use crate::yaml::places::child;

/// What one type, with one grant, needs and never has.
struct Row {
    kind: &'static str,
    /// The value of `grant`; any if `None`.
    grant: Option<&'static str>,
    /// Keys with what they are for.
    needs: &'static [(&'static str, &'static str)],
    /// Keys that another type or grant has.
    never: &'static [&'static str],
}

const OF_A_PAGE: &[&str] = &[
    "authorize_url",
    "authorize_params",
    "authorize",
    "callback",
    "pkce",
    "issuer",
    "issuer_required",
];

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row {
        kind: "oauth2", grant: Some("authorization_code"),
        needs: &[("authorize_url", "the person is sent there"), ("token_url", "tokens are got there")],
        never: &["device_url", "assertion"],
    },
    Row {
        kind: "oauth2", grant: Some("client_credentials"),
        needs: &[("token_url", "tokens are got there")],
        never: &["device_url", "assertion"],
    },
    Row {
        kind: "oauth2", grant: Some("admin_consent"),
        needs: &[
            ("authorize_url", "the administrator is sent there"), ("token_url", "tokens are got there"),
            ("client", "the administrator's own is used, for the answer could name anybody's directory"),
        ],
        never: &["device_url", "assertion", "pkce"],
    },
    Row {
        kind: "oauth2", grant: Some("device"),
        needs: &[("device_url", "the device gets its code there"), ("token_url", "tokens are got there")],
        never: &["assertion"],
    },
    Row {
        kind: "oauth2", grant: Some("jwt_bearer"),
        needs: &[("token_url", "tokens are got there"), ("assertion", "it is exchanged for a token")],
        never: &["device_url"],
    },
    Row {
        kind: "oauth1", grant: Some("three_legged"),
        needs: &[
            ("request_token_url", "temporary credentials are got there"),
            ("authorize_url", "the person is sent there"),
            ("access_token_url", "tokens are got there"),
        ],
        never: &["token", "token_secret"],
    },
    Row {
        kind: "oauth1", grant: Some("token"),
        needs: &[("token", "it is pasted"), ("token_secret", "requests are signed with it")],
        never: &["request_token_url", "authorize_url", "access_token_url", "authorize_params", "capture"],
    },
    Row { kind: "session", grant: None, needs: &[("steps", "they are the sign-in")], never: &[] },
    Row { kind: "hmac", grant: None, needs: &[("inject", "the signature goes there")], never: &[] },
];

/// The grant that a type has if none is written.
fn usual_grant(kind: &str) -> Option<&'static str> {
    match kind {
        "oauth2" => Some("authorization_code"),
        "oauth1" => Some("three_legged"),
        _ => None,
    }
}

pub(super) fn check(c: &mut Checker<'_>, path: &str, method: &str) {
    let tree = c.tree;
    let Some(written) = tree.get("auth").and_then(|all| all.get(method)) else {
        return;
    };
    let text = |key: &str| written.get(key).and_then(Value::as_str);
    let kind = text("type").unwrap_or_default();
    let grant = text("grant").or_else(|| usual_grant(kind));
    let there = |key: &str| written.get(key).is_some_and(|v| !is_empty(v));
    let found_out = kind == "oauth2" && there("discover");
    for row in TABLE
        .iter()
        .filter(|r| r.kind == kind && (r.grant.is_none() || r.grant == grant))
    {
        for (key, why) in row.needs {
            if !(there(key) || found_out && key.ends_with("_url")) {
                c.error(
                    "V34",
                    path,
                    format!("`{key}` is missing: {why}"),
                    Some(&format!("add `{key}:`")),
                );
            }
        }
        let no_page =
            kind == "oauth2" && !matches!(grant, Some("authorization_code" | "admin_consent"));
        let never = row
            .never
            .iter()
            .chain(if no_page { OF_A_PAGE } else { &[] });
        for key in never.filter(|key| written.get(**key).is_some()) {
            let with = grant.unwrap_or(kind);
            c.error(
                "V34",
                &child(path, key),
                format!("`{key}` has no part in `{with}`"),
                Some(&format!("remove `{key}`")),
            );
        }
    }
    for (key, needs) in [("register", "discover"), ("issuer_required", "issuer")] {
        if kind == "oauth2" && written.get(key) == Some(&Value::Bool(true)) && !there(needs) {
            c.error(
                "V34",
                &child(path, key),
                format!("`{key}` goes with `{needs}`, and there is none"),
                Some(&format!("add `{needs}:`")),
            );
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
