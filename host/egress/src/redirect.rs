//! Step 6, the part about answers that point elsewhere. Pure: what the next request would be.
//!
//! The next request carries none of the caller's headers and no body. A list of headers to strip could
//! never be complete, because manifests put credentials under any name; so all are dropped, and what the
//! host attaches is attached anew for where the request now goes, or not at all. A redirect that would need
//! the body again is not followed: the caller gets the answer.

use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::error::{EgressError, UrlFault};

/// How many redirects are followed.
pub(crate) const MAX_HOPS: u8 = 3;

/// Where a redirect leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub method: Method,
    pub url: Url,
}

/// The request to make instead, or `None` where the answer is the answer. `from` is the logical URL.
pub(crate) fn next_hop(
    method: &Method,
    from: &Url,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Hop>, EgressError> {
    let bodyless = *method == Method::GET || *method == Method::HEAD;
    let method = match status.as_u16() {
        301..=303 if *method == Method::HEAD => Method::HEAD,
        301..=303 => Method::GET,
        307 | 308 if bodyless => method.clone(),
        _ => return Ok(None),
    };
    let Some(location) = headers.get(LOCATION) else {
        return Ok(None);
    };
    let mut url = location
        .to_str()
        .ok()
        .and_then(|location| from.join(location).ok())
        .ok_or(EgressError::BadUrl(UrlFault::Unreadable))?;
    url.set_fragment(None);
    Ok(Some(Hop { method, url }))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn hop(method: Method, status: u16, location: &str) -> Result<Option<Hop>, EgressError> {
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(location).unwrap())]);
        let from = Url::parse("https://a.example.com/v1/me?x=1").unwrap();
        next_hop(
            &method,
            &from,
            StatusCode::from_u16(status).unwrap(),
            &headers,
        )
    }

    fn to(method: Method, url: &str) -> Result<Option<Hop>, EgressError> {
        Ok(Some(Hop {
            method,
            url: Url::parse(url).unwrap(),
        }))
    }

    #[test]
    fn the_next_request_is_a_get_unless_it_was_a_head() {
        for status in [301, 302, 303] {
            assert_eq!(
                hop(Method::POST, status, "/b"),
                to(Method::GET, "https://a.example.com/b")
            );
            assert_eq!(
                hop(Method::HEAD, status, "/b"),
                to(Method::HEAD, "https://a.example.com/b")
            );
        }
        assert_eq!(
            hop(Method::GET, 307, "b"),
            to(Method::GET, "https://a.example.com/v1/b")
        );
    }

    #[test]
    fn a_body_is_never_sent_again() {
        for status in [307, 308] {
            assert_eq!(hop(Method::POST, status, "/b"), Ok(None));
            assert_eq!(hop(Method::DELETE, status, "/b"), Ok(None));
        }
    }

    #[test]
    fn other_answers_are_the_answer() {
        for status in [200, 201, 300, 304, 305, 401, 500] {
            assert_eq!(hop(Method::GET, status, "/b"), Ok(None));
        }
    }

    #[test]
    fn a_location_is_read_by_the_same_parser_as_every_url() {
        assert_eq!(
            hop(Method::GET, 302, "//b.example.com/x#f"),
            to(Method::GET, "https://b.example.com/x")
        );
        assert_eq!(
            hop(Method::GET, 302, "\\\\b.example.com\\x"),
            to(Method::GET, "https://b.example.com/x")
        );
        assert!(hop(Method::GET, 302, "https://[bad").is_err());
    }
}
