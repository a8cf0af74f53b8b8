//! Origin overrides: the one way around the rules, for development, tests and vendors' staging.
//!
//! The operator maps an origin, exactly by scheme, host and port, to another. Everything is *checked*
//! against the URL that the manifest speaks of; only then does the request go to the target. A manifest
//! cannot say any of this, and a plain http target is refused unless it is this machine's loopback, so an
//! override can never make a real credential travel unencrypted over a network.
//!
//! What the upstream sees is the target's own name in `Host` and in TLS, so that an ordinary mock server
//! or a staging system works unchanged.

use std::net::IpAddr;

use url::{Host, Origin, Url};

/// The operator's overrides.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<Override>);

/// One override. Both sides are bare origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// What manifests say.
    pub from: Url,
    /// Where it really goes.
    pub to: Url,
}

/// Why an override is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginsError {
    /// Not a URL, or not only an origin.
    #[error(
        "`{0}` is not an origin; write scheme, host and port only, such as https://api.example.com"
    )]
    NotAnOrigin(String),
    /// Nothing but https is ever sent, so there is nothing else to override.
    #[error("`{0}` cannot be overridden: only https origins are ever used")]
    FromNotHttps(String),
    /// Plain http to somewhere that is not loopback.
    #[error("`{0}` is plain http; that is allowed only to localhost, 127.0.0.1 or [::1]")]
    PlainHttp(String),
    /// Two overrides of one origin.
    #[error("`{0}` is overridden twice")]
    Twice(String),
}

impl Origins {
    /// No overrides.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads pairs of origins: what manifests say, and where it goes.
    pub fn parse<I, A, B>(pairs: I) -> Result<Self, OriginsError>
    where
        I: IntoIterator<Item = (A, B)>,
        A: AsRef<str>,
        B: AsRef<str>,
    {
        let mut overrides: Vec<Override> = Vec::new();
        for (from, to) in pairs {
            let (from, to) = (bare_origin(from.as_ref())?, bare_origin(to.as_ref())?);
            if from.scheme() != "https" {
                return Err(OriginsError::FromNotHttps(text(&from)));
            }
            if to.scheme() != "https" && !(to.scheme() == "http" && is_loopback(&to)) {
                return Err(OriginsError::PlainHttp(text(&to)));
            }
            if overrides.iter().any(|known| known.from == from) {
                return Err(OriginsError::Twice(text(&from)));
            }
            overrides.push(Override { from, to });
        }
        Ok(Self(overrides))
    }

    /// The override of this URL's origin, if there is one.
    pub fn find(&self, url: &Url) -> Option<&Override> {
        let origin = url.origin();
        self.0.iter().find(|known| known.from.origin() == origin)
    }

    /// The URL as it is really used: the same path and query at the overriding origin, or the URL itself.
    /// Also for URLs that a browser is sent to.
    #[must_use]
    pub fn apply(&self, url: &Url) -> Url {
        let Some(known) = self.find(url) else {
            return url.clone();
        };
        let mut moved = known.to.clone();
        moved.set_path(url.path());
        moved.set_query(url.query());
        moved.set_fragment(url.fragment());
        moved
    }

    /// All overrides, for printing at start.
    pub fn iter(&self) -> impl Iterator<Item = &Override> {
        self.0.iter()
    }

    /// True where nothing is overridden.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True where some override goes to exactly this origin: the operator has named it.
    pub(crate) fn is_target(&self, origin: &Origin) -> bool {
        self.0.iter().any(|known| known.to.origin() == *origin)
    }
}

impl std::fmt::Display for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -> {}", text(&self.from), text(&self.to))
    }
}

/// True for `localhost` and for loopback literals.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

fn bare_origin(given: &str) -> Result<Url, OriginsError> {
    let refused = || OriginsError::NotAnOrigin(given.to_owned());
    // A password in a mistyped origin must not be printed back.
    let url = Url::parse(given).map_err(|_| refused())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OriginsError::NotAnOrigin(format!("{}://…@…", url.scheme())));
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let named = url
        .host_str()
        .is_some_and(|host| !host.is_empty() && !host.ends_with('.'));
    if !(bare && named && matches!(url.scheme(), "http" | "https")) {
        return Err(refused());
    }
    Ok(url)
}

fn text(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(from: &str, to: &str) -> Result<Origins, OriginsError> {
        Origins::parse([(from, to)])
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn an_override_moves_path_and_query_and_nothing_else_matches_it() {
        let origins = one("https://api.example.com", "http://127.0.0.1:4010").unwrap();
        let moved = |from: &str| origins.apply(&url(from)).to_string();
        assert_eq!(
            moved("https://api.example.com/v1/me?a=b%20c#d"),
            "http://127.0.0.1:4010/v1/me?a=b%20c#d"
        );
        assert_eq!(
            moved("https://api.example.com:443/x"),
            "http://127.0.0.1:4010/x"
        );
        assert_eq!(
            moved("https://api.example.com//evil.example/x"),
            "http://127.0.0.1:4010//evil.example/x"
        );
        for other in [
            "https://api.example.com:8443/x",
            "http://api.example.com/x",
            "https://example.com/x",
            "https://a.api.example.com/x",
        ] {
            assert_eq!(moved(other), other);
        }
    }

    #[test]
    fn plain_http_goes_to_loopback_only() {
        for good in [
            "http://localhost:1",
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "https://staging.example.com",
        ] {
            assert!(one("https://api.example.com", good).is_ok(), "{good}");
        }
        for bad in [
            "http://10.0.0.1",
            "http://example.com",
            "http://localhost.example.com",
            "http://0.0.0.0",
        ] {
            assert!(
                matches!(
                    one("https://api.example.com", bad),
                    Err(OriginsError::PlainHttp(_))
                ),
                "{bad}"
            );
        }
    }

    #[test]
    fn only_bare_https_origins_can_be_overridden_and_only_once() {
        for bad in [
            "api.example.com",
            "https://api.example.com/v1",
            "https://a.example.com?x",
            "ftp://a",
            "https://a.example.com.",
        ] {
            assert!(
                matches!(
                    one(bad, "http://localhost"),
                    Err(OriginsError::NotAnOrigin(_))
                ),
                "{bad}"
            );
        }
        assert!(matches!(
            one("http://a.example.com", "http://localhost"),
            Err(OriginsError::FromNotHttps(_))
        ));
        let twice = Origins::parse([
            ("https://a.example.com", "http://localhost:1"),
            ("https://a.example.com:443", "http://localhost:2"),
        ]);
        assert_eq!(
            twice.err(),
            Some(OriginsError::Twice("https://a.example.com".to_owned()))
        );
    }

    #[test]
    fn a_password_in_a_mistyped_origin_is_not_printed() {
        let refused = one("https://user:hunter2@a.example.com", "http://localhost").unwrap_err();
        assert!(!refused.to_string().contains("hunter2"));
    }
}
