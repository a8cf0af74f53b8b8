//! V67 for an app's one address: the events of all connections come to it, so what tells them apart decides who reads what.
//!
//! Threat: an owner who says that they are somebody else. A value that a person typed, or that came with their browser, could be
//! another one's; so a connection is known by what the app said of it over a connection of our own, and by nothing else.

use super::{own_address, refuse};
use crate::model::{
    AppWebhook, AuthMethod, CaptureSource, Manifest, Trigger, TriggerKind, WebhookVerify,
};
use crate::template::Ref;
use crate::yaml::checks::Checker;

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    let used = m
        .triggers
        .values()
        .any(|t| t.kind == TriggerKind::WebhookApp);
    let Some(webhook) = &m.webhook else { return };
    if !used {
        c.error(
            "V67",
            "webhook",
            "no trigger is learnt of at this address",
            Some("add a trigger with `kind: webhook_app`, or remove `webhook`"),
        );
    }
    if !m
        .auth
        .values()
        .any(|auth| auth.oauth2().is_some_and(|oauth| oauth.client.operator))
    {
        c.error(
            "V67",
            "webhook",
            "nobody signs in with a client of the operator's, so no connection is the app's to tell of",
            Some("write `kind: webhook_manual` for the triggers, or add `type: oauth2` to the ways to sign in"),
        );
    }
    if webhook.manual.trim().chars().count() < 10 {
        c.error(
            "V67",
            "webhook.manual",
            "nothing tells the operator what to do at the app",
            Some("say where the address is entered and where the secret is found"),
        );
    }
    verified(c, webhook);
    super::verify(c, "webhook.verify", &webhook.verify);
    known(c, webhook);
}

/// Everybody knows the address.
fn verified(c: &mut Checker<'_>, webhook: &AppWebhook) {
    if let WebhookVerify::None { .. } = webhook.verify {
        c.error(
            "V67",
            "webhook.verify",
            "anybody could send events of anybody to this address",
            Some("say how its calls are signed"),
        );
        return;
    }
    let by_secret = webhook
        .verify
        .templates()
        .iter()
        .filter(|(key, _)| matches!(*key, "key" | "value"))
        .flat_map(|(_, template)| template.refs())
        .any(|r| {
            matches!(
                (r.root.as_str(), r.name()),
                ("webhook", Some("secret")) | ("app", Some("client_secret"))
            )
        });
    if !by_secret {
        c.error(
            "V67",
            "webhook.verify",
            "no secret has a part in it, so anybody could send events of anybody to this address",
            Some("sign with `{{ webhook.secret }}`, which the operator enters in the app's configuration"),
        );
    }
}

/// What a connection is known by comes from the app.
fn known(c: &mut Checker<'_>, webhook: &AppWebhook) {
    let m = c.manifest;
    let path = "webhook.tenant.connection";
    if webhook.tenant.connection.refs().is_empty() {
        c.error(
            "V67",
            path,
            "this is the same for all connections",
            Some("write what the app says of each: `{{ capture.team_id }}`"),
        );
    }
    for r in webhook.tenant.connection.refs() {
        if brought(m, &r) {
            c.error(
                "V67",
                path,
                format!("`{r}` comes from the person or their browser, who could say that they are somebody else"),
                Some("use what the app says in its token answer or its test call"),
            );
        }
    }
}

/// Whether a person or their browser decides on this.
fn brought(m: &Manifest, r: &Ref) -> bool {
    let name = r.name().unwrap_or_default();
    match r.root.as_str() {
        "account" => m.auth.keys().any(|method| {
            typed_api(m, method)
                || m.test_for(method).calls().iter().any(|call| {
                    let made_of = match name {
                        "id" => &call.account.id,
                        _ => &call.account.label,
                    };
                    made_of.refs().iter().any(|r| typed(m, r))
                })
        }),
        _ => typed(m, r),
    }
}

/// Whether this stands for what was typed, or came with a callback.
fn typed(m: &Manifest, r: &Ref) -> bool {
    let name = r.name().unwrap_or_default();
    match r.root.as_str() {
        "fields" | "credentials" => true,
        "capture" => m
            .auth
            .values()
            .flat_map(AuthMethod::captures)
            .any(|(id, it)| id == name && matches!(it.source(), Some(CaptureSource::Callback(_)))),
        _ => false,
    }
}

/// Whether the server that answers the test call is one that a person names: what it says of the account is theirs.
fn typed_api(m: &Manifest, method: &str) -> bool {
    let any_host = |name: Option<&str>| {
        m.fields_for(method).any(|field| {
            Some(field.id.as_str()) == name
                && field.format.names_a_host()
                && field.suffixes.is_empty()
        })
    };
    m.self_hosted
        || m.base_url_for(method)
            .refs()
            .iter()
            .any(|r| r.root == "fields" && any_host(r.name()))
}

/// A trigger whose events come to the app's one address.
pub(super) fn trigger(c: &mut Checker<'_>, path: &str, t: &Trigger) {
    if c.manifest.webhook.is_none() {
        c.error(
            "V67",
            path,
            "nothing says how calls to the app's one address are checked",
            Some("add `webhook:` to the manifest, or write another `kind`"),
        );
    }
    refuse(
        c,
        path,
        &own_address(t),
        "is said once for the app's one address",
        "move it to `webhook:`, or remove it",
    );
}
