//! Every template of a way to sign in: where it stands, what exists by then, whether secrets may stand there, and whether it
//! is an address.
//!
//! This is one list, read by `templates` (phases and secrets) and by `hosts` (addresses), so that a new key cannot be checked
//! by one and forgotten by the other. Structs are taken apart by name for the same reason.

use std::borrow::Cow;

use indexmap::IndexMap;

use crate::model::{
    AssumeRole, AuthMethod, CallbackVerify, CaptureSource, ClientSource, Discover, Inject, Jwt,
    Logout, Oauth1, Oauth2, RequestSpec, Revoke, Session, TokenBody,
};
use crate::template::Template;
use crate::yaml::places::{child, item};

/// A template of a way to sign in.
pub(super) struct Use<'m> {
    /// Where it stands.
    pub(super) path: String,
    pub(super) template: Cow<'m, Template>,
    /// What exists by then.
    pub(super) roots: &'static [&'static str],
    /// Whether secrets may stand there.
    pub(super) secrets: bool,
    /// Which captures exist by then.
    pub(super) captures: Captures<'m>,
    pub(super) address: Address,
}

/// Which captures exist by then.
#[derive(Clone)]
pub(super) enum Captures<'m> {
    All,
    /// These alone; the rest comes with the tokens.
    OfCallback(Vec<&'m str>),
    /// These alone; the rest comes with later steps.
    OfSteps(Vec<&'m str>),
}

impl Captures<'_> {
    pub(super) fn has(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::OfCallback(ids) | Self::OfSteps(ids) => ids.contains(&id),
        }
    }
}

/// Whether a template is an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    No,
    /// A whole address.
    Whole,
    /// A path under the API, or a whole address.
    PathOrWhole,
}

const FORM: &[&str] = &["fields", "credentials", "app"];
const ENDPOINT: &[&str] = &["fields", "credentials", "capture"];
const EXCHANGE: &[&str] = &["fields", "credentials", "app", "capture", "callback", "now"];
const TOKEN_HEADERS: &[&str] = &["fields", "credentials", "app", "now"];
const REFRESH: &[&str] = &["fields", "credentials", "app", "capture", "token", "now"];
const INJECT: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "token",
    "tokens",
    "app",
    "now",
];
const REVOKE: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "token",
    "tokens",
    "app",
    "account",
    "now",
];
const OWN: &[&str] = &["fields", "credentials"];
const JWT: &[&str] = &["fields", "credentials", "app", "key", "now"];
const JWT_INJECT: &[&str] = &["fields", "credentials", "jwt", "now"];
const STEP: &[&str] = &["fields", "credentials", "capture", "now"];
const STEP_SIGNED: &[&str] = &["fields", "credentials", "capture", "jwt", "now"];
const STEP_JWT: &[&str] = &["fields", "credentials", "capture", "key", "now"];
const BASE: &[&str] = &["fields", "credentials", "capture"];
const SIGNED: &[&str] = &[
    "fields",
    "credentials",
    "now",
    "request",
    "timestamp",
    "nonce",
];
const SIGNATURE: &[&str] = &[
    "fields",
    "credentials",
    "now",
    "request",
    "timestamp",
    "nonce",
    "signature",
];

/// Every template of a way to sign in that stands at `path`, in the order of the model. Its fields and test are not among
/// them: they are the same for every way.
pub(super) fn uses<'m>(path: &str, auth: &'m AuthMethod) -> Vec<Use<'m>> {
    let mut list = List {
        path: path.to_owned(),
        captures: Captures::All,
        uses: Vec::new(),
    };
    list.url("base_url", auth.base_url(), BASE);
    match auth {
        AuthMethod::Oauth2(m) => {
            list.oauth2(m);
            list.inject(auth, INJECT);
        }
        AuthMethod::Session(m) => {
            list.session(m);
            list.inject(auth, STEP);
        }
        AuthMethod::Oauth1(m) => list.oauth1(m),
        AuthMethod::Jwt(m) => {
            list.jwt(&child(path, "sign"), &m.sign, JWT);
            list.inject(auth, JWT_INJECT);
        }
        AuthMethod::ApiKey(_) | AuthMethod::Basic(_) | AuthMethod::Bearer(_) => {
            list.inject(auth, INJECT);
        }
        AuthMethod::AwsSigv4(m) => {
            list.add("access_key_id", &m.access_key_id, OWN, true);
            list.add("secret_access_key", &m.secret_access_key, OWN, true);
            list.some("session_token", m.session_token.as_ref(), OWN, true);
            list.add("region", &m.region, OWN, false);
            list.add("service", &m.service, OWN, false);
            if let Some(role) = &m.assume_role {
                let AssumeRole {
                    role_arn,
                    external_id,
                    session_name,
                    duration: _,
                } = role;
                list.add("assume_role.role_arn", role_arn, OWN, false);
                list.some("assume_role.external_id", external_id.as_ref(), OWN, true);
                list.some(
                    "assume_role.session_name",
                    session_name.as_ref(),
                    OWN,
                    false,
                );
            }
        }
        AuthMethod::Hmac(m) => {
            list.add("key", &m.key, OWN, true);
            list.add("message", &m.message, SIGNED, true);
            list.inject(auth, SIGNATURE);
        }
        AuthMethod::Wsse(m) => {
            list.add("username", &m.username, OWN, true);
            list.add("secret", &m.secret, OWN, true);
        }
        AuthMethod::Mtls(m) => {
            list.add("certificate", &m.certificate, OWN, true);
            list.add("private_key", &m.private_key, OWN, true);
            list.inject(auth, STEP);
        }
        AuthMethod::None(_) => {}
    }
    list.uses
}

struct List<'m> {
    path: String,
    captures: Captures<'m>,
    uses: Vec<Use<'m>>,
}

impl<'m> List<'m> {
    /// A template at `key`, whose dots lead further down.
    fn add(
        &mut self,
        key: &str,
        template: &'m Template,
        roots: &'static [&'static str],
        secrets: bool,
    ) {
        let path = key
            .split('.')
            .fold(self.path.clone(), |path, key| child(&path, key));
        self.at(path, Cow::Borrowed(template), roots, secrets, Address::No);
    }

    fn some(
        &mut self,
        key: &str,
        template: Option<&'m Template>,
        roots: &'static [&'static str],
        secrets: bool,
    ) {
        if let Some(template) = template {
            self.add(key, template, roots, secrets);
        }
    }

    fn map(
        &mut self,
        key: &str,
        map: &'m IndexMap<String, Template>,
        roots: &'static [&'static str],
        secrets: bool,
    ) {
        let base = key
            .split('.')
            .fold(self.path.clone(), |path, key| child(&path, key));
        for (name, t) in map {
            self.at(
                child(&base, name),
                Cow::Borrowed(t),
                roots,
                secrets,
                Address::No,
            );
        }
    }

    /// A whole address; secrets never stand in one.
    fn url(&mut self, key: &str, template: Option<&'m Template>, roots: &'static [&'static str]) {
        let Some(template) = template else { return };
        let path = key
            .split('.')
            .fold(self.path.clone(), |path, key| child(&path, key));
        self.at(path, Cow::Borrowed(template), roots, false, Address::Whole);
    }

    fn at(
        &mut self,
        path: String,
        template: Cow<'m, Template>,
        roots: &'static [&'static str],
        secrets: bool,
        address: Address,
    ) {
        self.uses.push(Use {
            path,
            template,
            roots,
            secrets,
            captures: self.captures.clone(),
            address,
        });
    }

    /// Where the credential goes. What is written out stands at its own place, what is usual at the method.
    fn inject(&mut self, auth: &AuthMethod, roots: &'static [&'static str]) {
        let written: &[Inject] = match auth {
            AuthMethod::Oauth2(m) => &m.inject,
            AuthMethod::ApiKey(m) => &m.inject,
            AuthMethod::Session(m) => &m.inject,
            AuthMethod::Jwt(m) => &m.inject,
            AuthMethod::Hmac(m) => &m.inject,
            AuthMethod::Mtls(m) => &m.inject,
            _ => &[],
        };
        for (i, inject) in auth.injections().into_iter().enumerate() {
            let path = if written.is_empty() {
                self.path.clone()
            } else {
                child(&item(&child(&self.path, "inject"), i), "value")
            };
            self.at(path, Cow::Owned(inject.value), roots, true, Address::No);
        }
    }

    /// A request that the host sends by itself: secrets stand in its headers and body, and in its query if it changes things.
    fn request(
        &mut self,
        path: &str,
        request: &'m RequestSpec,
        roots: &'static [&'static str],
        query: bool,
    ) {
        for (key, t) in request.templates() {
            let secrets = key.starts_with("headers.")
                || key.starts_with("body")
                || (query && !request.method.is_safe() && key.starts_with("query."));
            let address = match key.as_str() {
                "path" => Address::PathOrWhole,
                _ => Address::No,
            };
            let path = super::templates::request_path(path, &key);
            self.at(path, Cow::Borrowed(t), roots, secrets, address);
        }
    }

    fn jwt(&mut self, base: &str, jwt: &'m Jwt, roots: &'static [&'static str]) {
        for (part, t) in jwt.templates() {
            let secrets = part == "key" || part.starts_with("claims");
            let path = match part.split_once('.') {
                Some((map, name)) => child(&child(base, map), name),
                None => child(base, &part),
            };
            self.at(path, Cow::Borrowed(t), roots, secrets, Address::No);
        }
    }

    fn client(&mut self, client: &'m ClientSource) {
        if let Some(owner) = &client.owner {
            self.add("client.owner.id", &owner.id, OWN, false);
            self.some("client.owner.secret", owner.secret.as_ref(), OWN, true);
        }
    }

    fn revoke(&mut self, revoke: Option<&'m Revoke>) {
        match revoke {
            Some(Revoke::Rfc7009 { url }) => self.url("revoke.url", Some(url), ENDPOINT),
            Some(Revoke::Request(request)) => {
                let path = child(&self.path, "revoke");
                self.request(&path, request, REVOKE, false);
            }
            Some(Revoke::None { .. }) | None => {}
        }
    }

    fn oauth2(&mut self, o: &'m Oauth2) {
        let of_callback = |(id, c): (&'m String, &crate::model::Capture)| {
            matches!(c.source(), Some(CaptureSource::Callback(_))).then_some(id.as_str())
        };
        self.captures = Captures::OfCallback(o.capture.iter().filter_map(of_callback).collect());
        self.url("authorize_url", o.authorize_url.as_ref(), FORM);
        self.url("device_url", o.device_url.as_ref(), FORM);
        self.url("introspect_url", o.introspect_url.as_ref(), FORM);
        self.url("issuer", o.issuer.as_ref(), FORM);
        for (i, t) in o.resources.iter().enumerate() {
            let path = item(&child(&self.path, "resources"), i);
            self.at(path, Cow::Borrowed(t), FORM, false, Address::No);
        }
        match &o.discover {
            Some(Discover::Issuer(t)) => self.url("discover.issuer", Some(t), FORM),
            Some(Discover::Resource(t)) => self.url("discover.resource", Some(t), FORM),
            None => {}
        }
        self.map("authorize_params", &o.authorize_params, FORM, false);
        for (key, jwt) in [
            ("assertion", &o.assertion),
            ("client_assertion", &o.client_assertion),
        ] {
            if let Some(jwt) = jwt {
                self.jwt(&child(&self.path, key), jwt, JWT);
            }
        }
        if let Some(own) = &o.client_certificate {
            self.add(
                "client_certificate.certificate",
                &own.certificate,
                OWN,
                true,
            );
            self.add(
                "client_certificate.private_key",
                &own.private_key,
                OWN,
                true,
            );
        }
        self.scopes(o);
        self.client(&o.client);
        match &o.callback.verify {
            Some(CallbackVerify::HmacSha256 { key, .. } | CallbackVerify::Jwt { key, .. }) => {
                self.add("callback.verify.key", key, FORM, true);
            }
            None => {}
        }
        self.url("token_url", o.token_url.as_ref(), ENDPOINT);
        self.map("token_params", &o.token_params, EXCHANGE, true);
        self.map("token_headers", &o.token_headers, TOKEN_HEADERS, true);
        if let TokenBody::Xml(t) = &o.token_body {
            self.add("token_body.xml", t, EXCHANGE, true);
        }
        self.captures = Captures::All;
        self.url("refresh_url", o.refresh_url.as_ref(), ENDPOINT);
        self.map("refresh_params", &o.refresh_params, REFRESH, true);
        self.map("refresh.headers", &o.refresh.headers, REFRESH, true);
        if let Some(exchange) = &o.exchange {
            let first = o.capture.keys().map(String::as_str).collect();
            let all = std::mem::replace(&mut self.captures, Captures::OfSteps(first));
            self.url("exchange.url", Some(&exchange.url), ENDPOINT);
            self.map("exchange.params", &exchange.params, REFRESH, true);
            self.map("exchange.headers", &exchange.headers, REFRESH, true);
            self.captures = all;
        }
        self.revoke(o.revoke.as_ref());
    }

    /// Scopes stand in the authorization URL, which the browser sees.
    fn scopes(&mut self, o: &'m Oauth2) {
        let scopes = child(&self.path, "scopes");
        let mut lists = vec![
            (child(&scopes, "default"), &o.scopes.default),
            (child(&scopes, "optional"), &o.scopes.optional),
        ];
        for (i, extra) in o.scopes.extra.iter().enumerate() {
            let path = item(&child(&scopes, "extra"), i);
            lists.push((child(&path, "default"), &extra.default));
            lists.push((child(&path, "optional"), &extra.optional));
        }
        for (path, list) in lists {
            for (i, t) in list.iter().enumerate().filter(|(_, t)| !t.is_literal()) {
                self.at(item(&path, i), Cow::Borrowed(t), OWN, false, Address::No);
            }
        }
    }

    fn session(&mut self, s: &'m Session) {
        let steps = child(&self.path, "steps");
        let mut known = Vec::new();
        for (i, step) in s.steps.iter().enumerate() {
            self.captures = Captures::OfSteps(known.clone());
            let path = item(&steps, i);
            let mut roots = STEP;
            if let Some(jwt) = &step.sign {
                self.jwt(&child(&path, "sign"), jwt, STEP_JWT);
                roots = STEP_SIGNED;
            }
            self.request(&child(&path, "request"), &step.request, roots, true);
            known.extend(step.capture.keys().map(String::as_str));
        }
        self.captures = Captures::All;
        if let Some(Logout::Request(request)) = &s.logout {
            let path = child(&self.path, "logout");
            self.request(&path, request, STEP, true);
        }
    }

    fn oauth1(&mut self, o: &'m Oauth1) {
        self.captures = Captures::OfCallback(Vec::new());
        self.url("request_token_url", o.request_token_url.as_ref(), FORM);
        self.url("authorize_url", o.authorize_url.as_ref(), FORM);
        self.map("authorize_params", &o.authorize_params, FORM, false);
        self.url("access_token_url", o.access_token_url.as_ref(), FORM);
        self.some("realm", o.realm.as_ref(), OWN, false);
        self.client(&o.client);
        self.some("token", o.token.as_ref(), OWN, true);
        self.some("token_secret", o.token_secret.as_ref(), OWN, true);
        self.captures = Captures::All;
        self.revoke(o.revoke.as_ref());
    }
}
