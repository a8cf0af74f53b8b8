//! Ways to sign in.
//!
//! V34 each type has what it needs and nothing that fights the flow (`needs`, `kinds`) · V35, V36, V52, V53 how long things live
//! and how they are renewed (`lifetime`) · V49 a capture has one source (`kinds`) · V54, V55, V56 the way back (`callback`) · V37 PKCE is off or plain only for a reason · V51 a grant can
//! be ended, or it says why not · V57 headers have legal names, and no request sets what the host fills in.

mod callback;
mod kinds;
mod lifetime;
mod needs;

use super::Checker;
use super::identity::is_name;
use crate::model::{
    ApiKey, AuthMethod, Basic, ClientAuth, Component, Inject, Oauth2, Pkce, Place, RefreshBy,
    RequestSpec, Revoke, SecretSlot,
};
use crate::yaml::places::{child, item};

/// Headers that no manifest may fill in: they belong to the connection, not to the app.
const FORBIDDEN_HEADERS: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "cookie",
    "set-cookie",
    "expect",
];

/// Shortest reason that says something, in characters.
const MIN_REASON: usize = 10;

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    if m.auth.is_empty() {
        c.error(
            "V34",
            "auth",
            "there is no way to sign in",
            Some("declare one under `auth:`"),
        );
    }
    for (method, auth) in &m.auth {
        let path = child("auth", method);
        if !is_name(method) {
            c.error(
                "V34",
                &path,
                format!("`{method}` is not an id"),
                Some("use lower-case letters, digits and underscores"),
            );
        }
        match auth {
            AuthMethod::Oauth2(o) => oauth2(c, &path, o),
            AuthMethod::ApiKey(k) => api_key(c, &path, method, k),
            AuthMethod::Basic(b) => basic(c, &path, method, b),
            AuthMethod::Bearer(b) => {
                if !b.token.refs().iter().any(|r| c.is_secret(r, Some(method))) {
                    c.error(
                        "V34",
                        &child(&path, "token"),
                        "the token reads no secret field",
                        Some("write `{{ credentials.<field> }}` and mark the field `secret: true`"),
                    );
                }
            }
            AuthMethod::Session(_)
            | AuthMethod::Jwt(_)
            | AuthMethod::Oauth1(_)
            | AuthMethod::AwsSigv4(_)
            | AuthMethod::Hmac(_)
            | AuthMethod::Wsse(_)
            | AuthMethod::Mtls(_)
            | AuthMethod::None(_) => {}
        }
        needs::check(c, &path, method);
        kinds::check(c, &path, method, auth);
        lifetime::check(c, &path, method, auth);
        callback::check(c, &path, method, auth);
        if auth.label().trim().is_empty() {
            c.error("V34", &child(&path, "label"), "the label is empty", None);
        }
    }
    for name in m.api.headers.keys() {
        header(c, &child("api.headers", name), name);
    }
    if let Some(call) = m.test.call() {
        request_headers(c, "test.request", &call.request);
    }
    for (method, test) in m
        .auth
        .iter()
        .filter_map(|(id, a)| Some((id, a.test()?.call()?)))
    {
        request_headers(
            c,
            &format!("{}.test.request", child("auth", method)),
            &test.request,
        );
    }
    for (id, request) in m
        .actions
        .iter()
        .filter_map(|(id, a)| Some((id, a.request.as_ref()?)))
    {
        request_headers(c, &format!("{}.request", child("actions", id)), request);
    }
    for (id, request) in m
        .triggers
        .iter()
        .filter_map(|(id, t)| Some((id, t.request.as_ref()?)))
    {
        request_headers(c, &format!("{}.request", child("triggers", id)), request);
    }
    let slots = m.recipes.iter().map(|(id, r)| ("recipes", id, r.slots()));
    let handles = m
        .handles
        .iter()
        .map(|(id, h)| ("handles", id, h.slots.as_slice()));
    let exchanged = m.auth.iter().filter_map(|(id, auth)| {
        let by = auth.oauth2()?.by_component.as_deref()?;
        Some((child(&child("auth", id), "by_component.slots"), by))
    });
    let exchanged = exchanged.flat_map(|(path, by)| {
        let mut values = by.slots.iter();
        std::iter::from_fn(move || {
            let (value, slots) = values.next()?;
            let name = serde_json::to_value(value).ok()?;
            Some((child(&path, name.as_str()?), slots.as_slice()))
        })
    });
    let own = slots
        .chain(handles)
        .map(|(kind, id, slots)| (child(&child(kind, id), "slots"), slots));
    for (path, slots) in own.chain(exchanged) {
        if slots.is_empty() {
            c.error(
                "V34",
                &path,
                "without a slot the value can go nowhere",
                Some("add `- header: NAME`"),
            );
        }
        for (i, slot) in slots.iter().enumerate() {
            match slot {
                SecretSlot::Header(name) => header(c, &item(&path, i), name),
                SecretSlot::Recipe(name) if !m.recipes.contains_key(name) => c.error(
                    "V34",
                    &item(&path, i),
                    format!("there is no recipe `{name}`"),
                    Some("declare it under `recipes:`"),
                ),
                SecretSlot::Recipe(_) | SecretSlot::Query(_) | SecretSlot::Body(_) => {}
            }
        }
    }
}

fn api_key(c: &mut Checker<'_>, path: &str, method: &str, k: &ApiKey) {
    if k.fields.is_empty() {
        c.error(
            "V34",
            path,
            "an API key asks for at least one field",
            Some("add `fields:`"),
        );
    }
    let placed =
        !k.inject.is_empty() || !c.manifest.recipes.is_empty() || !c.manifest.handles.is_empty();
    if !placed || (k.inject.is_empty() && c.manifest.component == Component::Rest) {
        c.error("V34", path, "the key is sent nowhere", Some("add `inject:`, such as `- { header: X-Api-Key, value: \"{{ credentials.key }}\" }`"));
    }
    injections(c, path, method, &k.inject);
}

fn basic(c: &mut Checker<'_>, path: &str, method: &str, b: &Basic) {
    let refs = b
        .username
        .refs()
        .into_iter()
        .chain(b.password.refs())
        .collect::<Vec<_>>();
    if !refs.iter().any(|r| c.is_secret(r, Some(method))) {
        c.error(
            "V34",
            path,
            "neither the user name nor the password reads a secret field",
            Some("mark the field `secret: true`"),
        );
    }
}

fn oauth2(c: &mut Checker<'_>, path: &str, o: &Oauth2) {
    let at = |key: &str| child(path, key);
    match &o.pkce {
        Pkce::S256 => {}
        Pkce::Off(reason) if reason.trim().chars().count() < MIN_REASON => {
            c.error(
                "V37",
                &at("pkce"),
                "PKCE is off without a reason",
                Some("write `off: <why the app cannot do it>`"),
            );
        }
        Pkce::Plain(reason) if reason.trim().chars().count() < MIN_REASON => {
            c.error(
                "V37",
                &at("pkce"),
                "the plain method is weak, and no reason is given",
                Some("write `plain: <why>`, or use s256"),
            );
        }
        Pkce::Off(_) | Pkce::Plain(_) => {}
    }
    if o.client_auth == ClientAuth::None && o.pkce != Pkce::S256 {
        c.error(
            "V37",
            &at("pkce"),
            "a public client has no proof but PKCE",
            Some("use s256"),
        );
    }
    for (key, params) in [
        ("authorize_params", &o.authorize_params),
        ("token_params", &o.token_params),
        ("refresh_params", &o.refresh_params),
    ] {
        for name in params.keys() {
            // The flow sends scopes on the authorization URL alone; some exchanges must repeat what was granted (BigCommerce).
            let scope = key == "authorize_params"
                && (*name == o.scopes.param || o.scopes.extra.iter().any(|e| e.param == *name));
            // Some repeat at the token endpoint what they sent back (Follow Up Boss).
            let repeated = key == "token_params"
                && name == "state"
                && params.get(name).and_then(|t| t.lone_expression()) == Some("callback.state");
            // A refresh that is an exchange has names of its own.
            let exchanged = key == "refresh_params" && o.refresh.by == RefreshBy::Exchange;
            let reserved = scope
                || (!repeated && !exchanged && Oauth2::RESERVED_PARAMS.contains(&name.as_str()));
            if reserved && !callback::is_redirect(name) {
                c.error(
                    "V34",
                    &child(&at(key), name),
                    format!("`{name}` is the flow's own parameter"),
                    Some("remove it"),
                );
            }
        }
    }
    for name in o.token_headers.keys() {
        header(c, &child(&at("token_headers"), name), name);
        if name.eq_ignore_ascii_case("authorization") {
            c.error(
                "V34",
                &child(&at("token_headers"), name),
                "`authorization` is set by `client_auth`",
                None,
            );
        }
    }
    if !o.client.operator && o.client.owner.is_none() {
        c.error(
            "V34",
            &at("client"),
            "nobody's OAuth client may be used",
            Some("allow the operator's, or declare `owner:`"),
        );
    }
    if o.scopes.separator.is_empty() {
        c.error(
            "V34",
            &child(&at("scopes"), "separator"),
            "an empty separator runs scopes together",
            None,
        );
    }
    for (i, scope) in o.scopes.default.iter().enumerate() {
        let runs_on = scope
            .literals()
            .any(|text| text.contains(&o.scopes.separator));
        let scope = scope.source();
        if runs_on || scope.trim().is_empty() {
            c.error(
                "V34",
                &item(&child(&at("scopes"), "default"), i),
                format!("`{scope}` is not one scope"),
                Some("write one scope per entry"),
            );
        }
    }
    match &o.revoke {
        None => c.warn(
            "V51",
            path,
            "nothing says how to end a grant at the app",
            Some("add `revoke:`, or `revoke: { none: <why> }`"),
        ),
        Some(Revoke::None { reason }) if reason.trim().chars().count() < MIN_REASON => {
            c.error("V51", &at("revoke"), "`none` needs a reason", None);
        }
        Some(_) => {}
    }
    if let Some(method) = path.strip_prefix("auth.").map(str::to_owned) {
        injections(c, path, &method, &o.inject);
    }
}

/// A token of RFC 6265, 4.1.1.
fn is_cookie(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn injections(c: &mut Checker<'_>, path: &str, method: &str, inject: &[Inject]) {
    let path = child(path, "inject");
    for (i, one) in inject.iter().enumerate() {
        if one.place == Place::Header {
            header(c, &child(&item(&path, i), "header"), &one.name);
        }
        if one.place == Place::Cookie && !is_cookie(&one.name) {
            c.error(
                "V57",
                &child(&item(&path, i), "cookie"),
                format!("`{}` is not the name of a cookie", one.name),
                None,
            );
        }
        let fixed = c
            .manifest
            .api
            .headers
            .keys()
            .any(|n| n.eq_ignore_ascii_case(&one.name));
        if one.place == Place::Header && fixed {
            c.error(
                "V34",
                &item(&path, i),
                format!("`{}` is set by `api.headers` too", one.name),
                Some("set it in one place"),
            );
        }
    }
    if !inject.is_empty()
        && !inject
            .iter()
            .any(|i| i.value.refs().iter().any(|r| c.is_secret(r, Some(method))))
    {
        c.error(
            "V34",
            &path,
            "none of these reads a secret",
            Some("mark the field `secret: true`"),
        );
    }
}

fn header(c: &mut Checker<'_>, path: &str, name: &str) {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(token) {
        c.error("V57", path, format!("`{name}` is not a header name"), None);
    } else if FORBIDDEN_HEADERS.contains(&lower.as_str())
        || lower.starts_with("proxy-")
        || lower.starts_with("sec-")
    {
        c.error(
            "V57",
            path,
            format!("`{name}` cannot be set by a manifest"),
            None,
        );
    }
}

/// V57 for the requests that a guest sends: the host refuses what it fills in itself.
fn request_headers(c: &mut Checker<'_>, path: &str, request: &RequestSpec) {
    let m = c.manifest;
    for name in request.headers.keys() {
        let path = child(&child(path, "headers"), name);
        header(c, &path, name);
        let lower = name.to_ascii_lowercase();
        if m.auth
            .keys()
            .any(|method| m.reserved_headers(method).contains(&lower))
        {
            c.error(
                "V57",
                &path,
                format!("`{name}` is filled in by the host"),
                Some("remove it here; it comes from `api.headers` or from the way to sign in"),
            );
        }
    }
}
