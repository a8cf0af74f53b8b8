//! Webhooks and pages.
//!
//! V67 a webhook is subscribed, verified and ended, or a person is told how; an app's one address is verified, and tells connections
//! apart by what the app itself said of them · V68 it has a request that shows what its events look like ·
//! V69 reading pages ends.

mod app_webhook;

use super::Checker;
use crate::model::{Pagination, Trigger, TriggerKind, WebhookVerify};
use crate::yaml::places::child;

/// Most pages that may be read in one go.
const MAX_PAGES: u32 = 1000;

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    app_webhook::check(c);
    for (id, action) in &m.actions {
        if let Some(pagination) = &action.pagination {
            pages(c, &child(&child("actions", id), "pagination"), pagination);
        }
    }
    for (id, trigger) in &m.triggers {
        let path = child("triggers", id);
        if let Some(pagination) = &trigger.pagination {
            pages(c, &child(&path, "pagination"), pagination);
        }
        match trigger.kind {
            TriggerKind::Polling => polling(c, &path, trigger),
            TriggerKind::Webhook => webhook(c, &path, trigger),
            TriggerKind::WebhookManual => manual(c, &path, trigger),
            TriggerKind::WebhookApp => app_webhook::trigger(c, &path, trigger),
        }
        if let Some(verify) = &trigger.verify {
            self::verify(c, &child(&path, "verify"), verify);
            shared(c, &path, trigger, verify);
        }
        if trigger.kind.is_webhook() && trigger.request.is_none() && !trigger.code {
            c.warn(
                "V68",
                &path,
                "while no event has arrived, nothing shows what events look like",
                Some("add a `request` for the latest ones"),
            );
        }
    }
}

fn pages(c: &mut Checker<'_>, path: &str, pagination: &Pagination) {
    let fix = Some("add `max_pages: 10`, as many as a person would wait for");
    match pagination.max_pages {
        Some(1..=MAX_PAGES) => {}
        None => c.error("V69", path, "nothing stops reading pages", fix),
        Some(_) => c.error(
            "V69",
            &child(path, "max_pages"),
            format!("at least 1 and at most {MAX_PAGES} pages can be read"),
            fix,
        ),
    }
}

fn polling(c: &mut Checker<'_>, path: &str, t: &Trigger) {
    let mut webhooks = own_address(t).to_vec();
    webhooks.extend([("when", !t.when.is_empty()), ("only", !t.only.is_empty())]);
    refuse(
        c,
        path,
        &webhooks,
        "only means something for webhooks",
        "write `kind: webhook` or `kind: webhook_manual`, or remove it",
    );
}

/// What only a trigger with an address of its own can say, and whether this one says it.
fn own_address(t: &Trigger) -> [(&'static str, bool); 7] {
    [
        ("subscribe", t.subscribe.is_some()),
        ("subscription", !t.subscription.is_empty()),
        ("unsubscribe", t.unsubscribe.is_some()),
        ("manual", t.manual.is_some()),
        ("verify", t.verify.is_some()),
        ("challenge", t.challenge.is_some()),
        ("tenant", t.tenant.is_some()),
    ]
}

/// Keys that are there and may not be.
fn refuse(c: &mut Checker<'_>, path: &str, keys: &[(&str, bool)], why: &str, fix: &str) {
    for (key, _) in keys.iter().filter(|(_, there)| *there) {
        c.error(
            "V67",
            &child(path, key),
            format!("`{key}` {why}"),
            Some(fix),
        );
    }
}

fn webhook(c: &mut Checker<'_>, path: &str, t: &Trigger) {
    for (key, there, why) in [
        (
            "subscribe",
            t.subscribe.is_some(),
            "nothing tells the app where to send events",
        ),
        (
            "unsubscribe",
            t.unsubscribe.is_some(),
            "nothing ends the subscription",
        ),
        ("verify", t.verify.is_some(), "anybody could send events"),
    ] {
        if !there {
            c.error("V67", path, why, Some(&format!("add `{key}:`")));
        }
    }
    if let Some(subscribe) = &t.subscribe {
        let told = subscribe
            .templates()
            .iter()
            .flat_map(|(_, t)| t.refs())
            .any(|r| r.root == "webhook" && r.name() == Some("url"));
        if !told {
            c.error(
                "V67",
                &child(path, "subscribe"),
                "the subscription does not say where events go",
                Some("put `{{ webhook.url }}` where the app expects the address"),
            );
        }
    }
}

fn manual(c: &mut Checker<'_>, path: &str, t: &Trigger) {
    if t.manual
        .as_ref()
        .is_none_or(|text| text.trim().chars().count() < 10)
    {
        c.error(
            "V67",
            path,
            "nothing tells the person what to do at the app",
            Some("add `manual: <where to enter the address>`"),
        );
    }
    if t.verify.is_none() {
        c.error(
            "V67",
            path,
            "anybody could send events",
            Some("add `verify:`"),
        );
    }
    if t.subscribe.is_some() || t.unsubscribe.is_some() {
        c.error(
            "V67",
            path,
            "a person enters the address at this app, so nothing is subscribed by a request",
            Some("write `kind: webhook`, or remove `subscribe` and `unsubscribe`"),
        );
    }
}

/// What is signed with the secret of the OAuth client is signed alike for every account.
fn shared(c: &mut Checker<'_>, path: &str, t: &Trigger, verify: &WebhookVerify) {
    let by_client = verify
        .templates()
        .iter()
        .flat_map(|(_, template)| template.refs())
        .any(|r| r.root == "app");
    if by_client && t.tenant.is_none() {
        c.error(
            "V67",
            path,
            "calls are signed with a secret that all accounts share, and nothing says whose an event is",
            Some("add `tenant: { event: \"{{ body.team_id }}\", connection: \"{{ account.id }}\" }`"),
        );
    }
}

fn verify(c: &mut Checker<'_>, path: &str, verify: &WebhookVerify) {
    match verify {
        WebhookVerify::None { reason } if reason.trim().chars().count() < 10 => c.error(
            "V67",
            path,
            "a webhook that is not verified says why",
            Some("write `none: <why events may be believed>`"),
        ),
        WebhookVerify::Hmac(hmac) if hmac.tolerance.is_some() && hmac.timestamp.is_none() => c
            .error(
                "V67",
                path,
                "`tolerance` needs to know when the call was signed",
                Some("add `timestamp: \"{{ headers['x-timestamp'] }}\"`"),
            ),
        WebhookVerify::Hmac(hmac) if hmac.timestamp.is_some() && hmac.message.is_none() => c.error(
            "V67",
            path,
            "the time is not a part of what is signed, so anybody could set it",
            Some("say what is signed with `message`, or remove `timestamp`"),
        ),
        _ => {}
    }
}
