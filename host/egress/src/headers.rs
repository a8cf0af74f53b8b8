//! Step 1: headers that a caller may not set, and (on the way back) headers that are not passed on.
//!
//! Three kinds of request header are special:
//!
//! - **framing and hop**: `host`, `content-length`, `connection` and their kin. They are ours alone; a
//!   caller that sets them could split one request into two or address it to another host. A guest that
//!   sets one is refused; from a proxied request they are dropped, because every HTTP client sets some and
//!   they speak of the hop that ends here (RFC 9110, 7.6.1).
//! - **credentials**: `authorization`, `cookie`, `proxy-*`, everything the manifest fills in. Refused from
//!   guests and from proxied requests, so that nothing rides along with, or replaces, what the host
//!   attaches. The host's own flows may set them: that is how a token request authenticates itself.
//! - **overrides**: of the path always, of the method where only reading is allowed. What was allowed is the request's own.
//!
//! Names are compared without case and with `_` read as `-`, because many upstreams read them so.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use crate::error::{EgressError, Part};
use crate::handles::Slot;
use crate::limits::Limits;
use crate::pass::{Methods, Pass, Purpose};
use crate::secret::Place;

/// Headers of the connection, not of the message.
const HOP: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that carry somebody's credential.
const CREDENTIAL: &[&str] = &["authorization", "cookie", "cookie2"];

/// What a load balancer in front of the platform or of us adds; it would tell an upstream about networks
/// that are none of its business.
const PATH: &[&str] = &["forwarded", "via", "x-real-ip"];

/// What makes some servers answer for another path than the request's, whose path is what was allowed.
const REROUTE: &[&str] = &["x-original-url", "x-rewrite-url"];

/// What every HTTP client sends unasked. Where the manifest has its own value, a proxied request's is dropped
/// and not refused, or no ordinary client could be used.
const AMBIENT: &[&str] = &["accept", "accept-language", "user-agent"];

const METHOD_OVERRIDE: &[&str] = &[
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Headers of an answer that act on the origin that delivers it. Delivered by Keyport, they would act on
/// Keyport.
const ORIGIN_WIDE: &[&str] = &[
    "alt-svc",
    "clear-site-data",
    "nel",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
];

/// Refuses or drops what this caller may not set.
///
/// # Errors
/// [`EgressError::ForbiddenHeader`] with the name, [`EgressError::TooLarge`].
pub(crate) fn screen(
    pass: &Pass,
    given: HeaderMap,
    limits: &Limits,
) -> Result<HeaderMap, EgressError> {
    check_size(&given, limits.header_bytes, Part::RequestHeaders)?;
    let named = named_by_connection(&given);
    let mut kept = HeaderMap::with_capacity(given.len());
    for (name, value) in &given {
        let plain = plain(name.as_str());
        let hop = HOP.contains(&plain.as_str()) || named.contains(&plain);
        let refused = match pass.purpose {
            Purpose::Guest => {
                hop || REROUTE.contains(&plain.as_str())
                    || is_reserved(pass, &plain)
                    || (is_credential(&plain) && !is_slot(pass, name, value))
            }
            Purpose::Proxy => {
                let ambient = AMBIENT.contains(&plain.as_str());
                !hop && !ambient && (is_credential(&plain) || is_reserved(pass, &plain))
            }
            Purpose::Flow => false,
        } || (pass.methods != Methods::Any
            && METHOD_OVERRIDE.contains(&plain.as_str()));
        if refused {
            return Err(EgressError::ForbiddenHeader(name.to_string()));
        }
        let dropped = hop
            // Answers are asked for unencoded, see `decode`.
            || plain == "accept-encoding"
            || (pass.purpose == Purpose::Proxy
                && (is_reserved(pass, &plain)
                    || PATH.contains(&plain.as_str())
                    || REROUTE.contains(&plain.as_str())
                    || plain.starts_with("x-forwarded-")));
        if !dropped {
            kept.append(name, value.clone());
        }
    }
    Ok(kept)
}

/// Takes out of an answer what is not passed on: the hop's headers, cookies (unless they are asked for), and what acts on an
/// origin.
pub(crate) fn strip_answer(headers: &mut HeaderMap, cookies: bool) {
    let named = named_by_connection(headers);
    let gone: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let plain = plain(name.as_str());
            // The length is a framing header on the way out, and news on the way back.
            (HOP.contains(&plain.as_str()) && plain != "content-length")
                || named.contains(&plain)
                || (ORIGIN_WIDE.contains(&plain.as_str()) && !(cookies && plain == "set-cookie"))
                || plain.starts_with("proxy-")
                || plain.starts_with("access-control-")
        })
        .cloned()
        .collect();
    for name in gone {
        headers.remove(name);
    }
}

/// Counts names, values and 4 bytes of punctuation per line.
pub(crate) fn check_size(headers: &HeaderMap, limit: usize, what: Part) -> Result<(), EgressError> {
    let size: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if size > limit {
        return Err(EgressError::TooLarge {
            what,
            limit: limit as u64,
        });
    }
    Ok(())
}

/// A header value that is never shown (`Debug`) or indexed.
pub(crate) fn secret_value(name: &str, value: &str) -> Result<HeaderValue, EgressError> {
    let mut value = plain_value(name, value)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A header value; control characters, CR and LF among them, are refused.
pub(crate) fn plain_value(name: &str, value: &str) -> Result<HeaderValue, EgressError> {
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| EgressError::Unsendable(name.to_owned()))
}

/// A header name from a manifest.
pub(crate) fn name(name: &str) -> Result<HeaderName, EgressError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| EgressError::Unsendable(name.to_owned()))
}

fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

fn is_credential(plain: &str) -> bool {
    CREDENTIAL.contains(&plain) || plain.starts_with("proxy-")
}

fn is_reserved(pass: &Pass, plain_name: &str) -> bool {
    let injected = pass
        .credentials()
        .flat_map(|credential| &credential.parts)
        .filter(|part| part.place == Place::Header)
        .map(|part| &part.name);
    pass.reserved_headers
        .iter()
        .chain(injected)
        .any(|reserved| plain(reserved) == plain_name)
}

/// Whether the value is made of a placeholder that the manifest lets stand in this very header. A guest cannot bring a
/// credential of its own this way: what is not the host's is refused.
fn is_slot(pass: &Pass, name: &HeaderName, value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else {
        return false;
    };
    pass.handles.issued().iter().any(|handle| {
        text.contains(&handle.placeholder)
            && handle.slots.iter().any(|slot| {
                matches!(slot, Slot::Header(slot) if name.as_str().eq_ignore_ascii_case(slot))
            })
    })
}

fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(http::header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| plain(name.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use keyport_manifest::hosts::AllowedHosts;

    use super::*;
    use crate::secret::{Credential, Injection, Secret};

    fn pass(purpose: Purpose) -> Pass {
        let mut pass = Pass::new("o", purpose, AllowedHosts::none());
        pass.reserved_headers = vec!["X-Api-Version".to_owned()];
        pass.credential = Some(Credential {
            parts: vec![Injection {
                place: Place::Header,
                name: "X-Shop-Token".to_owned(),
                value: Secret::new("secret-value"),
            }],
            ..Credential::new(AllowedHosts::none())
        });
        pass
    }

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    fn screened(purpose: Purpose, lines: &[(&str, &str)]) -> Result<Vec<String>, EgressError> {
        let kept = screen(&pass(purpose), headers(lines), &Limits::default())?;
        Ok(kept.keys().map(ToString::to_string).collect())
    }

    #[test]
    fn a_guest_may_not_set_credentials_framing_or_what_the_manifest_fills_in_in_any_spelling() {
        for name in [
            "Authorization",
            "AUTHORIZATION",
            "authorization",
            "Cookie",
            "cookie2",
            "Host",
            "hOsT",
            "Proxy-Authorization",
            "Proxy-Anything",
            "proxy_authorization",
            "TE",
            "Connection",
            "Transfer-Encoding",
            "transfer_encoding",
            "Content-Length",
            "Content_Length",
            "Upgrade",
            "Keep-Alive",
            "Trailer",
            "Expect",
            "X-Shop-Token",
            "x-shop-token",
            "X_Shop_Token",
            "x-api-version",
            "X_API_VERSION",
            "X-Original-URL",
            "x_rewrite_url",
        ] {
            let refused = screened(Purpose::Guest, &[("accept", "x"), (name, "1")]);
            assert!(
                matches!(refused, Err(EgressError::ForbiddenHeader(_))),
                "{name}"
            );
        }
        assert_eq!(
            screened(
                Purpose::Guest,
                &[
                    ("accept", "x"),
                    ("x-custom", "y"),
                    ("accept-encoding", "br")
                ]
            ),
            Ok(vec!["accept".to_owned(), "x-custom".to_owned()])
        );
    }

    #[test]
    fn a_proxied_request_loses_its_hop_and_is_refused_with_a_credential() {
        let kept = screened(
            Purpose::Proxy,
            &[
                ("host", "keyport.example"),
                ("connection", "close, x-hop"),
                ("x-hop", "1"),
                ("content-length", "3"),
                ("x-forwarded-for", "10.0.0.1"),
                ("x-original-url", "/admin"),
                ("accept", "*/*"),
            ],
        );
        assert_eq!(kept, Ok(vec!["accept".to_owned()]));
        for name in [
            "authorization",
            "cookie",
            "proxy-authorization",
            "x-shop-token",
            "x-api-version",
        ] {
            assert!(screened(Purpose::Proxy, &[(name, "1")]).is_err(), "{name}");
        }
    }

    #[test]
    fn what_every_client_sends_gives_way_to_the_manifest_in_a_proxied_request() {
        let lines = headers(&[("accept", "*/*"), ("user-agent", "curl")]);
        let mut pass = pass(Purpose::Proxy);
        pass.reserved_headers = vec!["Accept".to_owned()];
        let kept = screen(&pass, lines.clone(), &Limits::default()).unwrap();
        assert!(!kept.contains_key("accept") && kept.contains_key("user-agent"));
        pass.purpose = Purpose::Guest;
        assert!(screen(&pass, lines, &Limits::default()).is_err());
    }

    #[test]
    fn the_hosts_own_flow_may_authenticate_itself_but_not_frame_its_request() {
        assert_eq!(
            screened(
                Purpose::Flow,
                &[
                    ("authorization", "Basic eA=="),
                    ("host", "x"),
                    ("transfer-encoding", "x")
                ]
            ),
            Ok(vec!["authorization".to_owned()])
        );
    }

    #[test]
    fn a_reading_call_cannot_smuggle_a_writing_method() {
        let mut pass = pass(Purpose::Guest);
        pass.methods = Methods::ReadOnly;
        for name in [
            "X-HTTP-Method-Override",
            "x_http_method",
            "x-method-override",
        ] {
            assert!(
                screen(&pass, headers(&[(name, "DELETE")]), &Limits::default()).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn an_answer_loses_cookies_its_hop_and_what_would_act_on_our_origin() {
        let mut answer = headers(&[
            ("content-type", "a/b"),
            ("set-cookie", "a=b"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("strict-transport-security", "max-age=1"),
            ("access-control-allow-origin", "*"),
            ("proxy-authenticate", "x"),
            ("content-length", "2"),
            ("www-authenticate", "Bearer"),
            ("etag", "x"),
        ]);
        strip_answer(&mut answer, false);
        let mut left: Vec<_> = answer.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            ["content-length", "content-type", "etag", "www-authenticate"]
        );
    }

    #[test]
    fn control_characters_cannot_enter_through_a_value() {
        for value in ["a\r\nx: y", "a\nb", "a\rb", "a\0b", "\u{7f}"] {
            assert!(secret_value("x", value).is_err());
        }
        assert!(format!("{:?}", secret_value("x", "hunter2").unwrap()).contains("Sensitive"));
    }

    #[test]
    fn headers_over_the_limit_are_refused() {
        let limits = Limits {
            header_bytes: 20,
            ..Limits::default()
        };
        assert!(
            screen(
                &pass(Purpose::Guest),
                headers(&[("a", "0123456789012345")]),
                &limits
            )
            .is_err()
        );
        assert!(
            screen(
                &pass(Purpose::Guest),
                headers(&[("a", "012345678901234")]),
                &limits
            )
            .is_ok()
        );
    }
}
