//! OAuth 2.0 and OpenID Connect schemes as ways to sign in.
//!
//! The authorization code is what people sign in with; where a document only declares the implicit grant (RFC 9700, 2.1.2
//! advises against it), the vendor's authorization endpoint is taken over and the token endpoint is a blank.

use serde_json::Value;

use super::super::draft::{Field, Kind, Method, Oauth2, Said};
use super::super::text::field_id;
use super::security::Context;

/// Most optional scopes that are written down.
const MAX_OPTIONAL: usize = 60;

/// Scopes that are asked for wherever they exist: who it is, and that the sign-in lasts.
const USUAL: &[&str] = &["openid", "email", "profile", "offline_access"];

/// Of several OAuth schemes that are required together, the one that can be used best; all others as they are.
///
/// Documents list the same server twice, once for each grant.
pub fn best_of<'d>(parts: &[(&'d str, &'d Value)]) -> Vec<(&'d str, &'d Value)> {
    let rank = |scheme: &Value| {
        let flow = scheme.get("flow").and_then(Value::as_str);
        let has = |name: &str, old: &str| {
            scheme.pointer(&format!("/flows/{name}")).is_some() || flow == Some(old)
        };
        if has("authorizationCode", "accessCode") {
            0
        } else if has("implicit", "implicit") {
            1
        } else {
            2
        }
    };
    let is_oauth = |scheme: &Value| scheme.get("type").and_then(Value::as_str) == Some("oauth2");
    let best = parts
        .iter()
        .filter(|(_, s)| is_oauth(s))
        .min_by_key(|(_, s)| rank(s))
        .map(|(name, _)| *name);
    parts
        .iter()
        .filter(|(name, scheme)| !is_oauth(scheme) || Some(*name) == best)
        .copied()
        .collect()
}

/// One OAuth scheme.
pub fn method(
    scheme: &Value,
    name: &str,
    swagger2: bool,
    context: &Context<'_>,
) -> Result<Method, String> {
    let flow = |wanted: &str, old: &str| {
        if swagger2 {
            (scheme.get("flow").and_then(Value::as_str) == Some(old)).then_some(scheme)
        } else {
            scheme.pointer(&format!("/flows/{wanted}"))
        }
    };
    if let Some(flow) = flow("authorizationCode", "accessCode") {
        return Ok(code(
            flow,
            name,
            context,
            address(flow, "tokenUrl", context),
        ));
    }
    if let Some(flow) = flow("implicit", "implicit") {
        let token = Said::blank(
            "https://example.com/TODO/token",
            "where codes are exchanged for tokens; the document only declares the implicit grant, which is not used any more",
        );
        return Ok(code(flow, name, context, token));
    }
    if let Some(flow) = flow("clientCredentials", "application") {
        return Ok(client_credentials(flow, name, context));
    }
    Err(format!(
        "The scheme `{name}` has no grant that Keyport would use: people's passwords at another app are not asked for."
    ))
}

/// An OpenID Connect scheme: the rest is discovered.
pub fn discovered(url: &str, name: &str, context: &Context<'_>) -> Result<Method, String> {
    const WELL_KNOWN: &str = "/.well-known/openid-configuration";
    let issuer = url
        .trim()
        .strip_suffix(WELL_KNOWN)
        .unwrap_or(url.trim())
        .trim_end_matches('/');
    if !is_address(issuer) {
        return Err(format!(
            "The scheme `{name}` names no https address of an OpenID provider."
        ));
    }
    let mut oauth = Oauth2 {
        issuer: Some(issuer.to_owned()),
        scopes: vec!["openid".to_owned(), "email".to_owned()],
        ..Oauth2::default()
    };
    for scope in needed(context, name) {
        if !oauth.scopes.contains(&scope) {
            oauth.scopes.push(scope);
        }
    }
    Ok(sign_in(oauth, context.name))
}

/// The way to sign in, as people see it.
pub fn sign_in(oauth: Oauth2, name: &str) -> Method {
    Method {
        id: "oauth".to_owned(),
        label: format!("Sign in with {name}"),
        fields: Vec::new(),
        kind: Kind::Oauth2(Box::new(oauth)),
        todo: None,
    }
}

fn code(flow: &Value, name: &str, context: &Context<'_>, token_url: Said) -> Method {
    let mut oauth = Oauth2 {
        authorize_url: Some(address(flow, "authorizationUrl", context)),
        refresh_url: resolved(flow, "refreshUrl", context).filter(|url| *url != token_url.text),
        token_url: Some(token_url),
        ..Oauth2::default()
    };
    scopes(&mut oauth, flow, name, context);
    known_server(&mut oauth);
    sign_in(oauth, context.name)
}

fn client_credentials(flow: &Value, name: &str, context: &Context<'_>) -> Method {
    let mut oauth = Oauth2 {
        client_credentials: true,
        token_url: Some(address(flow, "tokenUrl", context)),
        ..Oauth2::default()
    };
    scopes(&mut oauth, flow, name, context);
    own_client(oauth)
}

/// Client credentials: people bring their own client.
pub fn own_client(oauth: Oauth2) -> Method {
    Method {
        id: "client".to_owned(),
        label: "Client credentials".to_owned(),
        fields: vec![
            Field {
                id: "client".to_owned(),
                label: "Client ID".to_owned(),
                ..Field::default()
            },
            Field::secret("client_key", "Client secret"),
        ],
        kind: Kind::Oauth2(Box::new(oauth)),
        todo: None,
    }
}

/// What the test call needs is asked for, and who it is; the rest is the operator's choice.
fn scopes(oauth: &mut Oauth2, flow: &Value, name: &str, context: &Context<'_>) {
    let mut all: Vec<String> = Vec::new();
    for (scope, _) in flow
        .get("scopes")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        for one in scope.split([' ', ',']).filter(|s| is_scope(s)) {
            if !all.iter().any(|s| s == one) {
                all.push(one.to_owned());
            }
        }
    }
    let wanted = needed(context, name);
    oauth.scopes = wanted;
    for usual in USUAL.iter().filter(|u| all.iter().any(|s| s == **u)) {
        if !oauth.scopes.iter().any(|s| s == usual) {
            oauth.scopes.push((*usual).to_owned());
        }
    }
    oauth.optional = all
        .into_iter()
        .filter(|s| !oauth.scopes.contains(s))
        .collect();
    if oauth.scopes.is_empty() && oauth.optional.len() == 1 {
        oauth.scopes.append(&mut oauth.optional);
    }
    if oauth.scopes.is_empty() && !oauth.optional.is_empty() {
        oauth.scopes_todo = Some(
            "which of these are always asked for: the fewest with which the test call passes"
                .to_owned(),
        );
    }
    if oauth.optional.len() > MAX_OPTIONAL {
        oauth.optional.truncate(MAX_OPTIONAL);
        oauth.scopes_todo = Some(
            "the document declares more scopes than these: keep the ones that are worth offering"
                .to_owned(),
        );
    }
}

fn needed(context: &Context<'_>, name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let of_scheme = context.needed.iter().filter(|(scheme, _)| scheme == name);
    for scope in of_scheme.flat_map(|(_, scopes)| scopes) {
        if is_scope(scope) && !out.contains(scope) {
            out.push(scope.clone());
        }
    }
    out
}

/// RFC 6749, 3.3: printable ASCII without quotes and backslashes; no holes.
pub fn is_scope(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        && !text.contains(['{', '}', ','])
}

/// What a well-known server wants beyond the standard: its host, parameters of the authorization URL, a scope for refresh
/// tokens, and whether clients prove themselves by HTTP Basic. `validate` holds manifests to the same (V06).
type Server = (
    &'static str,
    &'static [(&'static str, &'static str)],
    Option<&'static str>,
    bool,
);

const SERVERS: &[Server] = &[
    (
        "accounts.google.com",
        &[("access_type", "offline"), ("prompt", "consent")],
        None,
        false,
    ),
    (
        "auth.atlassian.com",
        &[("audience", "api.atlassian.com"), ("prompt", "consent")],
        Some("offline_access"),
        false,
    ),
    (
        "login.microsoftonline.com",
        &[],
        Some("offline_access"),
        false,
    ),
    (
        "www.dropbox.com",
        &[("token_access_type", "offline")],
        None,
        false,
    ),
    ("login.xero.com", &[], Some("offline_access"), false),
    ("zoom.us", &[], None, true),
    ("www.fitbit.com", &[], None, true),
    ("appcenter.intuit.com", &[], None, true),
];

fn known_server(oauth: &mut Oauth2) {
    let host = oauth.authorize_url.as_ref().and_then(|url| {
        let rest = url.text.strip_prefix("https://")?;
        rest.split('/').next().map(str::to_owned)
    });
    let Some((host, params, scope, basic)) = SERVERS
        .iter()
        .find(|(known, ..)| host.as_deref() == Some(*known))
    else {
        return;
    };
    oauth.client_basic = *basic;
    oauth.authorize_params = params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    if let Some(scope) = scope
        && !oauth.scopes.iter().any(|s| s == scope)
    {
        oauth.optional.retain(|s| s != scope);
        oauth.scopes.push((*scope).to_owned());
    }
    if *host == "accounts.google.com" {
        // The addresses that Google's documents name are retired ones.
        oauth.token_url = Some(Said::known("https://oauth2.googleapis.com/token"));
        oauth.revoke_url = Some("https://oauth2.googleapis.com/revoke".to_owned());
    }
}

/// An address of the flow, or a blank.
fn address(flow: &Value, key: &str, context: &Context<'_>) -> Said {
    let what = if key == "tokenUrl" {
        "where codes are exchanged for tokens"
    } else {
        "where people are sent to sign in"
    };
    let end = if key == "tokenUrl" {
        "token"
    } else {
        "authorize"
    };
    resolved(flow, key, context).map_or_else(
        || Said::blank(format!("https://example.com/TODO/{end}"), what),
        Said::known,
    )
}

/// An address of the flow, relative ones under the origin of the base URL.
fn resolved(flow: &Value, key: &str, context: &Context<'_>) -> Option<String> {
    let url = flow.get(key)?.as_str()?.trim();
    let url = url.split('#').next().unwrap_or_default();
    let url = if url.starts_with('/') && !url.starts_with("//") {
        let base = context.base?;
        let host = base.strip_prefix("https://")?.split('/').next()?;
        format!("https://{host}{url}")
    } else {
        url.strip_prefix("http://")
            .map_or_else(|| url.to_owned(), |rest| format!("https://{rest}"))
    };
    // A query belongs into `authorize_params`; the flow's own parameters stand there already.
    let url = url.split('?').next().unwrap_or_default().to_owned();
    is_address(&url).then_some(url)
}

/// An https address of a public host, without holes.
pub fn is_address(url: &str) -> bool {
    let Some(host) = url
        .strip_prefix("https://")
        .and_then(|rest| rest.split('/').next())
    else {
        return false;
    };
    let bare = host.split(':').next().unwrap_or_default();
    let label = |l: &str| {
        !l.is_empty()
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    bare.contains('.')
        && bare.split('.').all(label)
        && bare.bytes().any(|b| b.is_ascii_alphabetic())
        && !bare.ends_with(".local")
        && !bare.ends_with("example.com")
        && url
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'{' | b'}' | b'<' | b'>' | b'"' | b'\\'))
        && field_id(bare).is_some()
}
