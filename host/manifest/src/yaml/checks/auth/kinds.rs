//! V34 for what each way to sign in makes of its values: keys that are secret, names that are the host's, numbers in range.

use url::Url;

use super::{MIN_REASON, header, injections};
use crate::model::{
    AuthMethod, AwsSigv4, Capture, CaptureSource, ClientAuth, Component, Discover, Hmac, Jwt,
    KeyFormat, Mtls, NoAuth, Oauth1, Oauth1Grant, Oauth2, OnRefresh, Session, UsualClaim, Wsse,
};
use crate::template::Template;
use crate::yaml::checks::Checker;
use crate::yaml::places::{child, item};

/// Seconds that AWS lets a role's credentials live.
const ROLE_SECONDS: std::ops::RangeInclusive<u32> = 900..=43_200;

pub(super) fn check(c: &mut Checker<'_>, path: &str, method: &str, auth: &AuthMethod) {
    match auth {
        AuthMethod::Oauth2(o) => oauth2(c, path, method, o),
        AuthMethod::Session(s) => session(c, path, method, s),
        AuthMethod::Jwt(j) => {
            jwt(c, &child(path, "sign"), method, &j.sign);
            injections(c, path, method, &j.inject);
        }
        AuthMethod::Oauth1(o) => oauth1(c, path, method, o),
        AuthMethod::AwsSigv4(a) => aws(c, path, method, a),
        AuthMethod::Hmac(h) => hmac(c, path, method, h),
        AuthMethod::Wsse(w) => wsse(c, path, method, w),
        AuthMethod::Mtls(m) => mtls(c, path, method, m),
        AuthMethod::None(n) => none(c, path, n),
        AuthMethod::ApiKey(_) | AuthMethod::Basic(_) | AuthMethod::Bearer(_) => {}
    }
    for name in auth.signature_headers() {
        let fixed = c
            .manifest
            .api
            .headers
            .keys()
            .any(|n| n.eq_ignore_ascii_case(name));
        if fixed {
            c.error(
                "V34",
                path,
                format!("`{name}` is made by the host, and `api.headers` sets it too"),
                Some("remove it from `api.headers`"),
            );
        }
    }
}

/// A value that only its owner may know.
fn must_be_secret(c: &mut Checker<'_>, path: &str, method: &str, t: &Template) {
    if !t.refs().iter().any(|r| c.is_secret(r, Some(method))) {
        c.error(
            "V34",
            path,
            "this reads no secret, so anybody could have made it",
            Some("read a field that is marked `secret: true`"),
        );
    }
}

/// V34 for an issuer with a hole: without a token that names the tenant, nothing would fill it.
fn issuer_pattern(c: &mut Checker<'_>, path: &str, o: &Oauth2, pattern: &str) {
    let filled = Url::parse(&pattern.replace(Oauth2::TENANT, "tenant")).ok();
    let sound = pattern.matches(Oauth2::TENANT).count() == 1
        && filled.as_ref().is_some_and(|url| {
            url.scheme() == "https"
                && url.username().is_empty()
                && url.path().split('/').any(|part| part == "tenant")
        });
    if !sound {
        c.error(
            "V34",
            path,
            "the pattern is not an https address with one `{tenantid}` as a part of its path",
            Some("write the `issuer` of the metadata as it is, such as `https://login.example/{tenantid}/v2.0`"),
        );
    }
    if !matches!(o.discover, Some(Discover::Issuer(_))) {
        c.error(
            "V34",
            path,
            "nothing is found out whose issuer could have a hole",
            Some("add `discover: { issuer: … }`, or remove it"),
        );
    }
    let claims = |capture: &Capture| matches!(capture.source(), Some(CaptureSource::Claim(_)));
    if !o.capture.values().any(claims) {
        c.error(
            "V34",
            path,
            "no `id_token` is read, so nothing says which tenant the person is of",
            Some("keep its tenant: `capture: { tenant: { claim: tid, public: true } }`"),
        );
    }
}

fn oauth2(c: &mut Checker<'_>, path: &str, method: &str, o: &Oauth2) {
    let at = |key: &str| child(path, key);
    let signs = matches!(
        o.client_auth,
        ClientAuth::PrivateKeyJwt | ClientAuth::ClientSecretJwt
    );
    if let Some(assertion) = &o.client_assertion {
        if !signs {
            c.error(
                "V34",
                &at("client_assertion"),
                "the client does not prove itself with a JWT",
                Some("write `client_auth: private_key_jwt`, or remove it"),
            );
        }
        jwt(c, &at("client_assertion"), method, assertion);
    }
    if let Some(assertion) = &o.assertion {
        jwt(c, &at("assertion"), method, assertion);
    }
    match &o.client_certificate {
        Some(own) => {
            let path = child(&at("client_certificate"), "private_key");
            must_be_secret(c, &path, method, &own.private_key);
        }
        None if o.client_auth == ClientAuth::Tls => c.error(
            "V34",
            &at("client_auth"),
            "the client proves itself with a certificate, and none is declared",
            Some("add `client_certificate: { certificate: …, private_key: … }`"),
        ),
        None => {}
    }
    if let Some(pattern) = &o.issuer_pattern {
        issuer_pattern(c, &at("issuer_pattern"), o, pattern);
    }
    for (i, resource) in o.resources.iter().enumerate() {
        // RFC 8707, 2: an absolute URI without a fragment.
        let wrong = |text| Url::parse(text).map_or(true, |uri: Url| uri.fragment().is_some());
        if resource.as_literal().is_some_and(wrong) {
            c.error(
                "V34",
                &item(&at("resources"), i),
                "a resource is an absolute URI without a fragment",
                Some(
                    "write it as the app's documentation does, such as `https://api.example.com/`",
                ),
            );
        }
    }
    for (i, extra) in o.scopes.extra.iter().enumerate() {
        let path = item(&child(&at("scopes"), "extra"), i);
        let taken = Oauth2::RESERVED_PARAMS.contains(&extra.param.as_str())
            || extra.param == o.scopes.param
            || o.scopes
                .extra
                .iter()
                .take(i)
                .any(|e| e.param == extra.param);
        if taken {
            c.error(
                "V34",
                &child(&path, "param"),
                format!("`{}` is taken by another parameter", extra.param),
                None,
            );
        }
        if extra.separator.is_empty() {
            c.error(
                "V34",
                &child(&path, "separator"),
                "an empty separator runs scopes together",
                None,
            );
        }
    }
    for (key, names) in [
        ("rename", o.params.rename.keys().collect::<Vec<_>>()),
        ("drop", o.params.drop.iter().collect()),
    ] {
        for name in names {
            if !Oauth2::RESERVED_PARAMS.contains(&name.as_str()) && *name != o.scopes.param {
                c.error(
                    "V34",
                    &child(&child(path, "params"), key),
                    format!("`{name}` is not a parameter that the flow sends"),
                    Some("what a manifest adds by itself is simply written otherwise"),
                );
            }
        }
    }
    for (name, word) in &o.params.values {
        let path = child(&child(&at("params"), "values"), name);
        if !matches!(name.as_str(), "response_type" | "grant_type") {
            c.error(
                "V34",
                &path,
                format!("`{name}` has no other word; only `response_type` and `grant_type` have"),
                None,
            );
        }
        if word
            .split(' ')
            .any(|w| matches!(w, "token" | "id_token" | "password"))
        {
            c.error(
                "V34",
                &path,
                format!("`{word}` is another flow, which hands out tokens or takes passwords"),
                Some("use what the app calls the authorization code flow"),
            );
        }
    }
    for name in o.refresh.headers.keys() {
        header(c, &child(&child(&at("refresh"), "headers"), name), name);
    }
    if let Some(exchange) = &o.exchange {
        for name in exchange.headers.keys() {
            header(c, &child(&child(&at("exchange"), "headers"), name), name);
        }
    }
    if let Some(exchange) = &o.exchange {
        let captures = child(&at("exchange"), "capture");
        for (id, capture) in &exchange.capture {
            let path = child(&captures, id);
            sources_of(c, &path, capture, &["on_refresh"]);
            if o.capture.contains_key(id) {
                c.error(
                    "V49",
                    &path,
                    format!("the first answer captures `{id}` too"),
                    Some("give each capture a name of its own"),
                );
            }
        }
    }
    if o.authorize.route.is_some() && o.authorize.fragment.is_some() {
        c.error(
            "V34",
            &child(&at("authorize"), "fragment"),
            "there is one `#` in an address: either a `fragment` or a `route`",
            None,
        );
    }
    if let Some(route) = &o.authorize.route
        && (!route.starts_with('/') || route.contains(['?', '#']))
    {
        c.error(
            "V34",
            &child(&at("authorize"), "route"),
            "a route starts with `/` and holds no `?` and `#`; parameters follow it by themselves",
            None,
        );
    }
    for (id, capture) in &o.capture {
        let path = child(&at("capture"), id);
        one_source(c, &path, capture);
        if capture.on_refresh == Some(OnRefresh::Again)
            && matches!(capture.source(), Some(CaptureSource::Callback(_)))
        {
            c.error(
                "V49",
                &child(&path, "on_refresh"),
                "a refresh has no callback to read again",
                Some("write `on_refresh: keep`, or remove it"),
            );
        }
    }
}

/// V49.
fn one_source(c: &mut Checker<'_>, path: &str, capture: &Capture) {
    if capture.sources().len() != 1 {
        c.error(
            "V49",
            path,
            "a capture has exactly one source: `path`, `callback`, `header`, `cookie` or `claim`",
            None,
        );
    }
}

/// V49 where there is no callback, no `id_token` or no refresh to read from.
fn sources_of(c: &mut Checker<'_>, path: &str, capture: &Capture, known: &[&str]) {
    one_source(c, path, capture);
    for (key, there) in [
        ("callback", capture.callback.is_some()),
        ("claim", capture.claim.is_some()),
        ("on_refresh", capture.on_refresh.is_some()),
    ] {
        if there && !known.contains(&key) {
            c.error(
                "V49",
                &child(path, key),
                format!("this way to sign in has nothing that `{key}` could mean"),
                Some(&format!("remove `{key}`")),
            );
        }
    }
}

fn session(c: &mut Checker<'_>, path: &str, method: &str, s: &Session) {
    let steps = child(path, "steps");
    let mut seen: Vec<&str> = Vec::new();
    for (i, step) in s.steps.iter().enumerate() {
        let path = item(&steps, i);
        if let Some(sign) = &step.sign {
            jwt(c, &child(&path, "sign"), method, sign);
            let sent = step.request.templates();
            if !sent
                .iter()
                .any(|(_, t)| t.refs().iter().any(|r| r.root == "jwt"))
            {
                c.error(
                    "V34",
                    &child(&path, "sign"),
                    "the signed token is sent nowhere",
                    Some("put `{{ jwt.token }}` into a header or the body of this step's request"),
                );
            }
        }
        for (id, capture) in &step.capture {
            let path = child(&child(&path, "capture"), id);
            sources_of(c, &path, capture, &[]);
            if seen.contains(&id.as_str()) {
                c.error(
                    "V49",
                    &path,
                    format!("an earlier step captures `{id}` too"),
                    Some("give each capture a name of its own"),
                );
            }
            seen.push(id);
        }
        for name in step.request.headers.keys() {
            header(
                c,
                &child(&child(&child(&path, "request"), "headers"), name),
                name,
            );
        }
    }
    if s.inject.is_empty() && c.manifest.component == Component::Rest {
        c.error(
            "V34",
            path,
            "what was captured is sent nowhere",
            Some("add `inject:`, such as `- { header: Authorization, value: \"Bearer {{ capture.token }}\" }`"),
        );
    }
    injections(c, path, method, &s.inject);
    match &s.logout {
        None => c.warn(
            "V51",
            path,
            "nothing says how to end a session at the app",
            Some("add `logout:`, or `logout: { none: <why> }`"),
        ),
        Some(crate::model::Logout::None { reason })
            if reason.trim().chars().count() < MIN_REASON =>
        {
            c.error("V51", &child(path, "logout"), "`none` needs a reason", None);
        }
        Some(_) => {}
    }
}

fn jwt(c: &mut Checker<'_>, path: &str, method: &str, jwt: &Jwt) {
    must_be_secret(c, &child(path, "key"), method, &jwt.key);
    let pem = jwt.key_format() == KeyFormat::Pem;
    if pem == jwt.alg.is_symmetric() {
        c.error(
            "V34",
            &child(path, "key_format"),
            if pem {
                "a key of HMAC is no PEM block"
            } else {
                "a private key is read as PEM"
            },
            Some("remove `key_format`: the usual one fits"),
        );
    }
    if jwt.fingerprint.is_some() && jwt.alg.is_symmetric() {
        c.error(
            "V34",
            &child(path, "fingerprint"),
            "a key of HMAC has no public part to take a fingerprint of",
            Some("remove `fingerprint`"),
        );
    }
    for name in jwt
        .header
        .keys()
        .filter(|n| matches!(n.as_str(), "alg" | "typ"))
    {
        c.error(
            "V34",
            &child(&child(path, "header"), name),
            format!("`{name}` is set by the host"),
            Some("remove it"),
        );
    }
    for (claim, name) in [(UsualClaim::Iat, "iat"), (UsualClaim::Exp, "exp")] {
        if jwt.claims.contains_key(name) && !jwt.without.contains(&claim) {
            c.error(
                "V34",
                &child(&child(path, "claims"), name),
                format!("`{name}` is added by the host"),
                Some("remove it; `lifetime` says how long the token is valid"),
            );
        }
    }
}

fn oauth1(c: &mut Checker<'_>, path: &str, method: &str, o: &Oauth1) {
    if !o.client.operator && o.client.owner.is_none() {
        c.error(
            "V34",
            &child(path, "client"),
            "nobody's consumer key may be used",
            Some("allow the operator's, or declare `owner:`"),
        );
    }
    if let (Oauth1Grant::Token, Some(secret)) = (o.grant, &o.token_secret) {
        must_be_secret(c, &child(path, "token_secret"), method, secret);
    }
    for name in o
        .authorize_params
        .keys()
        .filter(|n| n.starts_with("oauth_"))
    {
        c.error(
            "V34",
            &child(&child(path, "authorize_params"), name),
            format!("`{name}` is the flow's own parameter"),
            Some("remove it"),
        );
    }
    for (id, capture) in &o.capture {
        let path = child(&child(path, "capture"), id);
        sources_of(c, &path, capture, &["callback"]);
    }
    if o.grant == Oauth1Grant::ThreeLegged && o.revoke.is_none() {
        c.warn(
            "V51",
            path,
            "nothing says how to end a grant at the app",
            Some("add `revoke:`, or `revoke: { none: <why> }`"),
        );
    }
}

fn aws(c: &mut Checker<'_>, path: &str, method: &str, a: &AwsSigv4) {
    must_be_secret(
        c,
        &child(path, "secret_access_key"),
        method,
        &a.secret_access_key,
    );
    if let Some(role) = &a.assume_role
        && !ROLE_SECONDS.contains(&role.duration)
    {
        c.error(
            "V34",
            &child(&child(path, "assume_role"), "duration"),
            "AWS gives a role's credentials for 900 to 43200 seconds",
            None,
        );
    }
}

fn hmac(c: &mut Checker<'_>, path: &str, method: &str, h: &Hmac) {
    must_be_secret(c, &child(path, "key"), method, &h.key);
    if h.key_format == KeyFormat::Pem {
        c.error(
            "V34",
            &child(path, "key_format"),
            "a key of HMAC is no PEM block",
            Some("write `text`, `hex` or `base64`"),
        );
    }
    let list = child(path, "inject");
    for (i, one) in h.inject.iter().enumerate() {
        if one.place == crate::model::Place::Header {
            header(c, &child(&item(&list, i), "header"), &one.name);
        }
    }
    let sent = |i: &crate::model::Inject| i.value.refs().iter().any(|r| r.root == "signature");
    if !h.inject.is_empty() && !h.inject.iter().any(sent) {
        c.error(
            "V34",
            &list,
            "none of these sends the signature",
            Some("add `- { header: X-Signature, value: \"{{ signature }}\" }`"),
        );
    }
}

fn wsse(c: &mut Checker<'_>, path: &str, method: &str, w: &Wsse) {
    must_be_secret(c, &child(path, "secret"), method, &w.secret);
    header(c, &child(path, "header"), &w.header);
}

fn mtls(c: &mut Checker<'_>, path: &str, method: &str, m: &Mtls) {
    must_be_secret(c, &child(path, "private_key"), method, &m.private_key);
    injections(c, path, method, &m.inject);
}

fn none(c: &mut Checker<'_>, path: &str, n: &NoAuth) {
    if n.reason.trim().chars().count() < MIN_REASON {
        c.error(
            "V34",
            &child(path, "reason"),
            "an app without a sign-in says why",
            Some("write `reason: <where the app says that nothing is needed>`"),
        );
    }
    for (i, field) in n.fields.iter().enumerate().filter(|(_, f)| f.secret) {
        c.error(
            "V34",
            &item(&child(path, "fields"), i),
            format!(
                "`{}` is secret, and this way to sign in sends no secret",
                field.id
            ),
            Some("use another `type`, such as `api_key`"),
        );
    }
}
