//! How an answer that comes in pages is read to its end, and where the end is.

use serde::{Deserialize, Serialize};

use super::Condition;
use crate::path::JsonPath;

/// How the pages of an answer are followed. All pages are joined into one list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Pagination {
    /// The list of one page.
    pub items: JsonPath,
    /// Where the next page is.
    pub next: NextPage,
    /// How many items a page is asked to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<PageSize>,
    /// Whether there is another page; for `page` and `offset`. If not said, pages are read until one is empty or short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<Condition>,
    /// Most pages that are read in one go; from 1 to 1000. Always needed: an app that never stops must not run for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pages: Option<u32>,
}

/// The size of a page, as a query parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PageSize {
    /// Name of the query parameter: `limit`, `per_page`.
    pub query: String,
    /// Its value.
    pub value: u32,
}

/// Where the next page is. Written as one of: `{cursor: path, query: name}` (or `body: name`), `{link_header: true}`,
/// `{url: path}`, `{page: name, start: 1}`, `{offset: name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "NextText", into = "NextText")]
pub enum NextPage {
    /// A cursor in the answer, sent back in the next request; the last page has none.
    Cursor {
        /// Where it is in the answer.
        cursor: JsonPath,
        /// Where it goes in the next request.
        place: CursorPlace,
    },
    /// The `Link` header's `rel="next"` (RFC 8288).
    LinkHeader,
    /// The address of the next page in the answer, within the API's hosts.
    Url(JsonPath),
    /// A page number in a query parameter.
    Page {
        /// Name of the query parameter.
        query: String,
        /// Number of the first page; 1 if not said.
        start: u32,
    },
    /// The number of items to skip, in a query parameter.
    Offset {
        /// Name of the query parameter.
        query: String,
    },
}

/// Where a cursor goes in the next request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CursorPlace {
    /// A query parameter.
    Query(String),
    /// A member of the JSON or form body.
    Body(String),
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct NextText {
    /// Where the answer holds the cursor of the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<JsonPath>,
    /// The query parameter that takes the cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// The member of the body that takes the cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The next page is in the `Link` header (RFC 8288).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link_header: Option<bool>,
    /// Where the answer holds the address of the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<JsonPath>,
    /// The query parameter that takes the number of the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    /// The number of the first page; 1 if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<u32>,
    /// The query parameter that takes how many items were seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<String>,
}

impl TryFrom<NextText> for NextPage {
    type Error = String;

    fn try_from(text: NextText) -> Result<Self, String> {
        let alone = text.query.is_none() && text.body.is_none();
        let unnumbered = text.start.is_none();
        match text {
            NextText {
                cursor: Some(cursor),
                query,
                body,
                link_header: None,
                url: None,
                page: None,
                start: None,
                offset: None,
            } => match (query, body) {
                (Some(name), None) => Ok(Self::Cursor {
                    cursor,
                    place: CursorPlace::Query(name),
                }),
                (None, Some(name)) => Ok(Self::Cursor {
                    cursor,
                    place: CursorPlace::Body(name),
                }),
                _ => Err("a cursor goes to one place: add `query: NAME` or `body: NAME`".to_owned()),
            },
            NextText {
                cursor: None,
                link_header: Some(true),
                url: None,
                page: None,
                offset: None,
                ..
            } if alone && unnumbered => Ok(Self::LinkHeader),
            NextText {
                cursor: None,
                link_header: None,
                url: Some(path),
                page: None,
                offset: None,
                ..
            } if alone && unnumbered => Ok(Self::Url(path)),
            NextText {
                cursor: None,
                link_header: None,
                url: None,
                page: Some(query),
                offset: None,
                start,
                ..
            } if alone => Ok(Self::Page {
                query,
                start: start.unwrap_or(1),
            }),
            NextText {
                cursor: None,
                link_header: None,
                url: None,
                page: None,
                offset: Some(query),
                ..
            } if alone && unnumbered => Ok(Self::Offset { query }),
            _ => Err(
                "the next page is found in one way: `{cursor, query}`, `{link_header: true}`, `{url}`, `{page, start}` or `{offset}`"
                    .to_owned(),
            ),
        }
    }
}

impl From<NextPage> for NextText {
    fn from(next: NextPage) -> Self {
        let mut text = Self::default();
        match next {
            NextPage::Cursor { cursor, place } => {
                text.cursor = Some(cursor);
                match place {
                    CursorPlace::Query(name) => text.query = Some(name),
                    CursorPlace::Body(name) => text.body = Some(name),
                }
            }
            NextPage::LinkHeader => text.link_header = Some(true),
            NextPage::Url(path) => text.url = Some(path),
            NextPage::Page { query, start } => {
                text.page = Some(query);
                text.start = (start != 1).then_some(start);
            }
            NextPage::Offset { query } => text.offset = Some(query),
        }
        text
    }
}
