//! The manifest as a whole: who the app is, and its parts.

use std::fmt;
use std::str::FromStr;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{
    Action, Api, AppWebhook, AuthMethod, Discovery, Field, Handle, Lifecycle, Migration, Recipe,
    Test, Trigger, Variants, is_default,
};
use crate::template::Template;

/// One app's manifest, format version 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format version; always 1.
    pub manifest: u32,
    /// The app's id; its folder has the same name.
    pub id: AppId,
    /// The app that this one is built on: its manifest is taken first, and what is written here is laid over it (maps merge by
    /// key, lists and single values replace, null removes). `id`, `name`, `version` and `summary` are always the app's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<AppId>,
    /// What people call the app.
    pub name: String,
    /// Version of this manifest, semantic.
    pub version: semver::Version,
    /// One sentence: what the app is.
    pub summary: String,
    /// Categories for the catalogue, lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Other names that people search for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub links: Links,
    /// What serves the app.
    pub component: Component,
    /// What every connection of this app asks for, whatever the way to sign in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// One choice of constants (an environment, a region), asked for in the form as the field `variant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<Variants>,
    /// Whether people run this app on hosts of their own; lifts the rule that a host must end in a known suffix.
    #[serde(default, skip_serializing_if = "is_default")]
    pub self_hosted: bool,
    /// The API that connections are for.
    pub api: Api,
    /// Ways to sign in, best first.
    pub auth: IndexMap<String, AuthMethod>,
    /// What is asked of the app right after signing in, in this order, before the test.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discovery: Vec<Discovery>,
    /// The call that proves that a connection works and says whose it is.
    pub test: Test,
    /// What an automation can do with the app.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub actions: IndexMap<String, Action>,
    /// What can start an automation.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub triggers: IndexMap<String, Trigger>,
    /// The one address that the app sends the events of all connections to; for triggers of the kind `webhook_app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<AppWebhook>,
    /// Values that the host computes from secrets for the component.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub recipes: IndexMap<String, Recipe>,
    /// Secrets that the component may place, as opaque handles.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub handles: IndexMap<String, Handle>,
    /// Code of the component's own around the life of a connection.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lifecycle: Lifecycle,
    /// What the app needs of its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<Requires>,
    /// What becomes of connections that older versions of this manifest made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<Migration>,
    /// Who wrote the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The licence of the manifest, as an SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Where the facts in this manifest come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

impl Manifest {
    /// Whether the app asks for a right beyond the usual.
    #[must_use]
    pub fn asks_for(&self, grant: Grant) -> bool {
        self.requires
            .as_ref()
            .is_some_and(|requires| requires.grants.contains_key(&grant))
    }

    /// The test that applies to a way of signing in: its own, or the app's.
    #[must_use]
    pub fn test_for(&self, method: &str) -> &Test {
        self.auth
            .get(method)
            .and_then(AuthMethod::test)
            .unwrap_or(&self.test)
    }

    /// The base URL of the API for connections that signed in so: the method's own, or the app's.
    #[must_use]
    pub fn base_url_for(&self, method: &str) -> &Template {
        self.auth
            .get(method)
            .and_then(AuthMethod::base_url)
            .unwrap_or(&self.api.base_url)
    }

    /// Names (lower case) of every header that the host fills in for a way of signing in: fixed ones and credentials.
    /// A guest may not set them.
    #[must_use]
    pub fn reserved_headers(&self, method: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .api
            .headers
            .keys()
            .map(|n| n.to_ascii_lowercase())
            .collect();
        if let Some(auth) = self.auth.get(method) {
            names.extend(
                auth.injections()
                    .iter()
                    .filter(|i| i.place == super::Place::Header)
                    .map(|i| i.name.to_ascii_lowercase()),
            );
            names.extend(
                auth.signature_headers()
                    .iter()
                    .map(|n| n.to_ascii_lowercase()),
            );
        }
        names.sort();
        names.dedup();
        names
    }

    /// The fields that every connection asks for: the choice of a variant, if there are any, then the app's own.
    pub fn app_fields(&self) -> impl Iterator<Item = &Field> {
        self.variants
            .iter()
            .map(Variants::field)
            .chain(&self.fields)
    }

    /// All fields that one way of signing in asks for: the app's, then its own.
    pub fn fields_for(&self, method: &str) -> impl Iterator<Item = &Field> {
        let own = self
            .auth
            .get(method)
            .map(AuthMethod::fields)
            .unwrap_or_default();
        self.app_fields().chain(own)
    }
}

/// An app's id: lower-case letters, digits and hyphens, starting with a letter, at most 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct AppId(String);

/// Why an app id was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an app id; use lower-case letters, digits and inner hyphens, starting with a letter, at most 63"
)]
pub struct AppIdError(String);

impl AppId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppId {
    type Err = AppIdError;

    fn from_str(text: &str) -> Result<Self, AppIdError> {
        let legal = (1..=63).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-')
            && !text.contains("--")
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if legal {
            Ok(Self(text.to_owned()))
        } else {
            Err(AppIdError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for AppId {
    type Error = AppIdError;

    fn try_from(text: String) -> Result<Self, AppIdError> {
        text.parse()
    }
}

impl From<AppId> for String {
    fn from(id: AppId) -> Self {
        id.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What serves an app: `rest` (the manifest says everything), the name of a folder in `providers/`, or a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub enum Component {
    /// The component that serves every purely declarative app.
    Rest,
    /// A folder in `providers/`.
    Provider(String),
    /// A path inside the app's own folder: `component.wasm`, `./component`.
    Path(String),
}

impl Component {
    /// The file of a built component, where a manifest names the folder of its source.
    pub const BUILT: &str = "component.wasm";
    /// The folder of a component's source, where a manifest names the file.
    pub const SOURCE: &str = "component";

    /// The file of an app's own component, in the app's folder: the one that is named, or [`Self::BUILT`] where a folder of source is
    /// named. `None` where a component of the program serves the app.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Path(path) if path.ends_with(".wasm") => Some(path),
            Self::Path(_) => Some(Self::BUILT),
            Self::Rest | Self::Provider(_) => None,
        }
    }

    /// The folder of its source, in the app's folder: the one that is named, or [`Self::SOURCE`] where a file is named.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::Path(path) if path.ends_with(".wasm") => Some(Self::SOURCE),
            Self::Path(path) => Some(path),
            Self::Rest | Self::Provider(_) => None,
        }
    }
}

impl TryFrom<String> for Component {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "rest" {
            return Ok(Self::Rest);
        }
        if text.contains('/') || text.ends_with(".wasm") {
            let safe = !text.starts_with('/')
                && !text.contains('\\')
                && text.split('/').all(|s| s != "..");
            return if safe {
                Ok(Self::Path(text))
            } else {
                Err(format!(
                    "`{text}` leaves the app's folder; give a path inside it"
                ))
            };
        }
        text.parse::<AppId>()
            .map(|name| Self::Provider(name.into()))
            .map_err(|_| format!("`{text}` is not a component; write `rest`, a folder of providers/, or a path like `./component`"))
    }
}

impl From<Component> for String {
    fn from(component: Component) -> Self {
        match component {
            Component::Rest => "rest".to_owned(),
            Component::Provider(text) | Component::Path(text) => text,
        }
    }
}

/// Where to read more about the app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// The app's home page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// Its API's documentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Where its users get help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<String>,
    /// Where an operator registers an OAuth client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register: Option<String>,
}

/// What an app needs of its host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Requires {
    /// Versions of Keyport that can serve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub host: Option<semver::VersionReq>,
    /// Rights beyond the usual, each with its reason; the operator must grant them.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub grants: IndexMap<Grant, String>,
}

/// A right beyond the usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// The component sees credentials in the clear.
    RawCredentials,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_the_file_that_is_named_or_what_the_folder_that_is_named_becomes() {
        for (text, file, source) in [
            ("rest", None, None),
            ("todoist", None, None),
            ("component.wasm", Some("component.wasm"), Some("component")),
            ("./out/app.wasm", Some("./out/app.wasm"), Some("component")),
            ("./code", Some("component.wasm"), Some("./code")),
            ("./old.wasm/", Some("component.wasm"), Some("./old.wasm/")),
            (
                "code/app.wasm.d",
                Some("component.wasm"),
                Some("code/app.wasm.d"),
            ),
        ] {
            let component = Component::try_from(text.to_owned()).unwrap();
            assert_eq!(
                (component.file(), component.source()),
                (file, source),
                "{text}"
            );
        }
    }
}
