//! A sign-in under way as it is kept.

use indexmap::IndexMap;
use keyport_vault::Kind;
use serde::{Deserialize, Serialize};

use super::Entity;
use crate::hidden::{self, Hidden};
use crate::view::{FlowMode, FlowStatus, Problem, SessionKind};

pub(crate) struct Flow;

impl Entity for Flow {
    const KIND: Kind = Kind::new("flow");
    const PREFIX: &'static str = "flow_";
    const WHAT: &'static str = "flow";
    type Clear = FlowClear;
    type Sealed = FlowSealed;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FlowClear {
    pub(crate) app: String,
    pub(crate) session: String,
    pub(crate) session_kind: SessionKind,
    pub(crate) status: FlowStatus,
    pub(crate) mode: FlowMode,
    pub(crate) connection_id: Option<String>,
    pub(crate) error: Option<Problem>,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
}

/// The whole sign-in, pinned when it starts: nothing that is edited in between changes where a code or a secret goes.
/// Destroyed as soon as the code was redeemed or the flow ended.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct FlowSealed {
    pub(crate) method: String,
    pub(crate) config: String,
    /// The auth method as the manifest had it.
    pub(crate) oauth: keyport_manifest::Oauth2,
    pub(crate) client: ClientKeys,
    pub(crate) endpoints: Endpoints,
    pub(crate) scopes: Vec<String>,
    pub(crate) redirect_uri: String,
    #[serde(with = "hidden::option")]
    pub(crate) verifier: Option<Hidden>,
    /// Hash of the state that is out; set when the browser leaves.
    pub(crate) state: Option<String>,
    /// Hash of the cookie of the browser that left.
    pub(crate) browser: Option<String>,
    #[serde(with = "hidden::map")]
    pub(crate) fields: IndexMap<String, Hidden>,
    #[serde(with = "hidden::map")]
    pub(crate) credentials: IndexMap<String, Hidden>,
    /// The constants of the chosen variant as the manifest had them, for apps that have variants.
    #[serde(default)]
    pub(crate) variant: Option<serde_json::Value>,
    pub(crate) title: Option<String>,
    pub(crate) reactivates: Option<String>,
}

/// An OAuth client.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ClientKeys {
    pub(crate) id: String,
    #[serde(with = "hidden::option")]
    pub(crate) secret: Option<Hidden>,
}

/// Where an OAuth client talks to, rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoints {
    pub(crate) authorize: String,
    pub(crate) token: String,
    pub(crate) refresh: String,
    /// The only value that `iss` may have, where the app has an issuer.
    pub(crate) issuer: Option<String>,
    /// Where a grant is ended (RFC 7009).
    pub(crate) revoke: Option<String>,
}
