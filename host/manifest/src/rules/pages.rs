//! From one page of an answer to the next, and where it ends.
//!
//! Threats: an app that answers with the same page for ever, and a next page that lies on somebody else's server. The first
//! is stopped by `max_pages` and by never asking the same thing twice; the second by the egress, which only reaches the
//! hosts of the API.

use serde_json::Value;

use crate::message::{PlainRequest, PlainResponse};
use crate::model::{CursorPlace, NextPage, Pagination};
use crate::template::percent;

/// Where reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Pages read so far, the one just read included.
    pub pages: u32,
    /// Items read so far, over all pages.
    pub items: usize,
}

/// What follows a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// Another request.
    Read(PlainRequest),
    /// That was the last page.
    Done,
    /// There would be more, but `max_pages` is reached.
    Limit,
    /// The answer says where to go on in a way that cannot be followed.
    Lost,
}

/// The request of the first page: with the page's size and number, where they are declared.
#[must_use]
pub fn first_page(pagination: &Pagination, request: &PlainRequest) -> PlainRequest {
    let mut request = request.clone();
    if let Some(size) = &pagination.size {
        set_query(&mut request.url, &size.query, &size.value.to_string());
    }
    match &pagination.next {
        NextPage::Page { query, start } => set_query(&mut request.url, query, &start.to_string()),
        NextPage::Offset { query } => set_query(&mut request.url, query, "0"),
        NextPage::Cursor { .. } | NextPage::LinkHeader | NextPage::Url(_) => {}
    }
    request
}

/// The items of one page.
#[must_use]
pub fn page_items(pagination: &Pagination, body: &Value) -> Vec<Value> {
    let path = &pagination.items;
    match path.first(body) {
        Some(Value::Array(items)) if path.is_singular() => items.clone(),
        _ if path.is_singular() => Vec::new(),
        _ => path.select(body).into_iter().cloned().collect(),
    }
}

/// What follows a page. `sent` is the request that was answered, `body` its decoded answer, `progress` counts this page.
#[must_use]
pub fn next_page(
    pagination: &Pagination,
    sent: &PlainRequest,
    response: &PlainResponse,
    body: &Value,
    progress: Progress,
) -> NextStep {
    if pagination
        .more
        .as_ref()
        .is_some_and(|more| !more.holds(response, body))
    {
        return NextStep::Done;
    }
    let mut next = sent.clone();
    match &pagination.next {
        NextPage::Cursor { cursor, place } => {
            let Some(text) = cursor.text(body).filter(|c| !c.is_empty()) else {
                return NextStep::Done;
            };
            match place {
                CursorPlace::Query(name) => set_query(&mut next.url, name, &text),
                CursorPlace::Body(name) => match with_member(&next, name, &text) {
                    Some(body) => next.body = Some(body),
                    None => return NextStep::Lost,
                },
            }
        }
        NextPage::LinkHeader => match link_next(response) {
            None => return NextStep::Done,
            Some(url) => match followed(&sent.url, &url) {
                Some(url) => next.url = url,
                None => return NextStep::Lost,
            },
        },
        NextPage::Url(path) => match path.text(body).filter(|u| !u.is_empty()) {
            None => return NextStep::Done,
            Some(url) => match followed(&sent.url, &url) {
                Some(url) => next.url = url,
                None => return NextStep::Lost,
            },
        },
        NextPage::Page { query, start } => {
            if ended(pagination, body) {
                return NextStep::Done;
            }
            let number = start.saturating_add(progress.pages);
            set_query(&mut next.url, query, &number.to_string());
        }
        NextPage::Offset { query } => {
            if ended(pagination, body) {
                return NextStep::Done;
            }
            set_query(&mut next.url, query, &progress.items.to_string());
        }
    }
    // Asking the same thing again would be answered with the same page.
    if next == *sent {
        return NextStep::Done;
    }
    if progress.pages >= pagination.max_pages.unwrap_or(1) {
        return NextStep::Limit;
    }
    NextStep::Read(next)
}

/// Whether a page is the last one, where nothing but its length tells: it is empty, or shorter than was asked for.
fn ended(pagination: &Pagination, body: &Value) -> bool {
    let count = page_items(pagination, body).len();
    let short = pagination
        .size
        .as_ref()
        .is_some_and(|size| count < usize::try_from(size.value).unwrap_or(usize::MAX));
    count == 0 || (short && pagination.more.is_none())
}

/// The address of the next page: absolute, a path under the base URL, or other parameters of the same path.
fn followed(sent: &str, next: &str) -> Option<String> {
    let next = next.trim();
    if next.starts_with("https://") || (next.starts_with('/') && !next.starts_with("//")) {
        return Some(next.to_owned());
    }
    let path = sent.split(['?', '#']).next().unwrap_or_default();
    next.starts_with('?').then(|| format!("{path}{next}"))
}

/// The target of `rel="next"` in the `Link` headers (RFC 8288).
fn link_next(response: &PlainResponse) -> Option<String> {
    response
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("link"))
        .find_map(|(_, value)| {
            let mut rest = value.as_str();
            while let Some((_, after)) = rest.split_once('<') {
                let (target, after) = after.split_once('>')?;
                // The parameters reach to the next target, which only starts after a comma.
                let end = after
                    .find(",<")
                    .or_else(|| after.find(", <"))
                    .unwrap_or(after.len());
                let (parameters, tail) = after.split_at_checked(end)?;
                let is_next = parameters.split(';').any(|p| {
                    let Some((name, value)) = p.split_once('=') else {
                        return false;
                    };
                    name.trim().eq_ignore_ascii_case("rel")
                        && value
                            .trim()
                            .trim_matches('"')
                            .split_ascii_whitespace()
                            .any(|rel| rel.eq_ignore_ascii_case("next"))
                });
                if is_next {
                    return Some(target.to_owned());
                }
                rest = tail;
            }
            None
        })
}

/// Sets a query parameter: where it is, or at the end.
fn set_query(url: &mut String, name: &str, value: &str) {
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path.to_owned(), query.to_owned()),
        None => (url.clone(), String::new()),
    };
    let mut pair = String::new();
    percent(name, &mut pair);
    let prefix = format!("{pair}=");
    pair.push('=');
    percent(value, &mut pair);
    let raw = format!("{name}=");
    let mut done = false;
    let mut pairs: Vec<String> = Vec::new();
    for old in query.split('&').filter(|p| !p.is_empty()) {
        if !old.starts_with(&prefix) && !old.starts_with(&raw) {
            pairs.push(old.to_owned());
        } else if !done {
            pairs.push(pair.clone());
            done = true;
        }
    }
    if !done {
        pairs.push(pair);
    }
    *url = format!("{path}?{}", pairs.join("&"));
}

/// The body with one member set; `None` if it is neither a JSON object nor a form.
fn with_member(request: &PlainRequest, name: &str, value: &str) -> Option<Vec<u8>> {
    let content_type = request
        .headers
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case("content-type"))
        .map(|(_, v)| v.as_str())
        .unwrap_or_default();
    let body = request.body.as_deref().unwrap_or_default();
    if content_type.starts_with("application/x-www-form-urlencoded") {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (n, v) in url::form_urlencoded::parse(body).filter(|(n, _)| n != name) {
            form.append_pair(&n, &v);
        }
        form.append_pair(name, value);
        return Some(form.finish().into_bytes());
    }
    let mut tree: Value = serde_json::from_slice(body).ok()?;
    tree.as_object_mut()?
        .insert(name.to_owned(), Value::from(value));
    Some(tree.to_string().into_bytes())
}
