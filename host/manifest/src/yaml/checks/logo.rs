//! The logo: it is served to browsers, so it draws and does nothing else.
//!
//! V71 it is there, it is SVG, and it has no script, no event handlers, no foreign content and no links out.

use super::Checker;
use crate::yaml::finding::{Finding, FolderFacts, Severity};

/// Largest logo, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Elements that a drawing is made of.
const ELEMENTS: &[&str] = &[
    "svg",
    "title",
    "desc",
    "g",
    "path",
    "rect",
    "circle",
    "ellipse",
    "line",
    "polyline",
    "polygon",
    "defs",
    "clippath",
    "mask",
    "lineargradient",
    "radialgradient",
    "stop",
    "use",
    "symbol",
];

pub(super) fn check(c: &mut Checker<'_>, folder: &FolderFacts) {
    let message = match &folder.logo {
        None => Some("there is no logo.svg beside the manifest".to_owned()),
        Some(svg) => fault(svg),
    };
    if let Some(message) = message {
        c.elsewhere(Finding {
            rule: "V71",
            severity: Severity::Error,
            message,
            file: Some("logo.svg".to_owned()),
            path: String::new(),
            line: 1,
            column: 1,
            fix: Some(
                "a logo is SVG made of shapes: no script, no links, no text that needs a font"
                    .to_owned(),
            ),
            edit: None,
        });
    }
}

/// What is wrong with a drawing.
pub(in crate::yaml) fn fault(svg: &str) -> Option<String> {
    if svg.len() > MAX_BYTES {
        return Some("logo.svg is larger than 64 kB".to_owned());
    }
    let text = svg.trim_start_matches('\u{feff}').trim();
    if !text.starts_with("<svg") || !text.ends_with("</svg>") {
        return Some("logo.svg is not one svg element (no prologue, no document type)".to_owned());
    }
    let lower = text.to_ascii_lowercase();
    if lower.contains("<!") || lower.contains("<?") || lower.contains('&') {
        return Some("logo.svg has declarations, comments or entities".to_owned());
    }
    if !lower.contains("viewbox=") {
        return Some("logo.svg has no viewBox, so it cannot be scaled".to_owned());
    }
    for tag in lower.split('<').skip(1) {
        let Some((inside, _)) = tag.split_once('>') else {
            return Some("logo.svg is not well-formed".to_owned());
        };
        let name = inside
            .trim_start_matches('/')
            .split([' ', '\t', '\n', '\r', '/'])
            .next()
            .unwrap_or_default();
        if !ELEMENTS.contains(&name) {
            return Some(format!("logo.svg has a `{name}` element"));
        }
        if let Some(attribute) = attributes(inside)
            .into_iter()
            .find_map(|(n, v)| bad_attribute(&n, &v))
        {
            return Some(format!("logo.svg has {attribute}"));
        }
    }
    None
}

fn attributes(inside: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut rest = inside;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before
            .split_whitespace()
            .last()
            .unwrap_or_default()
            .to_owned();
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, tail) = match quote {
            Some(q) => after
                .get(1..)
                .and_then(|a| a.split_once(q))
                .unwrap_or((after, "")),
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        out.push((name, value.to_owned()));
        rest = tail;
    }
    out
}

fn bad_attribute(name: &str, value: &str) -> Option<String> {
    let inner = value.trim();
    if name.starts_with("on") {
        return Some(format!("an event handler (`{name}`)"));
    }
    if name == "style" {
        return Some("a style attribute; write the properties as attributes".to_owned());
    }
    if matches!(name, "href" | "xlink:href" | "src") && !inner.starts_with('#') {
        return Some(format!("a link (`{name}`)"));
    }
    if inner.contains("url(") && !inner.replace(' ', "").starts_with("url(#") {
        return Some("a reference to something outside".to_owned());
    }
    if inner.contains("javascript:") || inner.contains("data:") {
        return Some("a link that runs or embeds something".to_owned());
    }
    None
}
