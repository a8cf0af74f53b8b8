//! Where a value may decide which host a request goes to.
//!
//! V31 only host-safe values stand in a host, under a fixed suffix unless `self_hosted` · V32 https only · V33 every address in the
//! manifest is within the API's hosts.

use super::Checker;
use super::signin::{self, Address};
use crate::hosts::HostPattern;
use crate::model::{Field, Format, RequestSpec, Test};
use crate::resolve::{UrlPart, url_holes};
use crate::template::{Ref, Template};
use crate::yaml::places::{child, item};

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    url(c, "api.base_url", &m.api.base_url);
    only_a_path(c, "api.base_url", &m.api.base_url);
    for (i, entry) in m.api.hosts.iter().enumerate() {
        host_entry(c, &item("api.hosts", i), &entry.host);
    }
    for (method, auth) in &m.auth {
        let path = child("auth", method);
        if let Some(own) = auth.base_url() {
            only_a_path(c, &child(&path, "base_url"), own);
        }
        if let Some(test) = auth.test() {
            absolute(c, &child(&path, "test"), test);
        }
        for one in signin::uses(&path, auth) {
            let under_api =
                one.template.source().starts_with('/') && !one.template.source().starts_with("//");
            match one.address {
                Address::No => {}
                // A request of the flow itself: any https host that the manifest names.
                Address::PathOrWhole if under_api => {}
                Address::Whole | Address::PathOrWhole => url(c, &one.path, &one.template),
            }
        }
    }
    absolute(c, "test", &m.test);
    for (id, action) in &m.actions {
        if let Some(request) = &action.request {
            request_path(c, &format!("{}.request", child("actions", id)), request);
        }
    }
    for (i, step) in m.discovery.iter().enumerate() {
        request_path(c, &child(&item("discovery", i), "request"), &step.request);
    }
    for (id, trigger) in &m.triggers {
        let path = child("triggers", id);
        for (key, request) in [
            ("request", &trigger.request),
            ("subscribe", &trigger.subscribe),
            ("unsubscribe", &trigger.unsubscribe),
        ] {
            if let Some(request) = request {
                request_path(c, &child(&path, key), request);
            }
        }
    }
}

/// V33 for a base URL: the app's, or that of one way to sign in.
fn only_a_path(c: &mut Checker<'_>, path: &str, t: &Template) {
    if t.source().contains(['?', '#']) {
        c.error(
            "V33",
            path,
            "the base URL has a query or fragment",
            Some("parameters of every request go into `api.query`"),
        );
    }
}

fn absolute(c: &mut Checker<'_>, path: &str, test: &Test) {
    for (i, call) in test.calls().iter().enumerate() {
        let path = match test {
            Test::AnyOf(_) => item(&child(path, "any_of"), i),
            _ => path.to_owned(),
        };
        request_path(c, &child(&path, "request"), &call.request);
    }
}

/// V32, V33: a request's path is under the base URL, or an address within `api.hosts`.
fn request_path(c: &mut Checker<'_>, path: &str, request: &RequestSpec) {
    let path = child(path, "path");
    let source = request.path.source();
    if source.starts_with('/') && !source.starts_with("//") {
        return;
    }
    url(c, &path, &request.path);
    let Some(host) = fixed_host(source) else {
        return;
    };
    let methods = c.manifest.auth.values();
    let mut bases = methods
        .filter_map(|m| m.base_url())
        .chain([&c.manifest.api.base_url]);
    let is_base = bases.any(|base| fixed_host(base.source()) == Some(host));
    let declared: Vec<&str> = c
        .manifest
        .api
        .hosts
        .iter()
        .map(|h| h.host.source())
        .collect();
    let covered = is_base
        || declared.iter().any(|d| {
            d.trim_start_matches("https://") == host
                || matches!((d.parse::<HostPattern>(), host.parse::<HostPattern>()), (Ok(d), Ok(h)) if d.covers(&h))
        });
    if !covered {
        c.error(
            "V33",
            &path,
            format!("`{host}` is not among the API's hosts"),
            Some("add it to `api.hosts`"),
        );
    }
}

/// What stands between `https://` and the next slash, holes included.
fn fixed_host(source: &str) -> Option<&str> {
    source
        .strip_prefix("https://")?
        .split(['/', '?', '#'])
        .next()
}

/// V31, V32 for one address.
fn url(c: &mut Checker<'_>, path: &str, t: &Template) {
    let source = t.source();
    if source.starts_with("http://") {
        c.error(
            "V32",
            path,
            "the address is not encrypted",
            Some("write https://"),
        );
        return;
    }
    if !source.starts_with("https://") && !source.starts_with("{{") {
        c.error("V32", path, "an address starts with https://", None);
        return;
    }
    if let Some(host) = fixed_host(source)
        && !host.contains("{{")
        && host.parse::<HostPattern>().is_err()
    {
        c.error("V32", path, format!("`{host}` is not a host"), None);
    }
    for (expression, part) in url_holes(t) {
        let whole = part == UrlPart::Origin;
        if matches!(part, UrlPart::Origin | UrlPart::Host) {
            in_host(c, path, t, &expression, whole);
        } else if part == UrlPart::Elsewhere {
            c.error(
                "V31",
                path,
                format!("`{expression}` cannot stand in this part of an address"),
                None,
            );
        }
    }
}

/// A host entry: `api.example.com`, `*.example.com`, `{{ fields.subdomain }}.example.com`, `{{ fields.host }}`.
fn host_entry(c: &mut Checker<'_>, path: &str, t: &Template) {
    if t.is_literal() {
        if let Err(e) = t.source().parse::<HostPattern>() {
            let rule = if t.source().starts_with("http://") {
                "V32"
            } else {
                "V31"
            };
            c.error(rule, path, e.to_string(), None);
        }
        return;
    }
    for expression in t.expressions() {
        let whole = t.lone_expression().is_some();
        in_host(c, path, t, expression, whole);
    }
}

/// V31: one hole in a host. It must be one plain reference to a value of a host-safe form.
fn in_host(c: &mut Checker<'_>, path: &str, t: &Template, expression: &str, whole: bool) {
    let Ok(hole) = Template::parse(&format!("{{{{ {expression} }}}}")) else {
        return;
    };
    let refs = hole.refs();
    let [r] = refs.as_slice() else {
        c.error(
            "V31",
            path,
            format!("`{expression}`: a host takes one plain value"),
            Some("name one field, without filters"),
        );
        return;
    };
    if r.to_string() != expression.trim() {
        c.error(
            "V31",
            path,
            format!("`{expression}`: a host takes one plain value, without filters"),
            None,
        );
        return;
    }
    if r.root == "variant" {
        of_variant(c, path, r, whole);
        return;
    }
    if r.root == "credentials" {
        c.error(
            "V31",
            path,
            format!("`{r}` belongs to one way to sign in and cannot decide the host"),
            Some("ask for it in the app's own `fields`"),
        );
        return;
    }
    let Some((format, suffixes, choices)) = form_of(c, r) else {
        return;
    };
    let fixed = fixed_suffix(t, expression);
    // A whole origin ends before the path: what follows must not go on with the host.
    let whole_address = whole && ends_host(t);
    let safe = match format {
        Form::Choices => choices,
        Form::Of(Format::DnsLabel) => !whole && (fixed || c.manifest.self_hosted),
        Form::Of(Format::Host) => suffixes || fixed || c.manifest.self_hosted,
        Form::Of(Format::Origin) => whole_address && (suffixes || c.manifest.self_hosted),
        Form::Of(Format::BaseUrl) => {
            whole_address && !path.starts_with("api.hosts") && (suffixes || c.manifest.self_hosted)
        }
        Form::Of(_) => false,
    };
    if safe {
        return;
    }
    let fix = match format {
        Form::Choices => "every choice must be a host name",
        Form::Of(Format::DnsLabel) => {
            "put a fixed suffix after it: `{{ fields.subdomain }}.example.com`"
        }
        Form::Of(Format::BaseUrl) if path.starts_with("api.hosts") => {
            "its host is allowed by itself where it is the base URL; a host has no path"
        }
        Form::Of(Format::Host | Format::Origin | Format::BaseUrl) => {
            "declare `suffixes:` for the field, or `self_hosted: true` for the app"
        }
        Form::Of(_) => {
            "give the field `format: dns-label` under a fixed suffix, `host` or `origin` with `suffixes:`, or choices"
        }
    };
    c.error(
        "V31",
        path,
        format!("`{r}` could send credentials to any host"),
        Some(fix),
    );
}

/// V31 for a constant of a variant: every choice makes a host, or a whole origin where nothing stands around it.
fn of_variant(c: &mut Checker<'_>, path: &str, r: &Ref, whole: bool) {
    let Some(variants) = &c.manifest.variants else {
        return;
    };
    let origin = |text: &str| {
        text.strip_prefix("https://")
            .is_some_and(|host| host.parse::<HostPattern>().is_ok() && !host.contains('*'))
    };
    let entry = path.starts_with("api.hosts");
    let bad = variants
        .each(r.name().unwrap_or_default())
        .into_iter()
        .find(|value| match (whole, entry) {
            (true, true) => value.parse::<HostPattern>().is_err(),
            (true, false) => !origin(value),
            (false, _) => !is_host_part(value),
        });
    if let Some(bad) = bad {
        c.error(
            "V31",
            path,
            format!("`{r}` can be `{bad}`, which cannot stand here"),
            Some(if whole && !entry {
                "every choice must set an origin like https://api.example.com"
            } else {
                "every choice must set a host name"
            }),
        );
    }
}

#[derive(Clone, Copy)]
enum Form {
    Choices,
    Of(Format),
}

/// The declared form of a value, whether it has suffixes, and whether all its choices are hosts. `None` for what another
/// rule already refuses.
fn form_of(c: &Checker<'_>, r: &Ref) -> Option<(Form, bool, bool)> {
    let name = r.name().unwrap_or_default();
    let of_field = |f: &Field| {
        if f.choices.is_empty() {
            (Form::Of(f.format), !f.suffixes.is_empty(), false)
        } else {
            (
                Form::Choices,
                false,
                f.choices.iter().all(|ch| is_host_part(&ch.value)),
            )
        }
    };
    match r.root.as_str() {
        "capture" => {
            let found = c.manifest.discovery.iter();
            let mut captures = c
                .manifest
                .auth
                .values()
                .filter_map(|m| m.capture(name))
                .chain(found.filter_map(|step| step.capture.get(name)));
            captures
                .next()
                .map(|cap| (Form::Of(cap.format), !cap.suffixes.is_empty(), false))
        }
        "fields" => c.field("fields", name, None).map(of_field),
        _ => Some((Form::Of(Format::Text), false, false)),
    }
}

/// Whether nothing, or a path, follows the first hole.
fn ends_host(t: &Template) -> bool {
    let after = t.source().split_once("}}").map_or("", |(_, after)| after);
    after.is_empty() || after.starts_with('/')
}

fn is_host_part(text: &str) -> bool {
    text.split('.').all(crate::template::is_label)
}

/// Whether at least two fixed labels follow a hole in the host: `{{ x }}.example.com`.
fn fixed_suffix(t: &Template, expression: &str) -> bool {
    let source = t.source();
    let Some(at) = source.find(expression) else {
        return false;
    };
    let Some((_, after)) = source.get(at..).and_then(|s| s.split_once("}}")) else {
        return false;
    };
    let host = after.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let tail = host.rsplit("}}").next().unwrap_or_default();
    tail.starts_with('.')
        && tail
            .trim_matches('.')
            .split('.')
            .filter(|l| !l.is_empty())
            .count()
            >= 2
}
