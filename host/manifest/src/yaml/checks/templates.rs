//! What templates read, where.
//!
//! V13 a hole in another template language · V14 what is read is declared · V15 what is asked for is used · V16 nothing is read
//! before it exists · V17 a fallback ends in something that always has a value · V18 no secret where it could be seen.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::Checker;
use super::signin::{self, Captures};
use crate::model::{AuthMethod, RequestSpec, Test, TestCall, Trigger};
use crate::pattern::Pattern;
use crate::template::{Ref, Template};
use crate::yaml::places::{child, item};

/// What a place may read.
struct Place<'m> {
    roots: &'static [&'static str],
    secrets: bool,
    methods: Vec<&'m str>,
    /// Which captures exist by then.
    captures: Captures<'m>,
}

const INJECT: &[&str] = &["fields", "credentials", "capture", "token", "app", "now"];
const API: &[&str] = &["fields", "credentials", "capture"];
const REQUEST: &[&str] = &["fields", "credentials", "capture", "now"];
const ANSWER: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "now",
    "body",
    "headers",
    "status",
];
const ACTION: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "account",
    "input",
    "now",
];
const TRIGGER: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "account",
    "input",
    "cursor",
    "now",
];
const EVENT: &[&str] = &[
    "fields", "capture", "input", "cursor", "item", "body", "headers", "status", "now",
];
/// An item of a list that a person chooses from.
const ITEM: &[&str] = &["fields", "capture", "item", "body", "headers", "status"];
const SUBSCRIBE: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "account",
    "input",
    "now",
    "webhook",
];
const UNSUBSCRIBE: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "account",
    "now",
    "webhook",
    "subscription",
];
/// A call that the app makes: its body and headers, and what was agreed with it.
const HOOK: &[&str] = &[
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
const RECIPE: &[&str] = &[
    "fields",
    "credentials",
    "capture",
    "token",
    "app",
    "args",
    "now",
];

/// Names that groups of the host's own have.
const KNOWN: &[(&str, &[&str])] = &[
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

pub(super) fn check(c: &mut Checker<'_>) {
    let mut walk = Walk {
        used: HashSet::new(),
    };
    let m = c.manifest;
    let methods: Vec<&str> = m.auth.keys().map(String::as_str).collect();
    let all = |roots, secrets| Place {
        roots,
        secrets,
        methods: methods.clone(),
        captures: Captures::All,
    };

    walk.template(c, "api.base_url", &m.api.base_url, &all(API, false));
    for (i, entry) in m.api.hosts.iter().enumerate() {
        walk.template(c, &item("api.hosts", i), &entry.host, &all(API, false));
    }
    for (name, t) in &m.api.headers {
        walk.template(c, &child("api.headers", name), t, &all(API, false));
    }
    for (name, t) in &m.api.query {
        walk.template(c, &child("api.query", name), t, &all(API, false));
    }
    for method in &methods {
        walk.method(c, method);
    }
    let with_app_test: Vec<&str> = methods
        .iter()
        .copied()
        .filter(|id| m.auth.get(*id).is_some_and(|a| a.test().is_none()))
        .collect();
    walk.test(c, "test", &m.test, &with_app_test);
    for (id, action) in &m.actions {
        if let Some(request) = &action.request {
            walk.request(
                c,
                &format!("{}.request", child("actions", id)),
                request,
                &all(ACTION, false),
            );
        }
    }
    for (id, trigger) in &m.triggers {
        let path = child("triggers", id);
        if let Some(request) = &trigger.request {
            walk.request(c, &child(&path, "request"), request, &all(TRIGGER, false));
        }
        walk.webhook(c, &path, trigger, &methods);
        for (key, t) in [("dedupe", &trigger.dedupe), ("cursor", &trigger.cursor)] {
            if let Some(t) = t {
                walk.template(c, &child(&path, key), t, &all(EVENT, false));
            }
        }
    }
    for (i, step) in m.discovery.iter().enumerate() {
        let path = item("discovery", i);
        let of_step = |roots| Place {
            roots,
            secrets: false,
            methods: methods
                .iter()
                .copied()
                .filter(|id| step.is_for(id))
                .collect(),
            captures: Captures::All,
        };
        walk.request(
            c,
            &child(&path, "request"),
            &step.request,
            &of_step(REQUEST),
        );
        if let Some(label) = &step.label {
            walk.template(c, &child(&path, "label"), label, &of_step(ITEM));
        }
    }
    // A field that decides whether another is shown is used by that.
    for field in m
        .fields
        .iter()
        .chain(m.auth.values().flat_map(|a| a.fields()))
    {
        if let Some(shown) = &field.shown_when {
            for root in ["fields", "credentials"] {
                walk.used.insert((root.to_owned(), shown.field.clone()));
            }
        }
    }
    for (id, recipe) in &m.recipes {
        for (key, t) in recipe.templates() {
            walk.template(c, &child(&child("recipes", id), key), t, &all(RECIPE, true));
        }
    }
    for (id, handle) in &m.handles {
        walk.template(
            c,
            &child(&child("handles", id), "value"),
            &handle.value,
            &all(INJECT, true),
        );
    }
    walk.unused(c);
}

struct Walk {
    used: HashSet<(String, String)>,
}

impl Walk {
    fn method(&mut self, c: &mut Checker<'_>, method: &str) {
        let manifest = c.manifest;
        let path = child("auth", method);
        let Some(auth) = manifest.auth.get(method) else {
            return;
        };
        for one in signin::uses(&path, auth) {
            let place = Place {
                roots: one.roots,
                secrets: one.secrets,
                methods: vec![method],
                captures: one.captures,
            };
            self.template(c, &one.path, &one.template, &place);
        }
        if let Some(test) = auth.test() {
            self.test(c, &child(&path, "test"), test, &[method]);
        }
    }

    /// The templates of a webhook. Its own secret goes into headers and bodies, never into an address.
    fn webhook(&mut self, c: &mut Checker<'_>, path: &str, t: &Trigger, methods: &[&str]) {
        let place = |roots, secrets| Place {
            roots,
            secrets,
            methods: methods.to_vec(),
            captures: Captures::All,
        };
        for (name, request, roots) in [
            ("subscribe", &t.subscribe, SUBSCRIBE),
            ("unsubscribe", &t.unsubscribe, UNSUBSCRIBE),
        ] {
            let Some(request) = request else { continue };
            let path = child(path, name);
            self.request(c, &path, request, &place(roots, false));
            for (key, template) in request.templates() {
                let shows = !key.starts_with("headers.") && !key.starts_with("body");
                if shows && template.refs().iter().any(is_hook_secret) {
                    c.error(
                        "V18",
                        &request_path(&path, &key),
                        "`webhook.secret` is secret and may not stand in an address",
                        Some("put it into the body or a header"),
                    );
                }
                agreed(c, &request_path(&path, &key), template, t);
            }
        }
        for (key, template) in t.verify.iter().flat_map(|v| v.templates()) {
            let path = child(&child(path, "verify"), key);
            self.template(c, &path, template, &place(HOOK, true));
            agreed(c, &path, template, t);
        }
        if let Some(challenge) = &t.challenge {
            let path = child(&child(path, "challenge"), "answer");
            // Whoever calls gets the answer: a secret may sign it, never stand in it.
            let signs = |e: &str| e.contains("hmac_");
            let signed = challenge.answer.expressions().all(|e| {
                let hole = Template::parse(&format!("{{{{ {e} }}}}"));
                let refs = hole.map(|h| h.refs()).unwrap_or_default();
                signs(e)
                    || !refs
                        .iter()
                        .any(|r| is_hook_secret(r) || c.is_secret(r, methods.first().copied()))
            });
            self.template(c, &path, &challenge.answer, &place(HOOK, true));
            if !signed {
                c.error(
                    "V18",
                    &path,
                    "the answer to a challenge would show a secret to anybody who asks",
                    Some("a secret may only be the key of `hmac_sha256(…)` and its like here"),
                );
            }
        }
    }

    fn test(&mut self, c: &mut Checker<'_>, path: &str, test: &Test, methods: &[&str]) {
        for (i, call) in test.calls().iter().enumerate() {
            let path = match test {
                Test::AnyOf(_) => item(&child(path, "any_of"), i),
                _ => path.to_owned(),
            };
            self.call(c, &path, call, methods);
        }
    }

    fn call(&mut self, c: &mut Checker<'_>, path: &str, call: &TestCall, methods: &[&str]) {
        let at = |roots| Place {
            roots,
            secrets: false,
            methods: methods.to_vec(),
            captures: Captures::All,
        };
        self.request(c, &child(path, "request"), &call.request, &at(REQUEST));
        let path = child(path, "account");
        self.template(c, &child(&path, "id"), &call.account.id, &at(ANSWER));
        self.template(c, &child(&path, "label"), &call.account.label, &at(ANSWER));
        for (name, t) in &call.account.extra {
            self.template(c, &child(&child(&path, "extra"), name), t, &at(ANSWER));
        }
    }

    fn request(
        &mut self,
        c: &mut Checker<'_>,
        path: &str,
        request: &RequestSpec,
        place: &Place<'_>,
    ) {
        for (key, t) in request.templates() {
            self.template(c, &request_path(path, &key), t, place);
        }
    }

    fn template(&mut self, c: &mut Checker<'_>, path: &str, t: &Template, place: &Place<'_>) {
        if let Some(hole) = foreign_hole(t) {
            c.error(
                "V13",
                path,
                format!("`{hole}` is not a hole here"),
                Some("write `{{ fields.name }}`"),
            );
        }
        for r in t.refs() {
            self.used
                .insert((r.root.clone(), r.name().unwrap_or_default().to_owned()));
            self.reference(c, path, &r, place);
        }
        if let Some(open) = open_fallback(t) {
            c.error(
                "V17",
                path,
                format!("the last fallback, `{open}`, can be missing too"),
                Some("end with a text: `| default('…')`"),
            );
        }
    }

    fn reference(&mut self, c: &mut Checker<'_>, path: &str, r: &Ref, place: &Place<'_>) {
        if r.root == "variant" {
            self.variant(c, path, r);
            return;
        }
        if !place.roots.contains(&r.root.as_str()) {
            let roots = place.roots.join(", ");
            c.error(
                "V16",
                path,
                format!("`{r}` does not exist yet when this is used"),
                Some(&format!("known here: {roots}")),
            );
            return;
        }
        let name = r.name().unwrap_or_default();
        if let Some((root, names)) = KNOWN.iter().find(|(root, _)| *root == r.root)
            && !names.contains(&name)
        {
            c.error(
                "V14",
                path,
                format!("there is no `{r}`"),
                Some(&format!("`{root}` has: {}", names.join(", "))),
            );
            return;
        }
        if r.root == "fields" && c.field("fields", name, None).is_none() {
            let fix = match c
                .manifest
                .auth
                .values()
                .any(|m| m.fields().iter().any(|f| f.id == name))
            {
                true => format!("a field of a way to sign in is `credentials.{name}`"),
                false => "declare it under `fields:`".to_owned(),
            };
            c.error(
                "V14",
                path,
                format!("there is no field `{name}`"),
                Some(&fix),
            );
            return;
        }
        for method in &place.methods {
            if !self.declared(c, path, r, method, place) {
                return;
            }
            if !place.secrets && c.is_secret(r, Some(method)) {
                c.error(
                    "V18",
                    path,
                    format!("`{r}` is secret and may not stand here"),
                    Some("secrets go into `inject`, token parameters and recipes only"),
                );
                return;
            }
        }
    }

    /// V14: constants of variants exist from the first moment on, in every choice.
    fn variant(&self, c: &mut Checker<'_>, path: &str, r: &Ref) {
        let name = r.name().unwrap_or_default();
        let declared = c.manifest.variants.as_ref();
        if declared.is_none_or(|v| v.each(name).is_empty()) {
            c.error(
                "V14",
                path,
                format!("there is no constant `{name}` that every variant sets"),
                Some("declare it under `variants.choices.<key>.values`"),
            );
        }
    }

    /// Whether every way to sign in that uses a place declares what it reads.
    fn declared(
        &self,
        c: &mut Checker<'_>,
        path: &str,
        r: &Ref,
        method: &str,
        place: &Place<'_>,
    ) -> bool {
        let name = r.name().unwrap_or_default();
        match r.root.as_str() {
            "credentials" if c.field("credentials", name, Some(method)).is_none() => {
                let fix = match c.field("fields", name, None) {
                    Some(_) => format!("a field of the app is `fields.{name}`"),
                    None => format!(
                        "add the field to `auth.{method}.fields`, or ask for it in the app's own `fields`"
                    ),
                };
                c.error(
                    "V14",
                    path,
                    format!("the way to sign in `{method}` does not ask for `{name}`"),
                    Some(&fix),
                );
                false
            }
            "capture" => match c.capture(name, Some(method)) {
                None => {
                    c.error(
                        "V14",
                        path,
                        format!("the way to sign in `{method}` does not capture `{name}`"),
                        Some(&format!("declare it under `auth.{method}.capture`")),
                    );
                    false
                }
                Some(_) if !place.captures.has(name) => {
                    let with = match place.captures {
                        Captures::OfSteps(_) => "a later answer",
                        Captures::All | Captures::OfCallback(_) => "the tokens",
                    };
                    c.error(
                        "V16",
                        path,
                        format!("`{r}` comes with {with} and does not exist yet when this is used"),
                        None,
                    );
                    false
                }
                Some(_) => true,
            },
            "token"
                if c.manifest
                    .auth
                    .get(method)
                    .is_some_and(|m| m.oauth2().is_none()) =>
            {
                c.error(
                    "V16",
                    path,
                    format!("the way to sign in `{method}` gives no tokens"),
                    Some("a pasted key is `credentials.<id>`"),
                );
                false
            }
            "tokens" => {
                let also = c.manifest.auth.get(method).and_then(|m| m.oauth2());
                let known = also.is_some_and(|o| o.response.also.contains_key(name));
                if !known {
                    c.error(
                        "V14",
                        path,
                        format!("the way to sign in `{method}` has no second token `{name}`"),
                        Some(&format!("declare it under `auth.{method}.response.also`")),
                    );
                }
                known
            }
            "key" => {
                let known = match c.manifest.auth.get(method) {
                    Some(AuthMethod::Jwt(m)) => m.sign.fingerprint.is_some(),
                    Some(AuthMethod::Oauth2(m)) => [&m.assertion, &m.client_assertion]
                        .into_iter()
                        .flatten()
                        .any(|jwt| jwt.fingerprint.is_some()),
                    _ => false,
                };
                if !known {
                    c.error(
                        "V14",
                        path,
                        "no fingerprint of the key is made here",
                        Some("add `fingerprint: sha256` to the JWT"),
                    );
                }
                known
            }
            _ => true,
        }
    }

    /// V15: a field that nothing reads is asked for in vain.
    fn unused(&self, c: &mut Checker<'_>) {
        let used = |root: &str, id: &str| self.used.contains(&(root.to_owned(), id.to_owned()));
        let m = c.manifest;
        // A component reads public fields by itself.
        let by_code = m.component != crate::model::Component::Rest;
        for (i, field) in m.fields.iter().enumerate() {
            if !used("fields", &field.id) && (field.secret || !by_code) {
                c.warn(
                    "V15",
                    &item("fields", i),
                    format!("nothing uses the field `{}`", field.id),
                    Some("remove it, or use it"),
                );
            }
        }
        for (method, auth) in &m.auth {
            for (i, field) in auth.fields().iter().enumerate() {
                if !used("credentials", &field.id) && (field.secret || !by_code) {
                    let path = item(&format!("{}.fields", child("auth", method)), i);
                    c.warn(
                        "V15",
                        &path,
                        format!("nothing uses the field `{}`", field.id),
                        Some("remove it, or use it"),
                    );
                }
            }
        }
    }
}

fn is_hook_secret(r: &Ref) -> bool {
    r.root == "webhook" && r.name() == Some("secret")
}

/// V14: what is read of a subscription is kept of it.
fn agreed(c: &mut Checker<'_>, path: &str, template: &Template, t: &Trigger) {
    for r in template.refs().iter().filter(|r| r.root == "subscription") {
        let name = r.name().unwrap_or_default();
        if !t.subscription.contains_key(name) {
            c.error(
                "V14",
                path,
                format!("the subscription keeps no `{name}`"),
                Some("declare it under `subscription:`"),
            );
        }
    }
}

/// `query.page[size]` is one key below `query`, whatever it is made of.
pub(super) fn request_path(path: &str, key: &str) -> String {
    match key.split_once('.') {
        Some((part @ ("query" | "headers"), name)) => child(&child(path, part), name),
        Some(("body", rest)) => match rest.split_once('.') {
            Some((form, name)) => child(&format!("{path}.body.{form}"), name),
            None => format!("{path}.body.{rest}"),
        },
        _ => child(path, key),
    }
}

/// `${x}` or `{x}` in literal text: a hole of another template language.
fn foreign_hole(t: &Template) -> Option<String> {
    static FOREIGN: LazyLock<Option<Pattern>> =
        LazyLock::new(|| Pattern::parse(r"\$\{[^}]*\}|\{[a-z_][a-zA-Z0-9_.]*\}").ok());
    let pattern = FOREIGN.as_ref()?;
    t.literals().find(|text| pattern.finds(text)).map(|text| {
        let from = text.find("${").or_else(|| text.find('{')).unwrap_or(0);
        let rest = text.get(from..).unwrap_or_default();
        rest.split_inclusive('}')
            .next()
            .unwrap_or_default()
            .to_owned()
    })
}

/// The last `default(x)` of an expression whose `x` is a value that can be missing as well.
fn open_fallback(t: &Template) -> Option<String> {
    t.expressions().find_map(|e| {
        let (_, last) = e
            .rsplit_once("default(")
            .or_else(|| e.rsplit_once("default ("))?;
        let argument = last.split(')').next().unwrap_or_default().trim();
        let names_a_value = crate::template::ROOTS.iter().any(|r| {
            argument
                .strip_prefix(r)
                .is_some_and(|rest| rest.starts_with('.'))
        });
        names_a_value.then(|| argument.to_owned())
    })
}
