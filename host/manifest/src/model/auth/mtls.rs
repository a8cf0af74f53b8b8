//! A client certificate (RFC 8446, 4.4.2): as the way to sign in, on every request, or beside an OAuth client (RFC 8705; ADP).

use serde::{Deserialize, Serialize};

use super::Inject;
use crate::model::{Field, Test, is_default};
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
    /// Base URL of the API for connections that sign in so, where it is not `api.base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Template>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// A certificate that a connection presents beside its OAuth client: to the token endpoint, to the API, or to both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The certificate, with its chain, in PEM.
    pub certificate: Template,
    /// Its private key, in PEM; may read secrets.
    pub private_key: Template,
    /// Where it is presented; to both if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub at: CertificateAt,
}

/// Where a client certificate is presented.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CertificateAt {
    /// To the token endpoint and to the API.
    #[default]
    Both,
    /// To the token endpoint alone.
    Token,
    /// To the API alone.
    Api,
}
