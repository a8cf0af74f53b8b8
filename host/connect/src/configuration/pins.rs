//! The hosts that an operator's client secret may go to, where the operator names none: those that the manifest alone decides on.
//!
//! Threat: an app that people host themselves, or an address with a hole in it. Whoever fills the hole would be sent the
//! secret; so a host with anything that a person types is none of them.

use keyport_manifest::{AllowedHosts, AuthMethod, HostPattern, Manifest, Oauth2, Revoke, Template};
use url::Url;

use crate::record::ConfigurationSealed;

/// Hosts that an operator's client secret may go to.
pub(crate) fn pins(sealed: &ConfigurationSealed) -> AllowedHosts {
    sealed
        .origins
        .iter()
        .filter_map(|origin| origin.parse().ok())
        .collect()
}

/// The hosts of the manifest's endpoints, as far as they are fixed: literal ones, those that a variant chooses among, and
/// names under a literal suffix of an app that nobody hosts themselves (`{{ fields.subdomain }}.zendesk.com` is always the
/// vendor's own).
pub(super) fn default_pins(manifest: &Manifest) -> AllowedHosts {
    let mut pins = AllowedHosts::none();
    for auth in manifest.auth.values() {
        if let AuthMethod::Oauth1(oauth) = auth {
            // A PLAINTEXT signature shows the secret to the API too.
            let own = oauth
                .request_token_url
                .iter()
                .chain(&oauth.access_token_url);
            for template in own.chain([&manifest.api.base_url]) {
                fixed_hosts(template, manifest)
                    .into_iter()
                    .for_each(|pattern| pins.push(pattern));
            }
        }
        if let AuthMethod::Oauth2(oauth) = auth {
            for template in endpoints(oauth) {
                let fixed = fixed_hosts(template, manifest).into_iter();
                fixed
                    .chain(captured_hosts(template, oauth, manifest.self_hosted))
                    .for_each(|pattern| pins.push(pattern));
            }
        }
    }
    pins
}

fn endpoints(oauth: &Oauth2) -> Vec<&Template> {
    let mut templates: Vec<&Template> = oauth.token_url.iter().collect();
    templates.extend(oauth.refresh_url.as_ref());
    templates.extend(oauth.device_url.as_ref());
    templates.extend(oauth.introspect_url.as_ref());
    templates.extend(oauth.exchange.as_ref().map(|exchange| &exchange.url));
    match &oauth.revoke {
        Some(Revoke::Rfc7009 { url, .. }) => templates.push(url),
        // Some apps end a grant with the client's own credentials, at a host of its own.
        Some(Revoke::Request(request)) => templates.push(&request.path),
        Some(Revoke::None { .. }) | None => {}
    }
    templates
}

/// The hosts that a captured address may have (Zoho's and Concur's data centres), where its declaration lists them.
fn captured_hosts(template: &Template, oauth: &Oauth2, self_hosted: bool) -> Vec<HostPattern> {
    let source = template.source().trim_start();
    let leads = |id: &str| {
        let hole = source.strip_prefix("https://").unwrap_or(source);
        let hole = hole.strip_prefix("{{").map(str::trim_start);
        hole.is_some_and(|hole| hole.starts_with(&format!("capture.{id}")))
    };
    let captures = oauth
        .capture
        .iter()
        .filter(|(id, _)| !self_hosted && leads(id));
    captures
        .flat_map(|(_, capture)| &capture.suffixes)
        .filter_map(|suffix| match suffix.strip_prefix('.') {
            Some(under) => format!("*.{under}").parse().ok(),
            None => suffix.parse().ok(),
        })
        .collect()
}

/// The hosts that a template's address can have and that the manifest alone decides on. A path may be typed
/// (`https://login.microsoftonline.com/{{ fields.tenant }}/token`): what is typed is escaped for its slot and never reaches the host.
pub(crate) fn fixed_hosts(template: &Template, manifest: &Manifest) -> Vec<HostPattern> {
    let Some(rest) = template.source().strip_prefix("https://") else {
        return Vec::new();
    };
    authorities(rest, manifest)
        .iter()
        .filter_map(|authority| fixed_host(authority, manifest.self_hosted))
        .collect()
}

/// The host and port of an address without its scheme, holes included; once for each variant where one is read there.
fn authorities(rest: &str, manifest: &Manifest) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut left = rest;
    loop {
        let hole = left.find("{{");
        let end = left.find(['/', '?', '#']).unwrap_or(left.len());
        let Some(start) = hole.filter(|start| *start < end) else {
            let tail = left.get(..end).unwrap_or(left);
            all.iter_mut().for_each(|text| text.push_str(tail));
            return all;
        };
        let (Some(before), Some(inside)) = (left.get(..start), left.get(start + 2..)) else {
            return Vec::new();
        };
        let Some((expression, after)) = inside.split_once("}}") else {
            return Vec::new();
        };
        let values = possible(expression.trim(), manifest);
        all = all
            .iter()
            .flat_map(|text| {
                values
                    .iter()
                    .map(move |value| format!("{text}{before}{value}"))
            })
            .collect();
        left = after;
    }
}

/// What a hole of a host can be: each choice of a variant, what a field's suffixes leave open, or anything (`{{}}`).
fn possible(expression: &str, manifest: &Manifest) -> Vec<String> {
    if let (Some(name), Some(variants)) = (expression.strip_prefix("variant."), &manifest.variants)
    {
        return variants.each(name).into_iter().map(str::to_owned).collect();
    }
    let field = expression.strip_prefix("fields.").and_then(|id| {
        let mut fields = manifest.app_fields();
        fields.find(|field| field.id == id)
    });
    match field {
        Some(field) if !field.suffixes.is_empty() => {
            let ends = field.suffixes.iter();
            ends.map(|suffix| match suffix.starts_with('.') {
                true => format!("{{{{}}}}{suffix}"),
                false => suffix.clone(),
            })
            .collect()
        }
        _ => vec!["{{}}".to_owned()],
    }
}

/// `authority`: a host, with `{{}}` where something is read that the manifest does not decide on.
fn fixed_host(authority: &str, self_hosted: bool) -> Option<HostPattern> {
    let Some((_, tail)) = authority.rsplit_once("{{}}") else {
        return HostPattern::of_url(&Url::parse(&format!("https://{authority}/")).ok()?).ok();
    };
    if self_hosted {
        return None;
    }
    let suffix = tail.strip_prefix('.')?;
    format!("*.{suffix}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(self_hosted: bool) -> Manifest {
        let yaml = format!(
            "manifest: 1\nid: acme\nname: Acme\nversion: 1.0.0\nsummary: A pretend app.\ncomponent: rest\n\
            self_hosted: {self_hosted}\nvariants:\n  label: Region\n  default: us\n  choices:\n    \
            us: {{label: US, values: {{api: us.acme.dev, region: us}}}}\n    eu: {{label: EU, values: {{api: eu.acme.dev, region: eu}}}}\n\
            fields:\n  - {{id: subdomain, label: A, format: dns-label}}\n  - {{id: host, label: H, format: host}}\n  - \
            {{id: ours, label: O, format: host, suffixes: [.acme.dev, acme.dev]}}\n\
            api:\n  base_url: https://api.acme.dev\nauth:\n  token:\n    type: bearer\n    label: Token\n\
            test: {{none: There is nothing to ask.}}\n"
        );
        yaml_of(&yaml)
    }

    fn yaml_of(text: &str) -> Manifest {
        keyport_manifest::parse("m", text).unwrap_or_else(|e| panic!("{e:?}"))
    }

    fn host(template: &str, self_hosted: bool) -> String {
        let fixed = fixed_hosts(&Template::parse(template).unwrap(), &manifest(self_hosted));
        let fixed: Vec<String> = fixed.iter().map(ToString::to_string).collect();
        fixed.join(", ")
    }

    #[test]
    fn only_hosts_that_no_person_types_are_pinned_by_themselves() {
        for (template, self_hosted, wanted) in [
            (
                "https://github.com/login/oauth/access_token",
                false,
                "github.com",
            ),
            (
                "https://{{ fields.subdomain }}.zendesk.com/oauth/tokens",
                false,
                "*.zendesk.com",
            ),
            (
                "https://{{ fields.subdomain }}.zendesk.com/oauth/tokens",
                true,
                "",
            ),
            (
                "https://auth-{{ fields.subdomain }}.acme.dev/token",
                false,
                "*.acme.dev",
            ),
            ("{{ fields.origin }}/oauth/token", false, ""),
            ("https://{{ fields.a }}.{{ fields.b }}.com/x", false, ""),
            (
                "https://{{ fields.a }}.{{ fields.b }}.acme.dev/x",
                false,
                "*.acme.dev",
            ),
            ("https://acme.{{ fields.b }}/x", false, ""),
            ("https://acme.dev{{ fields.b }}/x", false, ""),
            ("https://{{ fields.host }}/x", false, ""),
            // One label is no suffix.
            ("https://{{ fields.a }}.com/x", false, ""),
            (
                "https://login.acme.dev/{{ fields.tenant }}/token",
                false,
                "login.acme.dev",
            ),
            (
                "https://login.acme.dev/{{ fields.tenant }}/token",
                true,
                "login.acme.dev",
            ),
            (
                "https://login.acme.dev?t={{ fields.tenant }}",
                false,
                "login.acme.dev",
            ),
            (
                "https://login.acme.dev:8443/{{ fields.a }}",
                false,
                "login.acme.dev:8443",
            ),
            (
                "https://{{ variant.api }}/token",
                false,
                "us.acme.dev, eu.acme.dev",
            ),
            (
                "https://{{ variant.api }}/token",
                true,
                "us.acme.dev, eu.acme.dev",
            ),
            (
                "https://login-{{ variant.region }}.acme.dev/{{ fields.a }}",
                false,
                "login-us.acme.dev, login-eu.acme.dev",
            ),
            (
                "https://{{ fields.host }}.{{ variant.api }}/token",
                false,
                "*.us.acme.dev, *.eu.acme.dev",
            ),
            ("https://{{ variant.missing }}/token", false, ""),
            (
                "https://{{ fields.ours }}/token",
                false,
                "*.acme.dev, acme.dev",
            ),
        ] {
            assert_eq!(host(template, self_hosted), wanted, "{template}");
        }
    }

    /// An operator who enters a client and nothing else should be able to use it with each app that ships, wherever its vendor
    /// alone decides which hosts there are.
    #[test]
    fn every_shipped_app_of_one_vendor_has_its_token_endpoints_pinned() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
        let mut open = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path().join("manifest.yaml");
            let Ok(text) = std::fs::read_to_string(&file) else {
                continue;
            };
            let Ok(manifest) = keyport_manifest::parse("m", &text) else {
                // One that is built on another; its base is looked at.
                continue;
            };
            let pins = default_pins(&manifest);
            for oauth in manifest.auth.values().filter_map(AuthMethod::oauth2) {
                let found_out = oauth.discover.is_some() || manifest.self_hosted;
                if oauth.client.operator && !found_out && pins.is_empty() {
                    open.push(manifest.id.to_string());
                }
            }
        }
        assert!(open.is_empty(), "without a pin: {open:?}");
    }
}
