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
    #[error("`{0}` is not a host; write it like `api.example.com`, `*.example.com` or `example.com:8443`")]
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
        let host = url.host_str().ok_or_else(|| HostError::NotAHost(url.as_str().to_owned()))?;
        Ok(Self {
            any_sub: false,
            host: host.to_owned(),
            port: url.port_or_known_default().unwrap_or(443),
        })
    }

    /// Whether a URL's scheme, host and port are covered. User-info is never covered.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
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
                .is_some_and(|label| !label.is_empty())
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
            (true, true) => self.host == other.host || other.host.ends_with(&format!(".{}", self.host)),
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
        Ok(Self { any_sub, host: host.to_string(), port })
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
        self.0.iter().filter(|p| !other.0.iter().any(|o| o.covers(p))).cloned().collect()
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
        text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::parse).collect()
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
