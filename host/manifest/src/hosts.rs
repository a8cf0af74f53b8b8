//! Where requests may go: host patterns and lists of them.
//!
//! Threat: a request that carries a credential, or that a guest wrote, reaching a host that nobody reviewed. Patterns are
//! therefore narrow: `https` only, an exact host name or `*.suffix` (at least one label, on a label boundary, under a
//! suffix of at least two labels), one port (443 unless written). No wildcard in the middle, no IP ranges, no user-info.
//! Whether the *address* behind a name is private is the egress's business.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

/// One allowed destination: `api.example.com`, `*.example.com`, `example.com:8443`, each with an optional `https://`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPattern {
    any_sub: bool,
    host: String,
    port: u16,
}

/// Why a host pattern was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// A scheme other than https.
    #[error("`{0}` must use https; write the host alone or `https://host`")]
    Scheme(String),
    /// A path, query, user-info or other thing that is not a host.
    #[error(
        "`{0}` is not a host; write it like `api.example.com`, `*.example.com` or `example.com:8443`"
    )]
    NotAHost(String),
    /// `*` anywhere but as the whole first label, or over too short a suffix.
    #[error("`{0}` is too wide; `*.` must be followed by a name of at least two parts")]
    TooWide(String),
    /// A port that is not a number from 1 to 65535.
    #[error("`{0}` has no valid port")]
    Port(String),
}

impl HostPattern {
    /// The pattern for exactly one URL's host and port.
    ///
    /// # Errors
    /// When the URL is not https or has no host.
    pub fn of_url(url: &Url) -> Result<Self, HostError> {
        if url.scheme() != "https" {
            return Err(HostError::Scheme(url.as_str().to_owned()));
        }
        let host = url
            .host_str()
            .ok_or_else(|| HostError::NotAHost(url.as_str().to_owned()))?;
        Ok(Self {
            any_sub: false,
            host: host.to_owned(),
            port: url.port_or_known_default().unwrap_or(443),
        })
    }

    /// Whether a URL's scheme, host and port are covered. User-info is never covered.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else {
            return false;
        };
        if url.scheme() != "https"
            || !url.username().is_empty()
            || url.password().is_some()
            || url.port_or_known_default() != Some(self.port)
        {
            return false;
        }
        if self.any_sub {
            host.strip_suffix(self.host.as_str())
                .and_then(|left| left.strip_suffix('.'))
                // An empty label is none: `.example.com` and `a..example.com` are no names.
                .is_some_and(|labels| !labels.split('.').any(str::is_empty))
        } else {
            host == self.host
        }
    }

    /// Whether everything that `other` allows is allowed by this one too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.port != other.port {
            return false;
        }
        match (self.any_sub, other.any_sub) {
            (false, false) => self.host == other.host,
            (false, true) => false,
            (true, false) => other.host.ends_with(&format!(".{}", self.host)),
            (true, true) => {
                self.host == other.host || other.host.ends_with(&format!(".{}", self.host))
            }
        }
    }

    /// The host name, without `*.` and port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl FromStr for HostPattern {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let bad = || HostError::NotAHost(text.to_owned());
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
            Some(_) => return Err(HostError::Scheme(text.to_owned())),
            None => text,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (any_sub, name) = match rest.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, rest),
        };
        if name.contains('*') {
            return Err(HostError::TooWide(text.to_owned()));
        }
        // Only what a host can be made of: the URL parser would forgive tabs, backslashes and credentials.
        let legal = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        if name.is_empty() || !name.chars().all(legal) {
            return Err(bad());
        }
        let url = Url::parse(&format!("https://{name}/")).map_err(|e| match e {
            url::ParseError::InvalidPort => HostError::Port(text.to_owned()),
            _ => bad(),
        })?;
        let host = url.host().ok_or_else(bad)?;
        if let url::Host::Domain(domain) = &host {
            if domain.ends_with('.') || domain.split('.').any(str::is_empty) {
                return Err(bad());
            }
            if any_sub && domain.split('.').count() < 2 {
                return Err(HostError::TooWide(text.to_owned()));
            }
        } else if any_sub {
            return Err(HostError::TooWide(text.to_owned()));
        }
        let port = url.port().unwrap_or(443);
        if port == 0 {
            return Err(HostError::Port(text.to_owned()));
        }
        Ok(Self {
            any_sub,
            host: host.to_string(),
            port,
        })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.any_sub {
            f.write_str("*.")?;
        }
        f.write_str(&self.host)?;
        if self.port != 443 {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// A list of destinations; an empty one allows nothing. Displayed and parsed as a comma-separated list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AllowedHosts(Vec<HostPattern>);

impl AllowedHosts {
    /// A list that allows nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether a URL may be requested.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        self.0.iter().any(|p| p.allows(url))
    }

    /// Adds a pattern; one that is there already is not added again.
    pub fn push(&mut self, pattern: HostPattern) {
        if !self.0.contains(&pattern) {
            self.0.push(pattern);
        }
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patterns, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &HostPattern> {
        self.0.iter()
    }

    /// The patterns of `self` that nothing in `other` covers: what an update would add to what was consented to.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Vec<HostPattern> {
        self.0
            .iter()
            .filter(|p| !other.0.iter().any(|o| o.covers(p)))
            .cloned()
            .collect()
    }
}

impl FromIterator<HostPattern> for AllowedHosts {
    fn from_iter<I: IntoIterator<Item = HostPattern>>(patterns: I) -> Self {
        let mut list = Self::default();
        patterns.into_iter().for_each(|p| list.push(p));
        list
    }
}

impl FromStr for AllowedHosts {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        text.split(',')
            .map(str::trim)
            .filter(|t| !t.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl fmt::Display for AllowedHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, pattern) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{pattern}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allows(pattern: &str, url: &str) -> bool {
        pattern
            .parse::<HostPattern>()
            .unwrap()
            .allows(&Url::parse(url).unwrap())
    }

    #[test]
    fn patterns_allow_what_they_say_and_nothing_near_it() {
        for (pattern, url, expected) in [
            ("api.example.com", "https://api.example.com/x", true),
            ("api.example.com", "https://API.example.com:443/", true),
            ("API.example.com", "https://api.example.com/", true),
            ("https://api.example.com", "https://api.example.com/", true),
            ("api.example.com", "https://api.example.com:8443/", false),
            (
                "api.example.com:8443",
                "https://api.example.com:8443/",
                true,
            ),
            ("api.example.com:8443", "https://api.example.com/", false),
            ("api.example.com", "http://api.example.com/", false),
            (
                "api.example.com",
                "https://api.example.com.evil.example/",
                false,
            ),
            (
                "api.example.com",
                "https://evil.example/api.example.com",
                false,
            ),
            ("api.example.com", "https://u@api.example.com/", false),
            ("api.example.com", "https://u:p@api.example.com/", false),
            ("api.example.com", "https://api.example.com./", false),
            ("*.example.com", "https://a.example.com/", true),
            ("*.example.com", "https://a.b.example.com/", true),
            ("*.example.com", "https://example.com/", false),
            ("*.example.com", "https://evilexample.com/", false),
            ("*.example.com", "https://.example.com/", false),
            ("127.0.0.1", "https://0x7f.1/", true),
            ("[::1]:8443", "https://[::1]:8443/", true),
        ] {
            let url = Url::parse(url).map(|u| pattern.parse::<HostPattern>().unwrap().allows(&u));
            assert_eq!(url.unwrap_or(false), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_advice() {
        for (bad, want) in [
            ("http://a.example", "https"),
            ("ftp://a.example", "https"),
            ("a.example/path", "not a host"),
            ("u@a.example", "not a host"),
            ("", "not a host"),
            ("*", "too wide"),
            ("*.com", "too wide"),
            ("a.*.example", "too wide"),
            ("**.example.com", "too wide"),
            ("a.example:0", "port"),
            ("a.example:99999", "port"),
            ("a b.example", "not a host"),
            ("a.example\\b", "not a host"),
            ("a..example", "not a host"),
            ("a.example.", "not a host"),
            ("*.127.0.0.1", "too wide"),
            ("a.example?x", "not a host"),
            ("{{ fields.x }}", "not a host"),
        ] {
            let error = bad.parse::<HostPattern>().unwrap_err().to_string();
            assert!(error.contains(want), "{bad}: {error}");
        }
    }

    #[test]
    fn a_list_is_written_and_read_back() {
        let list: AllowedHosts = "a.example, *.b.example:8443,a.example".parse().unwrap();
        assert_eq!(list.to_string(), "a.example, *.b.example:8443");
        assert_eq!(list.to_string().parse::<AllowedHosts>().unwrap(), list);
        assert!(
            AllowedHosts::none().is_empty()
                && !AllowedHosts::none().allows(&Url::parse("https://a.example").unwrap())
        );
    }

    #[test]
    fn a_wider_list_shows_what_it_adds() {
        let old: AllowedHosts = "*.example.com, a.other.example".parse().unwrap();
        let new: AllowedHosts = "x.example.com, *.y.example.com, b.other.example, *.other.example"
            .parse()
            .unwrap();
        let added: Vec<String> = new.beyond(&old).iter().map(ToString::to_string).collect();
        assert_eq!(added, ["b.other.example", "*.other.example"]);
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_what_is_read_is_written_the_same(text in ".{0,40}") {
            if let Ok(pattern) = text.parse::<HostPattern>() {
                let again: HostPattern = pattern.to_string().parse().unwrap();
                prop_assert_eq!(again, pattern);
            }
        }

        #[test]
        fn a_wildcard_never_allows_a_host_outside_its_suffix(host in "[a-z0-9.-]{1,30}", suffix in "[a-z]{1,8}\\.[a-z]{2,4}") {
            let pattern: HostPattern = format!("*.{suffix}").parse().unwrap();
            if let Ok(url) = Url::parse(&format!("https://{host}/")) && pattern.allows(&url) {
                let dotted = format!(".{suffix}");
                prop_assert!(url.host_str().unwrap().ends_with(&dotted));
            }
        }

        #[test]
        fn what_a_pattern_covers_it_allows(a in "(\\*\\.)?[a-c]\\.[a-c]\\.[a-b]", b in "(\\*\\.)?[a-c]\\.([a-c]\\.)?[a-c]\\.[a-b]", host in "[a-c]\\.([a-c]\\.){1,3}[a-b]") {
            let (a, b): (HostPattern, HostPattern) = (a.parse().unwrap(), b.parse().unwrap());
            let url = Url::parse(&format!("https://{host}/")).unwrap();
            if a.covers(&b) && b.allows(&url) {
                prop_assert!(a.allows(&url));
            }
        }
    }

    #[test]
    fn exact_and_wild_patterns_agree_with_the_url_they_came_from() {
        let url = Url::parse("https://a.example:8443/x").unwrap();
        assert!(HostPattern::of_url(&url).unwrap().allows(&url));
        assert!(HostPattern::of_url(&Url::parse("http://a.example").unwrap()).is_err());
        assert!(allows("*.a.example", "https://b.a.example/"));
    }
}
