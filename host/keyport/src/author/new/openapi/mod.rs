//! A draft from a vendor's document: OpenAPI 3.0 and 3.1, Swagger 2.0; JSON or YAML.
//!
//! | module | what it finds |
//! |---|---|
//! | [`document`] | the tree, its references, operations and parameters, whatever the dialect |
//! | [`about`] | name, id, summary, links |
//! | [`servers`], [`hole`] | base URL, fields, environments |
//! | [`security`], [`keys`], [`oauth`] | ways to sign in and scopes |
//! | [`testcall`], [`answer`] | the test call and whose account it is |

mod about;
pub mod answer;
pub mod document;
mod hole;
pub mod keys;
pub mod oauth;
pub mod security;
pub mod servers;
pub mod testcall;

use super::answers::{Answers, AuthKind, Mistake};
use super::draft::{Draft, Kind, Method};
use document::{Document, Operation};

pub use document::NotOpenApi;

/// Why a document makes no draft.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is no OpenAPI document.
    #[error(transparent)]
    NotOpenApi(#[from] NotOpenApi),
    /// A flag is wrong.
    #[error(transparent)]
    Mistake(#[from] Mistake),
}

/// The app that a document describes. What the answers say goes before what the document says.
///
/// # Errors
/// When the text is no OpenAPI document, or an answer cannot be used.
pub fn draft(text: &str, answers: &Answers) -> Result<Draft, Unusable> {
    answers.check()?;
    let document = Document::read(text)?;
    let name = answers
        .name
        .clone()
        .unwrap_or_else(|| about::name(&document));
    let id = answers
        .id
        .clone()
        .unwrap_or_else(|| about::id(&document, &name));
    let base = answers
        .base_url
        .as_deref()
        .map_or_else(|| servers::base(&document), servers::typed);
    let prefix = base
        .fields
        .iter()
        .find(|f| f.format == Some("dns-label"))
        .map(|f| f.id.clone());
    let chosen = match &answers.test_path {
        Some(path) => testcall::named(&document, path, &name, prefix.as_deref()),
        None => testcall::choose(&document, &name, prefix.as_deref()),
    };
    let context = security::Context {
        name: &name,
        base: Some(base.url.text.as_str())
            .filter(|url| base.known && !url.split('/').nth(2).is_some_and(|h| h.contains('{'))),
        needed: &chosen.needed,
    };
    let (mut methods, mut remarks) = security::methods(&document, &context);
    if let Some(kind) = answers.auth {
        let found: Vec<Method> = methods.iter().filter(|m| is_of(kind, m)).cloned().collect();
        methods = if found.is_empty() {
            vec![answers.method(&name)]
        } else {
            found
        };
    }
    let headers = constant_headers(&document, &methods);
    remarks.splice(0..0, base.remarks);
    Ok(Draft {
        lang: None,
        summary: answers
            .summary(&name)
            .unwrap_or_else(|| about::summary(&document, &name)),
        home: about::home(&document),
        docs: about::docs(&document),
        support: about::support(&document),
        self_hosted: base.self_hosted,
        fields: base.fields,
        variants: base.variants,
        base_url: base.url,
        headers,
        methods,
        test: chosen.test,
        sources: about::sources(&document),
        remarks,
        id,
        name,
    })
}

fn is_of(kind: AuthKind, method: &Method) -> bool {
    matches!(
        (kind, &method.kind),
        (AuthKind::Oauth2, Kind::Oauth2(_))
            | (AuthKind::ApiKey, Kind::ApiKey(_))
            | (AuthKind::Basic, Kind::Basic(..))
            | (AuthKind::Bearer, Kind::Bearer)
    )
}

/// Headers that at least half of the operations need with one and the same value: API versions, mostly.
fn constant_headers(document: &Document, methods: &[Method]) -> Vec<(String, String)> {
    const NOT: &[&str] = &[
        "accept",
        "content-type",
        "authorization",
        "user-agent",
        "x-request-id",
        "idempotency-key",
    ];
    let operations: Vec<Operation<'_>> = document.operations();
    let mut counted: Vec<(usize, String, String)> = Vec::new();
    for operation in &operations {
        for p in document.parameters(*operation) {
            let lower = p.name.to_ascii_lowercase();
            let Some(value) = p
                .constant
                .filter(|_| p.place == "header" && p.required && !NOT.contains(&lower.as_str()))
            else {
                continue;
            };
            match counted
                .iter_mut()
                .find(|(_, n, v)| n.eq_ignore_ascii_case(p.name) && *v == value)
            {
                Some((count, ..)) => *count += 1,
                None => counted.push((1, p.name.to_owned(), value)),
            }
        }
    }
    let mut headers: Vec<(String, String)> = Vec::new();
    for (count, name, value) in counted {
        let plain = keys::is_header(&name)
            && value.len() <= 80
            && value.bytes().all(|b| (0x20..0x7f).contains(&b))
            && !value.contains('{');
        let placed = methods
            .iter()
            .any(|m| places(m).iter().any(|n| n.eq_ignore_ascii_case(&name)));
        let twice = headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(&name));
        if count * 2 >= operations.len()
            && plain
            && !placed
            && !twice
            && !keys::looks_like_key(&name)
        {
            headers.push((name.to_ascii_lowercase(), value));
        }
    }
    headers
}

/// Headers that a way to sign in fills in.
fn places(method: &Method) -> Vec<&str> {
    match &method.kind {
        Kind::ApiKey(inject) => inject
            .iter()
            .filter(|i| !i.query)
            .map(|i| i.name.text.as_str())
            .collect(),
        Kind::Oauth2(oauth) => oauth.inject.iter().map(|i| i.name.text.as_str()).collect(),
        _ => Vec::new(),
    }
}
