//! Who the app is: name, id, summary, links and sources, out of what a document says about itself.

use serde_json::Value;

use super::super::draft::Said;
use super::super::text::{app_id, capital, sentence};
use super::document::Document;
use super::oauth::is_address;

/// Longest name that is taken over.
const MAX_NAME: usize = 40;

/// Words of a title that say that it is about an API, not which.
const NOISE: &[&str] = &[
    "api",
    "apis",
    "rest",
    "restful",
    "openapi",
    "swagger",
    "documentation",
    "docs",
    "reference",
    "specification",
    "spec",
    "public",
    "http",
    "json",
    "web",
    "service",
    "v1",
    "v2",
    "v3",
    "v4",
    "v5",
    "version",
    "developer",
    "endpoints",
    "the",
    "for",
];

/// The name: the title without what every title has, else the provider's.
pub fn name(document: &Document) -> String {
    let title = document.text("/info/title").unwrap_or_default();
    let title = title
        .split([':', '|', '(', '–', '—'])
        .next()
        .unwrap_or_default();
    let words: Vec<&str> = title.split_whitespace().filter(|w| !is_noise(w)).collect();
    let name = words.join(" ");
    let name: String = name
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '{' | '}' | '<' | '>' | '`' | '"' | '*' | '#'))
        .collect();
    let name = name
        .trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | ',' | '.' | '/' | '_'))
        .trim_end_matches("'s")
        .to_owned();
    let fits =
        (2..=MAX_NAME).contains(&name.chars().count()) && name.chars().any(char::is_alphabetic);
    if fits {
        return name;
    }
    provider(document).map_or_else(|| "New app".to_owned(), |p| capital(&p))
}

fn is_noise(word: &str) -> bool {
    let lower = word.to_lowercase();
    let bare = lower.trim_matches(|c: char| !c.is_alphanumeric());
    let version = bare.strip_prefix('v').unwrap_or(bare);
    NOISE.contains(&bare)
        || (!version.is_empty()
            && version.chars().all(|c| c.is_ascii_digit() || c == '.')
            && lower.len() < 7)
}

/// The id: the provider's name with the service's, else the app's name.
pub fn id(document: &Document, name: &str) -> String {
    // `api`, or the provider's name once more, tells nothing apart.
    let service = document
        .text("/info/x-serviceName")
        .filter(|s| !is_noise(s) && !s.contains('.'))
        .and_then(app_id);
    let provider = provider(document).and_then(|p| app_id(&p));
    let id = match (provider, service) {
        (Some(provider), Some(service))
            if service.starts_with(&provider) || provider == "googleapis" =>
        {
            Some(service)
        }
        (Some(provider), Some(service)) => app_id(&format!("{provider}-{service}")),
        (Some(provider), None) => Some(provider),
        (None, _) => app_id(name),
    };
    id.or_else(|| app_id(name))
        .unwrap_or_else(|| "new-app".to_owned())
}

/// The first part of the provider's domain that is a name of its own.
fn provider(document: &Document) -> Option<String> {
    const COMMON: &[&str] = &[
        "www",
        "api",
        "apis",
        "developer",
        "developers",
        "docs",
        "app",
        "rest",
    ];
    let domain = document.text("/info/x-providerName")?;
    domain
        .split('.')
        .find(|part| !COMMON.contains(part))
        .map(str::to_owned)
}

/// One sentence, or a blank.
pub fn summary(document: &Document, name: &str) -> Said {
    let said = document.text("/info/summary").and_then(sentence);
    said.or_else(|| document.text("/info/description").and_then(sentence))
        .map_or_else(
            || {
                Said::blank(
                    format!("TODO: what people do with {name}."),
                    "one sentence: what people do with the app",
                )
            },
            Said::known,
        )
}

/// The home page: the contact's or the provider's.
pub fn home(document: &Document) -> Said {
    let provider = document
        .text("/info/x-providerName")
        .map(|domain| format!("https://{domain}"))
        .filter(|url| is_address(url));
    let contact = link(document.at("/info/contact/url"));
    let base = contact.as_deref().and_then(|url| {
        let host = url.strip_prefix("https://")?.split('/').next()?;
        Some(format!("https://{host}"))
    });
    provider.or(base).map_or_else(
        || Said::blank("https://example.com/TODO", "the app's home page"),
        Said::known,
    )
}

/// The documentation of the API.
pub fn docs(document: &Document) -> Said {
    link(document.at("/externalDocs/url"))
        .or_else(|| link(document.at("/info/contact/url")))
        .map_or_else(
            || {
                Said::blank(
                    "https://example.com/TODO/docs",
                    "the documentation of the app's API",
                )
            },
            Said::known,
        )
}

/// Where its users get help: only a page that says so.
pub fn support(document: &Document) -> Option<String> {
    link(document.at("/info/contact/url")).filter(|url| {
        let lower = url.to_ascii_lowercase();
        ["support", "help", "contact"]
            .iter()
            .any(|w| lower.contains(w))
    })
}

/// Where the facts come from: where the document was found, and what it points at.
pub fn sources(document: &Document) -> Vec<Said> {
    let mut found: Vec<String> = Vec::new();
    let origins = document.at("/info/x-origin").and_then(Value::as_array);
    let origin = origins
        .into_iter()
        .flatten()
        .filter_map(|o| link(o.get("url")))
        .next_back();
    for url in origin
        .into_iter()
        .chain(link(document.at("/externalDocs/url")))
    {
        if !found.contains(&url) {
            found.push(url);
        }
    }
    if found.is_empty() {
        return vec![Said::blank(
            "https://example.com/TODO/source",
            "the pages that these facts come from",
        )];
    }
    found.into_iter().map(Said::known).collect()
}

/// An https address; http ones are taken as https.
fn link(value: Option<&Value>) -> Option<String> {
    let url = value?.as_str()?.trim();
    let url = url
        .strip_prefix("http://")
        .map_or_else(|| url.to_owned(), |rest| format!("https://{rest}"));
    (is_address(&url) && url.len() <= 300).then_some(url)
}
