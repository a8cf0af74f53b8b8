//! What a sign-in by OAuth 1.0a pins, beside its flow: a record of the same id, sealed, gone with the flow.

use indexmap::IndexMap;
use keyport_vault::Kind;
use serde::{Deserialize, Serialize};

use super::{ClientKeys, Entity, Oauth1Token};
use crate::hidden::{self, Hidden};

pub(crate) struct SignedFlow;

impl Entity for SignedFlow {
    const KIND: Kind = Kind::new("flow_signed");
    const PREFIX: &'static str = "flow_";
    const WHAT: &'static str = "flow";
    type Clear = SignedFlowClear;
    type Sealed = SignedFlowSealed;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SignedFlowClear {
    pub(crate) expires_at: i64,
}

/// The whole sign-in as it was when it began: nothing that is edited in between changes where a secret goes.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SignedFlowSealed {
    pub(crate) method: String,
    pub(crate) config: String,
    /// The auth method as the manifest had it.
    pub(crate) rule: keyport_manifest::Oauth1,
    pub(crate) client: ClientKeys,
    /// Where temporary credentials are asked for, where the person is sent, where the token is got.
    pub(crate) request_url: String,
    pub(crate) authorize_url: String,
    pub(crate) access_url: String,
    pub(crate) callback: String,
    /// The temporary credentials that are out; set when the browser leaves.
    pub(crate) temporary: Option<Oauth1Token>,
    /// Hash of the cookie of the browser that left.
    pub(crate) browser: Option<String>,
    #[serde(with = "hidden::map")]
    pub(crate) fields: IndexMap<String, Hidden>,
    #[serde(with = "hidden::map")]
    pub(crate) credentials: IndexMap<String, Hidden>,
    pub(crate) title: Option<String>,
    pub(crate) reactivates: Option<String>,
}
