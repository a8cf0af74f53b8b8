//! Addresses that a platform registers with a session: where its page is, and where the browser returns to.
//!
//! Threat: an open redirect, or a message to a page that is not the platform's. So addresses come from the platform's
//! backend only, are checked once and then used exactly as they were given; nothing that a browser sends ever becomes one.

use url::{Host, Url};

use crate::error::ConnectError;

/// An origin, exactly as browsers write it in `Origin`.
pub(super) fn origin(text: &str) -> Result<String, ConnectError> {
    let url = web_address("origins", text)?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let origin = url.origin().ascii_serialization();
    if !bare || origin != text.trim_end_matches('/') {
        return Err(ConnectError::invalid(
            "origins",
            "write origins exactly as browsers do: scheme, host and port only, such as https://app.example.com",
        ));
    }
    Ok(origin)
}

/// A return address: absolute, without a fragment, user-info or anything that two parsers could read differently.
pub(super) fn return_url(text: &str) -> Result<String, ConnectError> {
    let url = web_address("return_url", text)?;
    // The parser forgives backslashes, tabs and missing slashes; what it would change is refused rather than mended.
    if url.fragment().is_some()
        || (url.as_str() != text && url.as_str().strip_suffix('/') != Some(text))
    {
        return Err(ConnectError::invalid(
            "return_url",
            "write a complete address in its normal form, without a fragment, such as https://app.example.com/connected",
        ));
    }
    Ok(text.to_owned())
}

/// Appends parameters to a registered address, leaving its own as they are.
pub(crate) fn with_params(address: &str, params: &[(&str, &str)]) -> Result<String, ConnectError> {
    let mut url = web_address("return_url", address)?;
    url.query_pairs_mut().extend_pairs(params);
    Ok(url.into())
}

fn web_address(field: &str, text: &str) -> Result<Url, ConnectError> {
    let refused = || {
        ConnectError::invalid(
            field,
            "use an https address, or http on localhost or a loopback address, without a user name",
        )
    };
    let url = Url::parse(text).map_err(|_| refused())?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let allowed = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    if !allowed
        || !url.username().is_empty()
        || url.password().is_some()
        || url
            .host_str()
            .is_none_or(|host| host.is_empty() || host.contains('*'))
    {
        return Err(refused());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_origins_are_registered() {
        for good in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "http://127.0.0.1:4701",
            "http://localhost:3000",
        ] {
            assert_eq!(origin(good).unwrap(), good);
        }
        assert_eq!(
            origin("https://app.example.com/").unwrap(),
            "https://app.example.com"
        );
        for bad in [
            "app.example.com",
            "https://app.example.com/x",
            "https://app.example.com?x",
            "http://app.example.com",
            "https://a@app.example.com",
            "https://*.example.com",
            "null",
            "*",
            "https://APP.example.com",
            "https://app.example.com:443",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_return_address_that_two_parsers_could_read_differently_is_refused() {
        for good in [
            "https://app.example.com/done?x=1",
            "https://app.example.com",
            "http://127.0.0.1:4701/back",
        ] {
            assert_eq!(return_url(good).unwrap(), good);
        }
        for bad in [
            "//evil.example",
            "/done",
            "https:\\\\evil.example",
            "https://app.example.com\\@evil.example",
            "https://app.example.com@evil.example",
            "https://app.example.com/#x",
            "javascript:alert(1)",
            "https:app.example.com",
            "https://app.example.com/a/../b",
            "https://app.example.com/\tx",
            "http://app.example.com/",
        ] {
            assert!(return_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parameters_are_added_behind_those_of_the_address_and_escaped() {
        assert_eq!(
            with_params(
                "https://app.example.com/done?x=1",
                &[("session", "ses_1"), ("code", "a&b=c")]
            )
            .unwrap(),
            "https://app.example.com/done?x=1&session=ses_1&code=a%26b%3Dc"
        );
    }
}
