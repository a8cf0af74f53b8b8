//! Which redirect URIs a client may use.
//!
//! The threat is an authorization code that is sent to somebody else's address (RFC 9700, 4.1). Registered URIs are
//! therefore compared as strings. The one looser rule, a prefix, exists for `keyport dev` and can only name this
//! machine, and only one path segment of harmless characters may follow it.

use url::{Host, Url};

use crate::config::{Client, VendorError};

/// Redirect URIs and prefixes one client may have.
const MAX_PER_CLIENT: usize = 64;
/// Longest redirect URI that is looked at.
const MAX_LENGTH: usize = 2048;
/// Longest path segment accepted after a prefix.
const MAX_SEGMENT: usize = 128;

/// Adds an exact redirect URI; one that is there already is no error.
pub(crate) fn add_uri(client: &mut Client, uri: &str) -> Result<(), VendorError> {
    check_uri(uri)?;
    add(&mut client.redirect_uris, uri)
}

/// Adds a loopback prefix; one that is there already is no error.
pub(crate) fn add_prefix(client: &mut Client, prefix: &str) -> Result<(), VendorError> {
    check_prefix(prefix)?;
    add(&mut client.redirect_prefixes, prefix)
}

fn add(list: &mut Vec<String>, value: &str) -> Result<(), VendorError> {
    if list.iter().any(|known| known == value) {
        return Ok(());
    }
    if list.len() >= MAX_PER_CLIENT {
        return Err(VendorError::TooManyRedirects);
    }
    list.push(value.to_owned());
    Ok(())
}

pub(crate) fn check_uri(uri: &str) -> Result<(), VendorError> {
    let url = Url::parse(uri).map_err(|_| VendorError::RedirectUri)?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.fragment().is_none()
        && !uri.contains('#')
        && uri.len() <= MAX_LENGTH
        && uri.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(()).ok_or(VendorError::RedirectUri)
}

pub(crate) fn check_prefix(prefix: &str) -> Result<(), VendorError> {
    let url = Url::parse(prefix).map_err(|_| VendorError::RedirectPrefix)?;
    let fits = url.scheme() == "http"
        && is_loopback(url.host())
        && url.port().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && prefix.ends_with('/')
        // What was parsed is what was written: no dot segments, no other spelling of the host.
        && url.as_str() == prefix
        && prefix.len() <= MAX_LENGTH;
    fits.then_some(()).ok_or(VendorError::RedirectPrefix)
}

pub(crate) fn is_loopback(host: Option<Host<&str>>) -> bool {
    match host {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a code may be sent to `uri`.
pub(crate) fn is_allowed(client: &Client, uri: &str) -> bool {
    if client.redirect_uris.iter().any(|known| known == uri) {
        return true;
    }
    client.redirect_prefixes.iter().any(|prefix| {
        uri.strip_prefix(prefix.as_str()).is_some_and(|segment| {
            !segment.is_empty()
                && segment.len() <= MAX_SEGMENT
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        let mut client = Client::new("c", "s");
        add_uri(&mut client, "https://app.example/cb").unwrap();
        add_prefix(&mut client, "http://localhost:4700/oauth/callback/").unwrap();
        client
    }

    #[test]
    fn a_registered_uri_matches_only_itself() {
        let client = client();
        assert!(is_allowed(&client, "https://app.example/cb"));
        for other in [
            "https://app.example/cb/",
            "https://app.example/cb?x=1",
            "https://APP.example/cb",
            "https://app.example:443/cb",
            "http://app.example/cb",
            "https://app.example.evil.example/cb",
        ] {
            assert!(!is_allowed(&client, other), "{other}");
        }
    }

    #[test]
    fn a_prefix_takes_one_plain_segment_and_nothing_else() {
        let client = client();
        let prefix = "http://localhost:4700/oauth/callback/";
        assert!(is_allowed(&client, &format!("{prefix}cfg_A-1")));
        for tail in ["", "a/b", "..", "a?x=1", "a#f", "%2e%2e", "a.b", "@evil"] {
            assert!(!is_allowed(&client, &format!("{prefix}{tail}")), "{tail}");
        }
        assert!(!is_allowed(
            &client,
            "http://localhost:4701/oauth/callback/a"
        ));
    }

    #[test]
    fn a_prefix_outside_this_machine_is_refused() {
        for prefix in [
            "https://localhost:4700/cb/",
            "http://localhost/cb/",
            "http://localhost:4700/cb",
            "http://evil.example:80/cb/",
            "http://localhost.evil.example:4700/cb/",
            "http://localhost:4700@evil.example:81/cb/",
            "http://localhost:4700/cb/../",
            "http://10.0.0.1:4700/cb/",
        ] {
            assert_eq!(
                check_prefix(prefix),
                Err(VendorError::RedirectPrefix),
                "{prefix}"
            );
        }
    }

    #[test]
    fn a_redirect_uri_with_a_fragment_or_another_scheme_is_refused() {
        for uri in [
            "https://a.example/#x",
            "javascript:alert(1)",
            "/relative",
            "https://a.example/ b",
        ] {
            assert_eq!(check_uri(uri), Err(VendorError::RedirectUri), "{uri}");
        }
    }
}
