//! What is known of vendors' sign-in servers and easily forgotten.
//!
//! V06 parameters, scopes and client authentication without which a well-known server gives no refresh token, or nothing at all ·
//! V38 endpoints, scopes and grants that their vendors have retired.
//!
//! The tables hold facts from the vendors' documentation; a manifest that knows better says so with an `# allow`. Servers that people run
//! themselves are not in here.

use super::Checker;
use super::texts;
use crate::model::{ClientAuth, Oauth2};
use crate::yaml::places::child;

/// What one sign-in server wants.
struct Vendor {
    name: &'static str,
    /// The host of its authorization URL, or the end of it after a dot.
    host: &'static str,
    /// Parameters of the authorization URL; the value must contain the word given.
    params: &'static [(&'static str, &'static str)],
    /// Scopes of which one must be asked for.
    scopes: &'static [&'static str],
    client_auth: Option<ClientAuth>,
    /// What else is true of it without this.
    why: &'static str,
}

const NO_REFRESH: &str = "gives no refresh token without it";

const fn vendor(name: &'static str, host: &'static str) -> Vendor {
    Vendor {
        name,
        host,
        params: &[],
        scopes: &[],
        client_auth: None,
        why: NO_REFRESH,
    }
}

const VENDORS: &[Vendor] = &[
    Vendor {
        params: &[("access_type", "offline"), ("prompt", "consent")],
        ..vendor("Google", "accounts.google.com")
    },
    Vendor {
        scopes: &["offline_access", "https://graph.microsoft.com/.default"],
        ..vendor("Microsoft", "login.microsoftonline.com")
    },
    Vendor {
        params: &[("audience", "api.atlassian.com"), ("prompt", "consent")],
        scopes: &["offline_access"],
        ..vendor("Atlassian", "auth.atlassian.com")
    },
    Vendor {
        params: &[("token_access_type", "offline")],
        ..vendor("Dropbox", "dropbox.com")
    },
    Vendor {
        params: &[("duration", "permanent")],
        client_auth: Some(ClientAuth::Basic),
        ..vendor("Reddit", "reddit.com")
    },
    Vendor {
        scopes: &["offline_access"],
        ..vendor("Xero", "login.xero.com")
    },
    Vendor {
        scopes: &["refresh_token", "offline_access"],
        ..vendor("Salesforce", "salesforce.com")
    },
    Vendor {
        scopes: &["offline.access"],
        ..vendor("X", "x.com")
    },
    Vendor {
        scopes: &["offline.access"],
        ..vendor("X", "twitter.com")
    },
    Vendor {
        scopes: &["offline_access"],
        ..vendor("Okta", "okta.com")
    },
    Vendor {
        scopes: &["offline_access"],
        ..vendor("Auth0", "auth0.com")
    },
    Vendor {
        client_auth: Some(ClientAuth::Basic),
        why: "refuses token requests without it",
        ..vendor("Zoom", "zoom.us")
    },
    Vendor {
        client_auth: Some(ClientAuth::Basic),
        params: &[("owner", "user")],
        why: "refuses the flow without it",
        ..vendor("Notion", "api.notion.com")
    },
    Vendor {
        client_auth: Some(ClientAuth::Basic),
        why: "refuses token requests without it",
        ..vendor("Fitbit", "fitbit.com")
    },
    Vendor {
        client_auth: Some(ClientAuth::Basic),
        why: "refuses token requests without it",
        ..vendor("QuickBooks", "appcenter.intuit.com")
    },
];

/// What was retired: part of an address, or a scope; and what took its place.
struct Retired {
    what: &'static str,
    /// Whether it is a scope, and not part of an address.
    scope: bool,
    instead: &'static str,
}

const fn address(what: &'static str, instead: &'static str) -> Retired {
    Retired {
        what,
        scope: false,
        instead,
    }
}

const fn scope(what: &'static str, instead: &'static str) -> Retired {
    Retired {
        what,
        scope: true,
        instead,
    }
}

const RETIRED: &[Retired] = &[
    address(
        "slack.com/oauth/authorize",
        "use https://slack.com/oauth/v2/authorize",
    ),
    address(
        "slack.com/api/oauth.access",
        "use https://slack.com/api/oauth.v2.access",
    ),
    address(
        "www.linkedin.com/uas/oauth2/",
        "use https://www.linkedin.com/oauth/v2/",
    ),
    address(
        "accounts.google.com/o/oauth2/token",
        "use https://oauth2.googleapis.com/token",
    ),
    address(
        "www.googleapis.com/oauth2/v3/token",
        "use https://oauth2.googleapis.com/token",
    ),
    address(
        "www.googleapis.com/oauth2/v4/token",
        "use https://oauth2.googleapis.com/token",
    ),
    address(
        "graph.windows.net",
        "use Microsoft Graph: https://graph.microsoft.com",
    ),
    address(
        "www.dropbox.com/1/oauth2/",
        "use https://www.dropbox.com/oauth2/authorize",
    ),
    address("api.dropbox.com/1/", "use https://api.dropboxapi.com/2/"),
    address(
        "api.instagram.com/oauth/authorize",
        "use the Instagram API with Instagram login: https://www.instagram.com/oauth/authorize",
    ),
    address(
        "/xmlrpc/2/",
        "Odoo takes the XML-RPC interface away; use /json/2/ with an API key",
    ),
    scope("r_liteprofile", "use `openid` and `profile`"),
    scope("r_emailaddress", "use `openid` and `email`"),
    scope("r_basicprofile", "use `openid` and `profile`"),
    scope(
        "https://www.googleapis.com/auth/plus.login",
        "use `openid` and `profile`",
    ),
    scope(
        "https://www.googleapis.com/auth/plus.me",
        "use `openid` and `profile`",
    ),
    scope(
        "user_media",
        "the Instagram Basic Display API is closed; use `instagram_business_basic`",
    ),
    scope(
        "accounting.transactions",
        "Xero splits it: `accounting.invoices`, `accounting.payments` and others",
    ),
    scope(
        "accounting.transactions.read",
        "Xero splits it: `accounting.invoices.read` and others",
    ),
    scope(
        "accounting.reports.read",
        "Xero splits it into one scope per report",
    ),
];

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    for (method, auth) in &m.auth {
        if let Some(oauth) = auth.oauth2() {
            let path = child("auth", method);
            wants(c, &path, oauth);
            for (key, list) in [
                ("default", &oauth.scopes.default),
                ("optional", &oauth.scopes.optional),
            ] {
                for (i, one) in list.iter().map(|t| t.source()).enumerate() {
                    if let Some(r) = RETIRED.iter().find(|r| r.scope && r.what == one) {
                        let path = format!("{path}.scopes.{key}[{i}]");
                        c.warn(
                            "V38",
                            &path,
                            format!("the scope `{one}` was retired"),
                            Some(r.instead),
                        );
                    }
                }
            }
        }
    }
    for (path, text) in texts::all(c.tree) {
        let head = path.split(['.', '[']).next().unwrap_or_default();
        if texts::in_sample(&path) || matches!(head, "sources" | "links") {
            continue;
        }
        if let Some(r) = RETIRED
            .iter()
            .find(|r| !r.scope && part_of_address(text, r.what))
        {
            c.warn("V38", &path, "this endpoint was retired", Some(r.instead));
        }
        if texts::last_key(&path) == "grant_type" && text == "password" {
            c.warn(
                "V38",
                &path,
                "the password grant is no longer part of OAuth (RFC 9700)",
                Some("use the vendor's authorization code flow or an API key"),
            );
        }
        if texts::last_key(&path) == "response_type" && text == "token" {
            c.warn(
                "V38",
                &path,
                "the implicit grant is no longer part of OAuth (RFC 9700)",
                Some("use the authorization code flow"),
            );
        }
    }
}

fn part_of_address(text: &str, what: &str) -> bool {
    match what.starts_with('/') {
        true => text.contains(what),
        false => text
            .strip_prefix("https://")
            .is_some_and(|rest| rest.starts_with(what)),
    }
}

/// V06.
fn wants(c: &mut Checker<'_>, path: &str, o: &Oauth2) {
    let written = c.tree.pointer(&format!(
        "/auth/{}/authorize_url",
        path.strip_prefix("auth.").unwrap_or_default()
    ));
    let Some(host) = written
        .and_then(serde_json::Value::as_str)
        .and_then(|url| url.strip_prefix("https://"))
        .and_then(|rest| rest.split(['/', '?', ':']).next())
    else {
        return;
    };
    let Some(v) = VENDORS
        .iter()
        .find(|v| host == v.host || host.strip_suffix(v.host).is_some_and(|h| h.ends_with('.')))
    else {
        return;
    };
    let params = child(path, "authorize_params");
    if o.authorize_params
        .get("consent")
        .is_some_and(|t| t.source() == "prompt")
    {
        c.warn(
            "V06",
            &child(&params, "consent"),
            "name and value are the wrong way round",
            Some("write `prompt: consent`"),
        );
    }
    for (name, value) in v.params {
        let given = o.authorize_params.get(*name).map(|t| t.source());
        if !given.is_some_and(|g| g.contains("{{") || g.split(' ').any(|w| w == *value)) {
            let at = if given.is_some() {
                child(&params, name)
            } else {
                path.to_owned()
            };
            c.warn(
                "V06",
                &at,
                format!("{} {}: `{name}={value}`", v.name, v.why),
                Some(&format!("add `{name}: {value}` to `authorize_params`")),
            );
        }
    }
    let asked = |s: &&str| o.scopes.default.iter().any(|d| d.source() == *s);
    if let Some(first) = v.scopes.first()
        && !v.scopes.iter().any(asked)
    {
        c.warn(
            "V06",
            &child(path, "scopes"),
            format!("{} {}: the scope `{first}`", v.name, v.why),
            Some(&format!("add `{first}` to `scopes.default`")),
        );
    }
    if let Some(wanted) = v.client_auth
        && wanted == ClientAuth::Basic
        && o.client_auth == ClientAuth::Body
    {
        c.warn(
            "V06",
            path,
            format!("{} takes the client's id and secret as HTTP Basic", v.name),
            Some("add `client_auth: basic`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_stands_in_the_table_once() {
        for (i, v) in VENDORS.iter().enumerate() {
            assert!(!v.host.contains('/') && v.host.contains('.'), "{}", v.host);
            assert!(
                VENDORS.iter().skip(i + 1).all(|w| w.host != v.host),
                "{}",
                v.host
            );
            assert!(!v.params.is_empty() || !v.scopes.is_empty() || v.client_auth.is_some());
        }
    }
}
