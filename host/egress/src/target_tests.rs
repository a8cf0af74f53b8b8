//! URLs that try to be read two ways.

use keyport_manifest::hosts::AllowedHosts;
use proptest::prelude::*;

use super::*;
use crate::pass::SafeRequest;
use crate::secret::{Credential, Injection, Secret};

fn pass(hosts: &str) -> Pass {
    Pass::new("o", Purpose::Guest, hosts.parse().unwrap())
}

fn check(hosts: &str, url: &str) -> Result<(), EgressError> {
    check_url(
        &pass(hosts),
        &Url::parse(url).unwrap(),
        &AddressFilter::default(),
        &Origins::none(),
    )
}

fn joined(base: &str, given: &str) -> Result<String, EgressError> {
    absolute(Some(&Url::parse(base).unwrap()), &given.parse().unwrap()).map(|url| url.to_string())
}

#[test]
fn a_relative_url_is_appended_to_the_base_and_cannot_leave_its_origin() {
    let base = "https://api.example.com/v2";
    for (given, expected) in [
        ("/users?x=1", "https://api.example.com/v2/users?x=1"),
        ("/", "https://api.example.com/v2/"),
        (
            "//evil.example/x",
            "https://api.example.com/v2//evil.example/x",
        ),
        ("/../../x", "https://api.example.com/x"),
        (
            "/@evil.example/x",
            "https://api.example.com/v2/@evil.example/x",
        ),
        ("/a%2f..%2fb", "https://api.example.com/v2/a%2f..%2fb"),
    ] {
        assert_eq!(joined(base, given).unwrap(), expected);
    }
    assert_eq!(
        joined("https://api.example.com/?site=a", "/x?b=c").unwrap(),
        "https://api.example.com/x?site=a&b=c"
    );
    assert_eq!(
        absolute(None, &"/x".parse().unwrap()),
        Err(EgressError::BadUrl(UrlFault::NoBase))
    );
    assert!(joined(base, "evil.example:443").is_err());
    assert!(joined(base, "*").is_err());
}

#[test]
fn what_is_not_a_plain_https_url_is_refused_even_if_the_host_is_allowed() {
    let hosts = "api.example.com";
    assert_eq!(check(hosts, "https://api.example.com/x"), Ok(()));
    for (url, fault) in [
        ("http://api.example.com/x", UrlFault::NotHttps),
        ("ftp://api.example.com/x", UrlFault::NotHttps),
        ("https://user@api.example.com/", UrlFault::UserInfo),
        ("https://:pw@api.example.com/", UrlFault::UserInfo),
        ("https://api.example.com./", UrlFault::TrailingDot),
    ] {
        assert_eq!(check(hosts, url), Err(EgressError::BadUrl(fault)), "{url}");
    }
}

#[test]
fn an_address_in_any_notation_is_an_address() {
    // The pattern allows it, so that it is the literal that is refused and not the host.
    for url in [
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://0x7f000001/",
        "https://127.0.0.1./",
        "https://①②⑦.0.0.1/",
        "https://127。0。0。1/",
        "https://%31%32%37.0.0.1/",
    ] {
        assert_eq!(
            check("127.0.0.1", url),
            Err(EgressError::BadUrl(UrlFault::IpLiteral)),
            "{url}"
        );
    }
    for url in [
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[0:0:0:0:0:0:0:1]/",
        "https://8.8.8.8/",
    ] {
        assert_eq!(
            check("api.example.com", url),
            Err(EgressError::BadUrl(UrlFault::IpLiteral)),
            "{url}"
        );
    }
}

#[test]
fn an_operator_may_allow_an_address_that_the_manifest_allows_too() {
    let filter = AddressFilter::new(vec!["10.0.0.0/8".parse().unwrap()], vec![]);
    let url = Url::parse("https://10.0.0.5/").unwrap();
    assert_eq!(
        check_url(&pass("10.0.0.5"), &url, &filter, &Origins::none()),
        Ok(())
    );
    assert!(check_url(&pass("api.example.com"), &url, &filter, &Origins::none()).is_err());
}

#[test]
fn look_alikes_and_undeclared_ports_are_other_hosts() {
    for url in [
        "https://api.example.com:8443/",
        "https://api.example.com.evil.example/",
        "https://evil-api.example.com/",
        "https://api.example.co/",
        "https://example.com/",
        "https://a.api.example.com/",
        "https://api.example.com%2eevil.example/",
        "https://аpi.example.com/",
        "https://localhost/",
    ] {
        let refused = check("api.example.com", url);
        assert!(
            matches!(refused, Err(EgressError::HostNotAllowed { .. })),
            "{url}: {refused:?}"
        );
    }
}

#[test]
fn the_bases_own_origin_is_implied_and_its_neighbours_are_not() {
    let mut pass = pass("");
    pass.base_url = Some(Url::parse("https://api.example.com/v1").unwrap());
    let check = |url: &str| {
        check_url(
            &pass,
            &Url::parse(url).unwrap(),
            &AddressFilter::default(),
            &Origins::none(),
        )
    };
    assert_eq!(check("https://api.example.com/other"), Ok(()));
    assert!(check("https://api.example.com:444/").is_err());
    assert!(check("https://www.example.com/").is_err());
}

#[test]
fn connect_and_trace_are_never_sent_and_reading_calls_only_read() {
    let url = Url::parse("https://api.example.com/graphql").unwrap();
    let mut pass = pass("api.example.com");
    for method in [Method::CONNECT, Method::TRACE] {
        assert!(check_method(&pass, &method, &url).is_err());
    }
    assert!(check_method(&pass, &Method::from_bytes(b"trace").unwrap(), &url).is_err());
    assert!(check_method(&pass, &Method::DELETE, &url).is_ok());
    pass.methods = Methods::ReadOnly;
    assert!(check_method(&pass, &Method::GET, &url).is_ok());
    for method in [
        Method::POST,
        Method::DELETE,
        Method::PATCH,
        Method::from_bytes(b"get").unwrap(),
    ] {
        assert!(check_method(&pass, &method, &url).is_err(), "{method}");
    }
    pass.methods = Methods::ReadOnlyAnd(vec![SafeRequest {
        method: Method::POST,
        path: "/graphql".to_owned(),
    }]);
    assert!(check_method(&pass, &Method::POST, &url).is_ok());
    assert!(check_method(&pass, &Method::PUT, &url).is_err());
    assert!(
        check_method(
            &pass,
            &Method::POST,
            &Url::parse("https://api.example.com/graphql/x").unwrap()
        )
        .is_err()
    );
}

#[test]
fn a_caller_cannot_bring_the_parameter_that_carries_the_credential() {
    let mut pass = pass("api.example.com");
    pass.credential = Some(Credential {
        parts: vec![Injection {
            place: Place::Query,
            name: "api_key".to_owned(),
            value: Secret::new("x"),
        }],
        ..Credential::new(AllowedHosts::none())
    });
    let check = |url: &str| check_query(&pass, &Url::parse(url).unwrap());
    assert_eq!(check("https://api.example.com/?key=1"), Ok(()));
    for url in [
        "https://a.example.com/?api_key=1",
        "https://a.example.com/?a=b&API_KEY",
        "https://a.example.com/?api%5Fkey=1",
        // Some part pairs at `;`.
        "https://a.example.com/?a=b;api_key=1",
    ] {
        assert_eq!(
            check(url),
            Err(EgressError::ForbiddenParameter("api_key".to_owned())),
            "{url}"
        );
    }
}

#[test]
fn the_client_gets_the_url_that_was_checked() {
    let uri =
        wire_uri(&Url::parse("https://API.example.com:443/a b|c^{}`\"?q=|^`{}\"é#frag").unwrap());
    let uri = uri.unwrap();
    assert_eq!(uri.host(), Some("api.example.com"));
    assert_eq!(uri.port_u16(), None);
    assert!(!uri.to_string().contains("frag"));
}

proptest! {
    #[test]
    fn whatever_passes_is_sent_to_the_host_that_was_allowed(text in "[/\\\\@:.#?%a-z0-9\\[\\] \t]{0,24}") {
        let Ok(url) = Url::parse(&format!("https://api.example.com{text}")) else { return Ok(()) };
        if check("api.example.com", url.as_str()).is_ok() {
            let uri = wire_uri(&url).unwrap();
            prop_assert_eq!(uri.host(), Some("api.example.com"));
            prop_assert_eq!(uri.port_u16().unwrap_or(443), 443);
        }
    }

    #[test]
    fn no_relative_request_leaves_its_base(text in "/[!-~]{0,24}") {
        let base = Url::parse("https://api.example.com/v1").unwrap();
        let Ok(uri) = text.parse::<Uri>() else { return Ok(()) };
        if let Ok(url) = absolute(Some(&base), &uri)
            && uri.authority().is_none()
        {
            prop_assert_eq!(url.origin(), base.origin());
        }
    }
}
