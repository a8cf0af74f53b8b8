//! What templates read, where.
//!
//! V13 a hole in another template language · V14 what is read is declared · V15 what is asked for is used · V16 nothing is read
//! before it exists · V17 a fallback ends in something that always has a value · V18 no secret where it could be seen.

mod holes;
mod place;
mod reference;

use std::collections::HashSet;

use super::Checker;
use super::signin::{self, Captures};
use crate::model::{AppWebhook, Challenge, RequestSpec, Test, TestCall, Trigger};
use crate::template::Template;
use crate::yaml::places::{child, item};
use holes::{foreign_hole, open_fallback};
use place::{
    ACTION, ANSWER, API, APP_HOOK, CALL, EVENT, HOOK, INJECT, ITEM, KNOWN_BY, Place, RECIPE,
    REQUEST, SUBSCRIBE, TENANT, TRIGGER, UNSUBSCRIBE, WISH,
};
use reference::{agreed, is_hook_secret};

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

    let with_app_base = Place {
        methods: methods
            .iter()
            .copied()
            .filter(|id| m.auth.get(*id).is_some_and(|a| a.base_url().is_none()))
            .collect(),
        ..all(API, false)
    };
    walk.template(c, "api.base_url", &m.api.base_url, &with_app_base);
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
    if let Some(webhook) = &m.webhook {
        walk.app_webhook(c, webhook);
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
            let path = key
                .split('.')
                .fold(child("recipes", id), |path, part| child(&path, part));
            walk.template(c, &path, t, &all(RECIPE, true));
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
        if let Some(tenant) = &t.tenant {
            let path = child(path, "tenant");
            for (key, template) in [("event", &tenant.event), ("connection", &tenant.connection)] {
                self.template(c, &child(&path, key), template, &place(TENANT, false));
            }
        }
        if let Some(challenge) = &t.challenge {
            self.challenge(c, path, challenge, &place(HOOK, true));
        }
        for (i, only) in t.only.iter().enumerate() {
            let path = item(&child(path, "only"), i);
            self.template(c, &child(&path, "event"), &only.event, &place(CALL, false));
            self.template(c, &child(&path, "is"), &only.is, &place(WISH, false));
        }
    }

    /// The templates of an app's one address. Connections that signed in with the app's own client alone are known by it.
    fn app_webhook(&mut self, c: &mut Checker<'_>, webhook: &AppWebhook) {
        let manifest = c.manifest;
        let methods: Vec<&str> = manifest
            .auth
            .iter()
            .filter(|(_, auth)| auth.oauth2().is_some_and(|oauth| oauth.client.operator))
            .map(|(id, _)| id.as_str())
            .collect();
        let place = |roots, secrets| Place {
            roots,
            secrets,
            methods: methods.clone(),
            captures: Captures::All,
        };
        for (key, template) in webhook.verify.templates() {
            let path = child("webhook.verify", key);
            self.template(c, &path, template, &place(APP_HOOK, true));
        }
        if let Some(challenge) = &webhook.challenge {
            self.challenge(c, "webhook", challenge, &place(APP_HOOK, true));
        }
        let tenant = &webhook.tenant;
        self.template(
            c,
            "webhook.tenant.event",
            &tenant.event,
            &place(CALL, false),
        );
        // What a connection is known by is compared and shown to nobody, so a captured secret may stand here.
        self.template(
            c,
            "webhook.tenant.connection",
            &tenant.connection,
            &place(KNOWN_BY, true),
        );
    }

    fn challenge(
        &mut self,
        c: &mut Checker<'_>,
        path: &str,
        challenge: &Challenge,
        place: &Place<'_>,
    ) {
        let path = child(&child(path, "challenge"), "answer");
        // Whoever calls gets the answer: a secret may sign it, never stand in it.
        let signs = |e: &str| e.contains("hmac_");
        let signed = challenge.answer.expressions().all(|e| {
            let hole = Template::parse(&format!("{{{{ {e} }}}}"));
            let refs = hole.map(|h| h.refs()).unwrap_or_default();
            signs(e)
                || !refs
                    .iter()
                    .any(|r| is_hook_secret(r) || c.is_secret(r, place.methods.first().copied()))
        });
        self.template(c, &path, &challenge.answer, place);
        if !signed {
            c.error(
                "V18",
                &path,
                "the answer to a challenge would show a secret to anybody who asks",
                Some("a secret may only be the key of `hmac_sha256(…)` and its like here"),
            );
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
