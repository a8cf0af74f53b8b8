//! Which code of the component's own is run around the life of a connection.
//!
//! A component that exports more than a manifest names does not run it: what happens when somebody connects is in the part
//! that people review.

use serde::{Deserialize, Serialize};

use super::is_default;

/// What the component does when a connection begins and ends. Its component exports the interface `lifecycle`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Lifecycle {
    /// Code that runs after a connection was tested, before it counts as connected. It may run again where the app was away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<Connected>,
    /// Whether code runs before the credentials are revoked and destroyed. Its failure does not stop the disconnect.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disconnecting: bool,
}

/// What the component finds out when somebody has connected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Connected {
    /// The ids of what it returns, kept as public captures; what it returns beside them is dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captures: Vec<String>,
}
