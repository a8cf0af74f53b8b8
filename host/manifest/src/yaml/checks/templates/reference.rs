//! One value that a template reads: does it exist by then, is it declared, may it be seen here (V14, V15, V16, V18)?

use super::Walk;
use super::place::{KNOWN, Place};
use crate::model::{AuthMethod, Trigger};
use crate::template::{Ref, Template};
use crate::yaml::checks::Checker;
use crate::yaml::checks::signin::Captures;
use crate::yaml::places::{child, item};

impl Walk {
    pub(super) fn reference(
        &mut self,
        c: &mut Checker<'_>,
        path: &str,
        r: &Ref,
        place: &Place<'_>,
    ) {
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
                    Some(AuthMethod::Session(m)) => {
                        let mut signed = m.steps.iter().filter_map(|step| step.sign.as_ref());
                        signed.any(|jwt| jwt.fingerprint.is_some())
                    }
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
    pub(super) fn unused(&self, c: &mut Checker<'_>) {
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

pub(super) fn is_hook_secret(r: &Ref) -> bool {
    r.root == "webhook" && r.name() == Some("secret")
}

/// V14: what is read of a subscription is kept of it.
pub(super) fn agreed(c: &mut Checker<'_>, path: &str, template: &Template, t: &Trigger) {
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
