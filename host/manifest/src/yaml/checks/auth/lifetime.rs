//! How long what was got lives, and how it is renewed.
//!
//! V35 who asks for offline access can refresh, and who refreshes has something that ends · V36 a session's and an exchanged
//! token's end is said · V52 whether refresh tokens rotate is said · V53 what a refused refresh means is not contradictory.

use serde_json::Value;

use super::MIN_REASON;
use crate::model::{
    AuthMethod, Expiry, Jwt, Oauth2, Oauth2Grant, RefreshBy, Rotates, Session, StatusSet,
};
use crate::template::Template;
use crate::yaml::checks::Checker;
use crate::yaml::places::{child, item};

/// Scopes and parameters by which apps ask for a refresh token.
const OFFLINE_SCOPES: &[&str] = &["offline_access", "offline.access"];
const OFFLINE_PARAMS: &[(&str, &str)] = &[
    ("access_type", "offline"),
    ("token_access_type", "offline"),
    ("duration", "permanent"),
];

/// Statuses that an outage or a limit has: alone they say nothing of the grant.
const PASSING: &[u16] = &[200, 408, 425, 429, 500, 502, 503, 504];

/// Error codes that mean that it can be tried again (RFC 6749, 4.1.2.1; RFC 8628, 3.5).
const RETRIED: &[&str] = &["temporarily_unavailable", "server_error", "slow_down"];

pub(super) fn check(c: &mut Checker<'_>, path: &str, method: &str, auth: &AuthMethod) {
    match auth {
        AuthMethod::Oauth2(o) => oauth2(c, path, method, o),
        AuthMethod::Session(s) => session(c, path, s),
        AuthMethod::Jwt(j) => jwt(c, &child(path, "sign"), &j.sign),
        _ => {}
    }
}

fn session(c: &mut Checker<'_>, path: &str, s: &Session) {
    match &s.expiry {
        None => c.warn(
            "V36",
            path,
            "nothing says how long a session lives, so it ends with a refused request",
            Some("add `expiry:`, such as `{ fixed: 3600 }` or `{ never: <why> }`"),
        ),
        Some(expiry) => {
            let known: Vec<&str> = s
                .steps
                .iter()
                .flat_map(|step| step.capture.keys().map(String::as_str))
                .collect();
            self::expiry(c, &child(path, "expiry"), expiry, &known);
        }
    }
}

/// V34, V36 for a written expiry; `tokens` are the names that `jwt` may have.
fn expiry(c: &mut Checker<'_>, path: &str, expiry: &Expiry, tokens: &[&str]) {
    match expiry {
        Expiry::Jwt(name) if !tokens.contains(&name.as_str()) => {
            let fix = format!("it is one of: {}", tokens.join(", "));
            c.error(
                "V34",
                &child(path, "jwt"),
                format!("there is no token `{name}` to read an expiry from"),
                Some(&fix),
            );
        }
        Expiry::Never(reason) if reason.trim().chars().count() < MIN_REASON => {
            c.error(
                "V36",
                &child(path, "never"),
                "`never` needs a reason: where does the app say so?",
                None,
            );
        }
        _ => {}
    }
}

pub(super) fn jwt(c: &mut Checker<'_>, path: &str, jwt: &Jwt) {
    if !(1..=Jwt::MAX_LIFETIME).contains(&jwt.lifetime) {
        c.error(
            "V34",
            &child(path, "lifetime"),
            format!("a JWT is valid for 1 to {} seconds", Jwt::MAX_LIFETIME),
            Some("300 is plenty: it is signed again when needed"),
        );
    }
}

fn oauth2(c: &mut Checker<'_>, path: &str, method: &str, o: &Oauth2) {
    let at = |key: &str| child(path, key);
    let tree = c.tree;
    let written = tree.get("auth").and_then(|all| all.get(method));
    let refresh = written.and_then(|m| m.get("refresh"));
    let never = matches!(o.response.expiry, Some(Expiry::Never(_)));
    let refreshes = o.refresh.by == RefreshBy::RefreshToken
        && matches!(
            o.grant,
            Oauth2Grant::AuthorizationCode | Oauth2Grant::Device
        );
    if let Some((place, what)) = offline(o)
        && !refreshes
        && o.refresh.by != RefreshBy::Exchange
    {
        c.error(
            "V35",
            &at(&place),
            format!("`{what}` asks for a refresh token, and nothing uses it"),
            Some("leave it out, or refresh with it: `refresh: { rotates: maybe }`"),
        );
    }
    if never
        && (o.refresh_url.is_some() || !o.refresh_params.is_empty() || o.refresh.early.is_some())
    {
        c.error(
            "V35",
            &child(&child(path, "response"), "expiry"),
            "tokens never end, and yet a refresh is described",
            Some("say when they end, or remove the refresh"),
        );
    }
    if o.refresh.by == RefreshBy::Exchange && o.exchange.is_none() {
        c.error(
            "V35",
            &child(&at("refresh"), "by"),
            "there is no `exchange` to refresh by",
            Some("add `exchange:`"),
        );
    }
    if let Some(prolongs) = &o.refresh.prolongs {
        let path = child(&at("refresh"), "prolongs");
        if o.refresh.rotates == Some(Rotates::Always) {
            c.error(
                "V52",
                &path,
                "a refresh that answers without tokens gives no new refresh token",
                Some("write `rotates: never`"),
            );
        }
        if prolongs.seconds == 0 || prolongs.ok.is_empty() {
            c.error(
                "V34",
                &path,
                "nothing says for how long the tokens live on, or what the answer must say",
                Some("write `{ ok: { path: $.result, equals: … }, seconds: … }`"),
            );
        }
    }
    for (key, span) in [("idle", &o.refresh.idle), ("ends", &o.refresh.ends)] {
        let path = child(&at("refresh"), key);
        let Some(span) = span else { continue };
        if !refreshes {
            c.error(
                "V35",
                &path,
                format!("`{key}` is of a refresh token, and nothing uses one"),
                Some("remove it"),
            );
        }
        self::expiry(c, &path, span, &["refresh_token", "access_token"]);
    }
    if let Some(expiry) = &o.response.expiry {
        let path = child(&at("response"), "expiry");
        self::expiry(c, &path, expiry, &["access_token", "id_token"]);
    }
    for (id, second) in &o.response.also {
        if let Some(expiry) = &second.expiry {
            let path = child(&child(&child(&at("response"), "also"), id), "expiry");
            self::expiry(c, &path, expiry, &["access_token", "id_token"]);
        }
    }
    if let Some(exchange) = &o.exchange {
        let path = at("exchange");
        match &exchange.response.expiry {
            Some(expiry) => {
                let path = child(&child(&path, "response"), "expiry");
                self::expiry(c, &path, expiry, &["access_token", "id_token"]);
            }
            None if exchange.response.default_ttl.is_none() => c.warn(
                "V36",
                &path,
                "nothing says how long the exchanged token lives",
                Some("add `response: { expiry: … }` or `response: { default_ttl: … }`"),
            ),
            None => {}
        }
    }
    for (key, jwt) in [
        ("assertion", &o.assertion),
        ("client_assertion", &o.client_assertion),
    ] {
        if let Some(jwt) = jwt {
            self::jwt(c, &at(key), jwt);
        }
    }
    if refreshes && !never && o.refresh.rotates.is_none() {
        let place = if refresh.is_some_and(Value::is_object) {
            at("refresh")
        } else {
            path.to_owned()
        };
        c.error(
            "V52",
            &place,
            "nothing says whether a refresh gives a new refresh token",
            Some("add `refresh: { rotates: always }`, `maybe` or `never`"),
        );
    }
    refusals(c, &child(&at("refresh"), "refused"), o);
}

/// V53: rules that call an outage the end of a grant, or that others already cover.
fn refusals(c: &mut Checker<'_>, path: &str, o: &Oauth2) {
    let rules = &o.refresh.refused;
    for (i, rule) in rules.iter().enumerate() {
        let path = item(path, i);
        let passing = |set: &StatusSet| PASSING.iter().find(|code| set.contains(**code)).copied();
        match (&rule.status, rule.error.as_deref()) {
            (None, None) => c.error(
                "V53",
                &path,
                "this calls every refused refresh the end of the grant, an outage too",
                Some("name a `status`, an `error`, or both"),
            ),
            (Some(set), None) => {
                if let Some(code) = passing(set) {
                    c.error(
                        "V53",
                        &path,
                        format!("{code} alone does not mean that the grant is dead: it may pass, or say something else"),
                        Some("add the `error` that says it"),
                    );
                }
            }
            (_, Some(error)) if RETRIED.contains(&error) => c.error(
                "V53",
                &path,
                format!("`{error}` means that it can be tried again later"),
                Some("remove this rule"),
            ),
            (_, Some(_)) => {}
        }
        if rules.iter().take(i).any(|before| before == rule) {
            c.error(
                "V53",
                &path,
                "the same rule stands above",
                Some("remove it"),
            );
        }
    }
}

/// Where and by what a refresh token is asked for.
fn offline(o: &Oauth2) -> Option<(String, String)> {
    let asked = |scopes: &[Template]| {
        let mut texts = scopes.iter().map(Template::source);
        texts
            .find(|s| OFFLINE_SCOPES.contains(s))
            .map(str::to_owned)
    };
    if let Some(scope) = asked(&o.scopes.default) {
        return Some(("scopes".to_owned(), scope));
    }
    OFFLINE_PARAMS.iter().find_map(|(name, value)| {
        let t: &Template = o.authorize_params.get(*name)?;
        (t.as_literal() == Some(*value))
            .then(|| ("authorize_params".to_owned(), format!("{name}={value}")))
    })
}
