//! A client certificate on every request (RFC 8446, 4.4.2), with or without a credential beside it.

use serde::{Deserialize, Serialize};

use super::Inject;
use crate::model::{Field, Test};
use crate::template::Template;

/// Sign-in with a client certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Mtls {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// The certificate, with its chain, in PEM.
    pub certificate: Template,
    /// Its private key, in PEM; may read secrets.
    pub private_key: Template,
    /// Where a further credential goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inject: Vec<Inject>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}
