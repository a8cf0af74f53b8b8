//! Discovery.
//!
//! V16 a step reads nothing that a later one finds · V41 it only reads · V50 a list says which item is meant · V62 the ways to sign in that
//! it is for exist.

use super::Checker;
use crate::model::{Discovery, Pick};
use crate::template::Template;
use crate::yaml::places::{child, item};

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    for (i, step) in m.discovery.iter().enumerate() {
        let path = item("discovery", i);
        if m.discovery.iter().take(i).any(|other| other.id == step.id) {
            c.error(
                "V22",
                &child(&path, "id"),
                format!("two steps are called `{}`", step.id),
                None,
            );
        }
        for (at, method) in step.methods.iter().enumerate() {
            if !m.auth.contains_key(method) {
                c.error(
                    "V62",
                    &item(&child(&path, "methods"), at),
                    format!("there is no way to sign in `{method}`"),
                    None,
                );
            }
        }
        if !step.request.method.is_safe() && !step.request.safe {
            c.error(
                "V41",
                &child(&child(&path, "request"), "method"),
                "a discovery only reads",
                Some("use GET, or add `safe: true` if this request only reads"),
            );
        }
        picking(c, &path, step);
        order(c, &path, i, step);
    }
}

fn picking(c: &mut Checker<'_>, path: &str, step: &Discovery) {
    match (&step.items, &step.pick) {
        (Some(_), None) => c.error(
            "V50",
            path,
            "nothing says which item of the list is taken",
            Some("add `pick: ask`, `first`, `only` or `{ match: { path: …, equals: … } }`"),
        ),
        (None, Some(_)) => c.error(
            "V50",
            &child(path, "pick"),
            "there is no list to pick from",
            Some("say where the list is with `items`, or remove `pick`"),
        ),
        (Some(_), Some(Pick::Ask)) if step.label.is_none() => c.error(
            "V50",
            path,
            "a person who is asked must see what the items are",
            Some("add `label: \"{{ item.name }}\"`"),
        ),
        _ => {}
    }
}

/// V16: what this step or a later one finds cannot be read by its request, nor by the base URL that its path is under.
fn order(c: &mut Checker<'_>, path: &str, step: usize, d: &Discovery) {
    let methods: Vec<&String> = c.manifest.auth.keys().filter(|m| d.is_for(m)).collect();
    let early = |c: &Checker<'_>, t: &Template| {
        t.refs().into_iter().find(|r| {
            r.root == "capture"
                && methods.iter().any(|method| {
                    let found = c.discovered(r.name().unwrap_or_default(), method);
                    found.is_some_and(|(at, _)| at >= step)
                })
        })
    };
    let request = child(path, "request");
    for (_, t) in d.request.templates() {
        if let Some(r) = early(c, t) {
            c.error(
                "V16",
                &request,
                format!("`{r}` is found by this step or a later one and does not exist yet"),
                None,
            );
        }
    }
    if d.request.path.source().starts_with('/')
        && let Some(r) = early(c, &c.manifest.api.base_url)
    {
        c.error(
            "V16",
            &child(&request, "path"),
            format!("the base URL reads `{r}`, which does not exist yet"),
            Some("write a whole address, of a host in `api.hosts`"),
        );
    }
}
