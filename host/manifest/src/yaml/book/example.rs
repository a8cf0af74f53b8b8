//! Examples of rules: a small patch over one complete manifest, or a whole text where the rule is about the text itself.
//!
//! A patch is merged like `extends` merges: maps by key, lists and scalars replace, `null` removes a key. The base is an
//! invented app with all that a manifest should have; it is checked by the tests to be clean.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::yaml::finding::FolderFacts;

/// The invented app that examples are patches of.
const BASE: &str = include_str!("../../../rules/base/manifest.yaml");
const LOGO: &str = include_str!("../../../rules/base/logo.svg");
const FIXTURES: &[(&str, &str)] = &[
    (
        "operations.yaml",
        include_str!("../../../rules/base/fixtures/operations.yaml"),
    ),
    (
        "test.yaml",
        include_str!("../../../rules/base/fixtures/test.yaml"),
    ),
    (
        "token.yaml",
        include_str!("../../../rules/base/fixtures/token.yaml"),
    ),
];

/// One example of a rule. Exactly one of `patch` and `text` is there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// YAML that is merged over the base manifest.
    pub patch: Option<String>,
    /// A whole manifest.
    pub text: Option<String>,
    /// What must stand in the message, where the rule has several.
    pub says: Option<String>,
    /// The path that the finding must be at.
    pub at: Option<String>,
    /// The patch that makes the older version, for rules that compare two.
    pub old: Option<String>,
    /// The component, for rules that look at it: its `world` in WIT, what stands `beside` that, the `package` if it is not an
    /// app's own, and its `producers`.
    pub component: Option<Value>,
    /// What vendors answer, for rules that look at the network: by method and URL (`GET https://a.test/me`); what is not there
    /// is a 404. Only a test reads it, over servers of its own.
    pub peer: Option<BTreeMap<String, PeerAnswer>>,
    /// What the author gives for looking on the network: variables without their prefix (`TOKEN`), and `--set` in lower case
    /// (`subdomain`).
    pub given: Option<BTreeMap<String, String>>,
    /// What lies beside the manifest. Without it, the manifest is checked alone.
    pub beside: Option<Beside>,
}

/// What a vendor answers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerAnswer {
    /// The status.
    pub status: u16,
    /// The body, as JSON.
    #[serde(default)]
    pub body: Value,
    /// What the request must contain to get this answer (in its headers or body); without it, it is refused with 401.
    pub wants: Option<String>,
}

/// The rest of an app's folder.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// Name of the folder; the base's id if not said.
    pub folder: Option<String>,
    /// The logo; empty for none, the base's if not said.
    pub logo: Option<String>,
    /// Files in `fixtures/`; the base's if not said.
    pub fixtures: Option<BTreeMap<String, String>>,
}

impl Example {
    /// The manifest of the example.
    ///
    /// # Errors
    /// If the example is not one: neither or both of `patch` and `text`, or YAML that cannot be read.
    pub fn manifest(&self) -> Result<String, String> {
        match (&self.patch, &self.text) {
            (None, Some(text)) => Ok(text.clone()),
            (Some(patch), None) => patched(patch),
            _ => Err("an example has either a `patch` or a `text`".to_owned()),
        }
    }

    /// The older version of it, if the rule compares two.
    ///
    /// # Errors
    /// As [`Self::manifest`].
    pub fn older(&self) -> Option<Result<String, String>> {
        self.old.as_deref().map(patched)
    }

    /// What lies beside it.
    #[must_use]
    pub fn folder(&self) -> Option<FolderFacts> {
        let beside = self.beside.as_ref()?;
        let own = base();
        Some(FolderFacts {
            name: beside.folder.clone().unwrap_or(own.1.name),
            logo: match &beside.logo {
                None => own.1.logo,
                Some(text) => Some(text.clone()).filter(|t| !t.is_empty()),
            },
            fixtures: match &beside.fixtures {
                None => own.1.fixtures,
                Some(files) => files.clone().into_iter().collect(),
            },
            ..FolderFacts::default()
        })
    }

    /// What a person is shown: the part that matters, as its author wrote it.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.patch
            .as_deref()
            .filter(|patch| !patch.trim().is_empty())
            .or(self.text.as_deref())
            .unwrap_or_default()
    }
}

/// The base manifest and its folder.
#[must_use]
pub fn base() -> (&'static str, FolderFacts) {
    let folder = FolderFacts {
        name: "harbordesk".to_owned(),
        logo: Some(LOGO.to_owned()),
        fixtures: FIXTURES
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect(),
        ..FolderFacts::default()
    };
    (BASE, folder)
}

fn patched(patch: &str) -> Result<String, String> {
    if patch.trim().is_empty() {
        return Ok(BASE.to_owned());
    }
    let read = |text: &str| serde_yaml::from_str::<Value>(text).map_err(|e| e.to_string());
    let mut whole = read(BASE)?;
    merge(&mut whole, read(patch)?);
    serde_yaml::to_string(&whole).map_err(|e| e.to_string())
}

fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                match (into.get_mut(&key), value) {
                    (_, Value::Null) => {
                        into.shift_remove(&key);
                    }
                    (Some(slot), value) => merge(slot, value),
                    (None, value) => {
                        into.insert(key, value);
                    }
                }
            }
        }
        (slot, value) => *slot = value,
    }
}
