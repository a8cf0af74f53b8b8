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
    /// When the token endpoint is asked next whether the person has typed the device's code (RFC 8628).
    #[serde(default)]
    pub(crate) poll_at: Option<i64>,
    /// The pending connection whose discovery waits for the person's choice.
    #[serde(default)]
    pub(crate) choosing: Option<String>,
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
    /// What an `id_token` must repeat (OpenID Connect Core, 3.1.2.1).
    #[serde(default, with = "hidden::option")]
    pub(crate) nonce: Option<Hidden>,
    /// Whether the server had forgotten its client once in this flow already, so that it was begun anew.
    #[serde(default)]
    pub(crate) anew: bool,
    /// The code of a device, where there is no browser that comes back.
    #[serde(default)]
    pub(crate) device: Option<DeviceCode>,
}

/// The codes of a device (RFC 8628, 3.2).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DeviceCode {
    /// What the host asks with.
    #[serde(with = "hidden::text")]
    pub(crate) code: Hidden,
    /// What the person types.
    pub(crate) user_code: String,
    /// Where they type it; https.
    pub(crate) verification_uri: String,
    /// The same with the code in it.
    pub(crate) complete: Option<String>,
    /// Milliseconds between two questions.
    pub(crate) interval: i64,
}

/// An OAuth client.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ClientKeys {
    pub(crate) id: String,
    #[serde(with = "hidden::option")]
    pub(crate) secret: Option<Hidden>,
    /// How it proves itself, where the server that registered it has decided that.
    #[serde(default)]
    pub(crate) auth: Option<keyport_manifest::ClientAuth>,
    /// Whose it is.
    #[serde(default)]
    pub(crate) whose: Whose,
    /// The hosts that its secret may go to; any, where it is the owner's own.
    #[serde(default)]
    pub(crate) pins: Option<Vec<String>>,
}

/// Whose an OAuth client is: what its refusal means depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whose {
    /// The operator's: only they can mend it.
    #[default]
    Operator,
    /// The owner's own, typed by the person who connects.
    Owner,
    /// Registered by this host for one owner at one server (RFC 7591).
    Registered,
    /// This host's own document (Client ID Metadata Documents).
    Document,
}

/// Where an OAuth client talks to, rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoints {
    /// Where the person is sent; none for grants without a person there.
    pub(crate) authorize: Option<String>,
    /// Where tokens come from; none while a callback has yet to say it.
    pub(crate) token: Option<String>,
    /// Where they are renewed, if elsewhere.
    pub(crate) refresh: Option<String>,
    /// The only value that `iss` may have, where the app has an issuer.
    pub(crate) issuer: Option<String>,
    /// Where a grant is ended (RFC 7009).
    pub(crate) revoke: Option<String>,
    /// Where a device asks for its code.
    #[serde(default)]
    pub(crate) device: Option<String>,
    /// Keys that sign `id_token`s, where metadata said so.
    #[serde(default)]
    pub(crate) jwks: Option<String>,
    /// What the token is for (RFC 8707), where a protected resource said so.
    #[serde(default)]
    pub(crate) resource: Option<String>,
    /// Where a token is asked about whose answer does not say when it ends (RFC 7662).
    #[serde(default)]
    pub(crate) introspect: Option<String>,
    /// What the token is for, where the manifest says so.
    #[serde(default)]
    pub(crate) resources: Vec<String>,
    /// The tenant that signed in, where the issuer has a hole for it; no other one may come after.
    #[serde(default)]
    pub(crate) tenant: Option<String>,
    /// Whether they were found out instead of being written down.
    #[serde(default)]
    pub(crate) found: bool,
    /// Whether the server takes a client's own document in place of a registration.
    #[serde(default)]
    pub(crate) document: bool,
}

impl Endpoints {
    /// Everything that the token is for (RFC 8707).
    pub(crate) fn resources(&self) -> impl Iterator<Item = &str> {
        let found = self.resource.iter();
        found.chain(&self.resources).map(String::as_str)
    }

    /// The issuer, where it is one and not a pattern of many.
    pub(crate) fn one_issuer(&self) -> Option<&str> {
        let issuer = self.issuer.as_deref();
        issuer.filter(|text| !text.contains(keyport_manifest::Oauth2::TENANT))
    }

    /// The issuer with this tenant in its hole; the issuer itself where it has none. `None` where a name cannot be a tenant's.
    pub(crate) fn issuer_of(&self, tenant: &str) -> Option<String> {
        let sound = (1..=64).contains(&tenant.len())
            && tenant
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let issuer = self.issuer.as_deref().filter(|_| sound)?;
        Some(issuer.replace(keyport_manifest::Oauth2::TENANT, tenant))
    }
}
