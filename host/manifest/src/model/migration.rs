//! What becomes of connections that were made with an older version of the manifest.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::Manifest;

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
    /// Constants for fields that are new; a value that is there stays.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub set: IndexMap<String, String>,
    /// Ids of fields whose values are thrown away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// People must sign in again, and why: one sentence for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconnect: Option<String>,
}

impl Manifest {
    /// The migrations for what a connection holds that was made, or last brought up, with this version, in their order. A
    /// version that was not written down is older than all.
    #[must_use]
    pub fn migrations_from(&self, version: Option<&str>) -> Vec<&Migration> {
        let oldest = semver::Version::new(0, 0, 0);
        let version = match version.map(semver::Version::parse) {
            Some(Ok(version)) => version,
            Some(Err(_)) | None => oldest,
        };
        if version == self.version {
            return Vec::new();
        }
        let mut steps: Vec<&Migration> = self.migrations.iter().collect();
        steps.retain(|step| step.from.matches(&version));
        steps
    }
}

impl Migration {
    /// Applies steps, in their order, to the values of a connection by their ids. Applied twice they give the same.
    pub fn apply<V>(
        steps: &[&Self],
        values: &mut IndexMap<String, V>,
        constant: impl Fn(&str) -> V,
    ) {
        for step in steps {
            let taken: Vec<(String, V)> = step
                .rename
                .iter()
                .filter_map(|(from, to)| Some((to.clone(), values.shift_remove(from)?)))
                .collect();
            values.extend(taken);
            for (id, value) in &step.set {
                if !values.contains_key(id) {
                    values.insert(id.clone(), constant(value));
                }
            }
            for id in &step.remove {
                values.shift_remove(id);
            }
        }
    }
}
