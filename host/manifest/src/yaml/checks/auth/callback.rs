//! The way back: who decides where a person is sent, and what shows that the callback belongs to this sign-in.
//!
//! V54 the callback's address is the host's alone (attack: a manifest that has other people's codes sent to its author) · V55
//! the state comes back whole, or it is said why not (attack: a code of the attacker's account slipped into somebody's sign-in)
//! · V56 a signed callback is verified with a key that only the app and the host know.

use indexmap::IndexMap;

use super::MIN_REASON;
use crate::model::{AuthMethod, CallbackRules, CallbackVerify, Oauth2};
use crate::template::Template;
use crate::yaml::checks::Checker;
use crate::yaml::places::child;

/// Names by which apps know the callback's address, without `_` and in lower case.
const REDIRECTS: &[&str] = &[
    "redirecturi",
    "redirecturl",
    "redirect",
    "callbackurl",
    "callbackuri",
    "oauthcallback",
];

/// Apps that sign their callbacks, by the end of the host that the person is sent to, with where they say so.
const SIGNING: &[(&str, &str)] = &[(
    ".myshopify.com",
    "https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant",
)];

pub(super) fn check(c: &mut Checker<'_>, path: &str, method: &str, auth: &AuthMethod) {
    match auth {
        AuthMethod::Oauth2(o) => {
            redirects(c, path, "authorize_params", &o.authorize_params);
            redirects(c, path, "token_params", &o.token_params);
            redirects(c, path, "refresh_params", &o.refresh_params);
            address(c, path, "authorize_url", o.authorize_url.as_ref());
            address(c, path, "token_url", o.token_url.as_ref());
            renamed(c, path, o);
            state(c, path, o);
            signature(c, path, method, o);
        }
        AuthMethod::Oauth1(o) => {
            redirects(c, path, "authorize_params", &o.authorize_params);
            address(c, path, "authorize_url", o.authorize_url.as_ref());
            address(c, path, "request_token_url", o.request_token_url.as_ref());
        }
        _ => {}
    }
}

/// Whether a parameter is the callback's address under one of its names.
pub(super) fn is_redirect(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|ch| !matches!(ch, '_' | '-'))
        .collect::<String>()
        .to_ascii_lowercase();
    REDIRECTS.contains(&plain.as_str())
}

fn redirects(c: &mut Checker<'_>, path: &str, key: &str, params: &IndexMap<String, Template>) {
    for name in params.keys().filter(|name| is_redirect(name)) {
        c.error(
            "V54",
            &child(&child(path, key), name),
            format!("`{name}` is where people are sent back to, and that is the host's"),
            Some("remove it; where the app calls it otherwise, say `params: { rename: { redirect_uri: … } }`"),
        );
    }
}

fn address(c: &mut Checker<'_>, path: &str, key: &str, t: Option<&Template>) {
    let Some(query) = t.and_then(|t| t.source().split_once('?')).map(|(_, q)| q) else {
        return;
    };
    let named = query
        .split(['&', '#'])
        .filter_map(|pair| pair.split('=').next())
        .find(|name| is_redirect(name));
    if let Some(name) = named {
        c.error(
            "V54",
            &child(path, key),
            format!("`{name}` is where people are sent back to, and that is the host's"),
            Some("remove it from the address"),
        );
    }
}

fn renamed(c: &mut Checker<'_>, path: &str, o: &Oauth2) {
    let path = child(&child(path, "params"), "rename");
    for (from, to) in &o.params.rename {
        if from != "redirect_uri" && is_redirect(to) {
            c.error(
                "V54",
                &child(&path, from),
                format!("`{from}` would be sent as `{to}`, which is where people are sent back to"),
                Some("only `redirect_uri` may have such a name"),
            );
        }
    }
}

fn state(c: &mut Checker<'_>, path: &str, o: &Oauth2) {
    let at = |key: &str| child(&child(path, "callback"), key);
    let CallbackRules {
        max_state,
        without_state,
        ..
    } = &o.callback;
    if let Some(max) = max_state
        && *max < CallbackRules::STATE_LENGTH
    {
        c.error(
            "V55",
            &at("max_state"),
            format!(
                "a state of {max} characters is too short to be told from a guessed one; the host's has {}",
                CallbackRules::STATE_LENGTH
            ),
            Some("if the app brings back no more, write `without_state: <why>`"),
        );
    }
    if let Some(reason) = without_state
        && reason.trim().chars().count() < MIN_REASON
    {
        c.error(
            "V55",
            &at("without_state"),
            "a sign-in without a state needs a reason",
            None,
        );
    }
    if without_state.is_some() && (max_state.is_some() || o.callback.state.is_some()) {
        c.error(
            "V55",
            &at("without_state"),
            "the callback both has a state and has none",
            Some("keep one of them"),
        );
    }
    if without_state.is_none() && o.params.drop.iter().any(|name| name == "state") {
        c.error(
            "V55",
            &child(&child(path, "params"), "drop"),
            "the state is not sent, so it cannot come back",
            Some("send it, or write `callback: { without_state: <why> }`"),
        );
    }
}

fn signature(c: &mut Checker<'_>, path: &str, method: &str, o: &Oauth2) {
    let at = child(&child(path, "callback"), "verify");
    let Some(verify) = &o.callback.verify else {
        let host = o
            .authorize_url
            .as_ref()
            .and_then(|t| t.source().strip_prefix("https://"))
            .and_then(|rest| rest.split(['/', '?', '#']).next())
            .unwrap_or_default();
        if let Some((_, page)) = SIGNING.iter().find(|(end, _)| host.ends_with(end)) {
            c.error(
                "V56",
                path,
                "this app signs its callbacks, and nothing verifies the signature",
                Some(&format!("add `callback: {{ verify: … }}`; see {page}")),
            );
        }
        return;
    };
    let (key, param, shared) = match verify {
        CallbackVerify::HmacSha256 { key, param, .. } => (key, param, true),
        CallbackVerify::Jwt { key, param, alg } => (key, param, alg.is_symmetric()),
    };
    if shared && !key.refs().iter().any(|r| c.is_secret(r, Some(method))) {
        c.error(
            "V56",
            &child(&at, "key"),
            "the key is no secret: anybody could sign a callback",
            Some("use `{{ app.client_secret }}` or a secret field"),
        );
    }
    let code = o.callback.code.as_deref().unwrap_or("code");
    let state = o.callback.state.as_deref().unwrap_or("state");
    if param == code || param == state {
        c.error(
            "V56",
            &child(&at, "param"),
            format!("`{param}` is not the signature"),
            None,
        );
    }
}
