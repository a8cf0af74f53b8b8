//! What becomes of connections that were made with an older version of the manifest.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// What is done to the stored values of connections that an older version of this manifest made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// Which versions it is for, as a requirement on semantic versions: `<2.0.0`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub from: semver::VersionReq,
    /// Fields that have a new id: old id, then new id.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub rename: IndexMap<String, String>,
    /// Constants for fields that are new.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub set: IndexMap<String, String>,
    /// Ids of fields whose values are thrown away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// People must sign in again, and why: one sentence for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconnect: Option<String>,
}
