//! The base URL: servers and their variables as fields, environments and constants.
//!
//! A value that people type may only fill a label under a fixed ending; where the whole host is left open, the app is one
//! that people run themselves. Mocks, loopback and unencrypted addresses are nobody's API.

use serde_json::Value;

use super::super::draft::{Field, Said, Variant};
use super::super::text::app_id;
use super::document::Document;
use super::hole::{Hole, Variable, hole, is_label, is_owned, spelled_out, variable};

/// Where the API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The base URL, with holes of the template language.
    pub url: Said,
    /// Whether it is more than a placeholder.
    pub known: bool,
    /// What people are asked for to complete it.
    pub fields: Vec<Field>,
    /// Environments to choose from.
    pub variants: Vec<Variant>,
    /// Whether people decide the whole host.
    pub self_hosted: bool,
    /// What was left out.
    pub remarks: Vec<String>,
}

/// Most environments that are offered.
const MAX_VARIANTS: usize = 12;

/// What a blank base URL says.
const BLANK: &str = "https://api.example.com/TODO";
const BLANK_TODO: &str = "the address that all paths of the API begin with";

/// The base URL of a document.
pub fn base(document: &Document) -> Base {
    let mut servers = if document.swagger2 {
        swagger(document)
    } else {
        declared(document.at("/servers"))
    };
    servers.retain(|(url, ..)| is_public(url));
    // Production first; the order of the document otherwise.
    servers.sort_by_key(|(url, label, _)| is_trial(url, label));
    let mut seen = Vec::new();
    servers.retain(|(url, ..)| {
        let fresh = !seen.contains(url);
        seen.push(url.clone());
        fresh
    });
    let Some((url, label, variables)) = servers.first() else {
        return blank();
    };
    let own = spelled_out(url);
    let mut base = from_url(own.as_ref().unwrap_or(url), is_public, |name| {
        variable(*variables, name)
    });
    if base.known && is_trial(url, label) {
        base.url.todo = Some(
            "this looks like a test environment, and the document names no other: which is the production address?".to_owned(),
        );
    }
    let several = base.fields.is_empty() && !url.contains('{') && servers.len() > 1;
    if several {
        environments(&mut base, url, &servers);
    }
    let left = servers.len().saturating_sub(base.variants.len().max(1));
    if left > 0 {
        base.remarks.push(format!(
            "The document names {left} more server(s) that are not used here."
        ));
    }
    base
}

/// A base URL that somebody typed; `{name}` is asked for.
pub fn typed(url: &str) -> Base {
    from_url(&secure(url), is_base, |_| Variable::default())
}

fn blank() -> Base {
    Base {
        url: Said::blank(BLANK, BLANK_TODO),
        known: false,
        fields: Vec::new(),
        variants: Vec::new(),
        self_hosted: false,
        remarks: Vec::new(),
    }
}

type Server<'d> = (String, String, Option<&'d Value>);

fn declared(servers: Option<&Value>) -> Vec<Server<'_>> {
    servers
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|server| {
            let url = server.get("url")?.as_str()?.trim();
            let label = server
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            Some((secure(url), label.to_owned(), server.get("variables")))
        })
        .collect()
}

fn swagger(document: &Document) -> Vec<Server<'_>> {
    document
        .text("/host")
        .map(|host| {
            let path = document.text("/basePath").unwrap_or_default();
            let slash = if path.is_empty() || path.starts_with('/') {
                ""
            } else {
                "/"
            };
            (format!("https://{host}{slash}{path}"), String::new(), None)
        })
        .into_iter()
        .collect()
}

/// The address with https, and without what follows the path.
fn secure(url: &str) -> String {
    let url = url
        .strip_prefix("http://")
        .or_else(|| {
            // `{protocol}://…`: whichever variable, it is https.
            let (scheme, rest) = url.split_once("://")?;
            (scheme.starts_with('{') && scheme.ends_with('}')).then_some(rest)
        })
        .map_or_else(|| url.to_owned(), |rest| format!("https://{rest}"));
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let url = url.trim_end_matches('/');
    if url.starts_with("//") {
        format!("https:{url}")
    } else {
        url.to_owned()
    }
}

/// Whether an address can be an API that everybody reaches: https, or a hole for the whole origin; not a mock.
pub fn is_public(url: &str) -> bool {
    const MOCKS: &[&str] = &[
        "localhost",
        "virtserver.swaggerhub.com",
        "example.com",
        "example.org",
        "mock.pstmn.io",
        "stoplight.io",
        "rapidapi.com",
        "apiary-mock.com",
        "apiblueprint.org",
        "yourdomain.com",
        "your-domain.com",
    ];
    const ENDINGS: &[&str] = &[
        ".local",
        ".localhost",
        ".test",
        ".internal",
        ".example",
        ".invalid",
        ".lan",
    ];
    let host = host_of(url.trim_start_matches("https://")).to_ascii_lowercase();
    let bare = host.split(':').next().unwrap_or_default();
    let mock = MOCKS
        .iter()
        .any(|m| bare == *m || bare.ends_with(&format!(".{m}")));
    is_base(url) && !mock && !ENDINGS.iter().any(|e| bare.ends_with(e))
}

/// Whether an address can be a base URL at all: https and a host name, or a hole for the whole origin.
fn is_base(url: &str) -> bool {
    if url.starts_with('{') {
        return true;
    }
    let Some(rest) = url.strip_prefix("https://") else {
        return false;
    };
    let host = host_of(rest);
    let bare = host.split(':').next().unwrap_or_default();
    let numeric = bare.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    !bare.is_empty()
        && !numeric
        && (bare.contains('.') || bare.contains('{'))
        && !host.contains(['@', ' ', '['])
}

/// What stands before the first slash that is not in a hole.
fn host_of(rest: &str) -> &str {
    rest.split('/').next().unwrap_or_default()
}

/// Whether a server is there to try things.
fn is_trial(url: &str, label: &str) -> bool {
    const WORDS: &[&str] = &[
        "sandbox",
        "test",
        "testing",
        "staging",
        "stage",
        "dev",
        "development",
        "uat",
        "demo",
        "mock",
        "acceptance",
        "preprod",
        "beta",
        "delivery",
    ];
    let text = format!("{} {label}", host_of(url.trim_start_matches("https://"))).to_lowercase();
    text.split(|c: char| !c.is_alphanumeric())
        .any(|w| WORDS.contains(&w))
}

fn from_url(url: &str, usable: fn(&str) -> bool, variable: impl Fn(&str) -> Variable) -> Base {
    let mut base = blank();
    let mut out = String::new();
    let mut rest = url;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else {
            return base;
        };
        out.push_str(before);
        let in_host = out
            .strip_prefix("https://")
            .is_none_or(|o| !o.contains('/'));
        match hole(name, &variable(name), &out, tail, in_host) {
            Hole::Constant(text) => out.push_str(&text),
            Hole::Field(field, open) => {
                base.self_hosted |= open;
                out.push_str(&format!("{{{{ fields.{} }}}}", field.id));
                if !base.fields.iter().any(|f| f.id == field.id) {
                    base.fields.push(*field);
                }
            }
            Hole::Unusable => {
                base.fields.clear();
                base.self_hosted = false;
                base.remarks.push(format!(
                    "The base URL has a part `{name}` that cannot be filled in safely."
                ));
                return base;
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    let out = out.trim_end_matches('/').replace(":443/", "/");
    let out = out.strip_suffix(":443").unwrap_or(&out).to_owned();
    // Constants may have changed what it is; the double slash comes from a base path that begins with one.
    let (scheme, path) = out.split_at(out.len().min(8));
    let out = format!("{scheme}{}", path.replace("//", "/"));
    let bare = out.replace("{{ ", "{").replace(" }}", "}");
    let odd =
        |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '<' | '>' | '\\' | '%' | '#' | '?');
    let clean = usable(&bare) && !bare.contains(odd);
    let host = host_of(bare.trim_start_matches("https://"));
    let tail = host
        .rsplit('}')
        .next()
        .unwrap_or_default()
        .split(':')
        .next()
        .unwrap_or_default();
    let open = base.fields.iter().any(|f| f.format == Some("dns-label")) && !is_owned(tail);
    let clean = clean && !open;
    if !clean {
        return Base {
            remarks: base.remarks,
            ..blank()
        };
    }
    base.url = Said::known(out);
    base.known = true;
    base
}

/// Several servers that differ in their host alone are environments.
fn environments(base: &mut Base, first: &str, servers: &[Server<'_>]) {
    let path = |url: &str| {
        let rest = url.trim_start_matches("https://");
        rest.strip_prefix(host_of(rest))
            .unwrap_or_default()
            .to_owned()
    };
    let wanted = path(first);
    for (url, label, _) in servers
        .iter()
        .filter(|(url, ..)| !url.contains('{') && path(url) == wanted)
    {
        let host = host_of(url.trim_start_matches("https://")).to_owned();
        if base.variants.len() == MAX_VARIANTS
            || !host
                .split(':')
                .next()
                .is_some_and(|h| h.split('.').all(is_label))
        {
            continue;
        }
        let short = label
            .split(['.', ',', '(', '\n'])
            .next()
            .unwrap_or_default()
            .trim();
        let named = (2..=40).contains(&short.chars().count()) && !short.contains(['{', '<']);
        let label = if named {
            short.to_owned()
        } else {
            host.clone()
        };
        let id = app_id(&label)
            .or_else(|| app_id(&host))
            .unwrap_or_default()
            .replace('-', "_");
        let taken = base.variants.iter().any(|v| v.id == id || v.host == host);
        let (id, label) = if taken {
            (
                app_id(&host).unwrap_or_default().replace('-', "_"),
                host.clone(),
            )
        } else {
            (id, label)
        };
        if !id.is_empty() && !base.variants.iter().any(|v| v.id == id || v.host == host) {
            base.variants.push(Variant { id, label, host });
        }
    }
    if base.variants.len() < 2 {
        base.variants.clear();
        return;
    }
    base.url = Said::known(format!("https://{{{{ variant.host }}}}{wanted}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(servers: Value) -> Base {
        let text = json!({"openapi": "3.0.0", "servers": servers}).to_string();
        base(&Document::read(&text).unwrap())
    }

    #[test]
    fn a_label_under_a_fixed_ending_becomes_a_field() {
        let base = of(
            json!([{"url": "https://{accountName}.acme.com/v2/", "variables": {"accountName": {"default": "demo"}}}]),
        );
        assert_eq!(
            base.url.text,
            "https://{{ fields.account_name }}.acme.com/v2"
        );
        assert_eq!(base.fields[0].format, Some("dns-label"));
        assert_eq!(base.fields[0].suffix.as_deref(), Some(".acme.com"));
        assert!(!base.self_hosted);
    }

    #[test]
    fn nobody_fills_in_a_name_that_anybody_can_register() {
        let vtex = "https://{accountName}.{environment}.com.br";
        let base = of(
            json!([{"url": vtex, "variables": {"accountName": {"default": "apiexamples"}, "environment": {"default": "vtexcommercestable"}}}]),
        );
        assert_eq!(
            base.url.text,
            "https://{{ fields.account_name }}.vtexcommercestable.com.br"
        );
        assert!(!of(json!([{"url": "https://{shop}.co.uk"}])).known);
        assert!(!of(json!([{"url": "https://{a}.{b}.com.br"}])).known);
    }

    #[test]
    fn a_name_that_stands_for_the_readers_own_is_asked_for() {
        let base = of(json!([{"url": "https://your-domain.acme.net/rest"}]));
        assert_eq!(base.url.text, "https://{{ fields.domain }}.acme.net/rest");
        assert_eq!(base.fields[0].format, Some("dns-label"));
    }

    #[test]
    fn a_test_environment_alone_is_used_with_a_question() {
        let base = of(json!([{"url": "https://sandbox.acme.com"}]));
        assert_eq!(
            (base.url.text.as_str(), base.known),
            ("https://sandbox.acme.com", true)
        );
        assert!(base.url.todo.is_some());
    }

    #[test]
    fn choices_stay_choices_and_constants_are_filled_in() {
        let base = of(
            json!([{"url": "{scheme}://api.{region}.acme.com:{port}{basePath}", "variables": {
            "scheme": {"default": "http"}, "port": {"default": "443"}, "basePath": {"default": "/v1"},
            "region": {"default": "eu", "enum": ["us", "eu"]}}}]),
        );
        assert_eq!(base.url.text, "https://api.{{ fields.region }}.acme.com/v1");
        assert_eq!(base.fields[0].choices, ["us", "eu"]);
        assert_eq!(base.fields[0].default.as_deref(), Some("eu"));
    }

    #[test]
    fn an_open_host_makes_an_app_that_people_run_themselves() {
        let base = of(
            json!([{"url": "http://{hostname}/api/v3", "variables": {"hostname": {"default": "HOSTNAME"}}}]),
        );
        assert_eq!(base.url.text, "https://{{ fields.hostname }}/api/v3");
        assert!(base.self_hosted);
        let base = of(
            json!([{"url": "{Endpoint}/vision", "variables": {"Endpoint": {"default": "none"}}}]),
        );
        assert_eq!(
            (base.url.text.as_str(), base.fields[0].format),
            ("{{ fields.endpoint }}/vision", Some("origin"))
        );
    }

    #[test]
    fn servers_that_differ_in_their_host_are_environments_production_first() {
        let base = of(json!([
            {"url": "https://sandbox.acme.com/v1", "description": "Sandbox"},
            {"url": "https://api.acme.com/v1", "description": "Production"},
            {"url": "http://localhost:3000/v1"}]));
        assert_eq!(base.url.text, "https://{{ variant.host }}/v1");
        let hosts: Vec<(&str, &str)> = base
            .variants
            .iter()
            .map(|v| (v.id.as_str(), v.host.as_str()))
            .collect();
        assert_eq!(
            hosts,
            [
                ("production", "api.acme.com"),
                ("sandbox", "sandbox.acme.com")
            ]
        );
    }

    #[test]
    fn what_is_no_public_address_is_a_blank() {
        for url in [
            "/v1",
            "http://localhost/v1",
            "https://10.0.0.1",
            "https://acme.local",
            "https://{",
            "ftp://x.com",
            "https://x.com/{token}",
            "",
        ] {
            let base = of(json!([{"url": url}]));
            assert!(!base.known && base.url.todo.is_some(), "{url}: {base:?}");
            assert!(base.fields.is_empty());
        }
        let text =
            json!({"swagger": "2.0", "host": "api.acme.com", "basePath": "/v1/"}).to_string();
        assert_eq!(
            super::base(&Document::read(&text).unwrap()).url.text,
            "https://api.acme.com/v1"
        );
    }
}
