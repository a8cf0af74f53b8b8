//! Cookies of the hosted pages: reading them, and writing them so that no other site can use or plant them.
//!
//! Where `public_url` is https, names carry the `__Host-` prefix, which browsers accept only with `Secure`,
//! `Path=/` and no `Domain`: a sibling subdomain can't plant one (session fixation). On plain http, which is
//! for loopback development only, browsers refuse that prefix and the names are different, so that a
//! development cookie never works against a real host. Cookies work on page routes only, never on `/v1`.
//!
//! Left out: signing. Values are random and mean nothing; the engine keeps only their hashes.

use http::{HeaderMap, HeaderValue, header};

use crate::state::PublicUrl;

/// Name of the session cookie under https.
pub const SESSION_HOST_COOKIE: &str = "__Host-kp";
/// Name of the session cookie where `public_url` is plain http on loopback.
pub const SESSION_DEV_COOKIE: &str = "kp_dev";
/// A session lives at most this long, in seconds (8 hours); the engine ends it earlier when it is idle.
pub const SESSION_MAX_AGE: u32 = 8 * 60 * 60;

/// Name of the session cookie for this `public_url`.
pub fn session_name(public: &PublicUrl) -> &'static str {
    if public.is_secure() {
        SESSION_HOST_COOKIE
    } else {
        SESSION_DEV_COOKIE
    }
}

/// Name under which a cookie of ours is set that the engine calls `name`: `__Host-` goes before it under https.
pub fn host_bound(public: &PublicUrl, name: &str) -> String {
    if public.is_secure() {
        format!("__Host-{name}")
    } else {
        name.to_owned()
    }
}

/// The session cookie's value, if the browser sent exactly one.
///
/// Two cookies of one name mean that somebody else planted one; then none counts.
pub fn session(headers: &HeaderMap, public: &PublicUrl) -> Option<String> {
    read(headers, session_name(public))
}

/// The value of the cookie `name`, if there is exactly one.
pub fn read(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut found = None;
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    for (_, value) in pairs.filter(|(given, _)| *given == name) {
        if found.is_some() {
            return None;
        }
        found = Some(value.to_owned());
    }
    found
}

/// `Set-Cookie` for a session; `None` if the value holds what a cookie can't carry.
pub fn set_session(public: &PublicUrl, value: &str) -> Option<HeaderValue> {
    set(public, session_name(public), value, SESSION_MAX_AGE)
}

/// `Set-Cookie` that ends the session in this browser.
pub fn clear_session(public: &PublicUrl) -> Option<HeaderValue> {
    set(public, session_name(public), "", 0)
}

/// `Set-Cookie: name=value` with `Path=/`, `HttpOnly`, `SameSite=Lax` and, under https, `Secure`.
///
/// `max_age` is in seconds; 0 removes the cookie. `None` if name or value holds what a cookie can't carry
/// (RFC 6265, section 4.1.1).
pub fn set(public: &PublicUrl, name: &str, value: &str, max_age: u32) -> Option<HeaderValue> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let octet =
        |byte: u8| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    if name.is_empty() || !name.bytes().all(token) || !value.bytes().all(octet) {
        return None;
    }
    let secure = if public.is_secure() { "; Secure" } else { "" };
    HeaderValue::from_str(&format!(
        "{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}"
    ))
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(url: &str) -> PublicUrl {
        PublicUrl::new(&url.parse().unwrap()).unwrap()
    }

    fn sent(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())])
    }

    #[test]
    fn under_https_the_session_cookie_is_host_bound_and_secure() {
        let cookie = set_session(&public("https://keyport.example"), "abc").unwrap();
        assert_eq!(
            cookie,
            "__Host-kp=abc; Path=/; Max-Age=28800; HttpOnly; SameSite=Lax; Secure"
        );
    }

    #[test]
    fn a_development_cookie_means_nothing_to_a_real_host() {
        let dev = public("http://localhost:4700");
        assert!(
            set_session(&dev, "abc")
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("kp_dev=abc;")
        );
        assert_eq!(session(&sent("kp_dev=abc"), &dev).as_deref(), Some("abc"));
        assert_eq!(
            session(&sent("kp_dev=abc"), &public("https://keyport.example")),
            None
        );
    }

    #[test]
    fn a_planted_second_cookie_of_the_same_name_counts_as_none() {
        let host = public("https://keyport.example");
        assert_eq!(
            session(&sent("a=1; __Host-kp=mine; b=2"), &host).as_deref(),
            Some("mine")
        );
        assert_eq!(
            session(&sent("__Host-kp=mine; __Host-kp=theirs"), &host),
            None
        );
    }

    #[test]
    fn a_value_can_not_add_attributes_or_header_lines() {
        for value in ["a; Domain=example", "a\r\nx: y", "a,b", "a\"b"] {
            assert!(
                set_session(&public("https://keyport.example"), value).is_none(),
                "{value:?}"
            );
        }
    }
}
