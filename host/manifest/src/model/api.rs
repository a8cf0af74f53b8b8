//! The API behind a connection: its base URL, what every request carries, and the other hosts it may reach.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};

use crate::template::Template;

/// The API that connections are for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Relative request URLs are appended to it (`https://h/api` and `/me` make `https://h/api/me`); its host is always
    /// allowed and gets the main credential.
    pub base_url: Template,
    /// Further hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostEntry>,
    /// Headers that the host adds to every request to this API. Not for secrets.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, Template>,
    /// Query parameters that the host adds to every request to this API. Not for secrets.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub query: IndexMap<String, Template>,
}

/// A host that requests may go to, and which credential goes with them. Written as the host alone, or as
/// `{host, credential}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(into = "HostEntryText")]
pub struct HostEntry {
    /// `host`, `*.suffix`, or either with a port; values only as labels.
    pub host: Template,
    /// The credential for requests to this host.
    pub credential: CredentialRef,
}

/// Which credential goes to a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(from = "String", into = "String")]
pub enum CredentialRef {
    /// The connection's main credential.
    #[default]
    Main,
    /// No credential at all (file stores, presigned URLs).
    None,
    /// Injections that carry this `credential` name.
    Named(String),
}

impl From<String> for CredentialRef {
    fn from(text: String) -> Self {
        match text.as_str() {
            "main" => Self::Main,
            "none" => Self::None,
            _ => Self::Named(text),
        }
    }
}

impl From<CredentialRef> for String {
    fn from(r: CredentialRef) -> Self {
        match r {
            CredentialRef::Main => "main".to_owned(),
            CredentialRef::None => "none".to_owned(),
            CredentialRef::Named(name) => name,
        }
    }
}

#[derive(Serialize, Clone)]
#[serde(untagged)]
enum HostEntryText {
    Short(Template),
    Long(HostEntryFull),
}

#[derive(Serialize, Deserialize, Clone)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct HostEntryFull {
    host: Template,
    #[serde(default)]
    credential: CredentialRef,
}

impl<'de> Deserialize<'de> for HostEntry {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        super::text::short_or_long(
            d,
            |host: Template| {
                Ok(Self {
                    host,
                    credential: CredentialRef::Main,
                })
            },
            |full: HostEntryFull| {
                Ok(Self {
                    host: full.host,
                    credential: full.credential,
                })
            },
        )
    }
}

impl From<HostEntry> for HostEntryText {
    fn from(entry: HostEntry) -> Self {
        match entry.credential {
            CredentialRef::Main => Self::Short(entry.host),
            credential => Self::Long(HostEntryFull {
                host: entry.host,
                credential,
            }),
        }
    }
}
